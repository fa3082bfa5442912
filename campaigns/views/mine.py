"""My jobs: all jobs of the user, with what each waits for, what became of it, and the one thing to do about it."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from campaigns import mine
from campaigns.mine import Filters
from campaigns.views import filters
from queue_app import clock
from queue_app.rules import numbers
from queue_app.ui import fragments
from queue_app.ui.access import viewer

TAB_NAMES = dict(zip(mine.TABS, ("Running", "Queued", "On hold", "Completed", "Failed", "Cancelled"), strict=True))
SINCE_NAMES = {"day": "Last 24 hours", "week": "Last 7 days", "month": "Last 30 days"}


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the page; to htmx, its changing parts or 204."""
    user, at = viewer(request), clock.now()
    picked = _picked(request)
    shown = mine.look(user, picked, page=filters.number(request), at=at)
    context = filters.links(picked, shown, TAB_NAMES) | {
        "at": at,
        "page": shown,
        "menus": [
            filters.menu("Campaign", "All", picked, "campaign", dict(mine.campaigns_of(user))),
            filters.menu("Model", "All", picked, "model", {key: key for key in mine.models_of(user)}),
            filters.menu("When", "Any time", picked, "since", SINCE_NAMES),
        ],
    }
    return fragments.answer(request, "campaigns/jobs.html", "campaigns/_jobs.html", context)


def _picked(request: HttpRequest) -> Filters:
    """Read the address; unknown values are ignored."""
    return Filters(
        tab=filters.one_of(request, "tab", TAB_NAMES),
        search=filters.search(request),
        campaign=numbers.of_row(request.GET.get("campaign", "")),
        model=request.GET.get("model", "")[:60],
        since=filters.one_of(request, "since", SINCE_NAMES),
    )
