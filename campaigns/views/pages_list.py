"""The list of the user's pages: what each is, how far it is, how it stands."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from campaigns.pages.types import PageType
from campaigns.writing import listing
from campaigns.writing.listing import PageFilters
from campaigns.writing.orders import name_of
from queue_app import clock
from queue_app.rules import numbers
from queue_app.ui import fragments
from queue_app.ui.access import viewer

SEARCH_MOST = 200  # characters
TAB_NAMES = dict(zip(listing.TABS, ("In progress", "To review", "Approved", "Rejected", "Failed", "Cancelled"), strict=True))


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the list; to htmx, its changing parts or 204."""
    user, at = viewer(request), clock.now()
    picked = _picked(request)
    shown = listing.look(user, picked, number=numbers.of_row(request.GET.get("page", "")) or 1, at=at)
    spoken = [(code, name_of(code)) for code in listing.languages_of(user)]
    context = {
        "at": at,
        "page": shown,
        "picked": picked,
        "is_filtered": picked != PageFilters(),
        "here": _query(picked, page=shown.number if shown.number > 1 else ""),
        "tabs": [
            ("", "All", sum(shown.counts.values()), _query(picked, tab="")),
            *((tab, name, shown.counts[tab], _query(picked, tab=tab)) for tab, name in TAB_NAMES.items()),
        ],
        "menus": [
            _menu("Type", picked, "page_type", [(str(one), one.capitalize()) for one in PageType]),
            _menu("Language", picked, "language", spoken),
        ],
        "before_query": _query(picked, page=shown.number - 1) if shown.number > 1 else "",
        "after_query": _query(picked, page=shown.number + 1) if shown.has_next else "",
    }
    return fragments.answer(request, "campaigns/pages/list.html", "campaigns/pages/_list.html", context)


def _picked(request: HttpRequest) -> PageFilters:
    """Read the address; unknown values are ignored."""
    asked = request.GET
    tab, kind = asked.get("tab", ""), asked.get("page_type", "")
    return PageFilters(
        tab=tab if tab in TAB_NAMES else "",
        search=asked.get("search", "").strip()[:SEARCH_MOST],
        page_type=kind if kind in [*PageType] else "",
        language=asked.get("language", "")[:5],
    )


def _query(picked: PageFilters, **other: object) -> str:
    """Return these filters as the query of an address, with some replaced; always with its question mark."""
    asked: dict[str, object] = {**vars(picked), **other}
    return f"?{urlencode({name: value for name, value in asked.items() if value})}"


def _menu(label: str, picked: PageFilters, name: str, options: list[tuple[str, str]]) -> dict[str, Any]:
    """Return a menu of links, one for each value of a filter."""
    chosen = getattr(picked, name)
    links = [("All", _query(picked, **{name: ""})), *((said, _query(picked, **{name: value})) for value, said in options)]
    return {"label": label, "chosen": dict(options).get(chosen, "All"), "is_on": bool(chosen), "links": links}
