"""The person of a storm decides on the outcomes that only a person can know, by the verb of the page for unknown outcomes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # models can only be imported once Django is set up
    from queue_app.models import Attempt, State

NAME = "person"
MAY_COME = timedelta(seconds=60)  # in which a late webhook or a late answer may still tell an outcome


class Decision(NamedTuple):
    """A decision on a job, the job's new state, and why a person had to decide."""

    job: int
    account: str
    state: State
    why: str


def decide(chance: Random, *, calm_since: datetime) -> Iterator[Decision]:
    """Decide on each outcome that only a person can know: by chance for another attempt or against it."""
    from queue_app import clock
    from queue_app.models import ReviewItem, User
    from queue_app.work import decisions

    actor, at = User.objects.get(username=NAME), clock.now()
    items = ReviewItem.objects.filter(closed_at=None, decide_by__isnull=False, job__state="unknown").order_by("pk")
    for item in items.select_related("attempt__account", "attempt__job__model", "attempt__job__kind"):
        if item.attempt is None or not (why := why_a_person(item.attempt, calm_since=calm_since, at=at)):
            continue
        try:
            state = decisions.settle(item, again=chance.random() < 0.5, at=at, actor=actor, reason=why)
        except decisions.DecisionRefused:  # its task has just been found
            continue
        yield Decision(item.job_id, item.attempt.account_id, state, why)


def why_a_person(attempt: Attempt, *, calm_since: datetime, at: datetime) -> str:
    """
    Return why only a person can know the outcome of an attempt, or an empty text if the product may still find out.

    Either the provider has no list of tasks, and neither a webhook nor a saved answer has come. Or its whole list, read without
    faults (after ``calm_since``) when the task could not begin any more, proves nothing.
    """
    from queue_app.work import accounts, lookup

    account, called_at = attempt.account, attempt.called_at or attempt.created_at
    if not account.can_look_up:
        return f"{account.key} has no list of tasks." if at > called_at + MAY_COME else ""
    last = attempt.lookups[-1] if attempt.lookups else {}
    if not last.get("proof") or last["none"] or last["took"]:
        return ""
    grace = timedelta(seconds=lookup.grace_of(accounts.provider_for(attempt), attempt.job))
    is_final = datetime.fromisoformat(last["at"]) > max(calm_since, called_at + grace)
    return f"The list of {account.key}: {' '.join(last['why_not'])}" if is_final else ""
