"""The cells that run first: few of them, and together they show every value. Pure: the same cells give the same choice."""

from collections.abc import Mapping

Values = Mapping[str, str]
"""Dimension key → value key of one cell."""


def first(cells: Mapping[int, Values]) -> list[int]:
    """
    Return the numbers of few cells that together have each value that any cell has, in ascending order: a greedy choice.

    Each step takes the cell with the most values that no chosen cell has; of equals the one with the lowest number. In a matrix
    without gaps these are as many as the longest dimension has values, and no choice needs fewer.

    :param cells: number → values, of the cells that can run: neither excluded nor blocked.
    """
    left = {pair for values in cells.values() for pair in values.items()}
    pairs = {number: frozenset(values.items()) for number, values in sorted(cells.items())}
    chosen: list[int] = []
    while left:
        best = max(pairs, key=lambda number: len(pairs[number] & left))  # the first of equals
        chosen.append(best)
        left -= pairs.pop(best)
    return sorted(chosen)
