"""The page of a campaign, the list of its combinations, and its verbs, each with a confirmation page."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import actions, status_map
from campaigns import cells as cell_reads
from campaigns.models import Campaign
from campaigns.progress import look, version
from campaigns.views import confirmation
from campaigns.views.access import campaign_seen_by, campaign_to_change, may_change
from queue_app import clock
from queue_app.lifecycle import CancelVerdict
from queue_app.models import Job, Reservation
from queue_app.rules.numbers import counted
from queue_app.tickets import NotEnoughTickets
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted, unchanged
from queue_app.work import batches, policy
from queue_app.work.intake import ModelNotAvailable

CELLS_A_PAGE = 100


@login_required
@require_GET
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the page; to htmx, its changing parts, or 204 if nothing has changed since ``seen``."""
    campaign, at = campaign_seen_by(request, pk), clock.now()
    choices = campaign.dimensions
    before = _axes(_shown_address(request), choices)
    chosen = _axes(request.GET, choices, before=before)
    token = f"{version(campaign, at=at)}-{chosen.rows}-{chosen.columns}"
    if unchanged(request, token):
        return HttpResponse(status=204)
    progress = look(campaign, at=at)
    context = {
        "campaign": campaign,
        "progress": progress,
        "at": at,
        "token": token,
        "axes": chosen,
        "exchanged": len(choices) > 1 and "rows" in request.GET and request.GET["rows"] == request.GET.get("columns"),
        "folded": _folded(campaign, choices, chosen),
        "dimensions": _named(campaign, choices),
        "bands": status_map.bands(progress.cells, chosen, dimensions=choices, labels=campaign.labels, links=_links(campaign)),
        "may_change": may_change(request, campaign.batch.owner_id),
        "live": fragment_wanted(request),
    }
    if not fragment_wanted(request):
        return render(request, "campaigns/page.html", context)
    answer = render(request, "campaigns/_board.html", context)
    if chosen != before:
        answer["HX-Replace-Url"] = f"{request.path}?{urlencode({'rows': chosen.rows, 'columns': chosen.columns})}"
    return answer


@login_required
@require_GET
def cells(request: HttpRequest, pk: int) -> HttpResponse:
    """List all combinations in words, filtered by ``?status=`` and ``?{dimension}={value}``."""
    campaign, at = campaign_seen_by(request, pk), clock.now()
    every = cell_reads.of(campaign, at=at)
    wanted = {key: value for key in campaign.dimensions if (value := request.GET.get(key))}
    here = [cell for cell in every if wanted.items() <= cell.values.items()]
    status = request.GET.get("status", "")
    found = [cell for cell in here if cell.status == status] if status else here
    counts = cell_reads.count(here)
    query = request.GET.copy()
    for name in ("status", "page"):
        query.pop(name, None)
    context = {
        "campaign": campaign,
        "at": at,
        "cells": Paginator(found, CELLS_A_PAGE).get_page(request.GET.get("page")),
        "counts": [(name, name.capitalize(), counts[name]) for name in counts if counts[name] or name == status],
        "all": len(here),
        "status": status,
        "where": cell_reads.name(wanted, campaign.labels),
        "query": query.urlencode(),
        "may_change": may_change(request, campaign.batch.owner_id),
    }
    return render(request, "campaigns/cells.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a cancel will do; on POST, cancel."""
    campaign = campaign_to_change(request, pk)
    if request.method != "POST":
        foreseen = confirmation.of_cancel(Job.objects.filter(batch=campaign.pk))
        return _preview(request, campaign, f"Cancel “{campaign}”?", foreseen)
    at, reason = clock.now(), request.POST.get("reason", "")[:300]
    verdicts = batches.cancel(campaign.batch, at=at, actor=viewer(request), reason=reason)
    back = Reservation.objects.filter(job__batch=campaign.pk, state=Reservation.State.RELEASED, settled_at=at)
    tickets = back.aggregate(sum=Sum("amount"))["sum"] or 0
    stopped, asked = verdicts[CancelVerdict.CANCELLED], verdicts[CancelVerdict.REQUESTED]
    if stopped:
        returned = f"{counted(tickets, 'ticket')} returned."
        messages.success(request, f"{_results(campaign, stopped)} cancelled. {returned}")
    if asked:
        show = "It shows" if asked == 1 else "They show"
        words = f"Asked the provider to stop {_results(campaign, asked)}. {show} “Cancelling” until it confirms."
        messages.info(request, words)
    if not stopped and not asked:
        messages.info(request, "Nothing left to cancel.")
    return redirect("campaigns:page", pk)


@login_required
@require_http_methods(["GET", "POST"])
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a pause will do; on POST, pause."""
    campaign = campaign_to_change(request, pk)
    if request.method != "POST":
        counts = cell_reads.count(cell_reads.of(campaign, at=clock.now()))
        return render(request, "campaigns/pause.html", {"campaign": campaign, "counts": counts})
    reason = request.POST.get("reason", "")[:200]
    policy.pause_batch(campaign.batch, at=clock.now(), actor=viewer(request), reason=reason)
    words = f"Campaign paused. Running {campaign.model.medium}s will finish; queued ones keep their position."
    messages.success(request, words)
    return redirect("campaigns:page", pk)


@login_required
@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    """End the pause, so that queued jobs start again."""
    campaign = campaign_to_change(request, pk)
    policy.resume_batch(campaign.batch, at=clock.now(), actor=viewer(request))
    messages.success(request, f"Campaign resumed. Queued {campaign.model.medium}s kept their position.")
    return redirect("campaigns:page", pk)


@login_required
@require_http_methods(["GET", "POST"])
def retry_failed(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a retry of the failed jobs will cost; on POST, retry."""
    campaign = campaign_to_change(request, pk)
    if request.method != "POST":
        return _foreseen_retry(request, campaign)
    try:
        queued = actions.retry_failed(campaign, at=clock.now(), actor=viewer(request), shown=confirmation.shown(request))
    except actions.NotAsShown:
        messages.warning(request, confirmation.CHANGED)
        return _foreseen_retry(request, campaign, status=409)
    except (NotEnoughTickets, ModelNotAvailable) as refusal:
        messages.error(request, f"Nothing was retried. {refusal}")
    else:
        words = f"{_results(campaign, queued)} back in the queue." if queued else "Nothing left to retry."
        messages.success(request, words)
    return redirect("campaigns:page", pk)


def _foreseen_retry(request: HttpRequest, campaign: Campaign, *, status: int = 200) -> HttpResponse:
    foreseen = confirmation.of_retry(actions.counted_jobs(campaign).with_status("failed"))
    return _preview(request, campaign, f"Retry failed {campaign.model.medium}s in “{campaign}”?", foreseen, status=status)


def _preview(request: HttpRequest, campaign: Campaign, title: str, what: dict[str, Any], *, status: int = 200) -> HttpResponse:
    context = what | {"title": title, "medium": campaign.model.medium, "back": "campaigns:page", "pk": campaign.pk}
    return render(request, "campaigns/preview.html", context, status=status)


def _shown_address(request: HttpRequest) -> QueryDict:
    """Return the query of the address in the browser, which htmx sends as a header."""
    return QueryDict(request.headers.get("HX-Current-URL", "").partition("#")[0].partition("?")[2])


def _axes(asked: QueryDict, choices: status_map.Choices, before: status_map.Axes | None = None) -> status_map.Axes:
    return status_map.axes(choices, rows=asked.get("rows", ""), columns=asked.get("columns", ""), before=before)


def _links(campaign: Campaign) -> status_map.Links:
    stem = reverse("campaigns:job", args=[1]).removesuffix("1/")  # once, not 660 times
    cells = reverse("campaigns:cells", args=[campaign.pk])
    return status_map.Links(job=lambda pk: f"{stem}{pk}/", cells=cells, blocked="#blocked")


def _named(campaign: Campaign, choices: status_map.Choices) -> list[dict[str, Any]]:
    """Return the dimensions with the labels that they had at launch."""
    return [
        {
            "key": key,
            "label": campaign.labels.get(key, {}).get("label", key),
            "values": [cell_reads.label_of(campaign.labels, key, value) for value in values],
        }
        for key, values in choices.items()
    ]


def _folded(campaign: Campaign, choices: status_map.Choices, chosen: status_map.Axes) -> list[str]:
    """Return the labels of dimensions with several values that are on neither axis."""
    if chosen.rows == status_map.OTHERS:
        return []
    rest = {key: values for key, values in choices.items() if key not in (chosen.rows, chosen.columns) and len(values) > 1}
    return [one["label"] for one in _named(campaign, rest)]


def _results(campaign: Campaign, number: int) -> str:
    """Return “1 video” or “12 images”."""
    return counted(number, campaign.model.medium)
