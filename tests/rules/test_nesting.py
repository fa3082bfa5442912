"""Nesting depth is measured without recursion, at any depth."""

import pytest

from queue_app.rules import nesting

IN = {"list": lambda inner: [0, inner], "object": lambda inner: {"n": 0, "a": inner}, "tuple": lambda inner: (inner,)}


def nested(levels, make):
    value = 1
    for _ in range(levels):
        value = make(value)
    return value


@pytest.mark.parametrize("make", IN.values(), ids=IN)
class TestDepth:
    @pytest.mark.parametrize("levels", [1, 2, 32])
    def test_is_the_number_of_lists_and_objects_in_each_other(self, make, levels):
        assert not nesting.is_deeper(nested(levels, make), levels)
        assert nesting.is_deeper(nested(levels, make), levels - 1)

    def test_of_any_size_is_measured(self, make):
        assert nesting.is_deeper(nested(100_000, make), 32)


@pytest.mark.parametrize("value", [1, "[[]]", None, True])
def test_of_a_plain_value_is_none(value):
    assert not nesting.is_deeper(value, 0)
