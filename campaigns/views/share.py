"""The share links of a campaign: create one, see its address once, revoke it, adopt the reviews of its visitors."""

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
from campaigns.sharing import NewLink, ShareRefused
from campaigns.views.access import campaign_to_change
from queue_app import clock
from queue_app.rules import numbers
from queue_app.rules.numbers import counted
from queue_app.ui.access import viewer


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def page(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the links and the form for a new one; on POST, create it and show its address, this once."""
    campaign = campaign_to_change(request, pk)
    if request.method != "POST":
        return _show(request, campaign, NewLink(uuid.uuid4()))
    new = _read(request)
    try:
        link, token = sharing.create(campaign, new, at=clock.now(), by=viewer(request))
    except ShareRefused as refusal:
        errors = {problem.field: problem.message for problem in refusal.problems}
        return _show(request, campaign, new, status=422, errors=errors)
    if not token:
        messages.info(request, "This link exists already. Its address is shown only once: create a new link if you lost it.")
        return redirect("campaigns:share", pk)
    # no redirect: the address would have to be stored in the session until then
    address = request.build_absolute_uri(reverse("campaigns:shared", args=[token]))
    return _show(request, campaign, NewLink(uuid.uuid4()), status=201, created=link, address=address)


@login_required
@require_POST
def revoke(request: HttpRequest, pk: int, link: int) -> HttpResponse:
    """Turn off a link forever."""
    campaign = campaign_to_change(request, pk)
    found = get_object_or_404(ShareLink, campaign=campaign, pk=link)
    if sharing.revoke(found, at=clock.now(), by=viewer(request)):
        messages.success(request, f"Link for “{found.label}” revoked. Its address no longer works.")
    else:
        messages.info(request, f"The link for “{found.label}” had expired or was revoked before.")
    return redirect("campaigns:share", pk)


@login_required
@require_POST
def adopt(request: HttpRequest, pk: int) -> HttpResponse:
    """Adopt the latest reviews by visitors where the team has none."""
    campaign = campaign_to_change(request, pk)
    number = sharing.adopt(campaign, at=clock.now(), by=viewer(request))
    told = f"{counted(number, campaign.model.medium)} reviewed as your clients did." if number else "Nothing left to adopt."
    messages.success(request, told)
    return redirect("campaigns:share", pk)


def _show(request: HttpRequest, campaign: Campaign, new: NewLink, *, status: int = 200, **told: Any) -> HttpResponse:
    at = clock.now()
    context = {
        "campaign": campaign,
        "new": new,
        "rows": sharing.links_of(campaign, at=at),
        "days": sharing.DAYS,
        "shows": ShareLink.Shows.choices,
        "to_adopt": sharing.to_adopt(campaign),
        "errors": {},
        "at": at,
        **told,
    }
    return render(request, "campaigns/share/page.html", context, status=status)


def _read(request: HttpRequest) -> NewLink:
    """Read the form. A form without a valid key gets a new one; other invalid values are refused by `sharing.create`."""
    try:
        key = uuid.UUID(request.POST.get("form_key", ""))
    except ValueError:
        key = uuid.uuid4()
    return NewLink(
        form_key=key,
        label=request.POST.get("label", ""),
        may_answer=request.POST.get("access") == "answer",
        shows=request.POST.get("shows", ""),
        days=numbers.of_row(request.POST.get("days", "")),
    )
