"""Lists with tabs, filters and pages, all in the address: what it asks for, and the links to other tabs, filters and pages."""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest

from campaigns.rules.paging import ListPage
from queue_app.rules import numbers

SEARCH_MOST = 200  # characters


def search(request: HttpRequest) -> str:
    return request.GET.get("search", "").strip()[:SEARCH_MOST]


def one_of(request: HttpRequest, name: str, known: Collection[str]) -> str:
    """Return a value of the address; empty if it is none of the known ones."""
    value = request.GET.get(name, "")
    return value if value in known else ""


def number(request: HttpRequest) -> int:
    """Return the number of the page that the address asks for."""
    return numbers.of_row(request.GET.get("page", "")) or 1


def query(picked: object, **other: object) -> str:
    """
    Return filters as the query of an address, with some replaced; always with its question mark.

    :param picked: a dataclass whose fields have defaults; a filter that has its default is left out.
    """
    usual = vars(type(picked)())
    asked = {name: value for name, value in {**vars(picked), **other}.items() if value and value != usual.get(name)}
    return f"?{urlencode(asked)}"


def menu(label: str, first: str, picked: object, name: str, options: Mapping[Any, str]) -> dict[str, Any]:
    """Return a menu of links, one for each value of a filter; ``first`` says what it is without one."""
    chosen, usual = getattr(picked, name), getattr(type(picked)(), name)
    is_on = chosen != usual
    return {
        "label": label,
        "chosen": options.get(chosen, str(chosen)) if is_on else first,
        "is_on": is_on,
        "links": [(first, query(picked, **{name: ""})), *((said, query(picked, **{name: key})) for key, said in options.items())],
    }


def links(picked: object, shown: ListPage[Any], tabs: Mapping[str, str]) -> dict[str, Any]:
    """Return the filters with the links of the tabs and of the pages before and after, as the templates of lists take them."""
    return {
        "picked": picked,
        "here": query(picked, page=shown.number if shown.number > 1 else ""),
        "tabs": [
            ("", "All", sum(shown.by_tab.values()), query(picked, tab="")),
            *((tab, name, shown.by_tab[tab], query(picked, tab=tab)) for tab, name in tabs.items()),
        ],
        "before_query": query(picked, page=shown.number - 1) if shown.number > 1 else "",
        "after_query": query(picked, page=shown.number + 1) if shown.has_next else "",
    }
