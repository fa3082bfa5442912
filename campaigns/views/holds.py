"""The contact sheet of a campaign, and its verbs for what is on hold: release, rewrite, drop."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import cells as cell_reads
from campaigns import releases, sheet
from campaigns.models import Campaign, Combination
from campaigns.progress import version
from campaigns.releases import Chosen, RewriteChanged, RewriteRefused
from campaigns.stages import CellStage
from campaigns.views import board
from campaigns.views.access import campaign_seen_by, campaign_to_change, may_change
from queue_app import clock, tickets
from queue_app.lifecycle import MoveRefused
from queue_app.models import Job, User
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.rules.words import storable
from queue_app.tickets import NotEnoughTickets
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted, unchanged
from queue_app.work.intake import PROMPT_MOST, IntakeRefused, KindRestricted, ModelNotAvailable

FEW = 2  # tiles in each group, so that groups stand side by side
REWORDINGS_SHOWN = 20  # before and after, on the confirmation page
RELEASE = "release"  # what a confirmed rewrite may do, too
NUMBERS_MOST = 1_000  # of a form
CHANGED = "Something changed since you opened this page, so nothing was rewritten. Check the new prompts and confirm again."


@login_required
@require_GET
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the contact sheet, grouped by the dimension ``?by=``; to htmx, its changed parts, or 204."""
    campaign, at = campaign_seen_by(request, pk), clock.now()
    token = version(campaign, at=at)
    if unchanged(request, token):
        return HttpResponse(status=204)
    wanted = numbers.of_row(request.GET.get("page", "")) or 1
    found = sheet.look(campaign, by=request.GET.get("by", ""), page=wanted, at=at)
    context = {
        "campaign": campaign,
        "medium": campaign.model.medium,
        "sheet": found,
        "few": all(len(pile.shots) <= FEW for pile in found.piles),
        "shown": ",".join(name for pile in found.piles for name in (pile.key, *(str(shot.cell.index) for shot in pile.shots))),
        "dimensions": board.named(campaign, cell_reads.telling(campaign.dimensions)),
        "pages": [(number, urlencode({"by": found.by, "page": number})) for number in range(1, found.pages + 1)],
        "at": at,
        "token": token,
        "may_change": may_change(request, campaign.batch.owner_id),
        "live": fragment_wanted(request),
    }
    if not fragment_wanted(request):
        return render(request, "campaigns/holds/page.html", context)
    there = {*request.GET.get("shown", "").split(",")}  # what has come since is shown by the next whole page
    for pile in found.piles:
        pile.shots = [shot for shot in pile.shots if str(shot.cell.index) in there]
    return render(request, "campaigns/holds/_live.html", context | {"piles": [pile for pile in found.piles if pile.key in there]})


@login_required
@require_POST
def release(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the chosen combinations run."""
    campaign = campaign_to_change(request, pk)
    chosen = _chosen(request.POST)
    if chosen is None:
        return _nothing_chosen(request, campaign)
    try:
        done = releases.release(campaign, chosen, at=clock.now(), by=viewer(request))
    except (IntakeRefused, ModelNotAvailable, KindRestricted, MoveRefused) as refusal:
        messages.error(request, f"Nothing was released. {refusal}")
    else:
        told = messages.success if done.videos or done.stills else messages.info
        told(request, releases.said(done, campaign.model.medium))
    return _back(request, campaign)


@login_required
@require_http_methods(["GET", "POST"])
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    """Show how many tickets are returned if the chosen combinations are cancelled; with ``sure``, cancel them."""
    campaign = campaign_to_change(request, pk)
    asked = request.POST if request.method == "POST" else request.GET
    if (chosen := _chosen(asked)) is None:
        return _nothing_chosen(request, campaign)
    if request.method == "POST" and "sure" in asked:
        reason = storable(asked.get("reason", ""))[:300]
        done = releases.drop(campaign, chosen, at=clock.now(), by=viewer(request), reason=reason)
        if done.videos:
            back = f"{counted(done.tickets, 'ticket')} returned."
            messages.success(request, f"{counted(done.videos, campaign.model.medium)} cancelled. {back}")
        else:
            messages.info(request, "Nothing left to cancel.")
        return _back(request, campaign)
    rows = releases.waiting(campaign, chosen)
    ids = [pk for row in rows for pk in releases.cancelled_with(row)]
    context = _context(campaign, asked, rows) | {"tickets": sum(Job.objects.filter(pk__in=ids).values_list("tickets", flat=True))}
    return render(request, "campaigns/holds/drop.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def rewrite(request: HttpRequest, pk: int) -> HttpResponse:
    """
    Show a form for other words in the prompts of the chosen combinations; with ``look`` what they would be, with ``sure`` change
    them and, if it says so, release them.
    """
    campaign = campaign_to_change(request, pk)
    asked = request.POST if request.method == "POST" else request.GET
    if (chosen := _chosen(asked)) is None:
        return _nothing_chosen(request, campaign)
    rows = releases.waiting(campaign, chosen)
    words = _words(campaign, asked, chosen, rows)
    context: dict[str, Any] = _context(campaign, asked, rows) | words
    if request.method != "POST" or not {"look", "sure"} & asked.keys():
        return render(request, "campaigns/holds/rewrite.html", context)
    how = {"prompt": words["prompt"]} if words["is_one"] else {"find": words["find"], "put": words["put"]}
    status = 200
    try:
        if "sure" in asked:
            shown = asked.get("told_prompts", ""), numbers.of_row(asked.get("told_tickets", ""))
            done = releases.rewrite(
                campaign, chosen, shown=shown, at=clock.now(), by=viewer(request), then_release=asked["sure"] == RELEASE, **how
            )
            messages.success(request, _rewritten(done, released=asked["sure"] == RELEASE))
            return _back(request, campaign)
        context["foreseen"] = releases.foresee(campaign, chosen, **how)
    except RewriteChanged:
        messages.warning(request, CHANGED)
        context["foreseen"], status = releases.foresee(campaign, chosen, **how), 409
    except (RewriteRefused, IntakeRefused, NotEnoughTickets, ModelNotAvailable, KindRestricted, MoveRefused) as refusal:
        context["error"], status = str(refusal), 422
    if foreseen := context.get("foreseen"):
        owner = User.objects.get(pk=campaign.batch.owner_id)
        short = foreseen.tickets - tickets.balances(owner)["available"]
        context |= {"shown": foreseen.changes[:REWORDINGS_SHOWN], "short": max(0, short)}
        context["boards"] = foreseen.stills == len(foreseen.changes)
    return render(request, "campaigns/holds/rewrite.html", context, status=status)


def _rewritten(done: releases.Foreseen, *, released: bool) -> str:
    prompts = f"{counted(len(done.changes), 'prompt')} rewritten"
    stills = f", {counted(done.stills, 'new still')} queued" if done.stills else ""
    return f"{prompts}{stills}{', released' if released and len(done.changes) > done.stills else ''}."


def _words(campaign: Campaign, asked: QueryDict, chosen: Chosen, rows: list[CellStage]) -> dict[str, Any]:
    """Return what the form asks for: the whole prompt of one combination, or words of all; at first, the words of the value."""
    is_one = len(rows) == 1 and not chosen.values and not chosen.everything
    prompt = asked.get("prompt")
    if is_one and prompt is None:
        prompt = Combination.objects.values_list("prompt", flat=True).get(pk=rows[0].pk)
    (key, value), *_ = [*chosen.values.items(), ("", "")]
    find = asked.get("find", cell_reads.label_of(campaign.labels, key, value))
    return {
        "is_one": is_one,
        "prompt": storable(prompt or "").replace("\r\n", "\n")[: PROMPT_MOST + 1],
        "find": storable(find)[:PROMPT_MOST],
        "put": storable(asked.get("put", ""))[:PROMPT_MOST],
    }


def _context(campaign: Campaign, asked: QueryDict, rows: list[CellStage]) -> dict[str, Any]:
    """Return what both confirmation pages show, and what they send back: the choice, and where the user came from."""
    names = [cell_reads.name(_telling(campaign, row.values), campaign.labels) for row in rows]
    return {
        "campaign": campaign,
        "medium": campaign.model.medium,
        "count": len(rows),
        "names": names[:REWORDINGS_SHOWN],
        "more": max(0, len(names) - REWORDINGS_SHOWN),
        "stills": sum(row.is_board for row in rows),
        "carried": [
            (name, one) for name in ("n", "value", "all", "by", "page", "from") for one in asked.getlist(name)[:NUMBERS_MOST]
        ],
    }


def _telling(campaign: Campaign, values: dict[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in cell_reads.telling(campaign.dimensions) if key in values}


def _chosen(asked: QueryDict) -> Chosen | None:
    """Return what a form or an address means: all, a value as “dimension=value”, or the ticked numbers; ``None`` for nothing."""
    key, is_value, value = asked.get("value", "").partition("=")
    if is_value:
        return Chosen(values={key: value})
    if asked.get("all"):
        return Chosen(everything=True)
    ticked = [numbers.of_row(one) for one in asked.getlist("n")[:NUMBERS_MOST]]
    return Chosen(numbers={one for one in ticked if one}) if any(ticked) else None


def _nothing_chosen(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    messages.info(request, f"Tick at least one {campaign.model.medium} first.")
    return _back(request, campaign)


def _back(request: HttpRequest, campaign: Campaign) -> HttpResponse:
    """Return to the contact sheet where the user was; to the campaign's page if nothing is on hold any more, or from there."""
    asked = request.POST if request.method == "POST" else request.GET
    if asked.get("from") == "campaign" or not releases.waiting(campaign):
        return redirect("campaigns:page", campaign.pk)
    query = urlencode({name: asked[name] for name in ("by", "page") if asked.get(name)})
    return redirect(f"{reverse('campaigns:holds', args=[campaign.pk])}{f'?{query}' if query else ''}")
