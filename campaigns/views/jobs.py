"""The page of one job for its owner: position, why it is waiting, result and cost; with cancel, retry, order and priority."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import actions, cells, job_names, stages
from campaigns.models import Combination, Version
from campaigns.views import confirmation
from campaigns.views.access import job_seen_by, job_to_change, may_change
from queue_app import clock
from queue_app.forecast import estimates
from queue_app.insight import positions
from queue_app.lifecycle import STOPS_AFTER_CALL, CancelVerdict, MoveRefused
from queue_app.models import Asset, Job, State
from queue_app.rules import priority as priorities
from queue_app.tickets import NotEnoughTickets
from queue_app.ui import addresses, display, fragments, job_facts
from queue_app.ui.access import viewer
from queue_app.ui.holds import Hold, Mended, Remedy
from queue_app.work import jobs
from queue_app.work.intake import IntakeRefused, ModelNotAvailable
from queue_app.work.jobs import PriorityRestricted

_SAID = {
    CancelVerdict.CANCELLED: "Job cancelled. Tickets returned.",
    CancelVerdict.REQUESTED: "Cancel requested. The job shows “Cancelling” until the provider confirms.",
    CancelVerdict.TOO_LATE: "Too late to cancel: it is already generated or finished.",
}

# where a job can be moved → the neighbour that it passes, and what it is already if it has none
_ENDS = {"first": ("before", "first"), "up": ("before", "first"), "down": ("after", "last")}


@login_required
@require_GET
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the page; to htmx, its changing parts or 204."""
    job, at = job_seen_by(request, pk), clock.now()
    files = list(job.assets.kept().order_by("version", "-number", "kind"))
    latest = {file.kind: file for file in files}
    main = next((latest[kind] for kind in Asset.MAIN_KINDS if kind in latest), None)
    cell = _cell(job)
    context = job_facts.facts(job, at=at, group="campaign" if cell else "batch") | {
        "at": at,
        "left": estimates.for_job(job, at) if job.is_open else None,
        "main": main,
        "thumbnail": latest.get(Asset.Kind.THUMBNAIL),
        "more": job_facts.beside(main, reversed(files)),
        "text": job_facts.excerpt(main),
        "cell": cell,
        "waits": display.age(job.queued_at, at) if job.state == State.QUEUED else "",
        "may_change": may_change(request, job.owner_id),
        "is_of_page": job.kind_id == job_names.PAGE,
    }
    if context["may_change"] and (place := positions.among_own(job)):
        context["order"] = vars(place) | {"levels": _levels(request, job)}
    context["holds"] = [_mended(hold, cell, may_resume=context["may_change"]) for hold in context["limits"]]
    context["way_out"] = next((one.remedy for one in context["holds"] if one.remedy), None)
    return fragments.answer(request, "campaigns/job.html", "campaigns/_job.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a cancel will do; on POST, cancel."""
    job = job_to_change(request, pk)
    if request.method != "POST":
        return _preview(request, job, confirmation.of_cancel(Job.objects.filter(pk=job.pk)))
    verdict = jobs.cancel(job, at=clock.now(), actor=viewer(request), reason=request.POST.get("reason", "")[:300])
    is_staged = verdict == CancelVerdict.REQUESTED and job.kind_id in settings.PIPELINES
    said = f"Cancel requested. {STOPS_AFTER_CALL}" if is_staged else _SAID[verdict]
    (messages.info if verdict == CancelVerdict.TOO_LATE else messages.success)(request, said)
    return redirect(job_names.address(job))


@login_required
@require_http_methods(["GET", "POST"])
def retry(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a retry will cost; on POST, retry."""
    job = job_to_change(request, pk)
    if request.method != "POST":
        return _preview(request, job, confirmation.of_retry(Job.objects.filter(pk=job.pk)))
    try:
        again = actions.retry(job, at=clock.now(), actor=viewer(request), shown=confirmation.shown(request))
    except actions.NotAsShown:
        messages.warning(request, confirmation.CHANGED)
        return _preview(request, job, confirmation.of_retry(Job.objects.filter(pk=job.pk)), status=409)
    except (MoveRefused, NotEnoughTickets, ModelNotAvailable) as refusal:
        messages.error(request, f"Not retried. {refusal}")
    else:
        messages.success(request, "Back on hold until you approve its still." if again.held_for else "Back in the queue.")
    return redirect(job_names.address(job))


@login_required
@require_POST
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """Move a queued job among its owner's: ``to`` the first place, one place up or one down."""
    job = job_to_change(request, pk)
    to, place = request.POST.get("to", ""), positions.among_own(job)
    moved, before = job, place.before if place and to == "up" else None
    if place and to == "down" and place.after:
        moved, before = Job.objects.get(pk=place.after), job.pk
    refused = _not_moved(job, to, place)
    try:
        if not refused:
            jobs.move(moved, before=before, at=clock.now(), actor=viewer(request))
    except MoveRefused as refusal:
        refused = str(refusal)
    if refused:
        messages.error(request, f"Not moved. {refused}")
    else:
        messages.success(request, f"Job {job.pk:,} moved.")
    return _back(request, job)


@login_required
@require_POST
def priority(request: HttpRequest, pk: int) -> HttpResponse:
    """Set the priority of a queued job: owners a lower one, staff any."""
    job = job_to_change(request, pk)
    try:
        level = int(request.POST.get("priority", ""))
        jobs.set_priority(job, level, at=clock.now(), actor=viewer(request))
    except ValueError:
        messages.error(request, "Choose a priority.")
    except (IntakeRefused, MoveRefused, PriorityRestricted) as refusal:
        messages.error(request, f"Not changed. {refusal}")
    else:
        messages.success(request, f"Job {job.pk:,} has {priorities.name(level).lower()} priority.")
    return _back(request, job)


def _not_moved(job: Job, to: str, place: positions.OwnPlace | None) -> str:
    """Return why a job can't move there; empty if it can."""
    if to not in _ENDS:
        return "Choose first, up or down."
    if place is None:
        return "It is on hold." if job.state == State.QUEUED else "It is no longer waiting."
    beside, end = _ENDS[to]
    return "" if getattr(place, beside) else f"It is already {end}."


def _back(request: HttpRequest, job: Job) -> HttpResponse:
    return redirect(addresses.of_ours(request, request.POST.get("next", "")) or job_names.address(job))


def _levels(request: HttpRequest, job: Job) -> list[tuple[int, str]]:
    """Return the priorities that the user may give a job instead of its own, the highest first."""
    most = jobs.highest_priority(job, viewer(request))
    levels = sorted(priorities.NAMES, reverse=True)
    return [(one, priorities.name(one).lower()) for one in levels if one <= most and one != job.base_priority]


def _mended(hold: Hold, cell: dict[str, Any] | None, *, may_resume: bool) -> Mended:
    """Return a limit with what its owner can do about it: only their campaign is theirs to resume."""
    if hold.key[0] != "batch" or cell is None:
        return Mended(hold)
    campaign = cell["campaign"].pk
    resume = Remedy(reverse("campaigns:resume", args=[campaign]), hold.form, "Resume", f"Resume {hold.called}")
    return Mended(hold, reverse("campaigns:page", args=[campaign]), remedy=resume if hold.is_pause and may_resume else None)


def _preview(request: HttpRequest, job: Job, what: dict[str, Any], *, status: int = 200) -> HttpResponse:
    context = what | {"title": f"{what['verb']} job {job.pk}?", "back": job_names.view_of(job), "pk": job.pk}
    context["is_of_page"] = job.kind_id == job_names.PAGE
    return render(request, "campaigns/preview.html", context, status=status)


def _cell(job: Job) -> dict[str, Any] | None:
    """Return the combination of the job and its version, ``None`` for a still; ``None`` if it belongs to no campaign."""
    found = (
        Version.objects.filter(job=job).select_related("combination__campaign", "combination__job", "combination__still").first()
    )
    combination = found.combination if found else _drawn_for(job)
    if combination is None:
        return None
    video, still = combination.job, combination.still
    return {
        "campaign": combination.campaign,
        "index": combination.index,
        "name": cells.name(
            {key: combination.values[key] for key in combination.campaign.dimensions}, combination.campaign.labels
        ),
        "version": found.number if found else None,
        "video": combination.job_id,
        "counts": job.pk in (combination.job_id, combination.still_id),
        "is_on_sheet": video is not None and stages.held_for(video.held_for, still.held_for if still else "") in stages.OURS,
    }


def _drawn_for(job: Job) -> Combination | None:
    """Return the combination of a still, also if a later one counts."""
    if not job.metadata.get("still"):
        return None
    of_campaign = Combination.objects.filter(campaign=job.batch_id, key=str(job.metadata.get("combination")))
    return of_campaign.select_related("campaign", "job", "still").first()
