"""Stop all, and how to undo it."""

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from queue_app import clock
from queue_app.admin.dashboard.edits import operator
from queue_app.models import Job, QueueSettings, State
from queue_app.models.job import AT_THE_PROVIDER
from queue_app.rules import limits
from queue_app.work import stop as stopping

WORD = "stop"


def stop(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Show what would be stopped; on POST, with the word and a reason, stop it."""
    user = operator(request)
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
            actions = stopping.stop_all(at=clock.now(), actor=user, reason=typed["reason"], **wanted)
            began = " Cancelling starts in 10 seconds; open it below to undo." if actions else ""
            if any(wanted.values()) and not actions:
                began = " No more jobs to cancel."
            messages.success(request, f"Queue paused.{began}")
            return redirect("admin:stop")
    shown = {**site.each_context(request), "title": "Stop all", "typed": typed, "errors": errors, **_standing()}
    return TemplateResponse(request, "admin/dashboard/stop.html", shown)


def queue_again(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Draft a retry of the jobs that the last stop cancelled; its own page shows it first."""
    user = operator(request)
    if request.method != "POST":
        return redirect("admin:stop")
    drafts = stopping.queue_again(at=clock.now(), actor=user)
    if not drafts:
        messages.warning(request, "No cancelled jobs left to retry.")
        return redirect("admin:stop")
    if len(drafts) == 1:
        return redirect("admin:queue_app_bulkaction_change", drafts[0].pk)
    messages.info(request, f"This needs {len(drafts)} bulk actions. Open and confirm each one.")
    return redirect("admin:queue_app_bulkaction_changelist")


def _standing() -> dict[str, object]:
    settings, at = QueueSettings.objects.current(), clock.now()
    running = Job.objects.filter(state__in=AT_THE_PROVIDER)
    queued = Job.objects.filter(state=State.QUEUED)
    return {
        "is_stopped": limits.is_closed(settings.paused, settings.paused_until, at=at),
        "settings": settings,
        "queued": queued.count(),
        "queued_tickets": queued.aggregate(sum=Sum("tickets"))["sum"] or 0,
        "running": running.count(),
        "running_usd": running.aggregate(sum=Sum("usd_estimate"))["sum"] or 0,
        "storing": Job.objects.filter(state=State.STORING).count(),
        "last": stopping.last(),
    }
