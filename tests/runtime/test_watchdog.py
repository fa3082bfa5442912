"""When a cluster counts as frozen. Times are plain numbers; 0 is its start."""

from queue_app.runtime.pipe import Beat
from queue_app.runtime.watchdog import Watch

IDLE, CANARY = Beat(7), Beat(9, canary=True)


def busy(*, left: float) -> Beat:
    return Beat(8, task="submit job 1", seconds_left=left)


def watching(size: int = 1) -> Watch:
    return Watch(now=0, size=size)


class TestFrozen:
    def test_a_canary_that_nobody_lets_through_while_a_worker_is_idle(self) -> None:
        watch = watching()
        watch.hear(IDLE, now=1)
        watch.hear(CANARY, now=2)
        assert watch.frozen(now=9.9) == ""
        assert "no canary" in watch.frozen(now=10.1)

    def test_a_busy_worker_is_never_a_reason(self) -> None:
        watch = watching()
        watch.hear(busy(left=300), now=1)
        watch.hear(busy(left=11), now=290)
        assert watch.frozen(now=290) == ""

    def test_a_worker_that_has_just_become_idle_is_given_time_to_take_the_canary(self) -> None:
        watch = watching()
        watch.hear(busy(left=60), now=1)
        watch.hear(Beat(8), now=50)
        assert watch.frozen(now=56) == ""
        assert watch.frozen(now=57)

    def test_a_task_ten_seconds_past_its_own_limit(self) -> None:
        watch = watching()
        watch.hear(busy(left=60), now=0)
        assert watch.frozen(now=69) == ""
        assert "past the time limit" in watch.frozen(now=71)

    def test_nobody_there_for_a_minute(self) -> None:
        assert watching().frozen(now=59) == ""
        assert watching().frozen(now=61) == "no worker for 60 s"

    def test_a_worker_that_ended_and_has_no_successor(self) -> None:
        watch = watching(size=2)
        watch.hear(busy(left=100), now=0)
        assert watch.frozen(now=50) == ""  # not yet complete, it is starting
        watch.hear(IDLE, now=51)
        watch.hear(CANARY, now=55)
        watch.forget(8, now=56)
        watch.hear(CANARY, now=60)
        assert watch.frozen(now=61) == ""
        assert "none has followed" in watch.frozen(now=62)
        watch.hear(Beat(10), now=62)
        watch.hear(CANARY, now=62)
        assert watch.frozen(now=62) == ""


class TestADatabaseThatIsGone:
    def test_is_no_time_in_which_a_canary_must_come(self) -> None:
        watch = watching()
        watch.hear(IDLE, now=1)
        watch.hear(CANARY, now=2)
        assert watch.frozen(now=100, away=91) == ""

    def test_again_and_again_does_not_begin_the_patience_anew(self) -> None:
        """With a database that comes and goes every two seconds, a frozen cluster is noticed after the usual time with one."""
        watch = watching()
        watch.hear(IDLE, now=1)
        watch.hear(CANARY, now=2, away=0)
        for second in range(4, 20, 4):
            assert watch.frozen(now=second, away=second / 2 - 1) == ""
        assert "no canary" in watch.frozen(now=20, away=8)

    def test_before_the_last_canary_is_forgotten(self) -> None:
        watch = Watch(now=0, size=1, away=40)
        watch.hear(IDLE, now=1, away=45)
        watch.hear(CANARY, now=50, away=90)
        assert watch.frozen(now=57, away=90) == ""
        assert watch.frozen(now=59, away=90)


class TestAWorker:
    def test_that_does_not_beat_for_eight_seconds_stands_still_however_much_time_its_task_has(self) -> None:
        watch = watching(size=2)
        watch.hear(busy(left=300), now=0)
        watch.hear(IDLE, now=6)
        assert watch.stuck(now=8) == []
        assert watch.stuck(now=9) == [8]

    def test_that_died_is_forgotten(self) -> None:
        watch = watching()
        watch.hear(busy(left=10), now=0)
        watch.forget(8, now=9)
        assert watch.frozen(now=9) == "" and watch.stuck(now=9) == []

    def test_that_stands_still_at_the_queue_is_ended_before_the_others_are_blamed(self) -> None:
        """The queue that it was reading is locked for the others, so no canary comes through."""
        watch = watching(size=2)
        for beat in (IDLE, Beat(8), CANARY):
            watch.hear(beat, now=2)
        for now in (4, 6, 8, 10):
            watch.hear(IDLE, now=now)
            assert watch.frozen(now=now) == ""
        assert watch.frozen(now=11) == "" and watch.stuck(now=11) == [8]
        watch.forget(8, now=11)
        for now in (12, 14, 16, 18):
            watch.hear(IDLE, now=now)
            watch.hear(Beat(10), now=now)
        assert watch.frozen(now=19) == ""
        assert "no canary" in watch.frozen(now=19.1)

    def test_that_stands_still_with_all_the_others_is_no_excuse(self) -> None:
        watch = watching(size=2)
        for beat in (IDLE, Beat(8), CANARY):
            watch.hear(beat, now=2)
        assert "no canary" in watch.frozen(now=10.1)
