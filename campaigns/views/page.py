"""The page of a campaign, the list of its combinations, and its verbs, each with a confirmation page."""

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import actions, holds, notices, pictures, standing, status_map
from campaigns import cells as cell_reads
from campaigns.forms import whole
from campaigns.models import Campaign
from campaigns.progress import LATEST, look, version
from campaigns.standing import BLOCKED
from campaigns.starts import STORYBOARD
from campaigns.views import batch_verbs, board, confirmation, player, strips
from campaigns.views.access import campaign_seen_by, campaign_to_change, may_change
from queue_app import clock
from queue_app.models import Batch, Job, State, Status
from queue_app.rules.numbers import counted
from queue_app.tickets import NotEnoughTickets
from queue_app.ui import addresses, pauses
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted, unchanged
from queue_app.work import batches, policy, ticket_budgets
from queue_app.work.intake import BATCH_LIMIT_MOST, IntakeRefused, ModelNotAvailable

CELLS_A_PAGE = 100
STATUSES = (Status.COMPLETED, Status.PROCESSING, Status.FAILED, Status.CANCELLED, Status.QUEUED, BLOCKED)


@login_required
@require_GET
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the page; to htmx, its changing parts, or 204 if nothing has changed since ``seen``."""
    campaign, at = campaign_seen_by(request, pk), clock.now()
    before = board.asked(campaign, _shown_address(request))
    chosen = board.asked(campaign, request.GET, before=before.axes)
    token = f"{version(campaign, at=at)}-{'-'.join(chosen.query.values())}"
    if unchanged(request, token):
        return HttpResponse(status=204)
    progress, choices = look(campaign, at=at), campaign.dimensions
    context = {
        "campaign": campaign,
        "progress": progress,
        "at": at,
        "token": token,
        "axes": chosen.axes.outer,
        "shows": chosen.shows,
        "exchanged": len(choices) > 1 and "rows" in request.GET and request.GET["rows"] == request.GET.get("columns"),
        "folded": [one["label"] for one in board.named(campaign, status_map.folded(choices, chosen.axes))],
        "dimensions": board.named(campaign, choices),
        "formula": board.formula(campaign),
        "bands": board.bands(campaign, progress, chosen, at=at),
        "shape": next((one.shape for one in progress.pictures.values()), "wide"),
        "chips": board.chips(campaign, progress),
        "cost": board.cost(campaign, progress),
        "budget": next(iter(ticket_budgets.of(batches=[campaign.pk], at=at)), None),
        "took": ((campaign.batch.ended_at or at) - campaign.created_at).total_seconds(),
        "strip": [strips.of_cell(campaign, cell, progress.pictures, winners=progress.shows_winners) for cell in progress.strip],
        # each says whether a name there would take two lines
        "blanks": [len(cell_reads.telling(campaign.dimensions)) > 2] * (LATEST - len(progress.strip))
        if progress.counts.open
        else [],
        "may_change": may_change(request, campaign.batch.owner_id),
        "may_ask": campaign.batch.owner_id == request.user.pk and notices.is_told(viewer(request), notices.RESUMED),
        "live": fragment_wanted(request),
    }
    if not fragment_wanted(request):
        return render(request, "campaigns/page.html", context)
    answer = render(request, "campaigns/_board.html", context)
    if chosen != before:
        answer["HX-Replace-Url"] = f"{request.path}?{urlencode(chosen.query)}"
    return answer


@login_required
@require_GET
def cells(request: HttpRequest, pk: int) -> HttpResponse:
    """List all combinations in words, filtered by ``?status=`` and ``?{dimension}={value}``."""
    campaign, at = campaign_seen_by(request, pk), clock.now()
    every = cell_reads.of(campaign, at=at, hold=next((one.words for one in holds.of(campaign, at=at) if not one.is_own), ""))
    wanted = {key: value for key in campaign.dimensions if (value := request.GET.get(key))}
    here = [cell for cell in every if wanted.items() <= cell.values.items()]
    status = request.GET.get("status", "")
    found = [cell for cell in here if cell.status == status] if status else here
    counts = Counter(cell.status for cell in here)
    query = request.GET.copy()
    for name in ("status", "page"):
        query.pop(name, None)
    page = Paginator(found, CELLS_A_PAGE).get_page(request.GET.get("page"))
    shown = player.look_of(campaign, pictures.of_jobs(cell.job for cell in page if cell.job and cell.state == State.COMPLETED))
    context = {
        "campaign": campaign,
        "at": at,
        "cells": page,
        "rows": [(cell, status_map.square(cell, shown)) for cell in page],
        "counts": [(name, name.capitalize(), counts[name]) for name in STATUSES if counts[name] or name == status],
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
        return _preview(request, campaign, f"Cancel “{campaign}”?", foreseen, noun=_noun(campaign))
    batch_verbs.cancel(request, campaign.batch, noun=_noun(campaign))
    return redirect("campaigns:page", pk)


@login_required
@require_http_methods(["GET", "POST"])
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a pause will do; on POST, pause. Staff who pause a campaign of another user say why."""
    campaign, user = campaign_to_change(request, pk), viewer(request)
    asked, is_own = pauses.asked(request.POST, at=clock.now()), campaign.batch.owner_id == user.pk
    wrong = pauses.NO_REASON if request.method == "POST" and not asked.reason and not is_own else ""
    if request.method != "POST" or wrong:
        counts = standing.of_campaigns([campaign], at=asked.at)[campaign.pk]
        what = {"name": campaign.name, "noun": "campaign", "back": reverse("campaigns:page", args=[pk]), "counts": counts}
        asks = {"minutes": pauses.MINUTES, "asked": asked, "is_own": is_own, "wrong": wrong}
        return render(request, "campaigns/pause.html", {**what, **asks})
    policy.pause_batch(campaign.batch, at=asked.at, actor=user, reason=asked.reason, until=asked.until)
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
    return redirect(addresses.of_ours(request, request.POST.get("next", "")) or reverse("campaigns:page", args=[pk]))


@login_required
@require_POST
def notify(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell the owner, or not, once no pause holds the campaign any more."""
    campaign = campaign_seen_by(request, pk)
    mine = Batch.objects.filter(pk=campaign.pk, owner=viewer(request), ended_at=None)
    mine.update(notify_resumed=request.POST.get("notify") == "1")
    return redirect("campaigns:page", pk)


@login_required
@require_http_methods(["GET", "POST"])
def retry_failed(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a retry of the failed jobs will cost; on POST, retry."""
    return _retry(request, campaign_to_change(request, pk), State.FAILED)


@login_required
@require_http_methods(["GET", "POST"])
def retry_cancelled(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what it will cost to run the cancelled jobs again; on POST, queue them."""
    return _retry(request, campaign_to_change(request, pk), State.CANCELLED)


@login_required
@require_POST
def rename(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the campaign another name."""
    campaign = campaign_to_change(request, pk)
    try:
        actions.rename(campaign, request.POST.get("name", ""), at=clock.now(), actor=viewer(request))
    except actions.NameRefused as refusal:
        messages.error(request, f"Not renamed. {refusal}")
    return redirect("campaigns:page", pk)


@login_required
@require_http_methods(["GET", "POST"])
def limit(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the campaign's own limit; on POST, set it. Empty for none. Applies to the next job."""
    campaign = campaign_to_change(request, pk)
    typed, wrong = request.POST.get("max_concurrent", "").strip(), ""
    if request.method == "POST":
        try:
            value = {"max_concurrent": whole(typed, wrong=0)}
            batches.change(campaign.batch, value, at=clock.now(), actor=viewer(request))
        except IntakeRefused:
            wrong = f"Enter a whole number from 1 to {BATCH_LIMIT_MOST}, or leave it empty for no limit."
        else:
            messages.success(request, "Limit saved. It applies to the next job; running jobs continue.")
            return redirect("campaigns:page", pk)
    else:
        typed = str(campaign.batch.max_concurrent or "")
    shown = {"campaign": campaign, "typed": typed, "wrong": wrong, "most": BATCH_LIMIT_MOST}
    return render(request, "campaigns/limit.html", shown)


def _retry(request: HttpRequest, campaign: Campaign, state: State) -> HttpResponse:
    if request.method != "POST":
        return _foreseen_retry(request, campaign, state)
    try:
        shown = confirmation.shown(request)
        queued = actions.retry_all(campaign, at=clock.now(), actor=viewer(request), shown=shown, state=state)
    except actions.NotAsShown:
        messages.warning(request, confirmation.CHANGED)
        return _foreseen_retry(request, campaign, state, status=409)
    except (NotEnoughTickets, ModelNotAvailable) as refusal:
        messages.error(request, f"Nothing was retried. {refusal}")
    else:
        words = f"{_results(campaign, queued)} back in the queue." if queued else "Nothing left to retry."
        messages.success(request, words)
    return redirect("campaigns:page", campaign.pk)


def _foreseen_retry(request: HttpRequest, campaign: Campaign, state: State, *, status: int = 200) -> HttpResponse:
    foreseen = confirmation.of_retry(actions.retryable_jobs(campaign).filter(state=state))
    verb = {State.FAILED: "Retry failed {}s in “{}”?", State.CANCELLED: "Run cancelled {}s in “{}” again?"}[state]
    return _preview(request, campaign, verb.format(campaign.model.medium, campaign), foreseen, status=status)


def _preview(
    request: HttpRequest, campaign: Campaign, title: str, what: dict[str, Any], *, status: int = 200, noun: str = ""
) -> HttpResponse:
    medium = noun or campaign.model.medium
    context = what | {"title": title, "medium": medium, "back": "campaigns:page", "pk": campaign.pk}
    return render(request, "campaigns/preview.html", context, status=status)


def _shown_address(request: HttpRequest) -> QueryDict:
    """Return the query of the address in the browser, which htmx sends as a header."""
    return QueryDict(request.headers.get("HX-Current-URL", "").partition("#")[0].partition("?")[2])


def _noun(campaign: Campaign) -> str:
    """Return what all its jobs are called: a storyboard has stills, too."""
    return "job" if campaign.start == STORYBOARD else campaign.model.medium


def _results(campaign: Campaign, number: int) -> str:
    """Return “1 video” or “12 images”."""
    return counted(number, campaign.model.medium)
