"""What a cancel or a retry will do, said to an owner before it is done; staff have the previews of the bulk actions."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet, Sum

from queue_app.models import GenerationModel, Job, State, Wallet
from queue_app.rules import pricing

AT_THE_PROVIDER = (State.RUNNING, State.SUBMITTING, State.UNKNOWN)


@dataclass(frozen=True)
class Line:
    """How many, what becomes of them, why, and the badge beside it."""

    count: int
    what: str
    why: str
    state: str
    word: str


class Sums(NamedTuple):
    """Jobs, the tickets of a try each, and their estimated cost."""

    jobs: int = 0
    tickets: int = 0
    usd: Decimal = Decimal(0)


def of_cancel(jobs: QuerySet[Job]) -> dict[str, Any]:
    """What stops at once, what the provider is asked for, and what cannot be stopped."""
    sums = _by_state(jobs)
    queued, running = sums[State.QUEUED].jobs, sums[State.RUNNING].jobs
    unsure = sums[State.SUBMITTING].jobs + sums[State.UNKNOWN].jobs
    storing, asked = sums[State.STORING].jobs, sums[State.CANCELLING].jobs
    ended = sum(sums[state].jobs for state in (State.COMPLETED, State.FAILED, State.CANCELLED))
    stop = "Shown as “Cancel asked” until the provider answers. If it was faster, the result is kept and charged."
    later = "We do not know yet whether the provider took it. It ends as cancelled, or runs on and is then asked to stop."
    left = f"{storing} are being stored, {asked} asked before, {ended} ended. They cannot be cancelled."
    lines = [
        Line(queued, "cancelled at once", "They wait in the queue; nothing was bought.", State.QUEUED, "Queued"),
        Line(running, "asked to stop at the provider", stop, State.RUNNING, "Running"),
        Line(unsure, "decided later", later, State.UNKNOWN, "Not known"),
        Line(storing + asked + ended, "left as they are", left, State.CANCELLED, "Too late"),
    ]
    return _shown("cancel", "Cancel", "Keep them", lines, queued + running + unsure) | {
        "now": sums[State.QUEUED],
        "later": sum(sums[state].tickets for state in AT_THE_PROVIDER),
        "billed": sum((sums[state].usd for state in AT_THE_PROVIDER), Decimal(0)),
    }


def of_retry(jobs: QuerySet[Job]) -> dict[str, Any]:
    """What is queued again, and what it costs at the prices of this moment."""
    again = jobs.filter(state__in=(State.FAILED, State.CANCELLED)).order_by()
    count, left = again.count(), jobs.exclude(state__in=(State.FAILED, State.CANCELLED)).count()
    lines = [
        Line(count, "queued again", "Each at the end of its lane, with all its tries.", State.QUEUED, "Queued"),
        Line(left, "left as they are", "Only failed and cancelled jobs can be retried.", State.CANCELLED, "Not for retry"),
    ]
    models = GenerationModel.objects.in_bulk()
    needed: dict[int, int] = {}
    for owner, model, parameters in again.values_list("owner", "model", "parameters"):
        price = pricing.tickets(models[model].unit, models[model].tickets_per_unit, parameters)
        needed[owner] = needed.get(owner, 0) + price
    held = dict(Wallet.objects.filter(owner__in=needed).values_list("owner", "available"))
    short = [f"{held.get(owner, 0)} of {price} are there" for owner, price in needed.items() if held.get(owner, 0) < price]
    return _shown("retry", "Retry", "Leave them", lines, count) | {"needed": sum(needed.values()), "short": short}


def _by_state(jobs: QuerySet[Job]) -> dict[str, Sums]:
    rows = jobs.order_by().values_list("state").annotate(Count("pk"), Sum("tickets"), Sum("usd_estimate"))
    return {state: Sums() for state in State} | {row[0]: Sums(*row[1:]) for row in rows}


def _shown(action: str, verb: str, keep: str, lines: list[Line], acts_on: int) -> dict[str, Any]:
    return {"action": action, "verb": verb, "keep": keep, "lines": [line for line in lines if line.count], "acts_on": acts_on}
