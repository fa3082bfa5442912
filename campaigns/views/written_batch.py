"""The page of a batch of pages: how far each is and how it stands; its downloads; its verbs, each with a confirmation page."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import actions, exports
from campaigns.models import Approval
from campaigns.views import batch_verbs, confirmation, downloads, filters
from campaigns.views.access import may_change, page_batch_seen_by, page_batch_to_change
from campaigns.views.mine import TAB_NAMES
from campaigns.writing import batches, packing
from campaigns.writing.batches import BY_END, BY_SCORE, BY_TITLE, PagesPicked
from queue_app import clock
from queue_app.insight import batches as standings
from queue_app.models import Batch, Job, State
from queue_app.rules.numbers import counted
from queue_app.tickets import NotEnoughTickets
from queue_app.ui import fragments, pauses
from queue_app.ui.access import viewer
from queue_app.work import policy
from queue_app.work.intake import ModelNotAvailable

REVIEWS: dict[str, str] = {
    Approval.APPROVE: "Approved",
    Approval.REVIEW: "Needs review",
    Approval.REJECT: "Rejected",
}
ORDER_NAMES = {BY_TITLE: "Title", BY_END: "Last finished"}  # instead of by score
APPROVED, ALL = "approved", "all"


@login_required
@require_GET
def page(request: HttpRequest, batch: int) -> HttpResponse:
    """Show the page; to htmx, its changing parts or 204."""
    found, at = page_batch_seen_by(request, batch), clock.now()
    picked = _picked(request)
    look = batches.look(found, picked, number=filters.number(request), at=at)
    context = filters.links(picked, look, TAB_NAMES) | {
        "batch": found,
        "at": at,
        "look": look,
        "counts": look.counts,
        "reviews": [(Approval(one), look.by_review[one], filters.query(picked, review=one, tab="")) for one in REVIEWS],
        "left": standings.standing(found, at=at).eta,
        "money": standings.money(found),
        "holds": look.holds,
        "took": (found.ended_at - found.created_at).total_seconds() if found.ended_at else None,
        "is_filtered": bool(picked.tab or picked.review or picked.search),
        "menus": [
            filters.menu("Review", "Any", picked, "review", REVIEWS),
            filters.menu("Order", "Score", picked, "order", ORDER_NAMES),
        ],
        "may_change": may_change(request, found.owner_id),
    }
    return fragments.answer(request, "campaigns/pages/batch.html", "campaigns/pages/_batch.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def cancel(request: HttpRequest, batch: int) -> HttpResponse:
    """Show what a cancel will do; on POST, cancel."""
    found = page_batch_to_change(request, batch)
    if request.method != "POST":
        return _foreseen(request, found, f"Cancel “{found}”?", confirmation.of_cancel(Job.objects.filter(batch=found)))
    batch_verbs.cancel(request, found, noun=_noun(found))
    return redirect("campaigns:page-batch", batch)


@login_required
@require_http_methods(["GET", "POST"])
def pause(request: HttpRequest, batch: int) -> HttpResponse:
    """Show what a pause will do; on POST, pause. Staff who pause a batch of another user say why."""
    found, user = page_batch_to_change(request, batch), viewer(request)
    asked, is_own = pauses.asked(request.POST, at=clock.now()), found.owner_id == user.pk
    wrong = pauses.NO_REASON if request.method == "POST" and not asked.reason and not is_own else ""
    if request.method != "POST" or wrong:
        counts = standings.standing(found, at=asked.at).counts
        what = {"name": str(found), "noun": "batch", "back": reverse("campaigns:page-batch", args=[batch]), "counts": counts}
        asks = {"minutes": pauses.MINUTES, "asked": asked, "is_own": is_own, "wrong": wrong}
        return render(request, "campaigns/pause.html", {**what, **asks})
    policy.pause_batch(found, at=asked.at, actor=user, reason=asked.reason, until=asked.until)
    messages.success(request, "Batch paused. Running pages will finish; queued ones keep their position.")
    return redirect("campaigns:page-batch", batch)


@login_required
@require_POST
def resume(request: HttpRequest, batch: int) -> HttpResponse:
    """End the pause, so that queued pages start again."""
    found = page_batch_to_change(request, batch)
    policy.resume_batch(found, at=clock.now(), actor=viewer(request))
    messages.success(request, "Batch resumed. Queued pages kept their position.")
    return redirect("campaigns:page-batch", batch)


@login_required
@require_http_methods(["GET", "POST"])
def retry(request: HttpRequest, batch: int) -> HttpResponse:
    """Show what a retry of the failed pages will cost; on POST, retry."""
    found = page_batch_to_change(request, batch)
    if request.method != "POST":
        return _foreseen_retry(request, found)
    try:
        queued = actions.retry_batch(found, at=clock.now(), actor=viewer(request), shown=confirmation.shown(request))
    except actions.NotAsShown:
        messages.warning(request, confirmation.CHANGED)
        return _foreseen_retry(request, found, status=409)
    except (NotEnoughTickets, ModelNotAvailable) as refusal:
        messages.error(request, f"Nothing was retried. {refusal}")
    else:
        messages.success(request, f"{counted(queued, _noun(found))} back in the queue." if queued else "Nothing left to retry.")
    return redirect("campaigns:page-batch", batch)


@login_required
@require_GET
def pages_csv(request: HttpRequest, batch: int) -> HttpResponseBase:
    """Stream all pages of the batch as CSV: what they are, how they stand, and the figures of their checks."""
    found = page_batch_seen_by(request, batch)
    lines = packing.csv_lines(batches.pages_of(found))
    return downloads.streamed(request, (line.encode() for line in lines), downloads.CSV, packing.file_name(found, ".csv"))


@login_required
@require_GET
def pages_zip(request: HttpRequest, batch: int, which: str) -> HttpResponseBase:
    """Stream a ZIP of the files of the approved pages, or of all. If there are none, go back to the page with a message."""
    found = page_batch_seen_by(request, batch)
    pages = batches.pages_of(found)
    files = packing.files(pages.reviewed(Approval.APPROVE) if which == APPROVED else pages)
    if not files:
        advice = "Approve at least one page first." if which == APPROVED else "No page is completed."
        messages.error(request, f"Nothing to download yet. {advice}")
        return redirect("campaigns:page-batch", batch)
    return downloads.streamed(request, exports.zip_pieces(files), downloads.ZIP, packing.file_name(found, f"-{which}.zip"))


def _foreseen_retry(request: HttpRequest, batch: Batch, *, status: int = 200) -> HttpResponse:
    failed = Job.objects.filter(batch=batch, state=State.FAILED)
    return _foreseen(request, batch, f"Retry failed {_noun(batch)}s in “{batch}”?", confirmation.of_retry(failed), status=status)


def _foreseen(request: HttpRequest, batch: Batch, title: str, what: dict[str, Any], *, status: int = 200) -> HttpResponse:
    context = what | {"title": title, "medium": _noun(batch), "back": "campaigns:page-batch", "pk": batch.pk}
    return render(request, "campaigns/preview.html", context, status=status)


def _noun(batch: Batch) -> str:
    """Return what all its jobs are called: one sent by API can have others than pages."""
    return "job" if Job.objects.filter(batch=batch, page__isnull=True).exists() else "page"


def _picked(request: HttpRequest) -> PagesPicked:
    """Read the address; unknown values are ignored."""
    return PagesPicked(
        tab=filters.one_of(request, "tab", TAB_NAMES),
        review=filters.one_of(request, "review", REVIEWS),
        search=filters.search(request),
        order=filters.one_of(request, "order", ORDER_NAMES) or BY_SCORE,
    )
