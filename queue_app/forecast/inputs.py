"""
The inputs of the simulation, read from the database: waiting jobs, slots in use, and the limits that claims obey, with their
known changes in the hours ahead.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from queue_app import turns
from queue_app.forecast import durations
from queue_app.forecast.simulation import Cohort, Order, Rise, SimulatedQueue, SlotInUse, Stretch
from queue_app.models import GenerationModel, Job, ModelRoute, ProviderAccount, QueueSettings, State
from queue_app.models.job import ACTIVE_STATES, sql_of
from queue_app.rules import limits, peak, priority
from queue_app.rules.limits import Closed, Key
from queue_app.turns import LaneOf
from queue_app.work import progress
from queue_app.work.capacity import Capacity, account_limit, is_synchronous, queue_limit

EXACT = 1_000  # jobs at the head of each lane that are read one by one; the jobs behind them come as long stretches
MOST_DELAYED = 1_000  # jobs with a `not_before` that are read
DAYS_AHEAD = 14  # whose peak hours the simulation knows
SHORTEST = 0.01  # seconds that a job takes at least
ANY_ID = 1 << 62
NEW_BATCH: Key = ("batch", "new")
# why a lane does not move until staff act
PAUSED, NOT_OFFERED, NO_WORKER = "paused", "not available", "without a worker for long calls"

_HEADS = """
    SELECT head.* FROM queue_app_generationmodel model
     CROSS JOIN LATERAL (
        SELECT model_id, kind_id, batch_id, owner_id, priority * -1, order_key, id, usd_estimate, queued_at, raised
          FROM queue_app_job job
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
_IN_USE = f"""
    SELECT job.model_id, job.kind_id, job.batch_id, job.owner_id, attempt.account_id, job.state,
           attempt.called_at, attempt.slot_until, job.state = 'submitting' AND attempt.synchronous, job.usd_estimate
      FROM queue_app_job job
      JOIN queue_app_attempt attempt ON attempt.job_id = job.id AND attempt.step = 'main' AND attempt.number = job.attempt_number
     WHERE job.state IN {sql_of(ACTIVE_STATES)} OR (job.state = 'unknown' AND attempt.slot_until > %(at)s)
     UNION ALL
    SELECT job.model_id, job.kind_id, job.batch_id, job.owner_id, attempt.account_id, 'unknown',
           attempt.called_at, attempt.slot_until, false, job.usd_estimate
      FROM queue_app_attempt attempt JOIN queue_app_job job ON job.id = attempt.job_id
     WHERE attempt.outcome = 'abandoned' AND attempt.slot_until > %(at)s
"""  # noqa: S608 - constants


class Traits(NamedTuple):
    """The traits that the jobs of one cohort share; ``rises``: when waiting raises their priority, if it does."""

    model: str
    kind: str
    batch: int | None
    owner: int
    rises: datetime | None = None


class Runs:
    """
    How long jobs took, read once for each model: its last 200 runs. A model whose jobs differ in price has them by price, too:
    what makes a job dearer (seconds of video, resolution, quality, images) also makes it longer.
    """

    def __init__(self) -> None:
        self.of_model: dict[str, list[float]] = {}
        self._alike: dict[str, list[float]] = {}

    def learn(self, models: Iterable[str]) -> None:
        """Read the runs of these models, unless they are known. One query."""
        if new := sorted(set(models) - self.of_model.keys()):
            found = progress.recent_runs(new)
            for model in new:
                self._sort(model, found.get(model, []))

    def name(self, model: str, usd: Decimal) -> str:
        """Return the name of the runs at this price; empty if there are too few, or if they are all of the model's."""
        name = _alike(model, usd)
        return name if name in self._alike else ""

    def are_measured(self, model: str) -> bool:
        """Whether there are enough runs of a model, so that its typical time is not used."""
        return len(self.of_model.get(model, ())) >= durations.ENOUGH

    def of(self, name: str) -> Sequence[float]:
        """Return the durations of runs with a name, ascending."""
        return self._alike[name]

    def _sort(self, model: str, runs: Sequence[progress.Run]) -> None:
        by_name: dict[str, list[float]] = defaultdict(list)
        for run in runs:
            by_name[_alike(model, run.usd)].append(run.seconds)
        self.of_model[model] = sorted(run.seconds for run in runs)
        if len(by_name) > 1:
            self._alike |= {name: sorted(own) for name, own in by_name.items() if len(own) >= durations.ENOUGH}


def _alike(model: str, usd: Decimal) -> str:
    return f"{model} at {usd.normalize():f}"


@dataclass
class Inputs:
    """
    The queue as it was read, and where a job is in it: ``cohort_of`` names the cohort of jobs with these traits, ``delayed`` that
    of a single job with a `not_before`, by its id. ``heads`` are the ids of the jobs at the heads of the lanes.
    """

    at: datetime
    capacity: Capacity
    queue: SimulatedQueue
    cohort_of: dict[Traits, int]
    delayed: dict[int, int]
    typical: dict[str, int]
    runs: Runs = field(default_factory=Runs)
    heads: Sequence[int] = ()

    def durations(self, model: str, *, preview: bool | None = None, usd: Decimal | None = None) -> tuple[Sequence[float], str]:
        """
        Return the durations of a model's jobs, ascending, and their basis.

        :param preview: whether the studio renders the jobs; by default as the model's first route says.
        :param usd: the estimated cost of a job: those of jobs like it, if there are enough.
        """
        self.runs.learn([model])
        if usd is not None and (name := self.runs.name(model, usd)):
            return durations.known_or_typical(self.runs.of(name), typical=SHORTEST, similar=True)
        if preview is None:
            routes = self.capacity.routes.get(model)
            preview = routes is not None and routes[0].account.is_preview
        typical = typical_seconds(self.typical[model], preview=preview)
        return durations.known_or_typical(self.runs.of_model[model], typical=max(typical, SHORTEST))

    def cohorts_like(self, job: Job) -> list[int]:
        """Return the cohorts that a waiting job may be in."""
        rises = _rises(self.capacity.policy, -job.priority, job.queued_at, job.raised)
        traits = Traits(job.model_id, job.kind_id, job.batch_id, job.owner_id, rises)
        return [self.cohort_of[one] for one in dict.fromkeys((traits, traits._replace(rises=None))) if one in self.cohort_of]

    def with_new(self, traits: Traits, stretch: Stretch, *, cap: int | None) -> SimulatedQueue:
        """Return the queue with one more cohort at its end: a batch that does not exist yet; ``cap`` is its limit."""
        self.capacity.learn([], [traits.owner])
        owner: Key = ("user", str(traits.owner))
        caps = {**self.queue.caps, owner: [(0.0, self.capacity.room.caps[owner])], NEW_BATCH: [(0.0, cap)]}
        past = {**self.queue.past, traits.model: self.durations(traits.model)[0]}
        cohort = _cohort(self.capacity, traits, [stretch], own=NEW_BATCH)
        return replace(self.queue, cohorts=[*self.queue.cohorts, cohort], caps=caps, past=past)

    def with_limit(self, key: Key, cap: int | None) -> SimulatedQueue:
        """Return the queue as if staff had set this limit to ``cap``. Pauses, peak hours and lowered accounts still apply."""
        policy, steps = self.capacity.policy, self.queue.caps.get(key, [(0.0, None)])
        whole = steps[-1][1] or 0  # an account's limit once it is no longer lowered

        def changed(now: int | None) -> int | None:
            if now == 0 or cap is None:
                return now if now == 0 else None
            if key == limits.QUEUE and now is not None and now > policy.max_concurrent:
                return int(cap * policy.peak_factor)
            return max(1, cap - (whole - now)) if key[0] == "account" and now is not None else cap

        return replace(self.queue, caps={**self.queue.caps, key: [(moment, changed(now)) for moment, now in steps]})

    def stuck(self, model: str) -> str:
        """
        Return why no job of this model will start until staff act: `PAUSED`, `NOT_OFFERED` or `NO_WORKER`; empty if one may.
        """
        routes = self.capacity.routes.get(model)
        if not routes:
            return NOT_OFFERED
        shut = {key for key, closed in self.capacity.room.closed.items() if closed.until is None}
        accounts = {("account", route.account_id) for route in routes}
        if limits.LONG in shut and _needs_long_worker(routes):
            return NO_WORKER
        return PAUSED if limits.QUEUE in shut or ("model", model) in shut or accounts <= shut else ""


def typical_seconds(of_model: int, *, preview: bool) -> float:
    """Return the typical run time of a job whose model has ``of_model``; that of the studio if it renders the job."""
    return settings.STUDIO_SECONDS if preview else of_model


def load(*, at: datetime) -> Inputs:
    """Read the queue: some twenty queries, however long it is."""
    capacity = Capacity.load(at=at, policy=QueueSettings.objects.current())
    lanes, delayed, in_use, runs = _rows(_HEADS, exact=EXACT), _delayed(), _rows(_IN_USE, at=at), Runs()
    runs.learn({row[0] for row in (*lanes, *in_use)} | {job.model_id for job in delayed})
    waiting = _waiting(lanes, runs, capacity.policy)
    turns_above = _turns_of(waiting)
    cohorts = [*waiting.items(), *(_alone(job, runs) for job in delayed)]
    capacity.learn({traits.batch for traits, _ in cohorts}, {traits.owner for traits, _ in cohorts})
    queue = SimulatedQueue(
        cohorts=[replace(_cohort(capacity, *one), rise=_rise(*one, turns_above, at)) for one in cohorts],
        in_use=[_slot(row, runs, at) for row in in_use],
        caps=_steps(capacity, at),
        past={},
    )
    for index, job in enumerate(delayed, start=len(waiting)):
        if job.not_before is not None:
            queue.cohorts[index] = replace(queue.cohorts[index], enters=max(0.0, (job.not_before - at).total_seconds()))
    found = Inputs(
        at=at,
        capacity=capacity,
        queue=queue,
        cohort_of={traits: index for index, traits in enumerate(waiting)},
        delayed={job.pk: index for index, job in enumerate(delayed, start=len(waiting))},
        typical=dict(GenerationModel.objects.values_list("key", "typical_seconds")),
        runs=runs,
        heads=[*(row[6] for row in lanes), *(job.pk for job in delayed)],
    )
    models = {traits.model for traits, _ in cohorts} | {slot.model for slot in queue.in_use}
    names = {stretch.runs for cohort in queue.cohorts for stretch in cohort.stretches} | {slot.runs for slot in queue.in_use}
    past = {model: found.durations(model)[0] for model in models} | {name: runs.of(name) for name in names if name}
    found.queue = replace(queue, past=past)
    return found


def _cohort(capacity: Capacity, traits: Traits, stretches: Sequence[Stretch], *, own: Key | None = None) -> Cohort:
    """Make a cohort; ``own`` is the limit of a batch that has no number yet."""
    routes = capacity.routes.get(traits.model, ())
    accounts = tuple(("account", route.account_id) for route in routes)
    keys = limits.keys_of(
        model=traits.model,
        account="",
        kind=traits.kind,
        batch=traits.batch,
        owner=traits.owner,
        synchronous=_needs_long_worker(routes),
    )
    shared = [key for key in keys if key[0] != "account"]
    return Cohort(traits.model, tuple([*shared, own] if own else shared), accounts, stretches, traits.batch)


def _needs_long_worker(routes: Sequence[ModelRoute]) -> bool:
    """Whether every route of a model needs a worker for long calls."""
    return bool(routes) and all(map(is_synchronous, routes))


def _alone(job: Job, runs: Runs) -> tuple[Traits, list[Stretch]]:
    order = (-job.priority, job.order_key, job.pk)
    stretch = Stretch(order, order, 1, runs.name(job.model_id, job.usd_estimate))
    return Traits(job.model_id, job.kind_id, job.batch_id, job.owner_id), [stretch]


def _rises(policy: QueueSettings, rank: int, queued_at: datetime, raised: int) -> datetime | None:
    """Return when waiting raises the priority of a job, as `work.aging` does."""
    if not policy.aging_minutes or -rank >= priority.HIGH - priority.LEVEL:
        return None
    return queued_at + timedelta(minutes=policy.aging_minutes) * (raised + 1)


def _turns_of(waiting: Mapping[Traits, Sequence[Stretch]]) -> dict[LaneOf, tuple[float, float]]:
    """Return, of the owners of jobs that will rise, their next turns in the lanes above and their weights."""
    lanes = {_above(traits, stretches) for traits, stretches in waiting.items() if traits.rises}
    return turns.next_turns(sorted(lanes))


def _rise(traits: Traits, stretches: Sequence[Stretch], known: Mapping[LaneOf, tuple[float, float]], at: datetime) -> Rise | None:
    if traits.rises is None:
        return None
    lane = _above(traits, stretches)
    turn, weight = known.get(lane, (None, 1.0))
    return Rise(max(0.0, (traits.rises - at).total_seconds()), -lane[1], turn, weight)


def _above(traits: Traits, stretches: Sequence[Stretch]) -> LaneOf:
    return traits.model, priority.LEVEL - stretches[0].first[0], traits.owner


def _waiting(lanes: Sequence[tuple[Any, ...]], runs: Runs, policy: QueueSettings) -> dict[Traits, list[Stretch]]:
    """Return the lanes, whose heads were read, as cohorts of stretches in dispatch order."""
    found: dict[Traits, list[Stretch]] = defaultdict(list)
    ends: dict[str, Order] = {}  # of lanes that are longer than what was read
    for model, lane in groupby(lanes, key=lambda row: row[0]):
        rows = list(lane)
        for _, kind, batch, owner, rank, key, pk, usd, queued_at, raised in rows:
            traits = Traits(model, kind, batch, owner, _rises(policy, rank, queued_at, raised))
            _append(found[traits], (rank, key, pk), runs.name(model, usd))
        if len(rows) == EXACT:
            ends[model] = rows[-1][4:7]
    for traits, stretch in _behind(found, ends):
        found[traits].append(stretch)
    return dict(found)


def _behind(heads: Mapping[Traits, Sequence[Stretch]], ends: Mapping[str, Order]) -> list[tuple[Traits, Stretch]]:
    """Return the jobs behind the heads: those of one cohort and priority as one stretch, as if evenly spread over its length."""
    if not ends:
        return []
    read: Counter[tuple[Traits, int]] = Counter()
    for traits, stretches in heads.items():
        for stretch in stretches:
            read[traits._replace(rises=None), stretch.first[0]] += stretch.count
    found = []
    for *shared, rank, low, high, count in _rows(_WHOLE, models=list(ends)):
        traits = Traits(*shared)
        left = count - read[traits, rank]
        last_rank, last_key, _ = ends[traits.model]
        if left > 0 and rank >= last_rank:
            first = (rank, max(low, last_key + 1) if rank == last_rank else low, 0)
            found.append((traits, Stretch(first, (rank, max(high, first[1]), ANY_ID), left)))
    return sorted(found, key=lambda one: one[1].first)


def _append(stretches: list[Stretch], order: Order, runs: str) -> None:
    """Lengthen the last stretch by a job that follows it without a gap and takes as long, or begin a new one."""
    last = stretches[-1] if stretches else None
    if last and last.runs == runs and order == (last.last[0], last.last[1] + 1, last.last[2] + 1):
        stretches[-1] = Stretch(last.first, order, last.count + 1, runs)
    else:
        stretches.append(Stretch(order, order, 1, runs))


def _delayed() -> list[Job]:
    waiting = Job.objects.filter(state=State.QUEUED, held=False, not_before__isnull=False).order_by("not_before", "id")
    known = ("model", "kind", "batch", "owner", "priority", "order_key", "not_before", "usd_estimate")
    return list(waiting.only(*known)[:MOST_DELAYED])


def _slot(row: tuple[Any, ...], runs: Runs, at: datetime) -> SlotInUse:
    model, kind, batch, owner, account, state, called_at, slot_until, calls, usd = row
    keys = tuple(limits.keys_of(model=model, account=account, kind=kind, batch=batch, owner=owner, synchronous=calls))
    if state == State.UNKNOWN:
        return SlotInUse(model, keys, frees=(slot_until - at).total_seconds(), batch=batch)
    elapsed = (at - (called_at or at)).total_seconds()
    return SlotInUse(model, keys, elapsed=elapsed, batch=batch, runs=runs.name(model, usd))


def _steps(capacity: Capacity, at: datetime) -> dict[Key, list[tuple[float, int | None]]]:
    """Return every limit with its changes ahead: peak hours, ends of pauses and cooldowns, steps that an account gets back."""
    closed = capacity.room.closed
    found: dict[Key, list[tuple[float, int | None]]] = {}
    for key, cap in capacity.room.caps.items():
        found[key] = _steps_of(_always(cap), [], closed.get(key), at)
    policy = capacity.policy
    edges = [moment for moment, _ in peak.changes(policy.peak_hours, policy.peak_zone, at=at, days=DAYS_AHEAD)]
    found[limits.QUEUE] = _steps_of(lambda when: queue_limit(policy, at=when), edges, closed.get(limits.QUEUE), at)
    for account in ProviderAccount.objects.all():
        given_back = limits.steps_back(by=account.lowered_by, since=account.lowered_at)
        key = ("account", account.key)
        found[key] = _steps_of(partial(_account_limit, account), given_back, closed.get(key), at)
    return {key: steps for key, steps in found.items() if steps != [(0.0, None)]}


def _always(cap: int | None) -> Callable[[datetime], int | None]:
    return lambda _: cap


def _account_limit(account: ProviderAccount, at: datetime) -> int | None:
    return account_limit(account, at=at)


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


def _rows(sql: str, **values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows
