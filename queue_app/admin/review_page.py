"""The page of one item that needs attention: its facts, and the decisions, each with its consequences."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from queue_app import clock, lifecycle
from queue_app.admin import job_page, lookups, provider_data
from queue_app.models import BulkAction, ReviewItem, State, User
from queue_app.rules import numbers
from queue_app.ui import display, pages
from queue_app.ui.access import staff
from queue_app.ui.job_facts import money
from queue_app.work import decisions
from queue_app.work.decisions import DecisionRefused
from queue_app.work.roles import Right

REASON_MOST = 300  # characters
REMEDIES = (BulkAction.Verb.RETRY, BulkAction.Verb.REFUND)
# state of a job after a decision → what became of it, in words
THEN = {
    State.QUEUED: "back in the queue for another attempt",
    State.FAILED: "failed, tickets returned",
    State.CANCELLED: "cancelled as requested, tickets returned",
}


def _found(item: ReviewItem, at: datetime, actor: User, reason: str, task: str) -> str:
    decisions.take_up(item, task, at=at, actor=actor, reason=reason)
    return f"Job {display.number(item.job_id)} continues with task {task[:60]}. Checking with the provider now."


def _again(item: ReviewItem, at: datetime, actor: User, reason: str, task: str) -> str:
    state = decisions.settle(item, again=True, at=at, actor=actor, reason=reason)
    return f"Job {display.number(item.job_id)} {THEN[state]}."


def _give_up(item: ReviewItem, at: datetime, actor: User, reason: str, task: str) -> str:
    state = decisions.settle(item, again=False, at=at, actor=actor, reason=reason)
    return f"Job {display.number(item.job_id)} {THEN[state]}."


def _close(item: ReviewItem, at: datetime, actor: User, reason: str, task: str) -> str:
    decisions.close(item, at=at, actor=actor, reason=reason)
    return f"Resolved. Job {display.number(item.job_id)} is unchanged."


@dataclass(frozen=True)
class Decision:
    """A decision that staff can take: the right that it needs, and the verb, which returns the message about its result."""

    right: Right
    carry_out: Callable[[ReviewItem, datetime, User, str, str], str]


DECISIONS = {
    "found": Decision(Right.OPERATE, _found),
    "again": Decision(Right.OPERATE, _again),
    "give_up": Decision(Right.FORCE_FAIL, _give_up),
    "close": Decision(Right.OPERATE, _close),
}


@pages.of_row(ReviewItem)
def page(request: HttpRequest, item: ReviewItem) -> HttpResponse:
    """Show the facts of an item and the decisions that this user may take."""
    return _page(request, item)


def decide(request: HttpRequest, item_id: int) -> HttpResponse:
    """
    Carry out a decision; if it is refused, show the page again with what was typed.

    :raises Http404: there is no such item.
    :raises PermissionDenied: the user may not take this decision.
    """
    item = find(str(item_id))
    if item is None:
        raise Http404
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    user, asked = staff(request), request.POST.get("decision", "")
    decision, may_view = DECISIONS.get(asked), site.get_model_admin(ReviewItem).has_view_permission(request, item)
    if decision is None or not may_view or not user.has_perm(decision.right):
        raise PermissionDenied
    reason, task = reason_of(request), request.POST.get("task", "").strip()
    try:
        said = decision.carry_out(item, clock.now(), user, reason, task)
    except DecisionRefused as refusal:
        return _page(request, item, asked=asked, refusal=str(refusal), reason=reason, task=task)
    messages.success(request, said)
    return HttpResponseRedirect(reverse("admin:queue_app_reviewitem_changelist"))


def find(object_id: str) -> ReviewItem | None:
    """Return the item with this number and the related rows that its page shows, or ``None``."""
    whole = ReviewItem.objects.select_related("job__owner", "job__model", "job__kind", "job__batch", "attempt__account")
    return whole.filter(pk=numbers.of_row(object_id)).first()


def reason_of(request: HttpRequest) -> str:
    """Return the reason that was typed."""
    return request.POST.get("reason", "").strip()[:REASON_MOST]


def _page(request: HttpRequest, item: ReviewItem, **typed: str) -> TemplateResponse:
    fresh = find(str(item.pk)) or item
    context = {**site.each_context(request), **_shown(fresh, at=clock.now(), user=staff(request)), **typed}
    return TemplateResponse(request, "admin/queue_app/reviewitem/change_form.html", context | {"opts": ReviewItem._meta})


def _shown(item: ReviewItem, *, at: datetime, user: User) -> dict[str, Any]:
    job, attempt = item.job, item.attempt
    undecided = item.is_undecided
    looks = lookups.shown(attempt) if undecided and attempt and attempt.account.can_look_up else []
    buttons = job_page.buttons(job, money(job), user)
    title = "outcome unknown" if undecided else "resolved" if item.closed_at else "needs a check"
    return {
        "at": at,
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
        "may": {name for name, decision in DECISIONS.items() if user.has_perm(decision.right)},
        "remedies": [button for button in buttons if button.verb in REMEDIES],
        "sees_jobs": user.has_perm("queue_app.view_job"),
        "provider_data": provider_data.of_attempts(job, [attempt] if attempt else [], looks=not looks)
        if user.has_perm(Right.SEE_PROVIDER_DATA)
        else None,
    }


def _slot_until(item: ReviewItem, at: datetime) -> str:
    until = item.attempt.slot_until if item.attempt else None
    return display.clock_time(until, at) if until and until > at and item.job.state == State.UNKNOWN else ""
