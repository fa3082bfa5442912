"""The queue at a glance: counts, models with their slots, workers, what runs and what comes next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from queue_app.insight.shared import at_most_every
from queue_app.models import GenerationModel, Job, ModelRoute, QueueSettings, State, Status, User, WorkerProcess
from queue_app.models.job import STATUS_OF_STATE, JobQuerySet
from queue_app.rules import limits
from queue_app.work.capacity import Capacity

SHARED_FOR = 1.0  # seconds that all viewers of a process see the same counts
RECENT = timedelta(hours=24)
ALIVE = timedelta(seconds=10)  # since a process's last heartbeat
REMEMBERED = timedelta(minutes=10)  # silent processes stay in view that long
FIRST = 100
# what a job in short shows
LINE = (
    "state",
    "kind",
    "model",
    "prompt",
    "priority",
    "progress",
    "preview",
    "owner__username",
    "batch",
    "queued_at",
    "started_at",
)

# The heads of all lanes, merged: one probe of the waiting index per lane.
_NEXT = """
    SELECT head.id FROM queue_app_generationmodel model
     CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.order_key FROM queue_app_job job
         WHERE job.state = 'queued' AND job.model_id = model.key {owner}
         ORDER BY job.priority DESC, job.order_key, job.id LIMIT %(first)s
     ) head
     ORDER BY head.priority DESC, head.order_key, head.id LIMIT %(first)s
"""

# each lane counted by itself: nothing is sorted or hashed into groups
_WAITING = """
    SELECT key, (SELECT count(*) FROM queue_app_job WHERE state = 'queued' AND model_id = key) FROM queue_app_generationmodel
"""


@dataclass(frozen=True)
class ModelLine:
    """
    A model as it stands. ``reason``: why it is not available. ``free`` is ``max_concurrent`` less ``used`` (0 while paused);
    ``can_start`` is how many could start now under every shared limit.
    """

    key: str
    label: str
    medium: str
    available: bool
    reason: str
    preview: bool
    max_concurrent: int
    used: int
    free: int
    can_start: int
    queued: int
    paused: bool
    paused_reason: str
    paused_until: datetime | None
    unit: str
    tickets_per_unit: int
    usd_per_unit: Decimal
    price: dict[str, Any]
    typical_seconds: int
    parameters: dict[str, Any]


@dataclass(frozen=True)
class WorkerLine:
    """A process as it last said itself; ``alive``: within the last 10 s."""

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
class Board:
    """What everybody sees alike: models, workers and free slots, with the queue's own pause and limit; as of ``at``."""

    at: datetime
    models: list[ModelLine]
    workers: list[WorkerLine]
    available: int
    used: int
    max_concurrent: int
    paused: bool
    paused_reason: str


def shared(*, at: datetime) -> Board:
    """The board of all viewers, at most a second old."""
    return at_most_every(SHARED_FOR, "board", lambda: look(at=at))


def summary(viewer: User, *, at: datetime) -> dict[str, int]:
    """
    Jobs the viewer may see, by status, and ``available``: free slots of the whole queue. At most a second old.

    Completed, failed and cancelled count the last 24 h without what was cleared from view.
    """
    whose = "all" if viewer.is_staff else str(viewer.pk)
    counts = at_most_every(SHARED_FOR, f"board:summary:{whose}", lambda: count(viewer, at=at))
    return {**counts, "available": shared(at=at).available}


def count(viewer: User, *, at: datetime) -> dict[str, int]:
    """The counts of `summary`, fresh."""
    visible = Job.objects.of(viewer)
    counts = dict.fromkeys(map(str, Status), 0)
    counts[Status.QUEUED] = sum(_waiting().values()) if viewer.is_staff else visible.with_status(Status.QUEUED).count()
    lately = visible.filter(ended_at__gt=at - RECENT, archived_at=None)
    for jobs in (visible.with_status(Status.PROCESSING), lately):
        for state, number in jobs.values_list("state").annotate(jobs=Count("*")).order_by():
            counts[STATUS_OF_STATE[State(state)]] += number
    return counts


def models(*, at: datetime) -> list[ModelLine]:
    """Every active model, fresh, by medium and key."""
    return _models(Capacity.load(at=at, policy=QueueSettings.objects.current()))


def look(*, at: datetime) -> Board:
    """The board, fresh."""
    capacity = Capacity.load(at=at, policy=QueueSettings.objects.current())
    shut = capacity.room.closed.get(limits.QUEUE)
    return Board(
        at=at,
        models=_models(capacity),
        workers=workers(at=at),
        available=_available(capacity),
        used=capacity.room.used[limits.QUEUE],
        max_concurrent=capacity.room.caps.get(limits.QUEUE) or 0,
        paused=shut is not None,
        paused_reason=shut.reason if shut else "",
    )


def workers(*, at: datetime) -> list[WorkerLine]:
    """Processes that beat within the last 10 minutes."""
    rows = WorkerProcess.objects.filter(beat_at__gt=at - REMEMBERED).order_by("host", "role", "queue", "pid")
    return [
        WorkerLine(
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


def processing(viewer: User, first: int = FIRST) -> list[Job]:
    """What is in flight, oldest first."""
    in_flight = Job.objects.of(viewer).with_status(Status.PROCESSING)
    return list(_in_short(in_flight).order_by("started_at", "id")[:first])


def coming_next(viewer: User, first: int = FIRST) -> list[Job]:
    """What is queued, in dispatch order over all lanes; held and delayed jobs are in their places."""
    owner = "" if viewer.is_staff else "AND job.owner_id = %(owner)s"
    with connection.cursor() as cursor:
        cursor.execute(_NEXT.format(owner=owner), {"first": first, "owner": viewer.pk})
        ids = [pk for (pk,) in cursor.fetchall()]
    found = _in_short(Job.objects.all()).in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


def _in_short(jobs: JobQuerySet) -> JobQuerySet:
    return jobs.select_related("owner").only(*LINE)


def _models(capacity: Capacity) -> list[ModelLine]:
    reasons = ModelRoute.objects.filter(model=OuterRef("pk")).exclude(reason="").order_by("position", "id").values("reason")
    rows = GenerationModel.objects.filter(active=True).select_related("limit").order_by("-medium", "key")
    rows = rows.annotate(why_not=Coalesce(Subquery(reasons[:1]), Value("")))
    waiting = _waiting()
    return [_model(row, capacity, waiting) for row in rows]


def _waiting() -> dict[str, int]:
    """Queued jobs of each model, at most a second old: the one count here that grows with the queue."""

    def walk() -> dict[str, int]:
        with connection.cursor() as cursor:
            cursor.execute(_WAITING)
            return dict(cursor.fetchall())

    return at_most_every(SHARED_FOR, "board:waiting", walk)


def _model(row: GenerationModel, capacity: Capacity, waiting: Mapping[str, int]) -> ModelLine:
    key = ("model", row.key)
    routes = capacity.routes.get(row.key, [])
    shut = capacity.room.closed.get(key)
    free = capacity.room.free(key, 0)
    through_accounts = sum(capacity.room.free(("account", account), free) for account in {route.account_id for route in routes})
    return ModelLine(
        key=row.key,
        label=row.label,
        medium=row.medium,
        available=bool(routes),
        reason="" if routes else row.why_not,  # type: ignore[attr-defined]
        preview=bool(routes) and routes[0].account.is_preview,
        max_concurrent=row.limit.max_concurrent,
        used=capacity.room.used[key],
        free=free,
        can_start=min(free, through_accounts, capacity.room.free(limits.QUEUE, free)),
        queued=waiting.get(row.key, 0),
        paused=shut is not None,
        paused_reason=shut.reason if shut else "",
        paused_until=shut.until if shut else None,
        unit=row.unit,
        tickets_per_unit=row.tickets_per_unit,
        usd_per_unit=row.usd_per_unit,
        price=row.price,
        typical_seconds=row.typical_seconds,
        parameters=row.parameters,
    )


def _available(capacity: Capacity) -> int:
    """How many more jobs could run at once: models grouped by the account they are bought at first, under the queue's limit."""
    by_account: dict[str, int] = {}
    for model, routes in capacity.routes.items():
        route = capacity.route_for(model) or routes[0]
        by_account[route.account_id] = by_account.get(route.account_id, 0) + capacity.room.free(("model", model), 0)
    open_slots = sum(min(free, capacity.room.free(("account", account), free)) for account, free in by_account.items())
    return min(open_slots, capacity.room.free(limits.QUEUE, open_slots))
