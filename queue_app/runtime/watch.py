"""
Judges one cluster by its beats: does it still move? Plain Python; times are `time.monotonic()` seconds.

A busy worker is never a reason: only a task far past its own limit, a canary that nobody lets through while somebody is idle,
or nobody there at all.
"""

from dataclasses import dataclass

from queue_app.runtime.canary import CANARY_SECONDS
from queue_app.runtime.lifeline import Beat

PATIENCE_SECONDS = 10  # a canary that comes through no sooner, a task over its limit for longer: frozen
NOBODY_SECONDS = 60  # a cluster may take that long to come up, on a machine that is busy
SILENT_SECONDS = 3  # a worker beats every 2 s; one silent for longer may have died


@dataclass
class Worker:
    """What a worker last said; ``until`` is the end of its task's time."""

    pid: int
    started_at: float
    beat_at: float
    idle_since: float | None
    task: str = ""
    until: float | None = None


class Watch:
    """Hears the beats of one cluster, from its start on."""

    def __init__(self, *, now: float) -> None:
        self.workers: dict[int, Worker] = {}
        self.canary_at: float | None = None
        self._began = self._somebody_at = now

    def hear(self, beat: Beat, *, now: float) -> None:
        if beat.canary:
            self.canary_at = now
            return
        self._somebody_at = now
        worker = self.workers.setdefault(beat.pid, Worker(beat.pid, started_at=now, beat_at=now, idle_since=None))
        worker.beat_at, worker.task = now, beat.task
        worker.idle_since = None if beat.task else worker.idle_since or now
        worker.until = now + beat.seconds_left if beat.seconds_left is not None else None

    def silent(self, *, now: float) -> list[int]:
        """Workers that may have died: the kernel knows."""
        return [pid for pid, worker in self.workers.items() if now - worker.beat_at > SILENT_SECONDS]

    def forget(self, pid: int) -> None:
        """A worker has ended."""
        self.workers.pop(pid, None)

    def frozen(self, *, now: float, database_since: float | None) -> str:
        """
        Say why the cluster must be shot, or nothing. While the database is gone (``database_since`` is None) and just after,
        canaries may hang behind tasks that wait for it, so they say nothing.
        """
        for worker in self.workers.values():
            if worker.until is not None and now - worker.until > PATIENCE_SECONDS:
                return f"worker {worker.pid} is {now - worker.until:.0f} s past the time limit of its task ({worker.task})"
        if not self.workers and now - self._somebody_at > NOBODY_SECONDS:
            return f"no worker for {NOBODY_SECONDS} s"
        if database_since is None:
            return ""
        idle = [w for w in self.workers.values() if w.idle_since is not None and now - w.idle_since > PATIENCE_SECONDS]
        waited = now - max(self.canary_at or self._began, database_since)
        if idle and waited > CANARY_SECONDS + PATIENCE_SECONDS:
            return f"no canary came through for {waited:.0f} s while {len(idle)} workers are idle"
        return ""
