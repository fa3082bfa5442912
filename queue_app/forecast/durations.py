"""The time until a job is done, from past durations; in seconds."""

from collections.abc import Sequence
from itertools import product

from queue_app.rules import schedule

ENOUGH = schedule.FEW  # past durations; with fewer the typical time is used
_SLICES = 21  # of the durations, when they are added to waits; odd, so that the median is one of them


def known_or_typical(past: Sequence[float], *, typical: float, similar: bool = False) -> tuple[Sequence[float], str]:
    """
    Return durations to expect, ascending, and their basis: “the last 37 runs”, or the model's typical time below 5 runs.

    :param similar: the runs are those of jobs with the same parameters, as far as these set the price.
    """
    basis = schedule.basis(len(past), similar=similar)
    return (past if len(past) >= ENOUGH else [typical * part for part in schedule.SPREAD]), basis


def of_running(*, elapsed: float, past: Sequence[float]) -> tuple[float, float]:
    """Return the median and 90th percentile of the time left for a job that has run for ``elapsed``."""
    return quantiles(left(elapsed, past))


def left(elapsed: float, past: Sequence[float]) -> Sequence[float]:
    """Return what longer durations leave after ``elapsed``, ascending; a tenth of ``elapsed`` if none is longer."""
    return [duration - elapsed for duration in past if duration > elapsed] or [0.1 * elapsed]


def of_waiting(waits: Sequence[float], past: Sequence[float]) -> tuple[float, float]:
    """Return the same for a job that starts after one of ``waits``: each wait is combined with each duration."""
    slices = [quantile(past, (index + 0.5) / _SLICES) for index in range(_SLICES)]
    return quantiles([wait + run for wait, run in product(waits, slices)])


def quantiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the median and the 90th percentile."""
    ascending = sorted(values)
    return quantile(ascending, 0.5), quantile(ascending, 0.9)


def quantile(ascending: Sequence[float], part: float) -> float:
    """Return the value that ``part`` of the values do not exceed, interpolated between two of them."""
    exact = min(max(part * len(ascending) - 0.5, 0.0), len(ascending) - 1.0)
    lower = int(exact)
    upper = min(lower + 1, len(ascending) - 1)
    if ascending[lower] == ascending[upper]:  # also if both are infinite
        return ascending[lower]
    return ascending[lower] + (exact - lower) * (ascending[upper] - ascending[lower])
