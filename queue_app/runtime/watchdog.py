"""
The watchdog: decides from a cluster's heartbeats whether it is frozen. Plain Python; times are `time.monotonic()` seconds.

A busy worker is never a reason to kill a cluster. The reasons are a task far over its time limit, a canary that does not come
through although a worker is idle, and missing workers.
"""

from dataclasses import dataclass

from queue_app.runtime.canary import CANARY_SECONDS
from queue_app.runtime.pipe import Beat

PATIENCE_SECONDS = 6  # a canary that takes longer: frozen
OVERTIME_SECONDS = 10  # a task over its time limit for longer: frozen
NOBODY_SECONDS = 60  # longest start of a cluster on a busy machine
SILENT_SECONDS = 5  # a worker silent for longer may block the canaries; noticed before a canary is missing for too long
STUCK_SECONDS = 8  # a worker beats every 2 s from a thread, so one silent for longer is frozen as a whole
UNREPLACED_SECONDS = 10  # an ended worker is normally replaced within a second


@dataclass
class Worker:
    """A worker as of its last beat; ``until`` is the end of its task's time limit."""

    pid: int
    started_at: float
    beat_at: float
    idle_since: float | None
    task: str = ""
    until: float | None = None


class Watch:
    """
    The watch over one cluster of ``size`` workers, from its start on.

    ``away`` is the total time in seconds that the database has been unreachable. Canaries may wait behind processes that wait for
    the database, so this time does not count against the cluster.
    """

    def __init__(self, *, now: float, size: int, away: float = 0) -> None:
        self.workers: dict[int, Worker] = {}
        self.canary_at: float | None = None
        self._size = size
        self._somebody_at = now
        self._full_at: float | None = None
        self._canary_due_since, self._away_then = now, away

    def hear(self, beat: Beat, *, now: float, away: float = 0) -> None:
        if beat.canary:
            self.canary_at = self._canary_due_since = now
            self._away_then = away
            return
        self._somebody_at = now
        worker = self.workers.setdefault(beat.pid, Worker(beat.pid, started_at=now, beat_at=now, idle_since=None))
        worker.beat_at, worker.task = now, beat.task
        worker.idle_since = None if beat.task else worker.idle_since or now
        worker.until = now + beat.seconds_left if beat.seconds_left is not None else None
        if len(self.workers) >= self._size:
            self._full_at = now

    def stuck(self, *, now: float) -> list[int]:
        """Return the pids of frozen workers, even if their task has time left."""
        return [pid for pid, worker in self.workers.items() if now - worker.beat_at > STUCK_SECONDS]

    def forget(self, pid: int, *, now: float, away: float = 0) -> None:
        """Remove a worker that has ended. If it was silent, it may have blocked the canaries, so their time starts again."""
        worker = self.workers.pop(pid, None)
        if worker and _is_silent(worker, now=now):
            self._canary_due_since, self._away_then = now, away

    def frozen(self, *, now: float, away: float = 0) -> str:
        """Return the reason why the cluster must be killed, or an empty string."""
        for worker in self.workers.values():
            if worker.until is not None and now - worker.until > OVERTIME_SECONDS:
                return f"worker {worker.pid} is {now - worker.until:.0f} s past the time limit of its task ({worker.task})"
        if not self.workers and now - self._somebody_at > NOBODY_SECONDS:
            return f"no worker for {NOBODY_SECONDS} s"
        if self._full_at is not None and len(self.workers) < self._size and now - self._full_at > UNREPLACED_SECONDS:
            return f"a worker has ended and none has followed for {now - self._full_at:.0f} s"
        silent = sum(_is_silent(worker, now=now) for worker in self.workers.values())
        if 0 < silent < len(self.workers):
            return ""  # it may block the canaries, so it alone is killed first
        idle = [w for w in self.workers.values() if w.idle_since is not None and now - w.idle_since > PATIENCE_SECONDS]
        waited = now - self._canary_due_since - (away - self._away_then)
        if idle and waited > CANARY_SECONDS + PATIENCE_SECONDS:
            return f"no canary came through for {waited:.0f} s while {len(idle)} workers are idle"
        return ""


def _is_silent(worker: Worker, *, now: float) -> bool:
    return now - worker.beat_at > SILENT_SECONDS
