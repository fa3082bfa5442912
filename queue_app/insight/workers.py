"""The processes by machine: which one leads, how busy its workers are and with what, who does not respond, what was restarted."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from queue_app.models import WorkerProcess
from queue_app.models.worker import ALIVE_SECONDS

ALIVE = timedelta(seconds=ALIVE_SECONDS)  # since a process's last heartbeat
REMEMBERED = timedelta(minutes=10)  # for which a silent process is shown
SLOW_START = timedelta(seconds=30)  # a process that starts so long after its runworker was restarted
Role = WorkerProcess.Role


@dataclass(frozen=True)
class Process:
    """A process by its last heartbeat; ``alive``: within the last 10 seconds."""

    host: str
    pid: int
    role: str
    queue: str
    leader: bool
    alive: bool
    started_at: datetime
    beat_at: datetime
    task: str


@dataclass(frozen=True)
class WorkerGroup:
    """
    The processes of one task queue on a machine. ``restarted_at``: when they were restarted, ``None`` if they are the first since
    their runworker began. ``replaced``: silent workers that newer ones replaced, in the last 10 minutes.
    """

    queue: str
    alive: bool
    beat_at: datetime
    workers: int
    busy: int
    tasks: list[str]
    restarted_at: datetime | None
    replaced: int


@dataclass(frozen=True)
class Machine:
    """One host. ``leads``: its dispatcher is the leader; ``restarts``: runworkers that a newer one replaced."""

    host: str
    leads: bool
    alive: bool
    beat_at: datetime
    since: datetime
    restarts: int
    groups: list[WorkerGroup]


def processes(*, at: datetime) -> list[Process]:
    """Return the processes with a heartbeat in the last 10 minutes."""
    rows = WorkerProcess.objects.filter(beat_at__gt=at - REMEMBERED).order_by("host", "role", "queue", "pid")
    return [
        Process(
            host=row.host,
            pid=row.pid,
            role=row.role,
            queue=row.queue,
            leader=row.leader,
            alive=row.beat_at > at - ALIVE,
            started_at=row.started_at,
            beat_at=row.beat_at,
            task=row.task,
        )
        for row in rows
    ]


def machines(*, at: datetime) -> list[Machine]:
    """Return the machines with a heartbeat in the last 10 minutes; one query."""
    by_host: dict[str, list[Process]] = defaultdict(list)
    for row in processes(at=at):
        by_host[row.host].append(row)
    return [_machine(host, rows) for host, rows in sorted(by_host.items())]


def _machine(host: str, rows: list[Process]) -> Machine:
    dispatchers, gone = _newest(row for row in rows if row.role == Role.DISPATCHER)
    first = min((row.started_at for row in dispatchers or rows), default=rows[0].started_at)
    speaks = max(dispatchers or rows, key=lambda row: row.beat_at)
    queues = dict.fromkeys(row.queue for row in rows if row.role == Role.CLUSTER)
    return Machine(
        host=host,
        leads=any(row.leader and row.alive for row in dispatchers),
        alive=any(row.alive for row in dispatchers),
        beat_at=speaks.beat_at,
        since=first,
        restarts=gone,
        groups=[_group(queue, [row for row in rows if row.queue == queue], first) for queue in queues],
    )


def _group(queue: str, rows: list[Process], first: datetime) -> WorkerGroup:
    mains, _ = _newest(row for row in rows if row.role == Role.CLUSTER)
    workers, replaced = _newest(row for row in rows if row.role == Role.WORKER)
    main = max(mains, key=lambda row: row.started_at)
    tasks = [row.task for row in workers if row.alive and row.task]
    restarted = main.started_at if main.started_at > first + SLOW_START else None
    return WorkerGroup(queue, main.alive, main.beat_at, sum(row.alive for row in workers), len(tasks), tasks, restarted, replaced)


def _newest(rows: Iterable[Process]) -> tuple[list[Process], int]:
    """Return the processes without silent processes that a newer living one replaced, and how many these are."""
    listed = list(rows)
    last = max((row.started_at for row in listed if row.alive), default=None)
    kept = [row for row in listed if row.alive or last is None or row.started_at >= last]
    return kept, len(listed) - len(kept)
