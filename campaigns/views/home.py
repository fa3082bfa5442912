"""The home page: reviews, queue, campaigns, quick generation, wallet, busy models and notices; and the list of campaigns."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from campaigns import actions, standing
from campaigns import home as overview
from campaigns.models import Campaign
from campaigns.views import images, quick, strips
from queue_app import clock, tickets
from queue_app.insight import busy
from queue_app.tickets import NotEnoughTickets
from queue_app.ui import fragments
from queue_app.ui.access import viewer
from queue_app.work.intake import IntakeRefused, KindRestricted, ModelNotAvailable

CAMPAIGNS_A_PAGE = 25
BUSY = 6  # models


@login_required
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show the page; to htmx, its changing parts or 204."""
    at = clock.now()
    context = _context(request, at=at)
    if not fragments.fragment_wanted(request):
        context["form"] = quick.read(request.GET, viewer(request), at=at, is_look=True)
    return fragments.answer(request, "campaigns/home.html", "campaigns/_home.html", context)


@login_required
@require_GET
def quick_choices(request: HttpRequest) -> HttpResponse:
    """Return the options of the chosen model and the button with the price, as a fragment."""
    at = clock.now()
    form = quick.read(request.GET, viewer(request), at=at, is_look=True)
    return render(request, "campaigns/_quick_choices.html", {"form": form, "at": at})


@login_required
@require_POST
def generate(request: HttpRequest) -> HttpResponse:
    """Queue one job, once per form; with ``look``, only update the price. If refused, show the typed text with the errors."""
    user, at = viewer(request), clock.now()
    is_look = "look" in request.POST
    form = quick.read(request.POST, user, at=at, is_look=is_look)
    quick.with_images(form, images.take(request, form.typed, user, at=at), at=at)
    if not is_look and form.model is not None and form.may_be_bought():
        try:
            job, is_new = actions.generate_once(user, form.draft(), key=form.key, at=at, actor=user.username)
        except (IntakeRefused, KindRestricted) as refusal:
            form.refuse(refusal.problems)
        except (NotEnoughTickets, ModelNotAvailable) as refusal:
            form.errors["price"] = [str(refusal)]
        else:
            words = "is queued" if is_new else "was already queued. No duplicate was created"
            messages.success(request, f"Your {job.kind.label.lower()} {words}.")
            return redirect("campaigns:job", job.pk)
    status = 422 if form.errors else 200
    return render(request, "campaigns/home.html", {**_context(request, at=at), "form": form}, status=status)


@login_required
@require_GET
def campaign_list(request: HttpRequest) -> HttpResponse:
    """Show all campaigns that the user may see, newest first."""
    found = Campaign.objects.of(viewer(request)).select_related("batch__owner", "brand", "model").order_by("-pk")
    if words := request.GET.get("search", "").strip()[:200]:
        found = found.filter(name__icontains=words)
    page = Paginator(found, CAMPAIGNS_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "lines": overview.campaign_lines(list(page.object_list), at=clock.now()), "search": words}
    return render(request, "campaigns/list.html", context)


def _context(request: HttpRequest, *, at: datetime) -> dict[str, Any]:
    user = viewer(request)
    unjudged, campaigns = overview.unjudged(user), overview.campaigns(user, at=at)
    held = overview.on_hold(user, at=at)
    models = busy.models(at=at)
    return {
        "greeting": _greeting(at),
        "at": at,
        "campaigns": campaigns,
        "queue": overview.queue(user, at=at),
        "counts": standing.of_owner(user, at=at),
        "results": [strips.of_job(one.job, one.name, one.picture) for one in overview.results(user)],
        "to_review": unjudged[: overview.MOSAICS],
        "also_to_review": unjudged[overview.MOSAICS : overview.TO_REVIEW],
        "results_to_review": sum(one.results for one in unjudged),
        "campaigns_to_review": len(unjudged),
        "more_to_review": len(unjudged[overview.TO_REVIEW :]),
        "balances": tickets.balances(user),
        "busy": [one for one in models if not one.is_idle][:BUSY],
        "idle": sum(one.is_idle for one in models),
        "held": held,
        "notices": overview.notices(user, held),
    }


def _greeting(at: datetime) -> str:
    hour = at.astimezone(ZoneInfo(settings.QUEUE_TIME_ZONE)).hour
    return "Good morning" if 4 <= hour < 12 else "Good afternoon" if 12 <= hour < 18 else "Good evening"
