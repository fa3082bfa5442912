"""Every limit as it stands, and the lane of every model: what runs, what could start now, what waits, how long, until when."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from queue_app.insight import counts, forecast
from queue_app.insight.forecast import Estimate
from queue_app.insight.shared import without_waiting
from queue_app.models import GenerationModel, Kind, ModelConcurrencyLimit, ProviderAccount, QueueSettings
from queue_app.providers import registry
from queue_app.rules import limits
from queue_app.rules.limits import Key
from queue_app.work.capacity import Capacity

LATELY = timedelta(hours=1)  # whose starts tell how long one waits
HEADS = 20  # of each lane and priority, looked at for the oldest: what was moved to the front stands before it

_WAITS = """
    SELECT model_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - queued_at))
      FROM queue_app_job WHERE started_at > %(since)s AND started_at <= %(at)s GROUP BY 1
"""
_OLDEST = """
    SELECT DISTINCT ON (head.model_id) head.model_id, head.id, head.queued_at
      FROM unnest(%(models)s, %(ranks)s) AS lane(model, rank)
     CROSS JOIN LATERAL (
        SELECT job.model_id, job.id, job.queued_at FROM queue_app_job job
         WHERE job.state = 'queued' AND NOT job.held AND job.not_before IS NULL
           AND job.model_id = lane.model AND job.priority * -1 = lane.rank
         ORDER BY job.order_key, job.id LIMIT %(heads)s
     ) head
     ORDER BY head.model_id, head.queued_at, head.id
"""


@dataclass(frozen=True)
class Limit:
    """
    A limit as it stands. ``maximum`` is what staff set (``None``: none), ``effective`` what holds now: more in peak hours, less
    after 429 answers, at most that of an account it is bought at. ``free`` of its places could be taken now. ``paused``: by its
    own row; ``shut``: by a pause or a cool-down, its own or that of where it is bought, with ``reason`` and ``until``.
    """

    what: str
    key: str
    used: int
    maximum: int | None
    effective: int | None
    free: int
    paused: bool = False
    shut: bool = False
    reason: str = ""
    until: datetime | None = None
    cooling_until: datetime | None = None


@dataclass(frozen=True)
class Oldest:
    """The job of a lane that has waited longest for its turn."""

    job: int
    since: datetime


@dataclass(frozen=True)
class Lane:
    """
    The lane of a model. ``keyless``: it cannot be bought, as no key is set and the studio may not stand in. ``wait_p50``: seconds
    that what started in the last hour had waited; ``None`` when nothing did.
    """

    model: str
    limit: Limit
    account: Limit | None
    available: bool
    keyless: bool
    preview: bool
    typical_seconds: int
    waiting: int
    oldest: Oldest | None
    wait_p50: float | None
    drained: Estimate | None


@dataclass(frozen=True)
class Lanes:
    """
    All of them at one moment: the queue's own limit, accounts, kinds, lanes, and what waits by priority. ``stuck``: how many wait
    in lanes that stand still for good, by why (`Forecast.stuck`); ``drained`` is of the others.
    """

    queue: Limit
    peak: bool
    accounts: list[Limit]
    kinds: list[Limit]
    lanes: list[Lane]
    by_priority: list[tuple[int, int]]
    drained: Estimate | None
    stuck: Mapping[str, int]

    @property
    def waiting(self) -> int:
        return sum(count for _, count in self.by_priority)

    @property
    def oldest(self) -> tuple[str, Oldest] | None:
        """Of all lanes, with its model."""
        found = ((lane.model, lane.oldest) for lane in self.lanes if lane.oldest)
        return min(found, key=lambda one: one[1].since, default=None)


def look(*, at: datetime) -> Lanes:
    """Everything, fresh but for what grows with the queue; a fixed number of queries."""
    policy = QueueSettings.objects.current()
    capacity, waiting = Capacity.load(at=at, policy=policy), counts.waiting()
    bought_at = [row for row in ProviderAccount.objects.order_by("key") if registry.is_available(row.adapter)]
    accounts = {row.key: _account(row, capacity, at) for row in bought_at}
    queue = _queue(capacity)
    waits = without_waiting(counts.WORTH, "lanes:waits", lambda: _waits(at), at_least=5.0)
    oldest = _oldest(waiting)
    waiting_in = {model for model, _ in waiting}
    curves = forecast.current(at) if waiting else None
    models = GenerationModel.objects.filter(active=True).select_related("limit").order_by("key")
    lanes = [
        Lane(
            model=row.key,
            limit=_model(row.limit, capacity, accounts, queue),
            account=_account_of(row.key, capacity, accounts),
            available=row.key in capacity.routes,
            keyless=row.key in capacity.keyless,
            preview=row.key in capacity.routes and capacity.routes[row.key][0].account.is_preview,
            typical_seconds=row.typical_seconds,
            waiting=sum(count for (model, _), count in waiting.items() if model == row.key),
            oldest=oldest.get(row.key),
            wait_p50=waits.get(row.key),
            drained=curves.of_lanes([row.key], at=at) if curves and row.key in waiting_in else None,
        )
        for row in models
        if hasattr(row, "limit")
    ]
    levels: Counter[int] = Counter()
    stuck: Counter[str] = Counter()
    for (model, level), count in waiting.items():
        levels[level] += count
        if curves and (why := curves.stuck(model)):
            stuck[why] += count
    return Lanes(
        queue=queue,
        peak=queue.effective != queue.maximum,
        accounts=list(accounts.values()),
        kinds=[_kind(row, capacity) for row in Kind.objects.order_by("key")],
        lanes=lanes,
        by_priority=sorted(levels.items(), reverse=True),
        drained=curves.of_lanes(waiting_in, at=at) if curves else None,
        stuck=stuck,
    )


def _queue(capacity: Capacity) -> Limit:
    policy, effective = capacity.policy, capacity.room.caps[limits.QUEUE] or 0
    return _limit(capacity, limits.QUEUE, policy.max_concurrent, effective, capacity.room.free(limits.QUEUE, 0), policy.paused)


def _account(row: ProviderAccount, capacity: Capacity, at: datetime) -> Limit:
    key = ("account", row.key)
    free = capacity.room.free(key, capacity.room.free(limits.QUEUE, 0))
    cooling = row.cooldown_until if row.cooldown_until and row.cooldown_until > at else None
    return _limit(capacity, key, row.max_concurrent, capacity.room.caps.get(key), free, row.paused, cooling)


def _kind(row: Kind, capacity: Capacity) -> Limit:
    key = ("kind", row.key)
    free = capacity.room.free(key, capacity.room.free(limits.QUEUE, 0))
    return _limit(capacity, key, row.max_concurrent, row.max_concurrent, free, False)


def _model(row: ModelConcurrencyLimit, capacity: Capacity, accounts: Mapping[str, Limit], queue: Limit) -> Limit:
    """A model's limit under those that it rests on: the accounts it is bought at, and the whole queue."""
    key = ("model", row.model_id)
    bought_at = [accounts[name] for name in dict.fromkeys(route.account_id for route in capacity.routes.get(row.model_id, ()))]
    free = capacity.room.free(key, 0)
    through = sum(free if account.maximum is None and not account.shut else account.free for account in bought_at)
    caps = [account.effective for account in bought_at]
    effective = row.max_concurrent if None in caps or not caps else min(row.max_concurrent, sum(cap or 0 for cap in caps))
    found = _limit(capacity, key, row.max_concurrent, effective, min(free, through, queue.free), row.paused)
    if not found.shut and bought_at and all(account.shut for account in bought_at):
        account = bought_at[0]
        shut = {"shut": True, "reason": account.reason, "until": account.until, "cooling_until": account.cooling_until}
        return Limit(**{**found.__dict__, **shut})
    return found


def _limit(
    capacity: Capacity,
    key: Key,
    maximum: int | None,
    effective: int | None,
    free: int,
    paused: bool,
    cooling: datetime | None = None,
) -> Limit:
    shut = capacity.room.closed.get(key)
    return Limit(
        what=key[0],
        key=key[1],
        used=capacity.room.used[key],
        maximum=maximum,
        effective=effective,
        free=free,
        paused=paused and shut is not None,
        shut=shut is not None,
        reason=shut.reason if shut else "",
        until=shut.until if shut else None,
        cooling_until=cooling,
    )


def _account_of(model: str, capacity: Capacity, accounts: Mapping[str, Limit]) -> Limit | None:
    """Where the model's next job would be bought."""
    routes = capacity.routes.get(model)
    return accounts[(capacity.route_for(model) or routes[0]).account_id] if routes else None


def _waits(at: datetime) -> dict[str, float]:
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, {"since": at - LATELY, "at": at})
        return {model: max(0.0, float(seconds)) for model, seconds in cursor.fetchall()}


def _oldest(waiting: Iterable[tuple[str, int]]) -> dict[str, Oldest]:
    lanes = list(waiting)
    if not lanes:
        return {}
    models, ranks = [model for model, _ in lanes], [-level for _, level in lanes]
    with connection.cursor() as cursor:
        cursor.execute(_OLDEST, {"models": models, "ranks": ranks, "heads": HEADS})
        return {model: Oldest(job, since) for model, job, since in cursor.fetchall()}
