"""Pages that renew themselves: htmx asks the page's own address again and gets its changing parts, or 204 for no change."""

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.crypto import get_random_string

ASKED_BY = ("HX-Request", "HX-History-Restore-Request")  # headers on which it hangs whether a page or a fragment is wanted
ACT = "act"  # in the session
NOT_SEEN = 'name="seen" value=""'  # as templates write it; people's text cannot, its quotes are escaped


def fragment_wanted(request: HttpRequest) -> bool:
    """Whether htmx asks, and so wants the changing parts only."""
    by_htmx, for_history = (request.headers.get(name) for name in ASKED_BY)
    return bool(by_htmx) and not for_history


def unchanged(request: HttpRequest, token: str) -> bool:
    """Whether the one who asks has seen this very version."""
    return fragment_wanted(request) and request.GET.get("seen") == token


def acted(request: HttpRequest) -> None:
    """Remember that the one who asks has changed something: what they are shown from now on is read after that."""
    request.session[ACT] = get_random_string(12)


def act(request: HttpRequest) -> str:
    """Return a name for what the one who asks changed last; another one after each change."""
    return str(request.session.get(ACT, ""))


def answer(request: HttpRequest, page: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
    """The page, its fragment, or 204: for pages that are cheap to make, whose token is a hash of what they show."""
    shown = render_to_string(fragment, {**context, "token": "", "live": True}, request)
    token = hashlib.sha256(shown.encode()).hexdigest()[:16]
    if unchanged(request, token):
        return HttpResponse(status=204)
    if fragment_wanted(request):
        return HttpResponse(shown.replace(NOT_SEEN, f'name="seen" value="{token}"', 1))
    return render(request, page, {**context, "token": token, "live": False})
