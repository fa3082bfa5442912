"""The list of the user's pages: what each is, how far it is, how it stands."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from campaigns.pages.types import PageType
from campaigns.views import filters
from campaigns.writing import listing
from campaigns.writing.listing import PageFilters
from campaigns.writing.orders import name_of
from queue_app import clock
from queue_app.ui import fragments
from queue_app.ui.access import viewer

TAB_NAMES = dict(zip(listing.TABS, ("In progress", "To review", "Approved", "Rejected", "Failed", "Cancelled"), strict=True))


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the list; to htmx, its changing parts or 204."""
    user, at = viewer(request), clock.now()
    picked = _picked(request)
    shown = listing.look(user, picked, number=filters.number(request), at=at)
    context = filters.links(picked, shown, TAB_NAMES) | {
        "at": at,
        "page": shown,
        "is_filtered": picked != PageFilters(),
        "menus": [
            filters.menu("Type", "All", picked, "page_type", {str(one): one.capitalize() for one in PageType}),
            filters.menu("Language", "All", picked, "language", {code: name_of(code) for code in listing.languages_of(user)}),
        ],
    }
    return fragments.answer(request, "campaigns/pages/list.html", "campaigns/pages/_list.html", context)


def _picked(request: HttpRequest) -> PageFilters:
    """Read the address; unknown values are ignored."""
    return PageFilters(
        tab=filters.one_of(request, "tab", TAB_NAMES),
        search=filters.search(request),
        page_type=filters.one_of(request, "page_type", [*PageType]),
        language=request.GET.get("language", "")[:5],
    )
