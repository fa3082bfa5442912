"""
The circuit breaker of the matrix: whether one value explains why cells fail, so that its other cells should not run yet.

It looks at one error code at a time. A value explains the failures with a code if all of this is true:

* at least `FAILURES_LEAST` of its cells failed with the code;
* it has `SHARE_LEAST` of all cells that failed with the code;
* `RATE_LEAST` of its finished cells failed with the code;
* of the finished cells without the value, at least `OTHERS_LEAST`, at most `OTHERS_RATE_MOST` failed, with any code.

An outage of a model fails cells of every value, so no value has the share. If only cells of one value have run, the others
prove nothing yet. If two values explain a code equally well, it is not known which of them is the cause, and nothing trips.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

FAILURES_LEAST = 4
SHARE_LEAST, RATE_LEAST, OTHERS_RATE_MOST = 0.8, 0.6, 0.2
OTHERS_LEAST = 3  # finished cells without the value

Pair = tuple[str, str]
"""Dimension key and value key."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one cell's job; ``code`` is that of its error, empty if it completed."""

    values: Mapping[str, str]
    code: str = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """A value that explains ``failures`` of the ``of`` failures with a code."""

    dimension: str
    value: str
    code: str
    failures: int
    of: int


def causes(finished: Sequence[Outcome], *, known: Collection[tuple[str, str, str]] = ()) -> list[Cause]:
    """
    Return the values that explain failures, the most failures first.

    :param finished: the cells that completed or failed; no cancelled ones.
    :param known: dimension, value and code of causes that people have been told already, which are left out.
    """
    found = [cause for code in sorted({one.code for one in finished} - {""}) for cause in _of_code(finished, code)]
    new = [one for one in found if (one.dimension, one.value, one.code) not in known]
    return sorted(new, key=lambda one: (-one.failures, one.code))


def _of_code(finished: Sequence[Outcome], code: str) -> list[Cause]:
    """Return the one value that explains the failures with a code; none, or none that is better than another."""
    bad = _pairs(one.values for one in finished if one.code == code)
    of = sum(one.code == code for one in finished)
    if of < FAILURES_LEAST:
        return []
    total, failed = _pairs(one.values for one in finished), _pairs(one.values for one in finished if one.code)
    ends, failures = len(finished), sum(bool(one.code) for one in finished)
    ranked = sorted(
        ((number / total[pair], number, pair) for pair, number in bad.items() if _explains(pair, number, of, total)),
        key=lambda one: (-one[0], -one[1], one[2]),
    )
    fit = [one for one in ranked if _others_are_well(ends - total[one[2]], failures - failed[one[2]])]
    if not fit or (len(fit) > 1 and fit[0][:2] == fit[1][:2]):
        return []
    _, number, (dimension, value) = fit[0]
    return [Cause(dimension, value, code, number, of)]


def _explains(pair: Pair, number: int, of: int, total: Mapping[Pair, int]) -> bool:
    return number >= FAILURES_LEAST and number >= SHARE_LEAST * of and number >= RATE_LEAST * total[pair]


def _others_are_well(others: int, failed: int) -> bool:
    return others >= OTHERS_LEAST and failed <= OTHERS_RATE_MOST * others


def _pairs(cells: Iterable[Mapping[str, str]]) -> Counter[Pair]:
    return Counter(pair for values in cells for pair in values.items())
