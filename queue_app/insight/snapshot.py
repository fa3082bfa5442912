"""
The queue at one moment: every limit, and the queue of each model.

The API and the dashboard show this snapshot, read from the limits that claims obey. Parts that only one of them shows are read
when they are first used, each once.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate, Forecast
from queue_app.insight import counts, peaks
from queue_app.insight.counts import Oldest
from queue_app.insight.peaks import PeakHours
from queue_app.models import GenerationModel, Kind, ModelRoute, ProviderAccount, QueueSettings
from queue_app.providers import registry
from queue_app.rules import limits
from queue_app.rules.limits import Closed, Key
from queue_app.work.capacity import Capacity, is_synchronous

K = TypeVar("K", str, int)


@dataclass(frozen=True)
class Limit:
    """
    A limit and its slots. ``maximum`` is what staff set (``None``: no limit); ``effective`` is what applies now: more in peak
    hours, less after 429 answers, and never more than the accounts of a model allow. ``free``: slots that could be taken now.
    ``paused``: by staff. ``shut``: by a pause or a cooldown, its own or that of its accounts, with ``reason`` and ``until``.
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


def take(*, at: datetime, within: float | None = None, anew: bool = False) -> "Snapshot":
    """
    Read the limits and the slots in use.

    :param within: seconds of age that counts of waiting jobs may have at most; by default as much as their cost is worth.
    :param anew: make new estimates too, unless that is expensive.
    """
    return Snapshot(at, Capacity.load(at=at, policy=QueueSettings.objects.current()), within, anew)


class Snapshot:
    """The queue at ``at``: limits, lanes and waiting jobs, with estimates."""

    def __init__(self, at: datetime, capacity: Capacity, within: float | None, anew: bool) -> None:
        self.at, self.capacity, self._within, self._anew = at, capacity, within, anew

    @cached_property
    def lanes(self) -> "list[Lane]":
        """The queue of every active model, by key."""
        models = GenerationModel.objects.filter(active=True, limit__isnull=False).select_related("limit").order_by("key")
        return [Lane(self, model) for model in models]

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Return why models are not available, by key: the reason of the first route that has one."""
        rows = ModelRoute.objects.exclude(reason="").order_by("model_id", "position", "id").distinct("model_id")
        return dict(rows.values_list("model_id", "reason"))

    @cached_property
    def queue(self) -> Limit:
        policy, room = self.capacity.policy, self.capacity.room
        effective, free = room.caps[limits.QUEUE] or 0, room.free(limits.QUEUE, 0)
        return self.limit(limits.QUEUE, policy.max_concurrent, effective, free, paused=policy.paused)

    @cached_property
    def accounts(self) -> dict[str, Limit]:
        """The accounts whose provider this version knows, by key."""
        rows = (row for row in ProviderAccount.objects.order_by("key") if registry.is_available(row.adapter))
        return {row.key: self._account(row) for row in rows}

    @cached_property
    def kinds(self) -> list[Limit]:
        rows = ((("kind", row.key), row.max_concurrent) for row in Kind.objects.order_by("key"))
        return [self.limit(key, most, most, self._free(key), paused=False) for key, most in rows]

    @property
    def is_peak(self) -> bool:
        return self.queue.effective != self.queue.maximum

    @cached_property
    def peak(self) -> PeakHours | None:
        """Peak hours that apply now or begin soon."""
        return peaks.now_or_soon(self.capacity.policy, at=self.at)

    @property
    def free_slots(self) -> int:
        """Jobs that could start in addition; models are grouped by the account of their next job."""
        room, by_account = self.capacity.room, Counter[str]()
        long_accounts = set()
        for model, routes in self.capacity.routes.items():
            route = self.capacity.route_for(model) or routes[0]
            by_account[route.account_id] += room.free(("model", model), 0)
            if is_synchronous(route):
                long_accounts.add(route.account_id)
        free = {account: min(free, room.free(("account", account), free)) for account, free in by_account.items()}
        long = sum(slots for account, slots in free.items() if account in long_accounts)
        slots = sum(free.values()) - long + min(long, room.free(limits.LONG, long))
        return min(slots, room.free(limits.QUEUE, slots))

    @property
    def waiting(self) -> int:
        return sum(self._waiting.values())

    @cached_property
    def waiting_by_model(self) -> Counter[str]:
        return _sums((model, jobs) for (model, _), jobs in self._waiting.items())

    @property
    def waiting_by_priority(self) -> list[tuple[int, int]]:
        """Waiting jobs by priority, the highest first."""
        return sorted(_sums((priority, jobs) for (_, priority), jobs in self._waiting.items()).items(), reverse=True)

    @cached_property
    def stuck(self) -> Counter[str]:
        """Waiting jobs that will not start until staff act, by the reason (`Forecast.stuck`)."""
        known = self.forecast
        why = ((known.stuck(model), jobs) for model, jobs in self.waiting_by_model.items()) if known else ()
        return _sums((reason, jobs) for reason, jobs in why if reason)

    @cached_property
    def drained(self) -> Estimate | None:
        """Time until the last waiting job that is not stuck is done; ``None`` if no job waits."""
        return self.forecast.of_lanes(self.waiting_by_model, at=self.at) if self.forecast else None

    @cached_property
    def oldest(self) -> "tuple[Lane, Oldest] | None":
        """The job that has waited longest of all, with its lane."""
        found = ((lane, lane.oldest) for lane in self.lanes if lane.oldest)
        return min(found, key=lambda one: one[1].since, default=None)

    @cached_property
    def forecast(self) -> Forecast | None:
        """The curves that estimates are read off; none if no job waits."""
        return estimates.current(self.at, anew=self._anew) if self._waiting else None

    @cached_property
    def oldest_by_model(self) -> dict[str, Oldest]:
        return counts.oldest(self._waiting)

    @cached_property
    def waits(self) -> dict[str, float]:
        return counts.waits(at=self.at)

    def limit(
        self, key: Key, maximum: int | None, effective: int | None, free: int, *, paused: bool, cooling: datetime | None = None
    ) -> Limit:
        """Make a limit of this moment, with what uses it and what shuts it."""
        shut = self.capacity.room.closed.get(key)
        return Limit(
            what=key[0],
            key=key[1],
            used=self.capacity.room.used[key],
            maximum=maximum,
            effective=effective,
            free=free,
            paused=paused and shut is not None,
            shut=shut is not None,
            reason=shut.reason if shut else "",
            until=shut.until if shut else None,
            cooling_until=cooling,
        )

    def _account(self, row: ProviderAccount) -> Limit:
        key = ("account", row.key)
        cooling = row.cooldown_until if row.cooldown_until and row.cooldown_until > self.at else None
        effective = self.capacity.room.caps.get(key)
        return self.limit(key, row.max_concurrent, effective, self._free(key), paused=row.paused, cooling=cooling)

    def _free(self, key: Key) -> int:
        """Free slots under a limit that staff may leave empty."""
        return self.capacity.room.free(key, self.capacity.room.free(limits.QUEUE, 0))

    @cached_property
    def _waiting(self) -> counts.Waiting:
        return counts.waiting(within=self._within)


class Lane:
    """The queue of one model in a snapshot: its slots, the accounts that offer it, and its waiting jobs."""

    def __init__(self, snapshot: Snapshot, model: GenerationModel) -> None:
        self.model, self.key = model, model.key
        self._snapshot, self._limit, self._room = snapshot, ("model", model.key), snapshot.capacity.room

    @property
    def used(self) -> int:
        return self._room.used[self._limit]

    @property
    def free(self) -> int:
        """Slots left under the model's own limit; 0 while it is paused."""
        return self._room.free(self._limit, 0)

    @property
    def can_start(self) -> int:
        """Jobs that could start now, under the limits of the model, of its accounts and of the whole queue."""
        at_accounts = sum(self._room.free(("account", account), self.free) for account in self._account_keys)
        most = [self.free, at_accounts, self._room.free(limits.QUEUE, self.free)]
        if self._routes and all(map(is_synchronous, self._routes)):
            most.append(self._room.free(limits.LONG, self.free))
        return min(most)

    @property
    def pause(self) -> Closed | None:
        """The model's own pause."""
        return self._room.closed.get(self._limit)

    @property
    def is_available(self) -> bool:
        return bool(self._routes)

    @property
    def reason(self) -> str:
        """Return why the model is not available, as its routes say; empty if it is, or if no reason was given."""
        return "" if self.is_available else self._snapshot.reasons.get(self.key, "")

    @property
    def is_keyless(self) -> bool:
        """Whether the model is unavailable because no API key is set and the studio is off."""
        return self.key in self._snapshot.capacity.keyless

    @property
    def is_preview(self) -> bool:
        return self.is_available and self._routes[0].account.is_preview

    @property
    def waiting(self) -> int:
        return self._snapshot.waiting_by_model[self.key]

    @property
    def oldest(self) -> Oldest | None:
        return self._snapshot.oldest_by_model.get(self.key)

    @property
    def wait_p50(self) -> float | None:
        """Median seconds that jobs started in the last hour had waited; ``None`` if none started."""
        return self._snapshot.waits.get(self.key)

    @property
    def drained(self) -> Estimate | None:
        """Time until the last waiting job is done; ``None`` if no job waits."""
        known = self._snapshot.forecast
        return known.of_lanes([self.key], at=self._snapshot.at) if known and self.waiting else None

    @property
    def account(self) -> Limit | None:
        """The account of the model's next job; ``None`` if the model is unavailable."""
        route = self._snapshot.capacity.route_for(self.key) or next(iter(self._routes), None)
        return self._snapshot.accounts[route.account_id] if route else None

    @cached_property
    def limit(self) -> Limit:
        """The model's limit, narrowed by its accounts."""
        row, accounts = self.model.limit, [self._snapshot.accounts[key] for key in self._account_keys]
        caps = [account.effective for account in accounts]
        effective = row.max_concurrent if None in caps or not caps else min(row.max_concurrent, sum(cap or 0 for cap in caps))
        found = self._snapshot.limit(self._limit, row.max_concurrent, effective, self.can_start, paused=row.paused)
        if found.shut or not accounts or not all(account.shut for account in accounts):
            return found
        first = accounts[0]
        return replace(found, shut=True, reason=first.reason, until=first.until, cooling_until=first.cooling_until)

    @property
    def _routes(self) -> list[ModelRoute]:
        return self._snapshot.capacity.routes.get(self.key, [])

    @property
    def _account_keys(self) -> list[str]:
        return list(dict.fromkeys(route.account_id for route in self._routes))


def _sums(parts: Iterable[tuple[K, int]]) -> Counter[K]:
    found: Counter[K] = Counter()
    for key, jobs in parts:
        found[key] += jobs
    return found
