"""More of one result: how many, in which ratios, at which price; nothing is generated before that price is confirmed."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from campaigns import more, review
from campaigns.actions import NotAsShown, Offer
from campaigns.launch import LaunchRefused, blocked_words, parameters_of
from campaigns.models import Campaign, Combination, Version
from campaigns.more import Wish
from campaigns.plan import Plan, PlanRefused
from campaigns.views import film
from campaigns.views.access import campaign_to_change
from queue_app import clock, tickets
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.tickets import NotEnoughTickets
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted
from queue_app.work.intake import IntakeRefused, KindRestricted, ModelNotAvailable

TAKES = 3  # suggested


@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """The form with its price; to htmx the price alone. On POST with ``do=launch`` what the button named is launched, once."""
    campaign = campaign_to_change(request, pk)
    cell = get_object_or_404(
        Combination.objects.select_related("job", "campaign__brand", "campaign__model"), campaign=campaign, index=index
    )
    if request.method != "POST":
        own = str(parameters_of(cell, campaign).get("aspect_ratio", ""))
        return _show(
            request, campaign, cell, Wish([own] if own in more.ratios_of(campaign.model) else [], TAKES), uuid.uuid4().hex
        )
    wish = Wish(list(dict.fromkeys(request.POST.getlist("ratio"))), numbers.of_row(request.POST.get("takes", "")))
    key = request.POST.get("key", "")[:64]
    if request.POST.get("do") != "launch":
        return _show(request, campaign, cell, wish, key)
    shown = Offer(*(numbers.of_row(request.POST.get(name, "")) for name in ("told_count", "told_tickets")))
    try:
        made, is_new = more.launch_once(cell, wish, key=key, shown=shown, at=clock.now(), by=viewer(request))
    except NotAsShown:
        said = "Not launched yet: the number of videos or the price has changed. Check it and press Launch again."
        return _show(request, campaign, cell, wish, key, status=409, refusal=said)
    except (LaunchRefused, NotEnoughTickets, ModelNotAvailable, KindRestricted, IntakeRefused, PlanRefused) as refusal:
        return _show(request, campaign, cell, wish, key, status=422, refusal=f"Nothing was launched. {refusal}")
    if is_new:
        number = made.combinations.count()
        messages.success(request, f"{counted(number, campaign.model.medium)} {'is' if number == 1 else 'are'} queued.")
    else:
        messages.info(request, "Already launched. No duplicates were created.")
    return redirect("campaigns:page", made.pk)


def _show(
    request: HttpRequest, campaign: Campaign, cell: Combination, wish: Wish, key: str, *, status: int = 200, refusal: str = ""
) -> HttpResponse:
    plan, problem = _planned(cell, wish, key)
    available = tickets.balances(more.owner_of(cell))["available"]
    (card,) = review.cards(campaign, [cell.pk])
    context: dict[str, Any] = {
        "campaign": campaign,
        "card": card,
        "clip": film.clip(card.shown.media if card.shown else review.Media(), film.own_files()),
        "wish": wish,
        "key": key,
        "ratios": [(ratio, ratio in wish.ratios) for ratio in more.ratios_of(campaign.model)],
        "takes_most": more.TAKES_MOST,
        "has_seeds": "seed" in campaign.model.parameters,
        "parameters": {
            name: value for name, value in parameters_of(cell, campaign).items() if name not in ("seed", "aspect_ratio")
        },
        "plan": plan,
        "count": len(plan.to_buy) if plan else 0,
        "tickets": plan.tickets if plan else 0,
        "available": available,
        "missing": max(0, plan.tickets - available) if plan else 0,
        "problem": problem,
        "refusal": refusal,
        "version": Version.objects.filter(job=cell.job_id).first(),
    }
    fragment = "campaigns/more/_price.html"
    return render(request, fragment if fragment_wanted(request) else "campaigns/more/page.html", context, status=status)


def _planned(cell: Combination, wish: Wish, key: str) -> tuple[Plan | None, str]:
    """The plan, or why there is none."""
    try:
        plan = more.plan_of(cell, wish, key=key)
    except (PlanRefused, ModelNotAvailable) as refusal:
        return None, str(refusal)
    if not plan.to_buy:
        return None, blocked_words(plan.blocked[0].verdict)
    return plan, ""
