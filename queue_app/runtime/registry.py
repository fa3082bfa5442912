"""The registry of worker processes (`WorkerProcess`). Each runworker writes the rows of its own processes."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import SimpleQueue

from django.db import Error, connection

from queue_app import clock, database
from queue_app.models import WorkerProcess
from queue_app.runtime import processes
from queue_app.runtime.queues import Queue
from queue_app.work import recovery

log = logging.getLogger(__name__)

WRITE_SECONDS = 2
LOCK_SECONDS = 0.25  # heartbeats must not wait for locks
FORGOTTEN = timedelta(hours=1)  # a machine silent for longer is gone
Role = WorkerProcess.Role


@dataclass(frozen=True)
class Entry:
    """One process. Times are this machine's `time.monotonic()` seconds; the registry converts them to database time."""

    role: Role
    pid: int
    queue: str
    group: processes.LivingProcess
    started_at: float
    beat_at: float
    leader: bool = False
    turned_at: float | None = None
    task: str = ""
    task_until: float | None = None
    canary_at: float | None = None


class Registry:
    """
    Writes the entries last passed to `show()`, and ends the leases of workers that have ended.

    Call `run()` on its own thread, since the database may be slow or lost.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._entries: Sequence[Entry] = ()
        self._written: set[tuple[int, str]] = set()
        self._ended: SimpleQueue[str] = SimpleQueue()
        self._with_leases: set[str] = set()  # ended workers that may still hold leases
        self._gone_at: float | None = None
        self._away_before = 0.0
        self._news = threading.Event()
        self._is_stopping = False

    @property
    def away_seconds(self) -> float:
        """Return the total time in seconds that the database has been unreachable for this thread."""
        gone_at = self._gone_at
        return self._away_before + (time.monotonic() - gone_at if gone_at is not None else 0)

    def show(self, entries: Sequence[Entry], *, ended: Sequence[str] = ()) -> None:
        """Set the entries to write next; write immediately if workers (by name) have ``ended``."""
        self._entries = entries
        for name in ended:
            self._ended.put(name)
        if ended:
            self._news.set()

    def stop(self) -> None:
        self._is_stopping = True
        self._news.set()

    def run(self) -> None:
        """Write the rows every 2 seconds until stopped, then delete them."""
        while not self._is_stopping:
            self._news.clear()
            self._try(self._entries)
            self._news.wait(WRITE_SECONDS)
        self._try(())
        connection.close()

    def _try(self, entries: Sequence[Entry]) -> None:
        while not self._ended.empty():
            self._with_leases.add(self._ended.get())
        try:
            self._write(entries)
        except Error as error:
            if self._gone_at is None:
                log.warning("heartbeats: lost the database: %s", str(error).strip())
                self._gone_at = time.monotonic()
            connection.close()
        else:
            if self._gone_at is not None:
                self._away_before, self._gone_at = self.away_seconds, None
            self._end_leases()

    def _end_leases(self) -> None:
        if not self._with_leases:
            return
        try:
            with database.in_haste(lock_seconds=LOCK_SECONDS, statement_seconds=WRITE_SECONDS):
                self._with_leases = recovery.workers_ended(self._with_leases, at=clock.now())
        except Error as error:
            log.warning("heartbeats: leases of ended workers are left to the next round: %s", str(error).strip())
            connection.close()

    def _write(self, entries: Sequence[Entry]) -> None:
        at, now = clock.now(), time.monotonic()
        rows = [_row(entry, self._host, at=at, now=now) for entry in entries]
        fields = [field.name for field in WorkerProcess._meta.fields if field.name not in ("id", "host", "pid", "role")]
        WorkerProcess.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["host", "pid", "role"], update_fields=fields
        )
        shown = {(row.pid, str(row.role)) for row in rows}
        for pid, role in self._written - shown:
            WorkerProcess.objects.filter(host=self._host, pid=pid, role=role).delete()
        self._written = shown


def is_working(host: str, pid: int) -> bool:
    """Whether this `runworker` has a dispatcher row and a canary has passed each queue's cluster on its host."""
    rows = WorkerProcess.objects.filter(host=host)
    moving = rows.filter(role=Role.CLUSTER, canary_taken_at__isnull=False).values("queue").distinct().count()
    return moving == len(Queue) and rows.filter(role=Role.DISPATCHER, pid=pid).exists()


def end_predecessors(host: str) -> list[str]:
    """
    Kill the clusters that an ended runworker of this host left behind and delete its rows. Leave living runworkers alone.

    Return a description of each killed cluster.
    """
    rows = list(WorkerProcess.objects.filter(host=host))
    living = {row.pid for row in rows if row.role == Role.DISPATCHER and _is(row.pid, row.group_started)}
    ended = []
    for row in rows:
        if row.role == Role.CLUSTER and not _is_watched(row, living) and _is_ours(row):
            processes.end_group(row.group_id)
            ended.append(f"cluster {row.queue} (process group {row.group_id})")
    gone = [row for row in rows if processes.look(row.pid) is None or (row.role == Role.DISPATCHER and row.pid not in living)]
    recovery.workers_ended([row.name for row in gone if row.role == Role.WORKER], at=clock.now())
    WorkerProcess.objects.filter(pk__in=[row.pk for row in gone]).delete()
    return ended


def prune(*, at: datetime) -> None:
    """Delete the rows of machines that have been silent for an hour."""
    WorkerProcess.objects.filter(beat_at__lt=at - FORGOTTEN).delete()


def _is(pid: int, started: str) -> bool:
    seen = processes.look(pid)
    return seen is not None and seen.started == started


def _is_watched(row: WorkerProcess, living: set[int]) -> bool:
    main = processes.look(row.group_id)
    return main is not None and main.started == row.group_started and main.parent in living


def _is_ours(row: WorkerProcess) -> bool:
    """Whether the row's process group still is our cluster. The kernel does not reuse a group's id while it has a member."""
    main = processes.look(row.group_id)
    if main is not None:
        return main.started == row.group_started
    return any("qcluster" in processes.command(member.pid) for member in processes.members(row.group_id))


def _row(entry: Entry, host: str, *, at: datetime, now: float) -> WorkerProcess:
    def moment(seconds: float) -> datetime:
        return at + timedelta(seconds=seconds - now)

    return WorkerProcess(
        host=host,
        pid=entry.pid,
        role=entry.role,
        queue=entry.queue,
        group_id=entry.group.pid,
        group_started=entry.group.started,
        leader=entry.leader,
        started_at=moment(entry.started_at),
        beat_at=moment(entry.beat_at),
        turned_at=None if entry.turned_at is None else moment(entry.turned_at),
        task=entry.task,
        task_until=None if entry.task_until is None else moment(entry.task_until),
        canary_taken_at=None if entry.canary_at is None else moment(entry.canary_at),
    )
