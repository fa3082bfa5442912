"""Review mode: one result at a time, keys that review it and go on, its note and versions, and two of those side by side."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from campaigns import exports, naming, reel, review, sharing, versions
from campaigns.models import Campaign, Combination
from campaigns.models.combination import Review
from campaigns.reel import Picked, Reel
from campaigns.review import Card, NoteRefused, NotJudgeable, Result, Take
from campaigns.rules import differences
from campaigns.versions import VersionRefused
from campaigns.views import stage
from campaigns.views.access import campaign_seen_by, campaign_to_change, may_change
from campaigns.views.review import tabs
from queue_app import clock
from queue_app.api.views import files
from queue_app.rules import numbers
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted

LAST, BEFORE = "last", "was"  # in the address after a page load: the combination that was reviewed, and its verdict before


@dataclass(frozen=True)
class Done:
    """
    A verdict that was just set, and the one before. ``undone``: it was taken back. ``stays``: the same result is still shown.
    """

    result: Result
    before: str
    undone: bool = False
    stays: bool = False

    @property
    def review(self) -> str:
        return self.result.review

    @property
    def words(self) -> str:
        return stage.words_of(self.result.review)


@login_required
@require_GET
def first(request: HttpRequest, pk: int) -> HttpResponse:
    """Go to the first result that is not reviewed, with the filters of the address."""
    campaign = campaign_seen_by(request, pk)
    picked = reel.picked(campaign, request.GET)
    begin = reel.first(campaign, review.results(campaign), picked)
    if begin is None:
        return redirect("campaigns:review", pk)
    return redirect(_page(campaign, picked, begin.index))


@login_required
@require_GET
def page(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Show one result on a large stage, above the strip of the others; to htmx, the parts that change between results."""
    campaign = campaign_seen_by(request, pk)
    get_object_or_404(Combination, campaign=campaign, index=index)
    found = review.results(campaign)
    last = next((one for one in found if one.index == numbers.of_row(request.GET.get(LAST, ""))), None)
    return _show(request, campaign, found, index, done=Done(last, request.GET.get(BEFORE, "")) if last else None)


@login_required
@require_POST
def judge(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Set the verdict, and the note if one was sent. Go on to the next result to review, unless ``stay`` or ``undo`` is sent."""
    campaign, cell = _to_change(request, pk, index)
    verdict = request.POST.get("review", "")
    if verdict not in Review.values:
        return _refused(request, campaign, index, "Choose approve, reject or winner.")
    try:
        review.judge(cell, verdict, at=clock.now(), by=viewer(request), note=request.POST.get("note"))
    except NotJudgeable as refusal:
        return _refused(request, campaign, index, str(refusal))
    except NoteRefused as refusal:
        return _refused(request, campaign, index, str(refusal), typed_note=request.POST.get("note", ""))
    found = review.results(campaign)
    undone, picked = "undo" in request.POST, reel.picked(campaign, request.GET)
    stays = undone or "stay" in request.POST
    here = next((one for one in found if one.index == index), None)  # a combination without a result has none
    following = None if stays else reel.of(campaign, found, picked, index).following
    to = following.index if following else index
    if fragment_wanted(request):
        done = Done(here, cell.review, undone, stays) if here else None
        return _show(request, campaign, found, to, done=done)
    told = {} if undone else {LAST: str(index), BEFORE: cell.review}
    return redirect(_page(campaign, picked, to, **told))


@login_required
@require_POST
def note(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Save a note; to htmx, return nothing, as a video may be playing."""
    campaign, cell = _to_change(request, pk, index)
    typed = request.POST.get("note", "")
    try:
        review.write_note(cell, typed, at=clock.now(), by=viewer(request))
    except NoteRefused as refusal:
        return _refused(request, campaign, index, str(refusal), typed_note=typed)
    if fragment_wanted(request):
        return HttpResponse(status=204)
    messages.success(request, "Note saved.")
    return redirect(_page(campaign, reel.picked(campaign, request.GET), index))


@login_required
@require_GET
def compare(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Show two versions side by side: unless chosen, the one that counts and the completed one before it."""
    campaign = campaign_seen_by(request, pk)
    cell = get_object_or_404(Combination, campaign=campaign, index=index)
    (card,) = review.cards(campaign, [cell.pk])
    pair = _pair(card, request.GET.get("left", ""), request.GET.get("right", ""))
    if pair is None:
        messages.info(request, "Only one version is completed. Generate another one to compare.")
        return redirect(_page(campaign, reel.picked(campaign, request.GET), index))
    return _compared(request, campaign, card, pair)


@login_required
@require_POST
def use(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Let a version count for review, export and download."""
    campaign, cell = _to_change(request, pk, index)
    number = numbers.of_row(request.POST.get("version", ""))
    try:
        versions.use(cell, number, at=clock.now(), by=viewer(request))
    except VersionRefused as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"Version {number} counts now. The other versions are kept.")
    return redirect(_page(campaign, reel.picked(campaign, request.GET), index))


@login_required
@require_GET
def download(request: HttpRequest, pk: int, index: int) -> HttpResponseBase:
    """Return a file of the version that counts, named by the campaign's template: the first, or the ``image`` with a number."""
    campaign = campaign_seen_by(request, pk)
    cell = get_object_or_404(Combination.objects.select_related("job"), campaign=campaign, index=index)
    found, number = exports.with_files([cell]), numbers.of_row(request.GET.get("image", "1"))
    named = zip(found, naming.names(campaign, found), strict=True)
    chosen = next(((file, name) for (_, file), name in named if file.number == number), None)
    if chosen is None:
        raise Http404
    answer = files.sent(request, *chosen, download=True)
    answer["Cache-Control"] = "private, no-cache"  # another version may count tomorrow
    return answer


def _to_change(request: HttpRequest, pk: int, index: int) -> tuple[Campaign, Combination]:
    campaign = campaign_to_change(request, pk)
    return campaign, get_object_or_404(Combination, campaign=campaign, index=index)


def _page(campaign: Campaign, picked: Picked, index: int, **more: str) -> str:
    query = picked.query(**more)
    return reverse("campaigns:watch", args=[campaign.pk, index]) + (f"?{query}" if query else "")


def _refused(request: HttpRequest, campaign: Campaign, index: int, error: str, **typed: Any) -> HttpResponse:
    """Show the same result with the error and the typed text."""
    found = review.results(campaign)
    status = 200 if fragment_wanted(request) else 422  # htmx shows no errors
    return _show(request, campaign, found, index, status=status, error=error, **typed)


def _show(
    request: HttpRequest,
    campaign: Campaign,
    found: list[Result],
    index: int,
    *,
    status: int = 200,
    done: Done | None = None,
    **told: Any,
) -> HttpResponse:
    """Show one result; to htmx, the parts that change between results, and the picture of the one that was just reviewed."""
    picked, is_fragment = reel.picked(campaign, request.GET), fragment_wanted(request)
    seen = reel.of(campaign, found, picked, index)
    context = _context(request, campaign, found, seen, picked) | told
    if done is not None and not done.undone:
        context["done"], context["done_name"] = done, stage.name_of(campaign, done.result)
        context["ended"] = not done.stays and done.result.index == index and seen.following is None
    changed = [done.result] if done else []
    context["frames"] = stage.frames(
        campaign,
        changed if is_fragment else seen.kept,
        shown=index,
        page=lambda one: _page(campaign, picked, one),
        address=stage.own_files(),
    )
    if not is_fragment:
        return render(request, "campaigns/watch/page.html", context, status=status)
    answer = render(request, "campaigns/watch/_answer.html", context, status=status)
    answer["HX-Replace-Url"] = _page(campaign, picked, index)
    return answer


def _context(request: HttpRequest, campaign: Campaign, found: list[Result], seen: Reel, picked: Picked) -> dict[str, Any]:
    cell = Combination.objects.only("pk").get(campaign=campaign, index=seen.index)
    (card,) = review.cards(campaign, [cell.pk])
    tally, shown, query, address = review.tally(found), card.shown, picked.query(), stage.own_files()
    return {
        "campaign": campaign,
        "card": card,
        "take": shown,
        "staged": stage.staged(shown.media if shown else review.Media(), address),
        "files": shown.media.results if shown else [],
        "versions": [(take, address(take.media.still) if take.media.still else "") for take in reversed(card.takes)],
        "comparable": sum(take.is_stored for take in card.takes) > 1,
        "excerpt": differences.excerpt(shown.prompt if shown else card.cell.prompt, card.words),
        "client_reviews": sharing.answers_on(shown.job.pk) if shown else [],
        "tally": tally,
        "linked_tabs": [(*tab, picked.query(verdict=tab[0])) for tab in tabs(found, tally)],
        "picked": picked,
        "seen": seen,
        "query": f"?{query}" if query else "",
        "ahead": stage.ahead(seen.following, address),
        "before_url": _page(campaign, picked, seen.before.index) if seen.before else "",
        "after_url": _page(campaign, picked, seen.after.index) if seen.after else "",
        "may_change": may_change(request, campaign.batch.owner_id),
        "typed_note": None,
        "at": clock.now(),
    }


def _pair(card: Card, left: str, right: str) -> tuple[Take, Take] | None:
    """Return the versions to compare, the earlier one first; ``None`` while fewer than two are completed."""
    completed = {take.number: take for take in card.takes if take.is_stored}
    if len(completed) < 2:
        return None
    counted = card.counted.number if card.counted and card.counted.number in completed else max(completed)
    others = [number for number in completed if number != counted]
    other = max((number for number in others if number < counted), default=min(others))
    asked = {numbers.of_row(left), numbers.of_row(right)} & completed.keys()
    first, second = sorted(asked) if len(asked) == 2 else sorted((other, counted))
    return completed[first], completed[second]


def _compared(request: HttpRequest, campaign: Campaign, card: Card, pair: tuple[Take, Take]) -> HttpResponse:
    found, picked = review.results(campaign), reel.picked(campaign, request.GET)
    address, query = stage.own_files(), picked.query()
    marked = differences.between(pair[0].prompt, pair[1].prompt)
    sides = [
        {"take": take, "name": f"Version {take.number}", "staged": stage.staged(take.media, address), "pieces": pieces}
        for take, pieces in zip(pair, marked, strict=True)
    ]
    context = {
        "campaign": campaign,
        "card": card,
        "sides": sides,
        "same_prompt": pair[0].prompt == pair[1].prompt,
        "same_parameters": pair[0].job.parameters == pair[1].job.parameters,
        "completed": [take for take in card.takes if take.is_stored],
        "tally": review.tally(found),
        "picked": picked,
        "query": f"?{query}" if query else "",
        "back_url": _page(campaign, picked, card.cell.index),
        "may_change": may_change(request, campaign.batch.owner_id),
        "at": clock.now(),
    }
    return render(request, "campaigns/watch/compare.html", context)
