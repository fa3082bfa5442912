"""How long until a job is done, from the durations of the past. Seconds throughout."""

from collections.abc import Sequence
from itertools import product

ENOUGH = 5  # durations from which the past speaks for itself
_SPREAD = (0.6, 0.8, 1.0, 1.25, 1.6)  # what is typical varies like this until the past is known
_SLICES = 21  # of a past, when it is added to a wait; odd, so that the median is one


def durations(past: Sequence[float], *, typical: float) -> tuple[Sequence[float], str]:
    """Durations to reckon with, ascending, and what they rest on: “the last 37 runs”, or the model's typical time below 5."""
    if len(past) >= ENOUGH:
        return past, f"the last {len(past)} runs"
    return [typical * part for part in _SPREAD], "the model's typical time"


def of_running(*, elapsed: float, durations: Sequence[float]) -> tuple[float, float]:
    """Median and 90th percentile of what is left for a job that has run for ``elapsed``."""
    return quantiles(left(elapsed, durations))


def left(elapsed: float, durations: Sequence[float]) -> Sequence[float]:
    """What may be left after ``elapsed``: from those that ran longer; a tenth more of its time when none did. Ascending."""
    return [duration - elapsed for duration in durations if duration > elapsed] or [0.1 * elapsed]


def of_waiting(waits: Sequence[float], durations: Sequence[float]) -> tuple[float, float]:
    """The same for a job that starts after one of ``waits`` (alike in likelihood): every wait with every length of its run."""
    slices = [quantile(durations, (index + 0.5) / _SLICES) for index in range(_SLICES)]
    return quantiles([wait + run for wait, run in product(waits, slices)])


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Median and 90th percentile."""
    ascending = sorted(values)
    return quantile(ascending, 0.5), quantile(ascending, 0.9)


def quantile(ascending: Sequence[float], part: float) -> float:
    """The value that ``part`` of them do not exceed, between two of them where it falls between."""
    exact = min(max(part * len(ascending) - 0.5, 0.0), len(ascending) - 1.0)
    lower = int(exact)
    upper = min(lower + 1, len(ascending) - 1)
    if ascending[lower] == ascending[upper]:  # also where both are infinite
        return ascending[lower]
    return ascending[lower] + (exact - lower) * (ascending[upper] - ascending[lower])
