"""The queue's capacity at one moment: every limit with its used slots, and the routes that are open."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from queue_app.models import GenerationModel, ModelRoute, ProviderAccount, QueueSettings
from queue_app.models.job import LONG_CALLS, SLOTS_IN_USE
from queue_app.models.worker import LONG_WORKERS
from queue_app.providers import registry
from queue_app.rules import limits, peak
from queue_app.rules.limits import Blocker, Closed, Key, Room
from queue_app.statements import Statement, read_some

# why a limit is closed, unless by a pause: then it is what staff wrote, or `UNTOLD`
NO_WORKER, COOLING, NOT_AVAILABLE = "no worker", "cooling down", "not available"
NOT_EXPRESSED = "its parameters are not supported"
UNTOLD = "paused"
ROUTES_AT_FIRST = 8  # routes per model that a claim reads first; it reads the others only if all of these are full

# all routes, or with ``first`` the first few of each model
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

# limits and pauses of kinds, models and offered accounts; rows without any effect are left out
_LIMITS = """
    SELECT 'kind', key, max_concurrent, false, '', NULL::timestamptz, NULL::timestamptz, 0, NULL::timestamptz, NULL::text
      FROM queue_app_kind WHERE max_concurrent IS NOT NULL
     UNION ALL
    SELECT 'model', model_id, max_concurrent, paused, paused_reason, paused_until, NULL, 0, NULL, NULL
      FROM queue_app_modelconcurrencylimit
     UNION ALL
    SELECT 'account', key, max_concurrent, paused, paused_reason, paused_until, cooldown_until, lowered_by, lowered_at,
           daily_budget_usd::text
      FROM queue_app_provideraccount
     WHERE (max_concurrent IS NOT NULL OR paused OR cooldown_until IS NOT NULL OR daily_budget_usd IS NOT NULL)
       AND (%(routes)s::bigint IS NULL OR key IN (SELECT account FROM offered))
"""

_OWN_LIMITS = """
    SELECT 'batch', id, max_concurrent, paused, paused_reason, paused_until FROM queue_app_batch WHERE id = ANY({batches})
     UNION ALL
    SELECT 'user', id, max_concurrent, false, '', NULL FROM queue_app_user WHERE id = ANY({owners})
"""
_OWN = Statement(_OWN_LIMITS.format(batches="%(batches)s::bigint[]", owners="%(owners)s::bigint[]"))
_OWN_IN_USE = _OWN_LIMITS.format(batches="ARRAY(SELECT batch FROM used)", owners="ARRAY(SELECT owner FROM used)")

# used slots, limits, the limits of batches and users with a used slot, the first ``routes`` of each model, long calls and their
# workers, and whether anybody has a ticket budget; a single statement because every claim runs it
_SNAPSHOT = Statement(f"""
    WITH used (model, kind, account, batch, owner, slots) AS ({SLOTS_IN_USE}), {_FIRST_OFFERED}
    SELECT (SELECT json_agg(json_build_array(model, kind, account, batch, owner, slots)) FROM used),
           (SELECT json_agg(json_build_array(a, b, c, d, e, f, g, h, i, j))
              FROM ({_LIMITS}) AS found (a, b, c, d, e, f, g, h, i, j)),
           (SELECT json_agg(json_build_array(a, b, c, d, e, f)) FROM ({_OWN_IN_USE}) AS found (a, b, c, d, e, f)),
           (SELECT json_agg(json_build_array({_OFFER}) ORDER BY place, id) FROM offered),
           ({LONG_CALLS}), ({LONG_WORKERS}), EXISTS (SELECT FROM queue_app_ticketbudget)
""")  # noqa: S608 - no value in it


class Offer(NamedTuple):
    """
    A route's row with the columns that decide whether it can be used. ``checked`` is true if the route needs no check or has had
    one; ``codec`` is JSON, left out where claims read many routes.
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

    @property
    def keys(self) -> list[Key]:
        """The limits that come with its account."""
        return limits.keys_of_account(self.account, synchronous=self.adapter in registry.SYNCHRONOUS)

    def route(self) -> ModelRoute:
        """Return it as a model instance; the other columns are deferred."""
        account = {"key": self.account, "adapter": self.adapter, "base_url": self.base_url, "api_key_env": self.api_key_env}
        known = {"id": self.id, "model_id": self.model, "account_id": self.account, "endpoint_id": self.endpoint}
        route = read_some(ModelRoute, known if self.codec is None else {**known, "codec": self.codec})
        route.account = read_some(ProviderAccount, account)
        return route


def is_synchronous(route: ModelRoute | None) -> bool:
    """Whether the provider of a route answers a create call only with the result, so that a long worker must make it."""
    return route is not None and route.account.adapter in registry.SYNCHRONOUS


def keys_of(route: ModelRoute | None, *, model: str, kind: str, batch: int | None, owner: int) -> list[Key]:
    """Return the keys of all limits that apply to a job on this route, the widest first."""
    account, synchronous = route.account_id if route else "", is_synchronous(route)
    return limits.keys_of(model=model, account=account, kind=kind, batch=batch, owner=owner, synchronous=synchronous)


class Routes(NamedTuple):
    """Usable routes by model, and the models that are unavailable because no API key is set."""

    usable: dict[str, list[ModelRoute]]
    keyless: list[str]


def usable_routes(models: Iterable[str] | None = None) -> dict[str, list[ModelRoute]]:
    """
    Return the usable routes by model, in order: active, with an adapter, and with an API key or the studio in its place. At a
    provider, a route that needs a check is usable only after one.

    A model without a limit row is left out, because nothing would limit its jobs.
    """
    return look_up_routes(models).usable


def look_up_routes(models: Iterable[str] | None = None) -> Routes:
    """Return the usable routes, and the models whose routes lack an API key while the studio is not allowed."""
    asked = None if models is None else set(models)
    offers = (Offer(*row) for row in _OFFERS.run())
    return _usable_and_keyless(offer for offer in offers if asked is None or offer.model in asked)


def _usable_and_keyless(offers: Iterable[Offer]) -> Routes:
    found: dict[str, list[ModelRoute]] = {}
    keyless = set()
    for offer in offers:
        if registry.is_available(offer.adapter):
            route = offer.route()
            if not route.account.is_usable:
                keyless.add(offer.model)
            elif offer.checked or route.account.is_preview:  # the studio simulates every route
                found.setdefault(offer.model, []).append(route)
    return Routes(found, sorted(keyless - found.keys()))


class LimitRow(NamedTuple):
    """A limit of a kind, model or account, with its pause, cooldown and reduction."""

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
        """Build one from a row of `_SNAPSHOT`, whose times are text."""
        limit, key, cap, paused, reason, until, cooldown, by, since, _ = values
        return cls(limit, key, cap, paused, reason, _time(until), _time(cooldown), by, _time(since))


@dataclass
class Capacity:
    """The whole queue at one moment: the room under every limit, and the routes of each model."""

    at: datetime
    policy: QueueSettings
    room: Room = field(default_factory=Room)
    offers: dict[str, list[Offer]] = field(default_factory=dict)
    budgets: dict[str, Decimal] = field(default_factory=dict)  # daily, in USD, by account
    has_ticket_budgets: bool = False  # whether any user, campaign or API key has one
    _first: int | None = None  # number of offers read per model; None for all
    _known: set[Key] = field(default_factory=set)
    _routes: dict[int, ModelRoute | None] = field(default_factory=dict)
    _passed: dict[str, int] = field(default_factory=dict)  # number of a model's first offers that are full or unusable

    @classmethod
    def load(cls, *, at: datetime, policy: QueueSettings, first: int | None = None) -> "Capacity":
        """
        Read every limit, pause and used slot. Exact only under the claim lock.

        ``first`` is the number of routes to read per model, for callers that need few; the others are read when needed.
        """
        capacity = cls(at=at, policy=policy)
        slots, long_calls = capacity.read(first=first)
        capacity.room.used = limits.count(slots)
        capacity.room.used[limits.LONG] = long_calls
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
        """
        Return the model's first usable route whose account has room and whose id is not in ``but``; ``None`` if there is none or
        the model has no room.
        """
        if not self.room.is_open(("model", model)):
            return None
        offers = self.offers.get(model, [])
        for number in range(self._passed.get(model, 0), len(offers)):
            offer = offers[number]
            if offer.id in but:
                continue
            if self.room.is_open(*offer.keys) and (route := self._route(offer)):
                return route
            if not but:
                self._passed[model] = number + 1  # slots are only taken, never freed, so a full account stays full
        if self._first is None or len(offers) < self._first:
            return None
        self.read()
        return self.route_for(model, but=but)

    def open_routes(self, model: str) -> list[ModelRoute]:
        """Return the routes of a model that are open now, in order."""
        return [
            route
            for route in self.routes.get(model, [])
            if self.room.is_open(("model", model), *limits.keys_of_account(route.account_id, synchronous=is_synchronous(route)))
        ]

    def read(self, *, first: int | None = None) -> tuple[list[Any], int]:
        """
        Read limits and offers, of each model the ``first`` ones or all. Return rows of used slots for `limits.count`, and the
        number of long calls in progress.
        """
        ((slots, rows, own, offers, long_calls, long_workers, self.has_ticket_budgets),) = _SNAPSHOT.run(at=self.at, routes=first)
        self._first, self.offers = first, {}
        for values in offers or ():
            offer = Offer(*values)
            self.offers.setdefault(offer.model, []).append(offer)
        self._set(limits.QUEUE, queue_limit(self.policy, at=self.at), _closed(self.policy, self.at))
        for values in rows or ():
            limit, key, cap, paused, _, _, cooldown, lowered_by, _, budget = values
            if budget is not None:
                self.budgets[key] = Decimal(budget)
            if paused or cooldown or lowered_by:
                row = LimitRow.of(values)
                self._set((limit, key), account_limit(row, at=self.at), _row_closed(row, self.at))
            else:
                self._set((limit, key), cap, None)
        self._set(limits.LONG, long_workers, None if long_workers else Closed(None, NO_WORKER))
        self._learn(own or ())
        return slots or [], long_calls

    def knows(self, batch: int | None, owner: int) -> bool:
        """Whether the limits of a batch and a user are loaded."""
        return ("user", str(owner)) in self._known and (batch is None or ("batch", str(batch)) in self._known)

    def learn(self, batches: Iterable[int | None], owners: Iterable[int]) -> None:
        """Load the limits and pauses of these batches and users, each once."""
        new_batches = {pk for pk in batches if pk is not None and ("batch", str(pk)) not in self._known}
        new_owners = {pk for pk in owners if ("user", str(pk)) not in self._known}
        if new_batches or new_owners:
            self._learn(_OWN.run(batches=list(new_batches), owners=list(new_owners)))

    def shut(self, keys: Iterable[Key]) -> None:
        """Leave out the jobs under these limits, as if they were paused."""
        self.room.closed.update(dict.fromkeys(keys, Closed()))

    def way(self, model: str, *, can: Callable[[ModelRoute], bool] | None = None) -> ModelRoute | None:
        """
        Return the route that a job of this model waits for: the first whose account has room, else the first; ``None`` if there
        is none.

        :param can: whether a route can express the job; by default all can.
        """
        first = None
        for route in self.routes.get(model, ()):
            if can and not can(route):
                continue
            if self.room.is_open(*limits.keys_of_account(route.account_id, synchronous=is_synchronous(route))):
                return route
            first = first or route
        return first

    def blockers(self, route: ModelRoute | None, *, model: str, kind: str, batch: int | None, owner: int) -> list[Blocker]:
        """Return the limits that a queued job waits for on its :meth:`way`, by the same rules as the claim."""
        self.learn([batch], [owner])
        found = self.room.blockers(keys_of(route, model=model, kind=kind, batch=batch, owner=owner))
        if route is None:
            found.append(Blocker("model", model, 0, 0, None, NOT_EXPRESSED if self.routes.get(model) else NOT_AVAILABLE))
        return found

    def learn_codecs(self, models: Iterable[str]) -> None:
        """Load how the routes of these models express a job: one query if any is not known yet."""
        unknown = {
            route.pk: route for model in models for route in self.routes.get(model, ()) if "codec" in route.get_deferred_fields()
        }
        if unknown:
            for pk, codec in ModelRoute.objects.filter(pk__in=unknown).values_list("pk", "codec"):
                unknown[pk].codec = codec

    def holds(self, model: str) -> bool:
        """Whether a pause of the queue, of the model or of its account puts all queued jobs of the model on hold."""
        route = self.way(model)
        if route is None:
            return False
        account = limits.keys_of_account(route.account_id, synchronous=is_synchronous(route))
        return any(found.is_pause for found in self.room.blockers([limits.QUEUE, *account, ("model", model)]))

    @cached_property
    def _all_routes(self) -> Routes:
        return _usable_and_keyless(offer for offers in self.offers.values() for offer in offers)

    def _route(self, offer: Offer) -> ModelRoute | None:
        """Return the route of an offer if it is usable, else ``None``. Cached, because a claim needs only a few of many."""
        if offer.id not in self._routes:
            usable = _usable_and_keyless([offer]).usable
            self._routes[offer.id] = usable[offer.model][0] if usable else None
        return self._routes[offer.id]

    def _learn(self, rows: Iterable[Sequence[Any]]) -> None:
        for limit, pk, cap, paused, reason, until in rows:
            if limit == "user":
                cap = cap or self.policy.user_max_concurrent
            ends = _time(until)
            shut = limits.is_closed(paused, ends, at=self.at)
            self._set((limit, str(pk)), cap, Closed(ends, reason or UNTOLD, is_pause=True) if shut else None)

    def _set(self, key: Key, cap: int | None, closed: Closed | None) -> None:
        self._known.add(key)
        self.room.caps[key] = cap
        if closed is not None:
            self.room.closed[key] = closed


def queue_limit(policy: QueueSettings, *, at: datetime) -> int:
    """Return the limit of the whole queue at this time; it is higher in peak hours."""
    local = at.astimezone(policy.peak_zone)
    return peak.effective_limit(policy.max_concurrent, local, hours=policy.peak_hours, factor=policy.peak_factor)


def account_limit(row: LimitRow | ProviderAccount, *, at: datetime) -> int | None:
    """Return the limit less the steps that 429 answers have lowered it by; ``None`` for no limit."""
    if row.max_concurrent is None:
        return None
    return limits.lowered(row.max_concurrent, by=row.lowered_by, since=row.lowered_at, at=at)


def available_models(routes: Iterable[str] | None = None) -> dict[str, GenerationModel]:
    """Return the models with a usable route, by key. ``routes`` are the keys of these models if the caller knows them."""
    routes = usable_routes() if routes is None else routes
    return {model.key: model for model in GenerationModel.objects.filter(pk__in=routes).select_related("limit")}


def _time(value: str | datetime | None) -> datetime | None:
    """Return a time of a row; as JSON it is text."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _closed(row: QueueSettings | LimitRow, at: datetime) -> Closed | None:
    if not limits.is_closed(row.paused, row.paused_until, at=at):
        return None
    return Closed(row.paused_until, row.paused_reason or UNTOLD, is_pause=True)


def _row_closed(row: LimitRow, at: datetime) -> Closed | None:
    paused = _closed(row, at)
    if not row.cooldown_until or row.cooldown_until <= at:
        return paused
    cooling = Closed(row.cooldown_until, COOLING)
    return replace(paused, also=cooling) if paused else cooling
