"""The cells that run first."""

from itertools import product

import pytest

from campaigns.rules import canary


def matrix(*sizes: int) -> dict[int, dict[str, str]]:
    """A matrix with as many values in each dimension, numbered from 1."""
    keys = [[(f"d{place}", str(value)) for value in range(size)] for place, size in enumerate(sizes)]
    return {number: dict(pairs) for number, pairs in enumerate(product(*keys), 1)}


@pytest.mark.parametrize(
    ("sizes", "expected"), [((1,), 1), ((5,), 5), ((2, 2), 2), ((3, 4), 4), ((5, 4, 3, 11), 11), ((2, 2, 2, 2, 2), 2)]
)
def test_of_a_whole_matrix_as_many_run_first_as_the_longest_dimension_has_values(sizes, expected):
    cells = matrix(*sizes)
    chosen = canary.first(cells)
    assert len(chosen) == expected
    assert {pair for number in chosen for pair in cells[number].items()} == {p for one in cells.values() for p in one.items()}


def test_with_gaps_every_value_that_is_left_is_still_shown():
    cells = {number: values for number, values in matrix(3, 3).items() if number not in (1, 5, 9)}  # without the diagonal
    chosen = canary.first(cells)
    assert {pair for number in chosen for pair in cells[number].items()} == {p for one in cells.values() for p in one.items()}
    assert len(chosen) <= 4  # greedy: one more than the best choice


def test_the_same_cells_give_the_same_choice_whatever_their_order():
    cells = matrix(3, 2)
    assert canary.first(dict(reversed(cells.items()))) == canary.first(cells) == [1, 4, 5]


def test_without_cells_none_runs_first():
    assert canary.first({}) == []
