"""Peak hours: spans of the day in which the whole queue may run more at once."""

from datetime import datetime, time
from decimal import Decimal


def spans(text: str) -> list[tuple[time, time]]:
    """
    Read ``06:00-09:00, 20:00-23:00``. A span may pass midnight (``22:00-02:00``).

    :raises ValueError: with what is wrong and how it is written right.
    """
    found = []
    for part in filter(None, (piece.strip() for piece in text.replace("–", "-").split(","))):
        try:
            start, end = (time.fromisoformat(edge.strip()) for edge in part.split("-"))
        except ValueError:
            raise ValueError(f"“{part}” is not a time range. Use a format like 06:00-09:00, 20:00-23:00.") from None
        found.append((start, end))
    return found


def is_peak(local: datetime, text: str) -> bool:
    """``local`` is in the queue's time zone; the start of a span belongs to it, the end does not."""
    now = local.time()
    return any(start <= now < end if start <= end else now >= start or now < end for start, end in spans(text))


def effective_limit(limit: int, local: datetime, *, hours: str, factor: Decimal) -> int:
    """The whole queue's limit at this time, rounded down."""
    return int(limit * factor) if is_peak(local, hours) else limit
