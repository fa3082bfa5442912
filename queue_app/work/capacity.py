"""What may be bought now, and where: the limits as they stand, and the routes that are open."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings

from queue_app.models import GenerationModel, ModelRoute, ProviderAccount, QueueSettings
from queue_app.models.job import SLOTS_IN_USE
from queue_app.providers import registry
from queue_app.rules import limits, peak
from queue_app.rules.limits import Blocker, Closed, Key, Room
from queue_app.statements import Statement, read_some

ROUTES_AT_FIRST = 8  # of each model, that a claim reads; only where all of them are full, it reads the others

# all routes, or (``first``) some of each model
_OFFERED = """
    offered (id, model, account, endpoint, checked, adapter, base_url, api_key_env, place) AS (
    SELECT route.id, route.model_id, route.account_id, route.endpoint_id, route.checked, account.adapter, account.base_url,
           account.api_key_env, route.place
      FROM (
        SELECT id, model_id, account_id, endpoint_id, checked_at IS NOT NULL OR NOT needs_check AS checked,
               row_number() OVER (PARTITION BY model_id ORDER BY position, id) AS place
          FROM queue_app_modelroute WHERE active
      ) route
      JOIN queue_app_generationmodel model ON model.key = route.model_id AND model.active
      JOIN queue_app_modelconcurrencylimit held_back ON held_back.model_id = route.model_id
      JOIN queue_app_provideraccount account ON account.key = route.account_id
      {first}
    )"""
_OFFER = "id, model, account, endpoint, checked, adapter, base_url, api_key_env"
_OFFERS = Statement(f"""
    WITH {_OFFERED.format(first="")}
    SELECT {_OFFER}, (SELECT codec FROM queue_app_modelroute route WHERE route.id = offered.id) FROM offered ORDER BY place, id
""")  # noqa: S608 - no value in it
_FIRST_OFFERED = _OFFERED.format(first="WHERE route.place <= coalesce(%(routes)s::bigint, route.place)")

# every limit and pause of the catalogue, of accounts those that are offered; a row that neither limits nor closes says nothing
_LIMITS = """
    SELECT 'kind', key, max_concurrent, false, '', NULL::timestamptz, NULL::timestamptz, 0, NULL::timestamptz
      FROM queue_app_kind WHERE max_concurrent IS NOT NULL
     UNION ALL
    SELECT 'model', model_id, max_concurrent, paused, paused_reason, paused_until, NULL, 0, NULL
      FROM queue_app_modelconcurrencylimit
     UNION ALL
    SELECT 'account', key, max_concurrent, paused, paused_reason, paused_until, cooldown_until, lowered_by, lowered_at
      FROM queue_app_provideraccount
     WHERE (max_concurrent IS NOT NULL OR paused OR cooldown_until IS NOT NULL)
       AND (%(routes)s::bigint IS NULL OR key IN (SELECT account FROM offered))
"""

_OWN_LIMITS = """
    SELECT 'batch', id, max_concurrent, paused, paused_reason FROM queue_app_batch WHERE id = ANY({batches})
     UNION ALL
    SELECT 'user', id, max_concurrent, false, '' FROM queue_app_user WHERE id = ANY({owners})
"""
_OWN = Statement(_OWN_LIMITS.format(batches="%(batches)s::bigint[]", owners="%(owners)s::bigint[]"))
_OWN_IN_USE = _OWN_LIMITS.format(batches="ARRAY(SELECT batch FROM used)", owners="ARRAY(SELECT owner FROM used)")

# slots in use, limits, the own limits of whoever has a slot, and the first ``routes`` of each model: each claim asks, so it is
# one statement
_FLOOR = Statement(f"""
    WITH used (model, kind, account, batch, owner, slots) AS ({SLOTS_IN_USE}), {_FIRST_OFFERED}
    SELECT (SELECT json_agg(json_build_array(model, kind, account, batch, owner, slots)) FROM used),
           (SELECT json_agg(json_build_array(a, b, c, d, e, f, g, h, i)) FROM ({_LIMITS}) AS found (a, b, c, d, e, f, g, h, i)),
           (SELECT json_agg(json_build_array(a, b, c, d, e)) FROM ({_OWN_IN_USE}) AS found (a, b, c, d, e)),
           (SELECT json_agg(json_build_array({_OFFER}) ORDER BY place, id) FROM offered)
""")  # noqa: S608 - no value in it


class Offer(NamedTuple):
    """
    A route as its row says, with what decides whether its account can be used. ``checked``: no check stands between it and a
    provider; ``codec`` is JSON, left out where claims read many routes.
    """

    id: int
    model: str
    account: str
    endpoint: str
    checked: bool
    adapter: str
    base_url: str
    api_key_env: str
    codec: str | None = None

    def route(self) -> ModelRoute:
        """The same as the ORM knows it; what the row does not tell is read when it is asked for."""
        account = {"key": self.account, "adapter": self.adapter, "base_url": self.base_url, "api_key_env": self.api_key_env}
        told = {"id": self.id, "model_id": self.model, "account_id": self.account, "endpoint_id": self.endpoint}
        route = read_some(ModelRoute, told if self.codec is None else {**told, "codec": self.codec})
        route.account = read_some(ProviderAccount, account)
        return route


class Routes(NamedTuple):
    """The routes of each model that can really be bought, and the models that cannot for want of a key."""

    usable: dict[str, list[ModelRoute]]
    keyless: list[str]


def usable_routes(models: Iterable[str] | None = None) -> dict[str, list[ModelRoute]]:
    """
    The routes of each model that can really be bought: active, with an adapter, and a key or the studio's permission; at a
    provider only once a check has found those that need one. A model without a limit is not bought: nothing would hold it back.
    """
    return look_up_routes(models).usable


def look_up_routes(models: Iterable[str] | None = None) -> Routes:
    """The same, with the models that have routes and no key, where the studio may not stand in."""
    asked = None if models is None else set(models)
    offers = (Offer(*row) for row in _OFFERS.run())
    return _sorted_out(offer for offer in offers if asked is None or offer.model in asked)


def _sorted_out(offers: Iterable[Offer]) -> Routes:
    found: dict[str, list[ModelRoute]] = {}
    keyless = set()
    for offer in offers:
        if registry.is_available(offer.adapter):
            route = offer.route()
            if not route.account.is_usable:
                keyless.add(offer.model)
            elif offer.checked or route.account.is_preview:  # the studio plays every route
                found.setdefault(offer.model, []).append(route)
    return Routes(found, sorted(keyless - found.keys()))


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

    @classmethod
    def of(cls, values: Sequence[Any]) -> "LimitRow":
        """A row of :data:`_FLOOR`, which gives times as text."""
        limit, key, cap, paused, reason, until, cooldown, by, since = values
        return cls(limit, key, cap, paused, reason, _time(until), _time(cooldown), by, _time(since))


@dataclass
class Capacity:
    """The whole queue at one moment: room under every limit, and where each model can be bought."""

    at: datetime
    policy: QueueSettings
    room: Room = field(default_factory=Room)
    offers: dict[str, list[Offer]] = field(default_factory=dict)
    _first: int | None = None  # how many offers of each model are read; all, if none is said
    _known: set[Key] = field(default_factory=set)
    _routes: dict[int, ModelRoute | None] = field(default_factory=dict)
    _passed: dict[str, int] = field(default_factory=dict)  # how many of a model's offers are not open

    @classmethod
    def load(cls, *, at: datetime, policy: QueueSettings, first: int | None = None) -> "Capacity":
        """
        Read every limit, pause and slot in use. Under the claim lock this counts what the lock protects. ``first``: so many
        routes of each model for now, for who asks for few; the others are read when they are needed.
        """
        capacity = cls(at=at, policy=policy)
        capacity.room.used = limits.count(capacity.read(first=first))
        return capacity

    @property
    def routes(self) -> dict[str, list[ModelRoute]]:
        return self._all_routes.usable

    @property
    def keyless(self) -> list[str]:
        return self._all_routes.keyless

    @cached_property
    def open_models(self) -> list[str]:
        return [model for model in self.offers if self.route_for(model)]

    def route_for(self, model: str, *, but: Collection[int] = ()) -> ModelRoute | None:
        """The first route of a model whose account, and the model itself, have room; none of those ``but`` (by id)."""
        if not self.room.is_open(("model", model)):
            return None
        offers = self.offers.get(model, [])
        for number in range(self._passed.get(model, 0), len(offers)):
            offer = offers[number]
            if offer.id in but:
                continue
            if self.room.is_open(("account", offer.account)) and (route := self._route(offer)):
                return route
            if not but:
                self._passed[model] = number + 1  # places are only taken: what is full stays so
        if self._first is None or len(offers) < self._first:
            return None
        self.read()
        return self.route_for(model, but=but)

    def open_routes(self, model: str) -> list[ModelRoute]:
        """The routes of a model that are open now, in their order."""
        is_open = self.room.is_open
        return [route for route in self.routes.get(model, []) if is_open(("model", model), ("account", route.account_id))]

    def read(self, *, first: int | None = None) -> list[Any]:
        """Limits and offers, of each model the ``first`` ones; gives the slots in use."""
        ((slots, rows, own, offers),) = _FLOOR.run(at=self.at, routes=first)
        self._first, self.offers = first, {}
        for values in offers or ():
            offer = Offer(*values)
            self.offers.setdefault(offer.model, []).append(offer)
        self._set(limits.QUEUE, queue_limit(self.policy, at=self.at), _closed(self.policy, self.at))
        for values in rows or ():
            limit, key, cap, paused, _, _, cooldown, lowered_by, _ = values
            if paused or cooldown or lowered_by:
                row = LimitRow.of(values)
                self._set((limit, key), account_limit(row, at=self.at), _row_closed(row, self.at))
            else:
                self._set((limit, key), cap, None)
        self._learn(own or ())
        return slots or []

    def knows(self, batch: int | None, owner: int) -> bool:
        """Whether the limits of a batch and a user are loaded."""
        return ("user", str(owner)) in self._known and (batch is None or ("batch", str(batch)) in self._known)

    def learn(self, batches: Iterable[int | None], owners: Iterable[int]) -> None:
        """Load the limits and pauses of these batches and users, each once."""
        new_batches = {pk for pk in batches if pk is not None and ("batch", str(pk)) not in self._known}
        new_owners = {pk for pk in owners if ("user", str(pk)) not in self._known}
        if new_batches or new_owners:
            self._learn(_OWN.run(batches=list(new_batches), owners=list(new_owners)))

    def blockers(self, *, model: str, kind: str, batch: int | None, owner: int) -> list[Blocker]:
        """What a queued job waits for, by the very rules of the claim; the account is that of the model's best route."""
        self.learn([batch], [owner])
        routes = self.routes.get(model)
        if not routes:
            return [Blocker("model", model, 0, 0, None, "not available")]
        route = self.route_for(model) or routes[0]
        return self.room.blockers(limits.keys_of(model=model, account=route.account_id, kind=kind, batch=batch, owner=owner))

    @cached_property
    def _all_routes(self) -> Routes:
        return _sorted_out(offer for offers in self.offers.values() for offer in offers)

    def _route(self, offer: Offer) -> ModelRoute | None:
        """The route of an offer, if it can really be bought; a claim asks of few out of many."""
        if offer.id not in self._routes:
            usable = _sorted_out([offer]).usable
            self._routes[offer.id] = usable[offer.model][0] if usable else None
        return self._routes[offer.id]

    def _learn(self, rows: Iterable[Sequence[Any]]) -> None:
        for limit, pk, cap, paused, reason in rows:
            if limit == "user":
                cap = cap or self.policy.user_max_concurrent
            self._set((limit, str(pk)), cap, Closed(None, reason or "paused") if paused else None)

    def _set(self, key: Key, cap: int | None, closed: Closed | None) -> None:
        self._known.add(key)
        self.room.caps[key] = cap
        if closed is not None:
            self.room.closed[key] = closed


def queue_limit(policy: QueueSettings, *, at: datetime) -> int:
    """The whole queue's limit at this time: more in peak hours."""
    local = at.astimezone(ZoneInfo(settings.QUEUE_TIME_ZONE))
    return peak.effective_limit(policy.max_concurrent, local, hours=policy.peak_hours, factor=policy.peak_factor)


def account_limit(row: LimitRow | ProviderAccount, *, at: datetime) -> int | None:
    """A limit, an account's less what 429 answers took off it."""
    if row.max_concurrent is None:
        return None
    return limits.lowered(row.max_concurrent, by=row.lowered_by, since=row.lowered_at, at=at)


def available_models(routes: Iterable[str] | None = None) -> dict[str, GenerationModel]:
    """Models that can be bought now, by key: those that have usable ``routes``, if these are known already."""
    routes = usable_routes() if routes is None else routes
    return {model.key: model for model in GenerationModel.objects.filter(pk__in=routes).select_related("limit")}


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _closed(row: QueueSettings | LimitRow, at: datetime) -> Closed | None:
    return (
        Closed(row.paused_until, row.paused_reason or "paused") if limits.is_closed(row.paused, row.paused_until, at=at) else None
    )


def _row_closed(row: LimitRow, at: datetime) -> Closed | None:
    if row.cooldown_until and row.cooldown_until > at:
        return _closed(row, at) or Closed(row.cooldown_until, "cooling down")
    return _closed(row, at)
