"""The player: one result in a dialog over a page of small pictures, with its review. A review goes on to the next result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from campaigns import cells, pictures, review, status_map
from campaigns.models import Campaign, Combination, Version
from campaigns.models.combination import Review
from campaigns.pictures import Picture
from campaigns.review import NoteRefused, NotJudgeable
from campaigns.status_map import Links, Look, Square
from campaigns.views.access import job_seen_by, job_to_change, may_change
from queue_app import clock
from queue_app.models import Asset, Job, State
from queue_app.ui import job_facts
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted

STRIP = 10  # results in the strip, the shown one among them


@dataclass(frozen=True)
class ReelEntry:
    """A combination of the campaign whose latest version is completed."""

    index: int
    job: int
    review: str
    values: dict[str, str]


@dataclass(frozen=True)
class JustReviewed:
    """A review that was just given, and what stood there before, for an undo."""

    job: int
    name: str
    words: str
    before: str


def look_of(campaign: Campaign, shown: Mapping[int, Picture], *, shows: str = status_map.PICTURES) -> Look:
    """Return what all small pictures of a campaign's page share."""
    links = Links(
        cell=_numbered("campaigns:cell", campaign.pk),
        review=_numbered("campaigns:watch", campaign.pk),
        player=_numbered("campaigns:play"),
        cells=reverse("campaigns:cells", args=[campaign.pk]),
        blocked="#blocked",
    )
    return Look(campaign.labels, links, shown, shows)


@login_required
@require_GET
def play(request: HttpRequest, pk: int) -> HttpResponse:
    """Return to htmx the content of the dialog; without it, the page of the job has the result, too."""
    job = job_seen_by(request, pk)
    if not fragment_wanted(request):
        return redirect("campaigns:job", job.pk)
    return _show(request, job)


@login_required
@require_POST
def judge(request: HttpRequest, pk: int) -> HttpResponse:
    """
    Set the review of a job's combination, and the note if one was sent; go on to the next result without a review. ``stay``
    stays at this one.
    """
    job = job_to_change(request, pk)
    cell = get_object_or_404(Combination.objects.select_related("campaign"), job=job)
    verdict, note = request.POST.get("review", ""), request.POST.get("note")
    if verdict not in Review.values:
        return _show(request, job, error="Choose approve, reject or winner.")
    try:
        review.judge(cell, verdict, at=clock.now(), by=viewer(request), note=note)
    except NotJudgeable as refusal:
        return _show(request, job, error=str(refusal))
    except NoteRefused as refusal:
        return _show(request, job, note_error=str(refusal), typed_note=note or "")
    if not fragment_wanted(request):
        return redirect("campaigns:job", job.pk)
    done = JustReviewed(job.pk, _name(cell.campaign, cell.values), Review(verdict).label.capitalize() or "", cell.review)
    if "stay" in request.POST:
        return _show(request, job, changed=job.pk)
    following = _following(_entries(cell.campaign), job.pk)
    return _show(request, job_seen_by(request, following) if following else job, done=done, changed=job.pk)


def _numbered(page: str, *of: int) -> Callable[[int], str]:
    """Return a function from a number to its page's address: reversed once, not for each of 660 cells."""
    before, after = reverse(page, args=[*of, 0]).split("/0/")  # no row has the number 0
    return lambda number: f"{before}/{number}/{after}"


def _show(
    request: HttpRequest,
    job: Job,
    *,
    done: JustReviewed | None = None,
    changed: int = 0,
    error: str = "",
    note_error: str = "",
    typed_note: str | None = None,
) -> HttpResponse:
    version = Version.objects.filter(job=job).select_related("combination__campaign").first()
    files = list(job.assets.kept().order_by("version", "-number", "kind"))
    latest = {file.kind: file for file in files}
    main = next((latest[kind] for kind in Asset.MAIN_KINDS if kind in latest), None)
    context: dict[str, Any] = {
        "job": job,
        "main": main,
        "poster": latest.get(Asset.Kind.THUMBNAIL),
        "more": job_facts.beside(main, reversed(files)),
        "text": job_facts.excerpt(main),
        "version": version,
        "done": done,
        "error": error,
        "note_error": note_error,
        "typed_note": typed_note,
        "may_change": may_change(request, job.owner_id),
    }
    if version is not None:
        context |= _within(version, changed=changed)
    return render(request, "campaigns/_play.html", context)


def _within(version: Version, *, changed: int) -> dict[str, Any]:
    """Return the place of a version among the results of its campaign."""
    cell, campaign = version.combination, version.combination.campaign
    entries = _entries(campaign)
    at = next((place for place, one in enumerate(entries) if one.job == version.job_id), None)
    begin = max(0, min((at or 0) - STRIP // 2, len(entries) - STRIP))
    near = entries[begin : begin + STRIP]
    renewed = [one for one in entries if one.job == changed]
    look = look_of(campaign, pictures.of_jobs(one.job for one in (*near, *renewed)))
    return {
        "campaign": campaign,
        "cell": cell,
        "name": _name(campaign, cell.values),
        "counts": cell.job_id == version.job_id,
        "judgeable": cell.job_id == version.job_id and version.job.state == State.COMPLETED,
        "place": None if at is None else at + 1,
        "total": len(entries),
        "left": sum(not one.review for one in entries),
        "before": entries[at - 1].job if at else None,
        "after": entries[at + 1].job if at is not None and at + 1 < len(entries) else None,
        "strip": [(one.job, _square(campaign, one, look)) for one in near],
        "renewed": [_square(campaign, one, look) for one in renewed],
    }


def _entries(campaign: Campaign) -> list[ReelEntry]:
    """Return the results of a campaign in matrix order. One query."""
    done = Combination.objects.filter(campaign=campaign, job__state=State.COMPLETED).order_by("index")
    return [ReelEntry(*row) for row in done.values_list("index", "job", "review", "values")]


def _following(entries: Sequence[ReelEntry], job: int) -> int | None:
    """Return the job of the next result without a review, from the first again after the last."""
    at = next((place for place, one in enumerate(entries) if one.job == job), -1)
    return next((one.job for one in (*entries[at + 1 :], *entries[: max(at, 0)]) if not one.review), None)


def _square(campaign: Campaign, entry: ReelEntry, look: Look) -> Square:
    return status_map.result(entry.index, _name(campaign, entry.values), entry.job, entry.review, look)


def _name(campaign: Campaign, values: Mapping[str, str]) -> str:
    telling = cells.telling(campaign.dimensions)
    return cells.name({key: values[key] for key in telling if key in values}, campaign.labels)
