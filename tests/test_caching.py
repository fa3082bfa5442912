"""Answers that many ask for."""

import time
from threading import Barrier, Thread
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.core.cache.backends import base, locmem

from queue_app import caching


@pytest.fixture(autouse=True)
def nobody_has_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr(caching, "CHEAP", 0.02)
    for module in (base, locmem, caching):  # what is shared grows old here
        monkeypatch.setattr(module, "time", time)


class Alike(str):
    """Keys that begin alike have the same hash."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(self[0])


class TestAtMostEvery:
    def test_many_who_ask_at_once_are_answered_by_one_computation(self) -> None:
        computed, answers, together = [], [], Barrier(8)

        def compute() -> int:
            time.sleep(0.05)
            computed.append(1)
            return 7

        def ask() -> None:
            together.wait()
            answers.append(caching.at_most_every(1_000, "one", compute))

        threads = [Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert (len(computed), answers) == (1, [7] * 8)

    def test_what_is_computed_may_ask_for_more(self) -> None:
        """Whatever the keys hash to: while keys shared locks, two threads could each hold what the other waited for, for ever."""
        together, found = Barrier(2), []

        def ask(outer: str, inner: str) -> None:
            def compute() -> int:
                together.wait(30)
                return caching.at_most_every(1_000, inner, lambda: 7)

            found.append(caching.at_most_every(1_000, outer, compute))

        keys = [(Alike("a1"), Alike("b1")), (Alike("b2"), Alike("a2"))]
        threads = [Thread(target=ask, args=pair, daemon=True) for pair in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == [7, 7]

    def test_no_lock_outlives_its_use(self) -> None:
        for number in range(100):
            caching.at_most_every(1_000, f"key-{number}", lambda: 7)
        assert not [key for key in caching._locks if key.startswith("key-")]

    def test_from_half_its_age_on_a_thread_computes_a_dear_one_anew_and_nobody_waits(self, db: None) -> None:
        ended = time.monotonic() - 600
        cache.set("dear", caching._Answer(1, ended, cost=1.0), 1_000)
        cache.set("cheap", caching._Answer(1, ended, cost=0.0), 1_000)
        assert caching.at_most_every(1_000, "cheap", lambda: 2) == 1
        assert caching.at_most_every(1_000, "dear", lambda: 2) == 1
        ends = time.monotonic() + 30
        while caching.at_most_every(1_000, "dear", lambda: 3) != 2:
            assert time.monotonic() < ends
            time.sleep(0.01)
        assert caching.at_most_every(1_000, "cheap", lambda: 3) == 1


class TestWhileWorth:
    def test_an_answer_is_used_for_times_what_it_cost_and_for_ten_seconds_at_most(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = time.monotonic()
        monkeypatch.setattr(caching, "time", SimpleNamespace(monotonic=lambda: now))
        for key, age, cost in (("young", 5, 1.0), ("old", 7, 0.1), ("slow", 11, 1.0)):
            cache.set(key, caching._Answer(1, now - age, cost), 1_000)
        answers = {key: caching.while_worth(60, key, lambda: 2, at_least=0.0) for key in ("young", "old", "slow")}
        assert answers == {"young": 1, "old": 2, "slow": 2}


class TestAfterOnesOwnAct:
    def test_the_first_answer_in_a_process_is_computed_and_then_shared(self) -> None:
        answers = iter(range(100))

        def ask(act: str = "") -> int:
            return caching.while_worth(0, "key", lambda: next(answers), at_least=1_000, act=act)

        assert [ask(), ask(), ask("a"), ask("a"), ask(), ask("b"), ask("a"), ask()] == [0, 0, 1, 1, 1, 2, 2, 2]

    def test_is_computed_in_its_own_way_and_serves_the_others_too(self) -> None:
        def ask(act: str = "") -> str:
            return caching.while_worth(
                0, "key", lambda: "shared", at_least=1_000, act=act, compute_after_act=lambda: f"after {act}"
            )

        assert [ask(), ask("a"), ask("a"), ask(), ask("b")] == ["shared", "after a", "after a", "after a", "after b"]


class TestWithoutWaiting:
    def test_a_cheap_answer_is_computed_when_it_is_asked_for(self) -> None:
        assert caching.without_waiting(0.01, "cheap", lambda: 1, at_least=0.01) == 1
        time.sleep(0.05)
        assert caching.without_waiting(0.01, "cheap", lambda: 2, at_least=0.01) == 2

    def test_a_dear_one_serves_while_a_thread_computes_it_anew(self, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
        monkeypatch.setattr(caching, "DEAR", 0.0)
        assert caching.without_waiting(0.01, "dear", lambda: 1, at_least=0.01) == 1
        time.sleep(0.05)
        assert caching.without_waiting(0.01, "dear", lambda: 2, at_least=0.01) == 1
        ends = time.monotonic() + 30
        while caching.without_waiting(0.01, "dear", lambda: 3, at_least=10) != 2:
            assert time.monotonic() < ends
            time.sleep(0.01)


class TestCallersOfOneKey:
    def test_share_its_last_answer_and_each_says_how_old_it_may_be(self) -> None:
        answers = iter(range(100))

        def ask(seconds: float) -> int:
            return caching.at_most_every(seconds, "key", lambda: next(answers), kept=1_000)

        first, _ = ask(1_000), time.sleep(0.05)
        assert [first, ask(1_000), ask(0.01), ask(1_000)] == [0, 0, 1, 1]
        assert caching.without_waiting(0, "key", lambda: next(answers), at_least=1_000) == 1
