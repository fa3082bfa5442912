"""Answers that many ask for."""

import time
from threading import Barrier, Thread

import pytest
from django.core.cache import cache
from django.core.cache.backends import base, locmem

from queue_app.insight import shared


@pytest.fixture(autouse=True)
def nobody_has_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr(shared, "CHEAP", 0.02)
    for backend in (base, locmem):  # what is shared grows old here
        monkeypatch.setattr(backend, "time", time)


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
            answers.append(shared.at_most_every(1_000, "one", compute))

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
                return shared.at_most_every(1_000, inner, lambda: 7)

            found.append(shared.at_most_every(1_000, outer, compute))

        keys = [(Alike("a1"), Alike("b1")), (Alike("b2"), Alike("a2"))]
        threads = [Thread(target=ask, args=pair, daemon=True) for pair in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert found == [7, 7]

    def test_no_lock_outlives_its_use(self) -> None:
        for number in range(100):
            shared.at_most_every(1_000, f"key-{number}", lambda: 7)
        assert not [key for key in shared._locks if key.startswith("key-")]

    def test_from_half_its_age_on_a_thread_computes_a_dear_one_anew_and_nobody_waits(self, db: None) -> None:
        began = time.monotonic() - 600
        cache.set("dear", shared._Born(1, began, cost=1.0), 1_000)
        cache.set("cheap", shared._Born(1, began, cost=0.0), 1_000)
        assert shared.at_most_every(1_000, "cheap", lambda: 2) == 1
        assert shared.at_most_every(1_000, "dear", lambda: 2) == 1
        ends = time.monotonic() + 30
        while shared.at_most_every(1_000, "dear", lambda: 3) != 2:
            assert time.monotonic() < ends
            time.sleep(0.01)
        assert shared.at_most_every(1_000, "cheap", lambda: 3) == 1


class TestAfterOnesOwnAct:
    def test_the_first_answer_in_a_process_is_computed_and_then_shared(self) -> None:
        answers = iter(range(100))

        def ask(act: str = "") -> int:
            return shared.while_worth(0, "key", lambda: next(answers), at_least=1_000, act=act)

        assert [ask(), ask(), ask("a"), ask("a"), ask(), ask("b"), ask("a"), ask()] == [0, 0, 1, 1, 1, 2, 2, 2]


class TestWithoutWaiting:
    def test_a_cheap_answer_is_computed_when_it_is_asked_for(self) -> None:
        assert shared.without_waiting(0.01, "cheap", lambda: 1, at_least=0.01) == 1
        time.sleep(0.05)
        assert shared.without_waiting(0.01, "cheap", lambda: 2, at_least=0.01) == 2

    def test_a_dear_one_serves_while_a_thread_computes_it_anew(self, monkeypatch: pytest.MonkeyPatch, db: None) -> None:
        monkeypatch.setattr(shared, "DEAR", 0.0)
        assert shared.without_waiting(0.01, "dear", lambda: 1, at_least=0.01) == 1
        time.sleep(0.05)
        assert shared.without_waiting(0.01, "dear", lambda: 2, at_least=10) == 1
        ends = time.monotonic() + 30
        while shared.without_waiting(0.01, "dear", lambda: 3, at_least=10) != 2:
            assert time.monotonic() < ends
            time.sleep(0.01)
