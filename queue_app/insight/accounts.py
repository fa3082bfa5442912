"""Recent facts of a provider account: speed of its answers, failures, webhooks and cost."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from statistics import median
from typing import NamedTuple

from django.db.models import BooleanField, ExpressionWrapper, Q

from queue_app.insight import repeats
from queue_app.models import Attempt, InboundWebhook, ModelRoute, Outcome, ProviderAccount
from queue_app.models.job import slots_in_use
from queue_app.work import budgets
from queue_app.work.budgets import Spend

DAY, MONTH = timedelta(hours=24), timedelta(days=30)
CALLS_READ = 1_000  # newest create calls: an index gives them, however many there are
CALLS_TIMED, FAILURES_SHOWN = 200, 8


class _Call(NamedTuple):
    step: str
    route: int | None
    job: int
    called_at: datetime
    accepted_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    kind: str
    words: str
    ran_seconds: float | None
    was_answered: bool  # the task id came with the answer; otherwise a lookup or a person found it later


@dataclass(frozen=True)
class Latency:
    """Seconds from create call to answer, of the last calls that were accepted; ``None`` without any."""

    calls: int
    median: float | None
    p95: float | None


@dataclass(frozen=True)
class FailedAttempt:
    """An attempt that ended badly in the last 24 hours."""

    at: datetime
    job: int
    kind: str
    words: str


@dataclass(frozen=True)
class RouteFacts:
    """A route of the account in the last 24 hours: the usual run time in seconds, and the failed among finished attempts."""

    route: ModelRoute
    seconds: float | None
    failed: int
    ended: int


@dataclass(frozen=True)
class AccountFacts:
    """
    An account at one moment: its used slots, and its recent calls. ``today`` and ``month`` (30 days) are its cost; ``repeated``,
    today's lost calls that were sent again.
    """

    running: int
    latency: Latency
    failures: Sequence[FailedAttempt]
    routes: Sequence[RouteFacts]
    today: Spend
    month: Spend
    repeated: int
    last_webhook: datetime | None
    webhooks: int


def look(account: ProviderAccount, *, at: datetime) -> AccountFacts:
    """Look at an account with a fixed number of queries. Figures are those of the place where it sends jobs now."""
    calls = _calls(account)
    recent = [call for call in calls if call.called_at > at - DAY]
    heard = InboundWebhook.objects.filter(account=account)
    begins, _ = budgets.day_of(at)
    return AccountFacts(
        running=sum(slots for _, _, key, _, _, slots in slots_in_use(at) if key == account.pk),
        latency=_latency(calls),
        failures=_failures(recent),
        routes=_routes(account, recent),
        today=budgets.spent(account.pk, since=begins),
        month=budgets.spent(account.pk, since=at - MONTH),
        repeated=repeats.by_account(since=begins).get(account.pk, 0),
        last_webhook=heard.order_by("-received_at").values_list("received_at", flat=True).first(),
        webhooks=heard.filter(received_at__gt=at - DAY).count(),
    )


def _calls(account: ProviderAccount) -> list[_Call]:
    sent = Attempt.objects.filter(account=account, called_at__isnull=False, preview=account.is_preview)
    was_answered = ExpressionWrapper(Q(lookups=[]), output_field=BooleanField())
    names = (
        *("step", "route", "job", "called_at", "accepted_at", "ended_at", "outcome"),
        *("error_kind", "error_message", "job__ran_seconds"),
    )
    rows = sent.annotate(was_answered=was_answered).order_by("-called_at").values_list(*names, "was_answered")
    return [_Call(*row) for row in rows[:CALLS_READ]]


def _latency(calls: Sequence[_Call]) -> Latency:
    timed = [(call.accepted_at - call.called_at).total_seconds() for call in calls if call.accepted_at and call.was_answered]
    seconds = sorted(
        one for one in timed[:CALLS_TIMED] if one
    )  # a job in several steps is accepted as it begins: that is no call
    if not seconds:
        return Latency(0, None, None)
    return Latency(len(seconds), median(seconds), seconds[ceil(0.95 * len(seconds)) - 1])


def _failures(calls: Sequence[_Call]) -> list[FailedAttempt]:
    found = [FailedAttempt(call.ended_at or call.called_at, call.job, call.kind, call.words) for call in calls if call.words]
    return sorted(found, key=lambda failure: failure.at, reverse=True)[:FAILURES_SHOWN]


def _routes(account: ProviderAccount, calls: Sequence[_Call]) -> list[RouteFacts]:
    of_route: dict[int | None, list[_Call]] = defaultdict(list)
    for call in calls:
        of_route[call.route].append(call)
    found = []
    for route in (
        ModelRoute.objects.filter(account=account).select_related("model").order_by("-active", "model", "position", "id")
    ):
        ended = [call for call in of_route[route.pk] if call.outcome and call.step == "main"]
        seconds = [call.ran_seconds for call in ended if call.outcome == Outcome.DELIVERED and call.ran_seconds is not None]
        failed = sum(call.outcome not in (Outcome.DELIVERED, Outcome.CANCELLED) for call in ended)
        found.append(RouteFacts(route, median(seconds) if seconds else None, failed, len(ended)))
    return found
