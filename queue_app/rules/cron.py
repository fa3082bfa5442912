"""
Calendars of schedules: cron expressions, their times in a time zone, and their words.

Times follow Debian's cron, as `cronsim` has them: at the start of daylight saving time, a time that the clock skips runs right
after the gap; at its end, a time that comes twice runs once, at the first. Expressions with ``*`` for minute or hour just go on.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

EXPRESSION_MOST = 100  # characters
LEAST_MINUTES = 5  # between two times
_START = datetime(2026, 1, 1)  # noqa: DTZ001 - an expression is read without a time zone
# these go on across hours; “every 30th minute of every hour” reads as once an hour
_STEPS = {f"*/{step}": step for step in range(LEAST_MINUTES, 60) if 60 % step == 0}
_EVERY = re.compile(r"^Every \w+ minute(?: of every hour|(?= from ))")
_REGIONS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


@cache
def zones() -> list[str]:
    """Return the time zones that forms offer: UTC, then those named after a place."""
    return ["UTC", *sorted(name for name in _known_zones() if name.partition("/")[0] in _REGIONS)]


def zone_problem(name: str) -> str | None:
    """Return why this is no time zone, or ``None``."""
    if name in _known_zones():
        return None
    return "Enter a time zone such as Europe/Madrid or UTC."


def problem(expression: str) -> str | None:
    """Return why a schedule can't have this calendar, or ``None``."""
    if len(expression) > EXPRESSION_MOST:
        return f"Too long: {len(expression):,} of {EXPRESSION_MOST} characters."
    if len(expression.split()) != 5:
        return "Enter five fields: minute, hour, day of month, month, day of week. Example: 0 9 * * 1-5"
    try:
        found = CronSim(expression, _START)
        next(found)
    except CronSimError as error:
        return f"{error}. Example: 0 9 * * 1-5 is 09:00 from Monday to Friday."
    except StopIteration:
        return "This calendar has no date. Check day and month."
    return _density_problem(found)


def words(expression: str) -> str:
    """Return a valid expression in words: “At 09:00 on Monday”, “Every 30 minutes”."""
    said = CronSim(expression, _START).explain()
    step = _STEPS.get(expression.split()[0])
    return _EVERY.sub(f"Every {step} minutes", said) if step else said


def following(expression: str, zone: str, after: datetime) -> Iterator[datetime]:
    """Yield the times after ``after``, in UTC, soonest first: 50 years ahead at most."""
    last = after.astimezone(UTC)
    for local in CronSim(expression, after.astimezone(ZoneInfo(zone))):
        # compared in UTC: in the hour that comes twice, the wall clock of a later time may be the earlier one
        if (at := local.astimezone(UTC)) > last:
            last = at
            yield at


def next_of(expression: str, zone: str, after: datetime) -> datetime | None:
    """Return the first time after ``after``, in UTC; ``None`` if there is none within 50 years."""
    return next(following(expression, zone, after), None)


def upcoming(expression: str, zone: str, after: datetime, number: int) -> list[datetime]:
    """Return the next times after ``after``, in UTC."""
    return list(islice(following(expression, zone, after), number))


@cache
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones())  # which lists files


def _density_problem(found: CronSim) -> str | None:
    """Judge the minutes of an hour, and the step into the next hour where both are in the expression."""
    minutes, hours = sorted(found.minutes), found.hours
    gaps = [later - earlier for earlier, later in pairwise(minutes)]
    if any((hour + 1) % 24 in hours for hour in hours):
        gaps.append(60 - minutes[-1] + minutes[0])
    if min(gaps, default=60) >= LEAST_MINUTES:
        return None
    return f"This runs more often than every {LEAST_MINUTES} minutes. Example: */{LEAST_MINUTES} * * * *"
