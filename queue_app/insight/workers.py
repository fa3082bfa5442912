"""The processes at work, by machine: which leads, how busy its clusters are and at what, who fell silent, what was restarted."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from queue_app.insight import board
from queue_app.insight.board import WorkerLine
from queue_app.models import WorkerProcess

SLOW_START = timedelta(seconds=30)  # what begins so long after its runworker was started again since
Role = WorkerProcess.Role


@dataclass(frozen=True)
class Cluster:
    """
    The processes of one task queue. ``restarted_at``: when it was started anew, ``None`` while it is the first since its
    runworker began. ``replaced``: silent workers of it that newer ones stand in for, in the last 10 minutes.
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
    """One host: ``leads`` if its dispatcher does among all; ``restarts``: runworkers that a newer one took over from."""

    host: str
    leads: bool
    alive: bool
    beat_at: datetime
    since: datetime
    restarts: int
    clusters: list[Cluster]


def look(*, at: datetime) -> list[Machine]:
    """Machines that were heard of in the last 10 minutes; one query."""
    by_host: dict[str, list[WorkerLine]] = defaultdict(list)
    for line in board.workers(at=at):
        by_host[line.host].append(line)
    return [_machine(host, lines) for host, lines in sorted(by_host.items())]


def _machine(host: str, lines: list[WorkerLine]) -> Machine:
    dispatchers, gone = _newest(line for line in lines if line.role == Role.DISPATCHER)
    first = min((line.started_at for line in dispatchers or lines), default=lines[0].started_at)
    speaks = max(dispatchers or lines, key=lambda line: line.beat_at)
    queues = dict.fromkeys(line.queue for line in lines if line.role == Role.CLUSTER)
    return Machine(
        host=host,
        leads=any(line.leader and line.alive for line in dispatchers),
        alive=any(line.alive for line in dispatchers),
        beat_at=speaks.beat_at,
        since=first,
        restarts=gone,
        clusters=[_cluster(queue, [line for line in lines if line.queue == queue], first) for queue in queues],
    )


def _cluster(queue: str, lines: list[WorkerLine], first: datetime) -> Cluster:
    mains, _ = _newest(line for line in lines if line.role == Role.CLUSTER)
    workers, replaced = _newest(line for line in lines if line.role == Role.WORKER)
    main = max(mains, key=lambda line: line.started_at)
    tasks = [line.task for line in workers if line.alive and line.task]
    restarted = main.started_at if main.started_at > first + SLOW_START else None
    return Cluster(queue, main.alive, main.beat_at, sum(line.alive for line in workers), len(tasks), tasks, restarted, replaced)


def _newest(lines: Iterable[WorkerLine]) -> tuple[list[WorkerLine], int]:
    """The lines without those that are silent while one that began later lives, and how many these are."""
    listed = list(lines)
    last = max((line.started_at for line in listed if line.alive), default=None)
    kept = [line for line in listed if line.alive or last is None or line.started_at >= last]
    return kept, len(listed) - len(kept)
