"""What a cancel or a retry will do, said to an owner before it is done; staff have the previews of the bulk actions."""

from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest

from campaigns import actions
from queue_app import clock
from queue_app.models import Job, State, Wallet
from queue_app.models.job import AT_THE_PROVIDER, JobQuerySet
from queue_app.rules import numbers
from queue_app.ui import consequences, display
from queue_app.work import capacity

CHANGED = "Something changed since you opened this page, so nothing was queued. Check the new numbers and confirm again."


class Sums(NamedTuple):
    """Jobs, the tickets of a try each, and their estimated cost."""

    jobs: int = 0
    tickets: int = 0
    usd: Decimal = Decimal(0)


def of_cancel(jobs: QuerySet[Job]) -> dict[str, Any]:
    """What stops at once, what the provider is asked for, and what cannot be stopped."""
    sums = _by_state(jobs)
    lines, acts_on = consequences.of_cancel(jobs, lambda *states: sum(sums[state].jobs for state in states))
    return _shown("cancel", "Cancel", lines, acts_on) | {
        "now": sums[State.QUEUED],
        "later": sum(sums[state].tickets for state in AT_THE_PROVIDER),
        "billed": sum((sums[state].usd for state in AT_THE_PROVIDER), Decimal(0)),
    }


def of_retry(jobs: JobQuerySet) -> dict[str, Any]:
    """What is queued again, and what it costs at the prices of this moment."""
    sums, at = _by_state(jobs), clock.now()
    ended, offered = jobs.filter(state__in=(State.FAILED, State.CANCELLED)).order_by(), capacity.available_models()
    again, late = ended.in_time(at), ended.filter(deadline__lte=at).count()
    not_offered = dict(again.exclude(model__in=offered).values_list("model").annotate(Count("pk")))
    lines, acts_on = consequences.of_retry(lambda *states: sum(sums[state].jobs for state in states), not_offered, late)
    needed: dict[int, int] = {}
    for owner, model, parameters in again.filter(model__in=offered).values_list("owner", "model", "parameters"):
        price = offered[model].pricing.tickets_of(parameters)
        needed[owner] = needed.get(owner, 0) + price
    held = dict(Wallet.objects.filter(owner__in=needed).values_list("owner", "available"))
    short = [
        f"{display.number(held.get(owner, 0))} of {display.number(price)} available"
        for owner, price in needed.items()
        if held.get(owner, 0) < price
    ]
    return _shown("retry", "Retry", lines, acts_on) | {"needed": sum(needed.values()), "short": short}


def shown(request: HttpRequest) -> actions.Offer:
    """What the form that was sent had said of a retry."""
    return actions.Offer(*(numbers.of_row(request.POST.get(name, "")) for name in ("jobs", "tickets")))


def _by_state(jobs: QuerySet[Job]) -> dict[str, Sums]:
    rows = jobs.order_by().values_list("state").annotate(Count("pk"), Sum("tickets"), Sum("usd_estimate"))
    return {state: Sums() for state in State} | {row[0]: Sums(*row[1:]) for row in rows}


def _shown(action: str, verb: str, lines: list[consequences.Line], acts_on: int) -> dict[str, Any]:
    return {"action": action, "verb": verb, "lines": [line for line in lines if line.count], "acts_on": acts_on}
