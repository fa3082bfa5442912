"""What may be bought now, and where: the limits as they stand, and the routes that are open."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from queue_app.models import GenerationModel, ModelRoute, ProviderAccount, QueueSettings
from queue_app.models.job import slots_in_use
from queue_app.providers import registry
from queue_app.rules import limits, peak
from queue_app.rules.limits import Blocker, Closed, Key, Room

_ROUTES = """
    SELECT route.* FROM queue_app_modelroute route
      JOIN queue_app_generationmodel model ON model.key = route.model_id AND model.active
      JOIN queue_app_modelconcurrencylimit held_back ON held_back.model_id = route.model_id
     WHERE route.active AND (%(models)s::text[] IS NULL OR route.model_id = ANY(%(models)s))
     ORDER BY route.position, route.id
"""


class Routes(NamedTuple):
    """The routes of each model that can really be bought, and the models that cannot for want of a key."""

    usable: dict[str, list[ModelRoute]]
    keyless: list[str]


def usable_routes(models: Iterable[str] | None = None) -> dict[str, list[ModelRoute]]:
    """
    The routes of each model that can really be bought: active, with an adapter, and a key or the studio's permission. A model
    without a limit is not bought: nothing would hold it back.
    """
    return look_up_routes(models).usable


def look_up_routes(models: Iterable[str] | None = None) -> Routes:
    """The same, with the models that have routes and no key, where the studio may not stand in."""
    routes = list(ModelRoute.objects.raw(_ROUTES, {"models": None if models is None else list(models)}))
    accounts = {account.pk: account for account in ProviderAccount.objects.raw("SELECT * FROM queue_app_provideraccount")}
    found: dict[str, list[ModelRoute]] = {}
    with_adapter = set()
    for route in routes:
        route.account = accounts[route.account_id]
        if registry.is_available(route.account.adapter):
            with_adapter.add(route.model_id)
            if route.account.is_usable:
                found.setdefault(route.model_id, []).append(route)
    return Routes(found, sorted(with_adapter - found.keys()))


# every limit and pause of the catalogue in one statement: each claim asks
_LIMITS = """
    SELECT 'kind', key, max_concurrent, false, '', NULL::timestamptz, NULL::timestamptz, 0, NULL::timestamptz FROM queue_app_kind
     UNION ALL
    SELECT 'model', model_id, max_concurrent, paused, paused_reason, paused_until, NULL, 0, NULL
      FROM queue_app_modelconcurrencylimit
     UNION ALL
    SELECT 'account', key, max_concurrent, paused, paused_reason, paused_until, cooldown_until, lowered_by, lowered_at
      FROM queue_app_provideraccount
"""

_OWN_LIMITS = """
    SELECT 'batch', id, max_concurrent, paused, paused_reason FROM queue_app_batch WHERE id = ANY(%(batches)s)
     UNION ALL
    SELECT 'user', id, max_concurrent, false, '' FROM queue_app_user WHERE id = ANY(%(owners)s)
"""


class LimitRow(NamedTuple):
    """A limit of the catalogue as it stands, with what closes or lowers it."""

    limit: str
    key: str
    max_concurrent: int | None
    paused: bool
    paused_reason: str
    paused_until: datetime | None
    cooldown_until: datetime | None
    lowered_by: int
    lowered_at: datetime | None


@dataclass
class Floor:
    """The whole queue at one moment: room under every limit, and where each model can be bought."""

    at: datetime
    policy: QueueSettings
    room: Room
    routes: dict[str, list[ModelRoute]]
    keyless: list[str] = field(default_factory=list)
    _known: set[Key] = field(default_factory=set)

    @cached_property
    def open_models(self) -> list[str]:
        return [model for model in self.routes if self.route_for(model)]

    def route_for(self, model: str) -> ModelRoute | None:
        """The first route of a model whose account, and the model itself, have room."""
        if not self.room.is_open(("model", model)):
            return None
        return next((route for route in self.routes.get(model, ()) if self.room.is_open(("account", route.account_id))), None)

    def learn(self, batches: Iterable[int | None], owners: Iterable[int]) -> None:
        """Load the limits and pauses of these batches and users, each once."""
        new_batches = {pk for pk in batches if pk is not None and ("batch", str(pk)) not in self._known}
        new_owners = {pk for pk in owners if ("user", str(pk)) not in self._known}
        if not new_batches and not new_owners:
            return
        with connection.cursor() as cursor:
            cursor.execute(_OWN_LIMITS, {"batches": list(new_batches), "owners": list(new_owners)})
            rows = cursor.fetchall()
        for limit, pk, cap, paused, reason in rows:
            if limit == "user":
                cap = cap or self.policy.user_max_concurrent
            self._set((limit, str(pk)), cap, Closed(None, reason or "paused") if paused else None)

    def blockers(self, *, model: str, kind: str, batch: int | None, owner: int) -> list[Blocker]:
        """What a queued job waits for, by the very rules of the claim; the account is that of the model's best route."""
        self.learn([batch], [owner])
        routes = self.routes.get(model)
        if not routes:
            return [Blocker("model", model, 0, 0, None, "no provider offers it now")]
        route = self.route_for(model) or routes[0]
        return self.room.blockers(limits.keys_of(model=model, account=route.account_id, kind=kind, batch=batch, owner=owner))

    def _set(self, key: Key, cap: int | None, closed: Closed | None) -> None:
        self._known.add(key)
        self.room.caps[key] = cap
        if closed is not None:
            self.room.closed[key] = closed


def load(*, at: datetime, policy: QueueSettings) -> Floor:
    """Read every limit, pause and slot in use. Under the claim lock this counts what the lock protects."""
    slots, routes = slots_in_use(at), look_up_routes()
    floor = Floor(at=at, policy=policy, room=Room(used=limits.count(slots)), routes=routes.usable, keyless=routes.keyless)
    floor._set(limits.QUEUE, queue_limit(policy, at=at), _closed(policy, at))
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS)
        rows = [LimitRow(*row) for row in cursor.fetchall()]
    for row in rows:
        floor._set((row.limit, row.key), account_limit(row, at=at), _row_closed(row, at))
    return floor


def queue_limit(policy: QueueSettings, *, at: datetime) -> int:
    """The whole queue's limit at this time: more in peak hours."""
    local = at.astimezone(ZoneInfo(settings.QUEUE_TIME_ZONE))
    return peak.effective_limit(policy.max_concurrent, local, hours=policy.peak_hours, factor=policy.peak_factor)


def account_limit(row: LimitRow | ProviderAccount, *, at: datetime) -> int | None:
    """A limit, an account's less what 429 answers took off it."""
    if row.max_concurrent is None:
        return None
    return limits.lowered(row.max_concurrent, by=row.lowered_by, since=row.lowered_at, at=at)


def available_models() -> dict[str, GenerationModel]:
    """Models that can be bought now, by key."""
    routes = usable_routes()
    return {model.key: model for model in GenerationModel.objects.filter(pk__in=routes).select_related("limit")}


def _closed(row: QueueSettings | LimitRow, at: datetime) -> Closed | None:
    return (
        Closed(row.paused_until, row.paused_reason or "paused") if limits.is_closed(row.paused, row.paused_until, at=at) else None
    )


def _row_closed(row: LimitRow, at: datetime) -> Closed | None:
    if row.cooldown_until and row.cooldown_until > at:
        return _closed(row, at) or Closed(row.cooldown_until, "cooling down")
    return _closed(row, at)
