"""Waits before the next try."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_app.rules import backoff
from queue_app.rules.backoff import Retries


class TestWaitAfter:
    @given(tries=st.integers(min_value=1, max_value=20), seed=st.integers(), base=st.integers(1, 900), cap=st.integers(1, 900))
    def test_is_anything_up_to_the_base_doubled_with_each_try_and_never_over_the_cap(
        self, tries: int, seed: int, base: int, cap: int
    ) -> None:
        wait = Retries(4, "exponential", base, cap).wait_after(tries, chance=Random(seed))
        assert 0 <= wait <= min(cap, base * 2**tries)

    def test_uses_the_whole_span_so_that_retries_do_not_come_in_step(self) -> None:
        waits = sorted(Retries(4, "exponential").wait_after(3, chance=Random(seed)) for seed in range(200))
        assert waits[0] < 4 and waits[-1] > 36

    def test_is_the_base_every_time_where_the_rule_says_fixed(self) -> None:
        assert {Retries(4, "fixed", 300).wait_after(tries, chance=Random(tries)) for tries in range(1, 5)} == {300}


class TestPatient:
    @pytest.mark.parametrize(("waited", "most"), [(0, 5), (60, 30), (1200, 600), (86_400, 600), (1e9, 600)])
    def test_is_up_to_half_of_what_was_waited_from_5_s_to_10_min(self, waited: float, most: float) -> None:
        delays = sorted(backoff.patient(waited, chance=Random(seed)) for seed in range(200))
        assert most * 0.8 <= delays[0] < most * 0.82 and most * 0.98 < delays[-1] <= most


class TestToldToWait:
    @given(seconds=st.floats(min_value=0, max_value=86_400), seed=st.integers())
    def test_is_at_least_as_long_as_told_and_at_most_a_fifth_more(self, seconds: float, seed: int) -> None:
        assert seconds <= backoff.told_to_wait(seconds, chance=Random(seed)) <= seconds * 1.2


class TestUnreachable:
    @pytest.mark.parametrize(("failures", "seconds"), [(1, 2), (2, 4), (4, 16), (5, 60), (6, 60), (100_000, 60)])
    def test_doubles_until_the_fifth_failure_opens_the_breaker_for_60_s(self, failures: int, seconds: float) -> None:
        assert backoff.unreachable(failures) == seconds
