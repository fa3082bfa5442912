"""The share links of a campaign: create one, see its address once, revoke it, take its visitors' reviews over."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from campaigns import sharing
from campaigns.models import Campaign, ShareLink
from campaigns.sharing import ShareRefused, Wish
from campaigns.views.access import campaign_to_change
from queue_app import clock
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.ui.access import viewer


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """The campaign's links and the form for one more; on POST create it and show its address, this once."""
    campaign = campaign_to_change(request, pk)
    if request.method != "POST":
        return _show(request, campaign, Wish(uuid.uuid4()))
    wish = _wish(request)
    try:
        link, token = sharing.create(campaign, wish, at=clock.now(), by=viewer(request))
    except ShareRefused as refusal:
        errors = {problem.field: problem.message for problem in refusal.problems}
        return _show(request, campaign, wish, status=422, errors=errors)
    if not token:
        messages.info(request, "This link exists already. Its address is shown only once: create a new link if you lost it.")
        return redirect("campaigns:share", pk)
    # in the answer itself: an address that waited in the session for a redirect would be stored
    address = request.build_absolute_uri(reverse("campaigns:shared", args=[token]))
    return _show(request, campaign, Wish(uuid.uuid4()), status=201, created=link, address=address)


@login_required
@require_POST
def revoke(request: HttpRequest, pk: int, link: int) -> HttpResponse:
    """Turn a link off for good."""
    campaign = campaign_to_change(request, pk)
    found = get_object_or_404(ShareLink, campaign=campaign, pk=link)
    if sharing.revoke(found, at=clock.now(), by=viewer(request)):
        messages.success(request, f"Link for “{found.label}” revoked. Its address no longer works.")
    else:
        messages.info(request, f"The link for “{found.label}” no longer works.")
    return redirect("campaigns:share", pk)


@login_required
@require_POST
def adopt(request: HttpRequest, pk: int) -> HttpResponse:
    """Review what the team has not reviewed as the visitors did."""
    campaign = campaign_to_change(request, pk)
    number = sharing.adopt(campaign, at=clock.now(), by=viewer(request))
    said = f"{counted(number, campaign.model.medium)} reviewed as your clients did." if number else "Nothing left to take over."
    messages.success(request, said)
    return redirect("campaigns:share", pk)


def _show(request: HttpRequest, campaign: Campaign, wish: Wish, *, status: int = 200, **said: Any) -> HttpResponse:
    at = clock.now()
    context = {
        "campaign": campaign,
        "wish": wish,
        "rows": sharing.links_of(campaign, at=at),
        "days": sharing.DAYS,
        "shows": ShareLink.Shows.choices,
        "to_adopt": sharing.to_adopt(campaign),
        "errors": {},
        "at": at,
        **said,
    }
    return render(request, "campaigns/share/page.html", context, status=status)


def _wish(request: HttpRequest) -> Wish:
    """Read the form; what is not as the page sends it is refused by the verb, a form without a key is one of its own."""
    try:
        key = uuid.UUID(request.POST.get("form_key", ""))
    except ValueError:
        key = uuid.uuid4()
    return Wish(
        form_key=key,
        label=request.POST.get("label", ""),
        may_answer=request.POST.get("access") == "answer",
        shows=request.POST.get("shows", ""),
        days=numbers.of_row(request.POST.get("days", "")),
    )
