"""Slot use: the ideal time, and the replay of a schedule of checks."""

from collections.abc import Sequence
from random import Random

import pytest

from benchmarks import slots


def at_once(elapsed: float, past: Sequence[float], typical: float, chance: Random) -> float:
    """Check ten times per second, which wastes almost nothing."""
    return 0.1


class TestTheIdeal:
    def test_gives_each_to_the_first_free_slot_in_its_order(self) -> None:
        assert slots.ideal([1, 1, 1, 1]) == 1
        assert slots.ideal([4, 1, 1, 1, 2, 2, 2]) == 4
        assert slots.ideal([1, 1, 1, 1, 5]) == 6


class TestAReplay:
    def test_wastes_nothing_where_each_look_finds_an_end(self) -> None:
        assert slots.replayed([30.0] * 8, slots.fixed, handoff=0, late=0) == slots.Replay(use=1.0, checks=1, wasted=0)

    def test_counts_what_is_wasted_between_two_looks(self) -> None:
        assert slots.replayed([31.0] * 8, slots.fixed, handoff=0, late=0) == slots.Replay(
            pytest.approx(31 / 60), checks=2, wasted=29
        )

    def test_counts_the_hand_off_and_late_checks(self) -> None:
        assert slots.replayed([30.0] * 8, slots.fixed, handoff=10, late=0).use == pytest.approx(60 / 70)
        assert slots.replayed([30.0] * 8, slots.fixed, handoff=0, late=5).use == pytest.approx(60 / 70)

    def test_lets_the_plan_learn_only_what_has_ended_by_then(self) -> None:
        seen: list[int] = []

        def watching(elapsed: float, past: Sequence[float], typical: float, chance: Random) -> float:
            seen.append(len(past))
            return at_once(elapsed, past, typical, chance)

        slots.replayed([1.0] * 12, watching, handoff=0, late=0)
        assert sorted(set(seen)) == [0, 4, 8]
