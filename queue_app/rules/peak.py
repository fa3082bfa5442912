"""Peak hours: times of day with a higher limit for the whole queue."""

from datetime import datetime, time
from decimal import Decimal


def spans(text: str) -> list[tuple[time, time]]:
    """
    Parse time ranges such as ``06:00-09:00, 20:00-23:00``. A range may pass midnight (``22:00-02:00``).

    :raises ValueError: a range is malformed; the message shows the right format.
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
    """Whether ``local``, in the queue's time zone, is in a range of ``text``. Ranges include their start, not their end."""
    now = local.time()
    return any(start <= now < end if start <= end else now >= start or now < end for start, end in spans(text))


def effective_limit(limit: int, local: datetime, *, hours: str, factor: Decimal) -> int:
    """Return the limit of the whole queue at ``local``, rounded down."""
    return int(limit * factor) if is_peak(local, hours) else limit
