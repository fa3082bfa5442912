"""One page of a long list with tabs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

A_PAGE = 50

Row = TypeVar("Row")


@dataclass(frozen=True)
class ListPage(Generic[Row]):
    """One page of a list, ``number`` from 1, of ``total`` rows. ``by_tab`` has the rows of each tab, under the other filters."""

    lines: Sequence[Row]
    by_tab: dict[str, int]
    number: int
    total: int

    @property
    def first(self) -> int:
        return skipped(self.number) + 1

    @property
    def last(self) -> int:
        return skipped(self.number) + len(self.lines)

    @property
    def has_next(self) -> bool:
        return self.last < self.total


def nearest(number: int, total: int) -> int:
    """Return the number of the page that exists nearest to ``number``."""
    return max(1, min(number, -(-total // A_PAGE)))


def skipped(number: int) -> int:
    """Return how many rows come before a page."""
    return (number - 1) * A_PAGE
