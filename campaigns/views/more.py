"""More like this: the form for further takes of one result, with their price. Nothing is generated before it is confirmed."""

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
from campaigns.models import Campaign, Combination
from campaigns.more import Takes, Variety
from campaigns.plan import Plan, PlanRefused
from campaigns.views.access import campaign_to_change
from queue_app import clock, tickets
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.tickets import NotEnoughTickets
from queue_app.ui.access import viewer
from queue_app.ui.fragments import fragment_wanted
from queue_app.work.intake import IntakeRefused, KindRestricted, ModelNotAvailable

SUGGESTED = 3  # takes
VARIED = ("seed", "aspect_ratio")  # parameters that have a place of their own on the page


@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """Show the form with its price; to htmx, only the price. On POST with ``do=launch``, launch what the button named, once."""
    campaign = campaign_to_change(request, pk)
    cell = get_object_or_404(
        Combination.objects.select_related("job", "campaign__brand", "campaign__model"), campaign=campaign, index=index
    )
    if request.method != "POST":
        return _show(request, campaign, cell, None, uuid.uuid4().hex)
    takes = Takes(list(dict.fromkeys(request.POST.getlist("ratio"))), numbers.of_row(request.POST.get("takes", "")))
    key = request.POST.get("key", "")[:64]
    if request.POST.get("do") != "launch":
        return _show(request, campaign, cell, takes, key)
    shown = Offer(*(numbers.of_row(request.POST.get(name, "")) for name in ("told_count", "told_tickets")))
    try:
        launched, is_new = more.launch_once(cell, takes, key=key, shown=shown, at=clock.now(), by=viewer(request))
    except NotAsShown:
        refusal = "Not launched yet: the price has changed. Check it and press Launch again."
        return _show(request, campaign, cell, takes, key, status=409, refusal=refusal)
    except (LaunchRefused, NotEnoughTickets, ModelNotAvailable, KindRestricted, IntakeRefused, PlanRefused) as problem:
        return _show(request, campaign, cell, takes, key, status=422, refusal=f"Nothing was launched. {problem}")
    if is_new:
        number = launched.combinations.count()
        messages.success(request, f"{counted(number, campaign.model.medium)} {'is' if number == 1 else 'are'} queued.")
    else:
        messages.info(request, "Already launched. No duplicates were created.")
    return redirect("campaigns:page", launched.pk)


def _show(
    request: HttpRequest,
    campaign: Campaign,
    cell: Combination,
    takes: Takes | None,
    key: str,
    *,
    status: int = 200,
    refusal: str = "",
) -> HttpResponse:
    """Without ``takes``, suggest some in the ratio of the result."""
    parameters = parameters_of(cell, campaign)
    variety, unavailable = _variety(cell)
    ratios = variety.ratios if variety else []
    if takes is None:
        takes = Takes([ratio for ratio in ratios if ratio == parameters.get("aspect_ratio")], SUGGESTED)
    plan, problem = _planned(variety, takes, key) if variety else (None, unavailable)
    price = plan.tickets if plan else 0
    available = tickets.balances(more.owner_of(cell))["available"]
    (card,) = review.cards(campaign, [cell.pk])
    context: dict[str, Any] = {
        "campaign": campaign,
        "card": card,
        "takes": takes,
        "key": key,
        "variety": variety,
        "ratios": [(ratio, ratio in takes.ratios) for ratio in ratios],
        "takes_most": more.TAKES_MOST,
        "parameters": {name: value for name, value in parameters.items() if name not in VARIED},
        "plan": plan,
        "count": len(plan.to_buy) if plan else 0,
        "tickets": price,
        "available": available,
        "missing": max(0, price - available),
        "problem": problem,
        "refusal": refusal,
    }
    fragment = "campaigns/more/_price.html"
    return render(request, fragment if fragment_wanted(request) else "campaigns/more/page.html", context, status=status)


def _variety(cell: Combination) -> tuple[Variety | None, str]:
    """Return what takes can differ in, or the reason why there can be none."""
    try:
        return Variety(cell), ""
    except ModelNotAvailable as problem:
        return None, str(problem)


def _planned(variety: Variety, takes: Takes, key: str) -> tuple[Plan | None, str]:
    """Return the plan, or the reason why there is none."""
    try:
        plan = more.plan_of(variety, takes, key=key, at=clock.now())
    except (PlanRefused, IntakeRefused, KindRestricted) as problem:
        return None, str(problem)
    return (plan, "") if plan.to_buy else (None, blocked_words(plan.blocked[0].verdict))
