"""A `qcluster` under supervision: started in its own process group, killed as a whole, and restarted."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from django.conf import settings

from queue_app.models import WorkerProcess
from queue_app.runtime import processes
from queue_app.runtime.pipe import Keeper
from queue_app.runtime.queues import Queue
from queue_app.runtime.registry import Entry, Role
from queue_app.runtime.watchdog import Watch

log = logging.getLogger(__name__)

DIED_AT_ONCE_SECONDS = 10
LONGEST_PAUSE_SECONDS = 30
KEEP_CONNECTIONS_SECONDS = "600"


class Cluster:
    """The cluster of one queue. Call `tend()` about every half second."""

    def __init__(self, queue: Queue, *, host: str) -> None:
        self.queue, self._host = queue, host
        self._main: subprocess.Popen[bytes] | None = None
        self._keeper: Keeper | None = None
        self._deaths_at_once = 0
        self._start_at = time.monotonic()
        self._ended: list[str] = []

    @property
    def is_running(self) -> bool:
        return self._main is not None and self._main.poll() is None

    def tend(self, *, away: float) -> None:
        """
        Start the cluster if it is not running and read its beats. Kill frozen workers, or the whole cluster if its main process
        has ended or it is frozen. ``away`` is the total time in seconds that the database has been unreachable.
        """
        now = time.monotonic()
        if self._main is None:
            if now >= self._start_at:
                self._start(now, away)
            return
        self._hear(now, away)
        status = self._main.poll()
        trouble = self._watch.frozen(now=now, away=away) if status is None else f"its master ended ({status})"
        if trouble:
            log.error("cluster %s: %s; killing its process group %s", self.queue, trouble, self._main.pid)
            self.kill()
            self._plan_start(lived=now - self._started_at)

    def ask_to_stop(self) -> None:
        """
        Ask the cluster to stop after its running tasks.

        Only the main process gets a SIGTERM; sent to the whole group, it would interrupt tasks.
        """
        if self._keeper is not None:
            self._keeper.cut()
        if self._main is not None:
            self._main.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to every process of the cluster and wait until they have ended."""
        if self._main is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._main.pid, signal.SIGKILL)
        self._main.wait()
        if not processes.end_group(self._main.pid):
            log.error("cluster %s: a process of group %s can't be killed", self.queue, self._main.pid)
        if self._keeper is not None:
            self._keeper.close()
        for pid in list(self._watch.workers):
            self._forget(pid, time.monotonic())
        self._main = self._keeper = None

    def ended(self) -> list[str]:
        """Return the names of the workers that have ended since the last call; their leases end with them."""
        ended, self._ended = self._ended, []
        return ended

    def entries(self) -> Iterator[Entry]:
        """Yield the registry entries of the cluster and its workers."""
        if self._main is None:
            return
        now = time.monotonic()
        yield Entry(
            Role.CLUSTER, self._main.pid, self.queue, self._group, self._started_at, beat_at=now, canary_at=self._watch.canary_at
        )
        for worker in list(self._watch.workers.values()):
            yield Entry(
                Role.WORKER,
                worker.pid,
                self.queue,
                self._group,
                worker.started_at,
                worker.beat_at,
                task=worker.task,
                task_until=worker.until,
            )

    def _start(self, now: float, away: float) -> None:
        keeper = Keeper()
        own = {
            "Q_CLUSTER_NAME": self.queue.cluster,
            "CONN_MAX_AGE": KEEP_CONNECTIONS_SECONDS,
            "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
            # importable from any directory; we keep the current one, since paths in the environment may be relative to it
            "PYTHONPATH": os.pathsep.join(filter(None, [str(settings.ROOT), os.environ.get("PYTHONPATH")])),
            **keeper.variable,
        }
        self._main = subprocess.Popen(
            [sys.executable, "-m", "django", "qcluster"],
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            pass_fds=keeper.descriptors,
            start_new_session=True,
        )
        keeper.handed_over()
        group = processes.look(self._main.pid)
        self._group = group or processes.LivingProcess(self._main.pid, os.getpid(), self._main.pid, "")
        self._watch = Watch(now=now, size=int(self.queue.conf["workers"]), away=away)
        self._keeper, self._started_at = keeper, now
        log.info("cluster %s: started, process group %s", self.queue, self._main.pid)

    def _hear(self, now: float, away: float) -> None:
        assert self._keeper is not None
        for beat in self._keeper.beats():
            self._watch.hear(beat, now=now, away=away)
        for pid in list(self._watch.workers):
            if processes.look(pid) is None:
                self._forget(pid, now, away)
        for pid in self._watch.stuck(now=now):
            log.error("cluster %s: worker %s is frozen; killing it", self.queue, pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _forget(self, pid: int, now: float, away: float = 0) -> None:
        self._watch.forget(pid, now=now, away=away)
        self._ended.append(WorkerProcess.name_of(self._host, pid, self._group.started))

    def _plan_start(self, *, lived: float) -> None:
        """Schedule the restart: immediately, or after a growing pause if the cluster keeps ending soon after its start."""
        self._deaths_at_once = self._deaths_at_once + 1 if lived < DIED_AT_ONCE_SECONDS else 0
        pause = min(2.0**self._deaths_at_once, LONGEST_PAUSE_SECONDS) if self._deaths_at_once else 0
        self._start_at = time.monotonic() + pause
