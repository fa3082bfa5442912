"""The page of one item that waits for a person: what is known, and the decisions, each with what it leads to."""

from datetime import datetime
from typing import Any

from queue_app import lifecycle
from queue_app.admin import job_page, lookups, provider_data
from queue_app.models import BulkAction, ReviewItem, State, User
from queue_app.ui import display
from queue_app.ui.job_facts import money
from queue_app.work import decisions
from queue_app.work.roles import Right

RIGHTS = {"found": Right.OPERATE, "again": Right.OPERATE, "give_up": Right.FORCE_FAIL, "close": Right.OPERATE}
REMEDIES = (BulkAction.Verb.RETRY, BulkAction.Verb.REFUND)


def shown(item: ReviewItem, *, at: datetime, user: User) -> dict[str, Any]:
    """The page of one item: what is known, and the decisions that may be made, each with what it leads to."""
    job, attempt = item.job, item.attempt
    undecided = item.is_undecided
    looks = lookups.shown(attempt) if undecided and attempt and attempt.account.can_look_up else []
    buttons = job_page.buttons(job, money(job), user)
    title = "outcome unknown" if undecided else "resolved" if item.closed_at else "needs a check"
    return {
        "item": item,
        "job": job,
        "attempt": attempt,
        "title": f"Job {display.number(job.pk)}: {title}",
        "badge": display.badge(job.state),
        "facts": job_page.short_facts(job),
        "undecided": undecided,
        "sent": display.when(attempt.called_at) if attempt and attempt.called_at else "",
        "sent_ago": display.ago(at - attempt.called_at) if attempt and attempt.called_at else "",
        "slot_until": _slot_until(item, at),
        "lookups": lookups.in_short(attempt) if attempt else "",
        "looks": looks,
        "decide_in": display.ago(item.decide_by - at) if item.decide_by else "",
        "then": decisions.after_another_try(job) if undecided else "",
        "tries": lifecycle.spent_tries(job) + 1 if undecided else 0,
        "may": {name for name, right in RIGHTS.items() if user.has_perm(right)},
        "remedies": [button for button in buttons if button.verb in REMEDIES],
        "sees_jobs": user.has_perm("queue_app.view_job"),
        "provider_data": provider_data.of_attempts(job, [attempt] if attempt else [], looks=not looks)
        if user.has_perm(Right.SEE_PROVIDER_DATA)
        else None,
    }


def _slot_until(item: ReviewItem, at: datetime) -> str:
    until = item.attempt.slot_until if item.attempt else None
    return display.clock_time(until, at) if until and until > at and item.job.state == State.UNKNOWN else ""
