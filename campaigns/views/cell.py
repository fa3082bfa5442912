"""The page of one combination: its review, its note, its versions side by side, and a new version from an edited prompt."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from campaigns import review
from campaigns.launch import LaunchRefused, make_again, parameters_of
from campaigns.models import Campaign, Combination
from campaigns.models.combination import Review
from campaigns.plan import check_prompt
from campaigns.review import Card, NoteRefused, NotJudgeable
from campaigns.rules import compliance
from campaigns.views.access import campaign_seen_by, campaign_to_change, may_change
from campaigns.views.review import standing
from queue_app import clock, tickets
from queue_app.models import User
from queue_app.rules import numbers
from queue_app.tickets import NotEnoughTickets
from queue_app.ui import addresses
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted, unchanged
from queue_app.work.intake import PROMPT_MOST, IntakeRefused, KindRestricted, ModelNotAvailable


@login_required
@require_GET
def page(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Show the page; to htmx, its changed parts without the text fields, or 204."""
    campaign = campaign_seen_by(request, pk)
    context = _context(request, campaign, get_object_or_404(Combination, campaign=campaign, index=index))
    if unchanged(request, context["token"]):
        return HttpResponse(status=204)
    if fragment_wanted(request):
        changed = _changed(request.GET.get("seen", ""), context["token"])
        return render(request, "campaigns/_cell.html", context | {"live": True, "changed": changed})
    return render(request, "campaigns/cell.html", context)


@login_required
@require_POST
def judge(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Set or reset the review; to htmx, return the card and the counts."""
    campaign, cell = _cell_to_change(request, pk, index)
    verdict, error = request.POST.get("review", ""), ""
    if verdict not in Review.values:
        error = "Choose approve, reject or winner."
    else:
        try:
            review.judge(cell, verdict, at=clock.now(), by=viewer(request))
        except NotJudgeable as refusal:
            error = str(refusal)
    if error and not fragment_wanted(request):
        messages.error(request, error)
    return _answer(request, campaign, cell, error=error)


@login_required
@require_POST
def note(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Save a note. If it is refused, show the typed text again with the error at the field."""
    campaign, cell = _cell_to_change(request, pk, index)
    typed = request.POST.get("note", "")
    try:
        review.write_note(cell, typed, at=clock.now(), by=viewer(request))
    except NoteRefused as refusal:
        wrong = {"note_error": str(refusal), "typed_note": typed}
        if fragment_wanted(request):
            return _answer(request, campaign, cell, **wrong)
        return _show(request, campaign, cell, status=422, **wrong)
    return _answer(request, campaign, cell)


@login_required
@require_POST
def again(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Queue the version with the number and the price that the button named. A form that is sent again queues nothing."""
    campaign, cell = _cell_to_change(request, pk, index)
    text = request.POST.get("prompt", "").replace("\r\n", "\n")
    price = _price(campaign, cell)
    if request.POST.get("price", "") != str(price):
        error = f"The price is now {numbers.counted(price, 'ticket')}. Check it and press again."
        return _show(request, campaign, cell, status=409, typed=text, prompt_error=error)
    number = numbers.of_row(request.POST.get("number", ""))
    try:
        version, is_new = make_again(cell, text, at=clock.now(), by=viewer(request), number=number)
    except IntakeRefused as refusal:
        error = " ".join(problem.message for problem in refusal.problems)
    except (LaunchRefused, NotEnoughTickets, ModelNotAvailable, KindRestricted) as refusal:
        error = str(refusal)
    else:
        if is_new:
            messages.success(request, f"Version {version.number} is queued. Earlier versions stay here.")
            return redirect("campaigns:cell", pk, index)
        if version.prompt == text:
            messages.info(request, f"Version {version.number} already exists. No duplicate was created.")
            return redirect("campaigns:cell", pk, index)
        error = (
            f"Version {version.number} was created from another prompt in the meantime. "
            "Check it, then press again for another version."
        )
    return _show(request, campaign, cell, status=422, typed=text, prompt_error=error)


@login_required
@require_POST
def check(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Check an edited prompt against the compliance rules; return a fragment."""
    campaign = campaign_seen_by(request, pk)
    get_object_or_404(Combination, campaign=campaign, index=index)
    return render(request, "campaigns/_review_check.html", _checked(campaign, request.POST.get("prompt", "")))


def _cell_to_change(request: HttpRequest, pk: int, index: int) -> tuple[Campaign, Combination]:
    """:raises Http404: there is none that this user may see. :raises PermissionDenied: the user may not change it."""
    campaign = campaign_to_change(request, pk)
    return campaign, get_object_or_404(Combination, campaign=campaign, index=index)


def _answer(request: HttpRequest, campaign: Campaign, cell: Combination, **said: Any) -> HttpResponse:
    """Return to htmx the card and the counts; otherwise redirect to the page that the user came from, at that card."""
    if not fragment_wanted(request):
        here = addresses.of_ours(request, request.POST.get("next", "")) or reverse("campaigns:review", args=[campaign.pk])
        return HttpResponseRedirect(f"{here}#cell-{cell.index}")
    (card,) = review.cards(campaign, [cell.pk])
    context = standing(request, campaign, review.results(campaign)) | {"card": card, "answered": True, **said}
    context["here"] = request.POST.get("next", "")
    return render(request, "campaigns/_review_answer.html", context)


def _show(request: HttpRequest, campaign: Campaign, cell: Combination, *, status: int, **said: Any) -> HttpResponse:
    return render(request, "campaigns/cell.html", _context(request, campaign, cell, **said), status=status)


def _context(request: HttpRequest, campaign: Campaign, cell: Combination, **said: Any) -> dict[str, Any]:
    (card,) = review.cards(campaign, [cell.pk])
    price, owner = _price(campaign, card.cell), User.objects.get(pk=campaign.batch.owner_id)
    available = tickets.balances(owner)["available"]
    typed = said.get("typed", card.cell.prompt)
    return {
        "campaign": campaign,
        "card": card,
        "token": _token(card, price, available),
        "here": reverse("campaigns:cell", args=[campaign.pk, cell.index]),
        "may_change": may_change(request, campaign.batch.owner_id),
        "price": price,
        "missing": max(0, price - available),
        "available": available,
        "parameters": parameters_of(card.cell, campaign),
        "number": len(card.takes) + 1,
        "typed": typed,
        **_checked(campaign, typed),
        **said,
    }


def _token(card: Card, price: int, available: int) -> str:
    """Return the version of the page: its versions and the one that counts, the latest one, the review, price and wallet."""
    latest = f"{card.latest.job.pk}.{card.latest.job.event_seq}" if card.latest else ""
    return f"{len(card.takes)}.{card.cell.job_id}-{latest}.{card.cell.review}-{price}.{available}"


def _changed(seen: str, token: str) -> str:
    """
    Return ``number`` if there is a new version or another one counts, ``latest`` if the latest one or the review changed; empty
    if only tickets changed, to keep playing videos.
    """
    before, now = seen.split("-"), token.split("-")
    return "number" if before[:1] != now[:1] else "latest" if before[1:2] != now[1:2] else ""


def _price(campaign: Campaign, cell: Combination) -> int:
    """Return today's price of a new version, in tickets."""
    return campaign.model.pricing.tickets_of(parameters_of(cell, campaign))


def _checked(campaign: Campaign, text: str) -> dict[str, Any]:
    """Return the result of the compliance check of a prompt, up to the longest prompt that can be sent."""
    text = text[:PROMPT_MOST]
    verdict = check_prompt(campaign.brand, text)
    hits = {(hit.rule.id, hit.matched.casefold()): hit for hit in verdict.hits}
    marked = compliance.marked(text, verdict.hits) if any(hit.matched for hit in verdict.hits) else []
    return {"verdict": verdict, "hits": list(hits.values()), "marked": marked}
