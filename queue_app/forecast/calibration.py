"""
The correction of forecasts by experience: how much longer or shorter things took than the simulation had said.

The simulation knows no jobs that come later, no failed attempts and no bursts. What these do to a forecast we do not model but
measure: of past forecasts that were about the same thing and about as long, the distribution of (what it took / what was said).
Its median corrects a p50, its 90th percentile a p90. This is conformal prediction, with the nearest forecasts of a group as the
calibration set (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; split by group: Romano et al.,
"With Malice Toward None", 2020). What has not happened yet counts, too, with the time that it has lasted so far: without it the
long ones would be missing (Kaplan and Meier 1958; Candès, Lei and Ren, "Conformalized survival analysis", 2023).

The queue of the morning teaches little about that of noon. So what was shown is held against what happened, too: while more of it
is missed than a percentile allows, the next ones are lifted, and lowered while less is (quantile tracking: Angelopoulos, Candès
and Tibshirani, "Conformal PID control", 2023). That something is late is known at once, not only when it happens.

Times are in seconds.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from math import ceil, exp, log
from typing import NamedTuple

ENOUGH = 40  # past forecasts of a group; with fewer a wider group is used, and none without any
NEAREST = 300  # of a group: those about as long
SHORT = 10.0  # seconds that are added to both times of a ratio, so that moments do not count as multiples
STEP, MEMORY = 0.03, 200  # how far one forecast lifts the next ones, as a logarithm, and how many are remembered
MOST_LIFT = 1.5
GRAIN = 10  # lengths within a tenth (of the natural logarithm) are corrected alike
NORMAL = 0  # the priority from which on jobs are one group; those below it give way to all others


class Past(NamedTuple):
    """
    A forecast that was made, and the seconds until it happened; not ``happened``: it had not until then. ``measured``: it rested
    on measured run times.
    """

    what: str
    model: str
    priority: int
    measured: bool
    p50: float
    p90: float
    shown_p50: float
    shown_p90: float
    seconds: float
    happened: bool


class _Outcome(NamedTuple):
    length: float  # logarithm of the time that was said
    ratio_p50: float
    ratio_p90: float
    happened: bool


class Corrected(NamedTuple):
    """Both percentiles, and on how many past forecasts they stand: 0 if they are as they were."""

    p50: float
    p90: float
    samples: int


class Calibration:
    """What past forecasts teach."""

    def __init__(self, past: Iterable[Past] = ()) -> None:
        """:param past: the newest first."""
        listed = list(past)
        self._groups: dict[tuple[str, ...], list[_Outcome]] = defaultdict(list)
        self._lifts = {what: _lifts([one for one in listed if one.what == what]) for what in {one.what for one in listed}}
        for one in listed:
            outcome = _Outcome(_length(one.p50), _ratio(one.seconds, one.p50), _ratio(one.seconds, one.p90), one.happened)
            for group in _groups(one.what, one.model, one.priority, one.measured):
                self._groups[group].append(outcome)
        self._found: dict[tuple[tuple[str, ...], int], tuple[float, float, int]] = {}

    def correct(
        self, p50: float, p90: float, *, what: str, model: str = "", priority: int = NORMAL, measured: bool = True
    ) -> Corrected:
        """Return the percentiles of a forecast, corrected by past ones about ``what``; p50 is at most p90."""
        group = next((one for one in _groups(what, model, priority, measured) if len(self._groups.get(one, ())) >= ENOUGH), None)
        if group is None:
            return Corrected(p50, p90, 0)
        grain = round(GRAIN * _length(p50))
        if (group, grain) not in self._found:
            self._found[group, grain] = _factors(self._groups[group], grain / GRAIN)
        lower, upper, count = self._found[group, grain]
        lift_p50, lift_p90 = self._lifts[what]
        median = max(0.0, lift_p50 * lower * (p50 + SHORT) - SHORT)
        return Corrected(median, max(median, lift_p90 * upper * (p90 + SHORT) - SHORT), count)


def _groups(what: str, model: str, priority: int, measured: bool) -> list[tuple[str, ...]]:
    """Return the groups of a forecast, the narrowest first."""
    kind, class_ = f"{what}, {'measured' if measured else 'typical'}", "below normal" if priority < NORMAL else "normal"
    return [(kind, class_, model), (kind, class_), (kind,)]


def _lifts(past: Sequence[Past]) -> tuple[float, float]:
    """Return by what the next p50 and p90 are multiplied, because what was shown was missed too often or too rarely."""
    return _lift(past, 0.5, [one.shown_p50 for one in past]), _lift(past, 0.9, [one.shown_p90 for one in past])


def _lift(past: Sequence[Past], part: float, shown: Sequence[float]) -> float:
    lift, weight = 0.0, STEP
    for one, seconds in zip(past, shown, strict=True):
        missed = one.seconds > seconds
        if missed or one.happened:
            lift += weight * (missed - (1 - part))
            weight *= 1 - 1 / MEMORY
    return exp(min(MOST_LIFT, max(-MOST_LIFT, lift)))


def _factors(outcomes: Sequence[_Outcome], length: float) -> tuple[float, float, int]:
    near = _nearest(outcomes, length)
    lower = _quantile([(one.ratio_p50, one.happened) for one in near], 0.5)
    upper = _quantile([(one.ratio_p90, one.happened) for one in near], 0.9)
    return lower, upper, len(near)


def _nearest(outcomes: Sequence[_Outcome], length: float) -> Sequence[_Outcome]:
    """Return the outcomes of forecasts about as long; of those that are equally near the newest."""
    return nsmallest(NEAREST, outcomes, key=lambda one: round(GRAIN * abs(one.length - length)))


def _quantile(ratios: list[tuple[float, bool]], part: float) -> float:
    """Return the ratio that ``part`` of them do not exceed (Kaplan and Meier); the false ones are at least so large."""
    ratios.sort()
    count, left = len(ratios), 1.0
    aim = 1 - min(1.0, ceil(part * (count + 1)) / count)  # one more than there are: the one that is to come
    for index, (ratio, happened) in enumerate(ratios):
        if happened:
            left *= 1 - 1 / (count - index)
            if left <= aim + 1e-9:
                return ratio
    return ratios[-1][0]


def _length(seconds: float) -> float:
    return log(seconds + SHORT)


def _ratio(seconds: float, said: float) -> float:
    return (seconds + SHORT) / (said + SHORT)
