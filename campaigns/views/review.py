"""The review page: a grid of videos to review, approval rates by value, and downloads."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from campaigns import exports, reel, review
from campaigns.models import Campaign
from campaigns.reel import Picked
from campaigns.review import Result, Tally
from campaigns.views import downloads
from campaigns.views.access import campaign_seen_by, may_change
from queue_app import clock
from queue_app.models import Asset
from queue_app.ui.fragments import fragment_wanted

CELLS_A_PAGE = 60
TABS = ("All", "To review", "Approved", "Rejected", "Winners")


@login_required
@require_GET
def grid(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the results, 60 per page; to htmx, only the part that filters change."""
    campaign = campaign_seen_by(request, pk)
    found, picked = review.results(campaign), reel.picked(campaign, request.GET)
    kept = review.selected(campaign, found, verdict=picked.verdict, where=picked.where, sort=picked.sort)
    page = Paginator(kept, CELLS_A_PAGE).get_page(request.GET.get("page"))
    shown = standing(request, campaign, found)
    context = shown | {
        "cards": review.cards(campaign, [one.pk for one in page]),
        "page": page,
        "picked": picked,
        "filters": _filters(campaign, picked),
        "linked_tabs": [(*tab, picked.query(verdict=tab[0])) for tab in shown["tabs"]],
        "here": f"{request.path}?{picked.query(page=str(page.number))}",
        "at": clock.now(),
    }
    fragment = "campaigns/_review_results.html"
    return render(request, fragment if fragment_wanted(request) else "campaigns/review.html", context)


@login_required
@require_GET
def results_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Return all versions of all combinations as CSV."""
    campaign = campaign_seen_by(request, pk)

    def address(asset: Asset) -> str:
        return request.build_absolute_uri(reverse("asset", args=[asset.pk, asset.file_name]))

    text = "".join(exports.csv_lines(campaign, address=address))
    return HttpResponse(text, headers=downloads.saved_as(downloads.CSV, exports.file_name(campaign, ".csv")))


@login_required
@require_GET
def approved_zip(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream a ZIP of the approved files and the winners. If there are none, go back to the page with a message."""
    campaign = campaign_seen_by(request, pk)
    files = exports.approved(campaign)
    if not files:
        messages.error(request, f"Nothing to download yet. Approve at least one {campaign.model.medium} first.")
        return redirect("campaigns:review", pk)
    return downloads.streamed(request, exports.zip_pieces(files), downloads.ZIP, exports.file_name(campaign, "-approved.zip"))


def standing(request: HttpRequest, campaign: Campaign, found: Sequence[Result]) -> dict[str, Any]:
    """Return the parts of the page that a review changes besides its card: counts, progress, rates, size of the ZIP."""
    tally, worked = review.tally(found), review.what_worked(campaign, found)
    return {
        "campaign": campaign,
        "tally": tally,
        "tabs": tabs(found, tally),
        "worked": worked,
        "best": review.best(worked),
        "enough": review.ENOUGH,
        "bytes": sum(file.size for _, file in exports.approved_files(campaign)),
        "may_change": may_change(request, campaign.batch.owner_id),
    }


def tabs(found: Sequence[Result], tally: Tally) -> list[tuple[str, str, int]]:
    """Return the verdicts to filter by, each with its name and its number of results."""
    counts = (len(found), tally.to_judge, tally.approved, tally.rejected, tally.winner)
    return list(zip(review.VERDICTS, TABS, counts, strict=True))


def _filters(campaign: Campaign, picked: Picked) -> list[dict[str, Any]]:
    """Return the dimensions with several values, to filter and sort by."""
    return [
        {
            "key": key,
            "label": campaign.labels.get(key, {}).get("label", key),
            "values": list(zip(values, (review.words(campaign, {key: value})[0] for value in values), strict=True)),
            "chosen": picked.where.get(key, ""),
        }
        for key, values in campaign.dimensions.items()
        if len(values) > 1
    ]
