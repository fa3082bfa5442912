"""Peak hours: times of day with a higher limit for the whole queue. They follow the clocks of their time zone."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta, tzinfo
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
    return _is_in(local.time(), text)


def effective_limit(limit: int, local: datetime, *, hours: str, factor: Decimal) -> int:
    """Return the limit of the whole queue at ``local``, rounded down."""
    return raised(limit, factor) if is_peak(local, hours) else limit


def raised(limit: int, factor: Decimal) -> int:
    """Return the limit of the whole queue in peak hours, rounded down."""
    return int(limit * factor)


def changes(text: str, zone: tzinfo, *, at: datetime, days: int) -> Iterator[tuple[datetime, bool]]:
    """
    Yield the moments after ``at`` at which peak hours begin or end, in order, each with whether it is peak from then on.

    A range follows the clocks of ``zone``: what they skip in spring is left out, what they show twice in autumn counts twice.
    """
    edges = {edge for span in spans(text) for edge in span}
    today = at.astimezone(zone).date()
    moments: set[datetime] = set()
    for day in (today + timedelta(days=number) for number in range(days)):
        midnight = datetime.combine(day, time(), zone)
        moments |= {datetime.combine(day, edge, zone).replace(fold=fold).astimezone(UTC) for edge in edges for fold in (0, 1)}
        moments |= set(_clock_change(midnight.astimezone(UTC), zone))
    was = is_peak(at.astimezone(zone), text)
    for moment in sorted(moment for moment in moments if moment > at):
        now = is_peak(moment.astimezone(zone), text)
        if now != was:
            was = now
            yield moment, now


def of_day(text: str) -> list[tuple[time, time, bool]]:
    """
    Return a day by the clock as spans (start, end, whether it is peak), in order; the first starts and the last ends at 00:00.
    """
    edges = sorted({time(), *(edge for span in spans(text) for edge in span)})
    found: list[tuple[time, time, bool]] = []
    for start, end in zip(edges, [*edges[1:], time()], strict=True):
        now = _is_in(start, text)
        if found and found[-1][2] == now:
            found[-1] = (found[-1][0], end, now)
        else:
            found.append((start, end, now))
    return found


def _is_in(now: time, text: str) -> bool:
    return any(start <= now < end if start <= end else now >= start or now < end for start, end in spans(text))


def _clock_change(begins: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield the minute at which clocks change in the day, of up to 25 hours, that begins then."""
    low, high = begins, begins + timedelta(hours=25)
    before = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == before:
        return
    while high - low > timedelta(minutes=1):
        middle = low + timedelta(minutes=(high - low) // timedelta(minutes=2))
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    yield high
