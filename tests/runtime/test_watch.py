"""When a cluster counts as frozen; in plain numbers, 0 being its start."""

from queue_app.runtime.lifeline import Beat
from queue_app.runtime.watch import Watch

IDLE, CANARY = Beat(7), Beat(9, canary=True)


def busy(*, left: float) -> Beat:
    return Beat(8, task="submit job 1", seconds_left=left)


class TestFrozen:
    def test_a_canary_that_nobody_lets_through_while_a_worker_is_idle(self) -> None:
        watch = Watch(now=0)
        watch.hear(IDLE, now=1)
        watch.hear(CANARY, now=2)
        assert watch.frozen(now=16, database_since=0) == ""
        assert "no canary" in watch.frozen(now=18, database_since=0)

    def test_a_busy_worker_is_never_a_reason(self) -> None:
        watch = Watch(now=0)
        watch.hear(busy(left=300), now=1)
        assert watch.frozen(now=290, database_since=0) == ""

    def test_a_worker_that_has_just_become_idle_is_given_time_to_take_the_canary(self) -> None:
        watch = Watch(now=0)
        watch.hear(busy(left=60), now=1)
        watch.hear(Beat(8), now=50)
        assert watch.frozen(now=59, database_since=0) == ""
        assert watch.frozen(now=61, database_since=0)

    def test_a_task_ten_seconds_past_its_own_limit(self) -> None:
        watch = Watch(now=0)
        watch.hear(busy(left=60), now=0)
        assert watch.frozen(now=69, database_since=0) == ""
        assert "past the time limit" in watch.frozen(now=71, database_since=None)

    def test_nobody_there_for_a_minute(self) -> None:
        assert Watch(now=0).frozen(now=59, database_since=0) == ""
        assert Watch(now=0).frozen(now=61, database_since=None) == "no worker for 60 s"

    def test_canaries_say_nothing_while_the_database_is_gone_and_just_after(self) -> None:
        watch = Watch(now=0)
        watch.hear(IDLE, now=1)
        assert watch.frozen(now=100, database_since=None) == ""
        assert watch.frozen(now=100, database_since=90) == ""
        assert watch.frozen(now=106, database_since=90)

    def test_a_worker_that_died_is_forgotten(self) -> None:
        watch = Watch(now=0)
        watch.hear(busy(left=10), now=0)
        assert watch.silent(now=2) == []
        assert watch.silent(now=4) == [8]
        watch.forget(8)
        assert watch.frozen(now=30, database_since=0) == ""
