"""My jobs: all jobs of the user, with what each waits for, what became of it, and the one thing to do about it."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from campaigns import mine
from campaigns.mine import Filters
from queue_app import clock
from queue_app.rules import numbers
from queue_app.ui import fragments
from queue_app.ui.access import viewer

SEARCH_MOST = 200  # characters
TAB_NAMES = dict(zip(mine.TABS, ("Running", "Queued", "On hold", "Completed", "Failed", "Cancelled"), strict=True))
SINCE_NAMES = {"day": "Last 24 hours", "week": "Last 7 days", "month": "Last 30 days"}


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show the page; to htmx, its changing parts or 204."""
    user, at = viewer(request), clock.now()
    picked = _picked(request)
    shown = mine.look(user, picked, page=numbers.of_row(request.GET.get("page", "")) or 1, at=at)
    campaigns = mine.campaigns_of(user)
    context = {
        "at": at,
        "page": shown,
        "picked": picked,
        "here": _query(picked, page=shown.number if shown.number > 1 else ""),
        "tabs": [
            ("", "All", sum(shown.counts.values()), _query(picked, tab="")),
            *((tab, name, shown.counts[tab], _query(picked, tab=tab)) for tab, name in TAB_NAMES.items()),
        ],
        "menus": [
            _menu("Campaign", "All", picked, "campaign", picked.campaign, campaigns),
            _menu("Model", "All", picked, "model", picked.model, [(key, key) for key in mine.models_of(user)]),
            _menu("When", "Any time", picked, "since", picked.since, [*SINCE_NAMES.items()]),
        ],
        "before_query": _query(picked, page=shown.number - 1) if shown.number > 1 else "",
        "after_query": _query(picked, page=shown.number + 1) if shown.has_next else "",
    }
    return fragments.answer(request, "campaigns/jobs.html", "campaigns/_jobs.html", context)


def _picked(request: HttpRequest) -> Filters:
    """Read the address; unknown values are ignored."""
    asked = request.GET
    tab, since = asked.get("tab", ""), asked.get("since", "")
    return Filters(
        tab=tab if tab in TAB_NAMES else "",
        search=asked.get("search", "").strip()[:SEARCH_MOST],
        campaign=numbers.of_row(asked.get("campaign", "")),
        model=asked.get("model", "")[:60],
        since=since if since in SINCE_NAMES else "",
    )


def _query(picked: Filters, **other: object) -> str:
    """Return these filters as the query of an address, with some replaced; always with its question mark."""
    asked: dict[str, object] = {**vars(picked), **other}
    return f"?{urlencode({name: value for name, value in asked.items() if value})}"


def _menu(label: str, all_words: str, picked: Filters, name: str, chosen: object, options: list[Any]) -> dict[str, Any]:
    """Return a menu of links, one for each value of a filter."""
    words = dict(options)
    return {
        "label": label,
        "chosen": words.get(chosen, str(chosen)) if chosen else all_words,
        "is_on": bool(chosen),
        "links": [
            (all_words, _query(picked, **{name: ""})),
            *((said, _query(picked, **{name: value})) for value, said in options),
        ],
    }
