"""Confirmation pages of an owner's cancel or retry. The lines are those of staff's bulk actions; the tickets are the owner's."""

from typing import Any

from django.http import HttpRequest

from campaigns import actions
from queue_app import clock
from queue_app.models import State
from queue_app.models.job import AT_THE_PROVIDER, JobQuerySet
from queue_app.rules import numbers
from queue_app.work import capacity
from queue_app.work.bulk import retries, verbs
from queue_app.work.bulk.base import Effect
from queue_app.work.bulk.selection import Selection

CHANGED = "Something changed since you opened this page, so nothing was queued. Check the new numbers and confirm again."


def of_cancel(jobs: JobQuerySet) -> dict[str, Any]:
    """Return which jobs are cancelled immediately, which the provider is asked to stop, and which can't be stopped."""
    chosen = Selection(jobs, at=clock.now())
    return _shown("cancel", "Cancel", Effect(verbs.CANCEL.lines(chosen))) | {
        "now": {"tickets": chosen.tickets(State.QUEUED)},
        "later": chosen.tickets(*AT_THE_PROVIDER),
        "billed": chosen.usd(*AT_THE_PROVIDER),
    }


def of_retry(jobs: JobQuerySet) -> dict[str, Any]:
    """Return which jobs go back in the queue, and what they cost at today's prices."""
    chosen, offered = Selection(jobs, at=clock.now()), capacity.available_models()
    needed = retries.price_today(jobs, offered, at=chosen.at)
    short = [f"{one.available:,} of {one.needed:,} available" for one in retries.shortfalls(needed)]
    shown = _shown("retry", "Retry", Effect(verbs.RETRY.lines(chosen, offered)))
    return shown | {"needed": sum(needed.values()), "short": short}


def shown(request: HttpRequest) -> actions.Offer:
    """Return the retry that the sent form had shown."""
    return actions.Offer(*(numbers.of_row(request.POST.get(name, "")) for name in ("jobs", "tickets")))


def _shown(action: str, verb: str, effect: Effect) -> dict[str, Any]:
    return {"action": action, "verb": verb, "lines": effect.with_jobs, "acts_on": effect.acts_on}
