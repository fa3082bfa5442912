"""
The matrix of a campaign: one cell for each combination of one value of every chosen dimension.

All functions are pure: the same choices always result in the same cells in the same order.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod
from operator import and_
from urllib.parse import quote

MAX_CELLS = 660

Exclusion = Mapping[str, str]
"""Dimension key → value key. Excludes all cells that match all its pairs."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen values of one dimension, in the order in which they are shown. Without values, the dimension is not used."""

    key: str
    label: str
    values: tuple[tuple[str, str], ...]
    """Pairs of value key and label."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination."""

    index: int
    """Its number in the full product, from 1. Exclusions do not change it."""
    key: str
    """``dimension:value`` pairs sorted by dimension: it stays the same if dimensions are reordered or values are added."""
    values: dict[str, str]
    """Dimension key → value key, in the order of the choices."""


class MatrixError(ValueError):
    """The choices or the exclusions make no matrix. ``field`` is the part of the campaign's body to fix."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(message)
        self.field = field


class EmptyMatrix(MatrixError):
    """No dimension has a chosen value."""

    def __init__(self) -> None:
        super().__init__("Nothing selected. Choose at least one dimension value.", field="dimensions")


class RepeatedChoice(MatrixError):
    """A dimension or a value was chosen twice, which would generate the same cell twice."""


class BadExclusion(MatrixError):
    """An exclusion is empty, or names a dimension or a value that is not chosen."""


class TooManyCells(MatrixError):
    """The full product is above ``MAX_CELLS``. ``dimension`` has the most values; ``drop`` of them should be removed."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.count = count(choices)
        mends = _values_to_drop(choices)
        self.dimension, self.drop = mends[0][0].key, mends[0][1]
        biggest = mends[0][0]
        steps = " and ".join(f"{drop} of the {len(choice.values)} {choice.label} values" for choice, drop in mends)
        super().__init__(
            f"That makes {self.count:,} combinations; the limit is {MAX_CELLS}. Remove {steps}.",
            field=f"dimensions.{biggest.key}",
        )


def count(choices: Iterable[Choice]) -> int:
    """Return the size of the full product, without building it; 0 if nothing is chosen."""
    sizes = [len(choice.values) for choice in choices if choice.values]
    return prod(sizes) if sizes else 0


def cells(choices: Sequence[Choice], exclude: Iterable[Exclusion] = ()) -> list[Cell]:
    """
    Return the cells that are not excluded, row by row: the last dimension changes fastest. The list may be empty.

    :raises EmptyMatrix: no dimension has a chosen value.
    :raises RepeatedChoice: a dimension or a value appears twice.
    :raises TooManyCells: the full product is above ``MAX_CELLS``, before exclusions.
    :raises BadExclusion: an exclusion is empty, or names a dimension or a value that is not chosen.
    """
    chosen = _checked(choices)
    every = _product(chosen)
    exclusions = list(exclude)
    masks = _masks(chosen, every) if exclusions else {}
    out = 0
    for number, exclusion in enumerate(exclusions):
        if problem := _exclusion_problem(chosen, exclusion):
            raise BadExclusion(f"Exclusion {number + 1} {problem}", field=f"exclude[{number}]")
        out |= _matching(masks, exclusion)
    return [cell for cell in every if not out >> (cell.index - 1) & 1]


def still_apply(choices: Sequence[Choice], exclude: Iterable[Exclusion]) -> list[Exclusion]:
    """Return the exclusions without those that name values that are no longer chosen."""
    chosen = [choice for choice in choices if choice.values]
    return [exclusion for exclusion in exclude if not _exclusion_problem(chosen, exclusion)]


def compact(choices: Sequence[Choice], excluded: Collection[str]) -> list[Exclusion]:
    """
    Return few exclusions for many excluded cells, given by their keys: whole values first, then single cells.

    Keys that are not in the matrix are ignored, such as those of a value that is no longer chosen.

    :raises MatrixError: as :func:`cells`, for the choices.
    """
    chosen = _checked(choices)
    every = _product(chosen)
    wanted = set(excluded)
    left = sum(1 << (cell.index - 1) for cell in every if cell.key in wanted)
    exclusions: list[Exclusion] = []
    out = left
    for (dimension, value), mask in _masks(chosen, every).items():
        if mask & out == mask and mask & left:
            exclusions.append({dimension: value})
            left &= ~mask
    return exclusions + [cell.values for cell in every if left >> (cell.index - 1) & 1]


def _checked(choices: Sequence[Choice]) -> list[Choice]:
    """Return the choices with values, after all checks."""
    chosen = [choice for choice in choices if choice.values]
    if not chosen:
        raise EmptyMatrix
    if twice := _first_repeated(choice.key for choice in chosen):
        raise RepeatedChoice(f"Dimension “{twice}” appears twice. List it once.", field="dimensions")
    for choice in chosen:
        if twice := _first_repeated(key for key, _ in choice.values):
            raise RepeatedChoice(f"“{twice}” appears twice in {choice.label}. Remove one.", field=f"dimensions.{choice.key}")
    if count(chosen) > MAX_CELLS:
        raise TooManyCells(chosen)
    return chosen


def _first_repeated(keys: Iterable[str]) -> str | None:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


def _product(chosen: Sequence[Choice]) -> list[Cell]:
    """Return all cells in row order."""
    names = [choice.key for choice in chosen]
    sorted_places = sorted(range(len(names)), key=names.__getitem__)
    # Quoted: a key may contain a colon or a comma, and two cells must not get the same key.
    pairs = [[(key, f"{quote(choice.key, safe='')}:{quote(key, safe='')}") for key, _ in choice.values] for choice in chosen]
    return [
        Cell(
            index=index,
            key=",".join([row[place][1] for place in sorted_places]),
            values=dict(zip(names, [key for key, _ in row], strict=True)),
        )
        for index, row in enumerate(product(*pairs), start=1)
    ]


def _masks(chosen: Sequence[Choice], every: Sequence[Cell]) -> dict[tuple[str, str], int]:
    """
    Return for each value the cells that have it, as a number with bit ``index - 1`` set for each.

    An exclusion is then a few ANDs, so that a thousand of them stay cheap.
    """
    masks = {(choice.key, key): 0 for choice in chosen for key, _ in choice.values}
    for cell in every:
        bit = 1 << (cell.index - 1)
        for pair in cell.values.items():
            masks[pair] |= bit
    return masks


def _matching(masks: Mapping[tuple[str, str], int], exclusion: Exclusion) -> int:
    return reduce(and_, (masks[pair] for pair in exclusion.items()))


def _exclusion_problem(chosen: Sequence[Choice], exclusion: Exclusion) -> str | None:
    """Return the problem with an exclusion, as the end of a sentence that begins with its number."""
    if not exclusion:
        return "is empty and would exclude everything. Add at least one dimension and value."
    labels = {choice.key: choice for choice in chosen}
    for dimension, value in exclusion.items():
        choice = labels.get(dimension)
        if choice is None:
            return f"uses “{dimension}”, but none of its values are selected. Selected dimensions: {', '.join(labels)}."
        keys = [key for key, _ in choice.values]
        if value not in keys:
            return f"uses “{value}”, which is not selected in {choice.label}. Selected: {', '.join(keys)}."
    return None


def _values_to_drop(choices: Sequence[Choice]) -> list[tuple[Choice, int]]:
    """Return how many values to remove from which dimensions to get below the limit, the one with the most values first."""
    mends: list[tuple[Choice, int]] = []
    size = count(choices)
    for choice in sorted(choices, key=lambda choice: -len(choice.values)):
        others = size // len(choice.values)
        keep = max(1, MAX_CELLS // others)
        mends.append((choice, len(choice.values) - keep))
        size = others * keep
        if size <= MAX_CELLS:
            break
    return mends
