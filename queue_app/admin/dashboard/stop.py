"""Stop all, what it leads to, and the way back: all on one page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db.models import Count, Min, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from queue_app import clock
from queue_app.admin.dashboard import edits
from queue_app.admin.dashboard.edits import operator
from queue_app.admin.review import Show
from queue_app.insight import pauses
from queue_app.models import BulkAction, Job, QueueSettings, ReviewItem, State
from queue_app.models.job import AT_THE_PROVIDER
from queue_app.rules import limits
from queue_app.rules.numbers import counted
from queue_app.ui import addresses, display, fragments
from queue_app.work import bulk
from queue_app.work import stop as stopping
from queue_app.work.bulk import BulkRefused, verbs
from queue_app.work.stop import Stop

WORD = "stop"
PAGE, FRAGMENT = "admin/dashboard/stop.html", "admin/dashboard/_stopped.html"
Phase = BulkAction.Phase


@dataclass(frozen=True)
class Step:
    """One thing that a stop did, does or leaves alone; ``when``, or the moment at which it ``starts``."""

    icon: str
    what: str
    why: str
    when: str = ""
    starts: datetime | None = None
    link: str = ""
    url: str = ""


def stop(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """
    Show what would be stopped; on POST, with the word and a reason, stop it. While the queue is stopped show what became of it;
    to htmx only that, or 204 if it has not changed.
    """
    user, at = operator(request), clock.now()
    typed = {"word": "", "reason": "", "queued": "", "running": ""}
    errors: dict[str, str] = {}
    if request.method == "POST":
        typed = {name: request.POST.get(name, "").strip()[:300] for name in typed}
        if typed["word"].lower() != WORD:
            errors["word"] = f"Type “{WORD}” to confirm."
        if not typed["reason"]:
            errors["reason"] = "Enter a reason. Everyone with a waiting job sees it."
        if not errors:
            wanted = {"cancel_queued": bool(typed["queued"]), "cancel_running": bool(typed["running"])}
            actions = stopping.stop_all(at=at, actor=user, reason=typed["reason"], **wanted)
            if any(wanted.values()) and not actions:
                messages.warning(request, "Queue paused. No more jobs to cancel.")
            return redirect("admin:stop")
    shown = {**site.each_context(request), **_standing(at), "title": "Stop all", "typed": typed, "errors": errors}
    return fragments.answer(request, PAGE, FRAGMENT, shown)


def undo(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Undo the cancels of the last stop that have not started; then go back to the page of the request."""
    user = operator(request)
    if request.method == "POST":
        try:
            kept = stopping.undo(at=clock.now(), actor=user)
            messages.success(request, f"Cancel undone. {counted(kept, 'job')} kept; the queue stays paused.")
        except BulkRefused as refusal:
            messages.warning(request, str(refusal))
    return redirect(addresses.of_ours(request, request.POST.get("next", "")) or "admin:stop")


def queue_again(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """
    Draft a retry of the jobs that the last stop cancelled; its own page shows it first. With ``resume`` also resume the queue.
    """
    user, at = operator(request), clock.now()
    if request.method != "POST":
        return redirect("admin:stop")
    drafts = stopping.queue_again(at=at, actor=user)
    if "resume" in request.POST:
        edits.end_pause(QueueSettings.objects.current(), at=at, actor=user)
        messages.success(request, "Queue resumed. Waiting jobs kept their position.")
    if not drafts:
        messages.warning(request, "No cancelled jobs left to retry.")
        return redirect("admin:stop")
    if len(drafts) == 1:
        return redirect("admin:queue_app_bulkaction_change", drafts[0].pk)
    messages.info(request, f"This needs {len(drafts)} bulk actions. Open and confirm each one.")
    return redirect("admin:queue_app_bulkaction_changelist")


def _standing(at: datetime) -> dict[str, Any]:
    settings, last = QueueSettings.objects.current(), stopping.last()
    running = Job.objects.filter(state__in=AT_THE_PROVIDER)
    queued = Job.objects.filter(state=State.QUEUED)
    is_stopped = limits.is_closed(settings.paused, settings.paused_until, at=at)
    found = {
        "at": at,
        "is_stopped": is_stopped,
        "settings": settings,
        "queued": queued.count(),
        "queued_tickets": queued.aggregate(sum=Sum("tickets"))["sum"] or 0,
        "running": running.count(),
        "running_usd": running.aggregate(sum=Sum("usd_estimate"))["sum"] or 0,
        "storing": Job.objects.filter(state=State.STORING).count(),
    }
    return found | (_stopped(settings, last, at) if is_stopped else {}) | _way_back(last)


def _stopped(settings: QueueSettings, last: Stop | None, at: datetime) -> dict[str, Any]:
    """Return who paused the queue and why, and if “Stop all” did it, what it did to jobs and what it left alone."""
    by = pauses.by_people([limits.QUEUE]).get(limits.QUEUE)
    stopped = last if last and stopping.holds(last) else None
    waiting = stopping.waits_to_be_cancelled(stopped) if stopped else Job.objects.none()
    undo_until = min((one.starts_at for one in stopped.waiting if one.starts_at), default=None) if stopped else None
    return {
        "by": by,
        "when": display.moment(by.at, at) if by else "",
        "cancels": sum(one.total for one in stopped.waiting) if stopped else 0,
        "undo_until": undo_until,
        "returned": waiting.aggregate(tickets=Sum("tickets"), wallets=Count("owner", distinct=True)) if undo_until else {},
        "steps": [
            Step("pause", "Queue paused", "No jobs start.", f"since {display.moment(by.at, at)}" if by else ""),
            *(_cancel(action) for action in (stopped.actions if stopped else ())),
            *_left_alone(at, cancels_running=bool(stopped and any("running" in one.chosen for one in stopped.waiting))),
        ],
    }


def _cancel(action: BulkAction) -> Step:
    summary = verbs.of(action).summary(action.results)
    said = {
        Phase.WAITING: "",
        Phase.RUNNING: f"{action.worked:,} of {action.total:,} done",
        Phase.DONE: summary or "done",
        Phase.UNDONE: "undone",
        Phase.ABORTED: f"stopped, {summary}" if summary else "stopped",
    }
    return Step(
        "cancelled",
        bulk.name(action),
        action.chosen,
        said[Phase(action.phase)],
        action.starts_at if action.phase == Phase.WAITING else None,
        "Details",
        reverse("admin:queue_app_bulkaction_change", args=[action.pk]),
    )


def _left_alone(at: datetime, *, cancels_running: bool) -> Iterator[Step]:
    """Yield the jobs that go on although the queue is paused."""
    jobs = dict(Job.objects.open().values_list("state").annotate(jobs=Count("pk")).order_by())
    running = jobs.get(State.SUBMITTING, 0) + jobs.get(State.RUNNING, 0)
    if running and not cancels_running:
        yield Step("running", f"{counted(running, 'running job')} will finish", "Charged on completion.")
    if cancelling := jobs.get(State.CANCELLING, 0):
        why = "Not confirmed yet. A job that finishes first is kept and charged."
        yield Step("cancelling", f"{counted(cancelling, 'job')} cancelling", why)
    if storing := jobs.get(State.STORING, 0):
        yield Step("storing", f"{counted(storing, 'job')} being saved", "The provider has already finished and billed them.")
    if unknown := jobs.get(State.UNKNOWN, 0):
        ends = ReviewItem.objects.undecided().aggregate(first=Min("decide_by"))["first"]
        stay = "stays as it is" if unknown == 1 else "stay as they are"
        what = f"{counted(unknown, 'job')} with an unknown outcome {stay}"
        url = f"{reverse('admin:queue_app_reviewitem_changelist')}?show={Show.UNKNOWN}"
        yield Step("unknown", what, f"Decide by {display.moment(ends, at)}." if ends else "", link="Decide", url=url)


def _way_back(last: Stop | None) -> dict[str, Any]:
    """Return how many jobs the last stop cancelled that may be retried, and whether it still cancels."""
    if last is None:
        return {}
    again = stopping.to_queue_again(last).aggregate(jobs=Count("pk"), tickets=Sum("tickets"))
    return {"last": last, "again": again, "is_cancelling": any(not action.is_over for action in last.actions)}
