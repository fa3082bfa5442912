"""The queue at one moment as the simulation wants it: from the very limits that claim, with what is known of the hours ahead."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from queue_app.models import GenerationModel, Job, ProviderAccount, QueueSettings, State
from queue_app.rules import eta, limits, peak
from queue_app.rules.drain import Busy, Line, Order, Run, Scene
from queue_app.rules.limits import Closed, Key
from queue_app.work import progress
from queue_app.work.capacity import Capacity, account_limit, queue_limit

EXACT = 1_000  # jobs at the head of each lane that are read one by one; what is behind comes in heaps
LATER = 1_000  # jobs with a `not_before`
DAYS_AHEAD = 14  # for which peak hours are known to the simulation
SHORTEST = 0.01  # seconds that a job takes at least
ANY_ID = 1 << 62
NEW_BATCH: Key = ("batch", "new")
PAUSED, NOT_OFFERED = "paused", "not available"  # why a lane stands still for good

_HEADS = """
    SELECT head.* FROM queue_app_generationmodel model
     CROSS JOIN LATERAL (
        SELECT model_id, kind_id, batch_id, owner_id, priority * -1, order_key, id FROM queue_app_job job
         WHERE job.model_id = model.key AND state = 'queued' AND NOT held AND not_before IS NULL
         ORDER BY priority * -1, order_key, id LIMIT %(exact)s
     ) head
"""
_WHOLE = """
    SELECT model_id, kind_id, batch_id, owner_id, priority * -1, min(order_key), max(order_key), count(*)
      FROM queue_app_job
     WHERE state = 'queued' AND NOT held AND not_before IS NULL AND model_id = ANY(%(models)s)
     GROUP BY 1, 2, 3, 4, 5
"""
_BUSY = """
    SELECT job.model_id, job.kind_id, job.batch_id, job.owner_id, attempt.account_id, job.state,
           attempt.called_at, attempt.slot_until
      FROM queue_app_job job
      JOIN queue_app_attempt attempt ON attempt.job_id = job.id AND attempt.step = 'main' AND attempt.number = job.attempt_number
     WHERE job.state IN ('submitting', 'running', 'cancelling') OR (job.state = 'unknown' AND attempt.slot_until > %(at)s)
     UNION ALL
    SELECT job.model_id, job.kind_id, job.batch_id, job.owner_id, attempt.account_id, 'unknown',
           attempt.called_at, attempt.slot_until
      FROM queue_app_attempt attempt JOIN queue_app_job job ON job.id = attempt.job_id
     WHERE attempt.outcome = 'abandoned' AND attempt.slot_until > %(at)s
"""


class Alike(NamedTuple):
    """What jobs of one line have in common."""

    model: str
    kind: str
    batch: int | None
    owner: int


@dataclass
class Stage:
    """A scene, and where in it a job is: ``lines`` by what its jobs share, ``later`` by the id of a job with a `not_before`."""

    at: datetime
    capacity: Capacity
    scene: Scene
    lines: dict[Alike, int]
    later: dict[int, int]
    typical: dict[str, int]
    runs: dict[str, list[float]] = field(default_factory=dict)

    def durations(self, model: str, *, preview: bool | None = None) -> tuple[Sequence[float], str]:
        """What a model's jobs take, ascending, and what that rests on; ``preview``: by the studio (else as its route says)."""
        if preview is None:
            routes = self.capacity.routes.get(model)
            preview = routes is not None and routes[0].account.is_preview
        if model not in self.runs:
            self.runs[model] = progress.past_runs(model)
        typical = settings.STUDIO_SECONDS if preview else self.typical[model]
        return eta.durations(self.runs[model], typical=max(typical, SHORTEST))

    def with_new(self, alike: Alike, run: Run, *, cap: int | None) -> Scene:
        """The scene with a batch that does not exist yet, as its last line; ``cap`` is its limit."""
        self.capacity.learn([], [alike.owner])
        owner: Key = ("user", str(alike.owner))
        caps = {**self.scene.caps, owner: [(0.0, self.capacity.room.caps[owner])], NEW_BATCH: [(0.0, cap)]}
        past = {**self.scene.past, alike.model: self.durations(alike.model)[0]}
        line = _line(self.capacity, alike, [run], own=NEW_BATCH)
        return replace(self.scene, lines=[*self.scene.lines, line], caps=caps, past=past)

    def with_limit(self, key: Key, cap: int | None) -> Scene:
        """The scene as if staff had set this limit to ``cap``: pauses, peak hours and steps taken off an account still hold."""
        policy, steps = self.capacity.policy, self.scene.caps.get(key, [(0.0, None)])
        whole = steps[-1][1] or 0  # an account's limit with all its steps given back

        def changed(now: int | None) -> int | None:
            if now == 0 or cap is None:
                return now if now == 0 else None
            if key == limits.QUEUE and now is not None and now > policy.max_concurrent:
                return int(cap * policy.peak_factor)
            return max(1, cap - (whole - now)) if key[0] == "account" and now is not None else cap

        return replace(self.scene, caps={**self.scene.caps, key: [(moment, changed(now)) for moment, now in steps]})

    def shut_for_good(self, model: str) -> str:
        """Why no job of this model will start that one could foresee: `PAUSED` or `NOT_OFFERED`; empty if one may."""
        routes = self.capacity.routes.get(model)
        if not routes:
            return NOT_OFFERED
        shut = {key for key, closed in self.capacity.room.closed.items() if closed.until is None}
        accounts = {("account", route.account_id) for route in routes}
        return PAUSED if limits.QUEUE in shut or ("model", model) in shut or accounts <= shut else ""


def load(*, at: datetime) -> Stage:
    """Read the queue: some twenty queries, however long it is."""
    capacity = Capacity.load(at=at, policy=QueueSettings.objects.current())
    waiting, later, busy = _waiting(), _later(), _rows(_BUSY, at=at)
    lines = [*waiting.items(), *(_alone(job) for job in later)]
    capacity.learn({alike.batch for alike, _ in lines}, {alike.owner for alike, _ in lines})
    scene = Scene(
        lines=[_line(capacity, alike, runs) for alike, runs in lines],
        busy=[_busy(row, at) for row in busy],
        caps=_steps(capacity, at),
        past={},
    )
    for index, job in enumerate(later, start=len(waiting)):
        assert job.not_before is not None
        scene.lines[index] = replace(scene.lines[index], enters=max(0.0, (job.not_before - at).total_seconds()))
    stage = Stage(
        at=at,
        capacity=capacity,
        scene=scene,
        lines={alike: index for index, alike in enumerate(waiting)},
        later={job.pk: index for index, job in enumerate(later, start=len(waiting))},
        typical=dict(GenerationModel.objects.values_list("key", "typical_seconds")),
    )
    models = {alike.model for alike, _ in lines} | {one.model for one in scene.busy}
    stage.scene = replace(scene, past={model: stage.durations(model)[0] for model in models})
    return stage


def _line(capacity: Capacity, alike: Alike, runs: Sequence[Run], *, own: Key | None = None) -> Line:
    """A line of jobs; ``own`` is the limit of a batch that has no number yet."""
    accounts = tuple(("account", route.account_id) for route in capacity.routes.get(alike.model, ()))
    keys = limits.keys_of(model=alike.model, account="", kind=alike.kind, batch=alike.batch, owner=alike.owner)
    shared = [key for key in keys if key[0] != "account"]
    return Line(alike.model, tuple([*shared, own] if own else shared), accounts, runs, alike.batch)


def _alone(job: Job) -> tuple[Alike, list[Run]]:
    order = (-job.priority, job.order_key, job.pk)
    return Alike(job.model_id, job.kind_id, job.batch_id, job.owner_id), [Run(order, order, 1)]


def _waiting() -> dict[Alike, list[Run]]:
    """The lanes as lines of runs, in dispatch order."""
    found: dict[Alike, list[Run]] = defaultdict(list)
    ends: dict[str, Order] = {}  # of the lanes that go on behind what was read
    for model, lane in groupby(_rows(_HEADS, exact=EXACT), key=lambda row: row[0]):
        rows = list(lane)
        for row in rows:
            _append(found[Alike(*row[:4])], row[4:])
        if len(rows) == EXACT:
            ends[model] = rows[-1][4:]
    for alike, run in _behind(found, ends):
        found[alike].append(run)
    return dict(found)


def _behind(heads: Mapping[Alike, Sequence[Run]], ends: Mapping[str, Order]) -> list[tuple[Alike, Run]]:
    """What waits behind the heads: the jobs of one line and priority in one run, as if evenly spread over its length."""
    if not ends:
        return []
    read: Counter[tuple[Alike, int]] = Counter()
    for alike, runs in heads.items():
        for run in runs:
            read[alike, run.first[0]] += run.count
    found = []
    for *shared, rank, low, high, count in _rows(_WHOLE, models=list(ends)):
        alike = Alike(*shared)
        left = count - read[alike, rank]
        last_rank, last_key, _ = ends[alike.model]
        if left > 0 and rank >= last_rank:
            first = (rank, max(low, last_key + 1) if rank == last_rank else low, 0)
            found.append((alike, Run(first, (rank, max(high, first[1]), ANY_ID), left)))
    return sorted(found, key=lambda one: one[1].first)


def _append(runs: list[Run], order: Order) -> None:
    """Lengthen the last run by a job that follows it without a gap, or begin a new one."""
    if runs and order == (runs[-1].last[0], runs[-1].last[1] + 1, runs[-1].last[2] + 1):
        runs[-1] = Run(runs[-1].first, order, runs[-1].count + 1)
    else:
        runs.append(Run(order, order, 1))


def _later() -> list[Job]:
    waiting = Job.objects.filter(state=State.QUEUED, held=False, not_before__isnull=False).order_by("not_before", "id")
    return list(waiting.only("model", "kind", "batch", "owner", "priority", "order_key", "not_before")[:LATER])


def _busy(row: tuple[Any, ...], at: datetime) -> Busy:
    model, kind, batch, owner, account, state, called_at, slot_until = row
    keys = tuple(limits.keys_of(model=model, account=account, kind=kind, batch=batch, owner=owner))
    if state == State.UNKNOWN:
        return Busy(model, keys, frees=(slot_until - at).total_seconds(), batch=batch)
    return Busy(model, keys, elapsed=(at - (called_at or at)).total_seconds(), batch=batch)


def _steps(capacity: Capacity, at: datetime) -> dict[Key, list[tuple[float, int | None]]]:
    """Every limit with its changes to come: peak hours, ends of pauses and cool-downs, steps that an account gets back."""
    known: dict[Key, tuple[Callable[[datetime], int | None], list[datetime]]] = {}
    for key, cap in capacity.room.caps.items():
        known[key] = (lambda _, cap=cap: cap), []  # type: ignore[misc]
    policy = capacity.policy
    known[limits.QUEUE] = (lambda when: queue_limit(policy, at=when)), list(_edges_of_peaks(policy.peak_hours, at))
    for account in ProviderAccount.objects.all():
        given_back = limits.steps_back(by=account.lowered_by, since=account.lowered_at)
        known["account", account.key] = (lambda when, row=account: account_limit(row, at=when)), given_back  # type: ignore[misc]
    found = {key: _steps_of(cap_at, moments, capacity.room.closed.get(key), at) for key, (cap_at, moments) in known.items()}
    return {key: steps for key, steps in found.items() if steps != [(0.0, None)]}


def _steps_of(
    cap_at: Callable[[datetime], int | None], moments: list[datetime], closed: Closed | None, at: datetime
) -> list[tuple[float, int | None]]:
    if closed is not None and closed.until is None:
        return [(0.0, 0)]
    opens = closed.until if closed is not None and closed.until else at
    steps: list[tuple[float, int | None]] = [(0.0, 0)] if opens > at else []
    for moment in [opens, *sorted(moment for moment in moments if moment > opens)]:
        cap = cap_at(moment)
        if not steps or steps[-1][1] != cap:
            steps.append(((moment - at).total_seconds(), cap))
    return steps


def _edges_of_peaks(hours: str, at: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(settings.QUEUE_TIME_ZONE)
    today = at.astimezone(zone).date()
    edges: set[time] = {edge for span in peak.spans(hours) for edge in span}
    for day in range(DAYS_AHEAD):
        for edge in edges:
            moment = datetime.combine(today + timedelta(days=day), edge, zone).astimezone(at.tzinfo)
            if moment > at:
                yield moment


def _rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
