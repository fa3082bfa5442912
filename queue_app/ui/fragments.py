"""Pages that renew themselves: htmx requests the page's address again and receives its changing parts, or 204 if none changed."""

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.crypto import get_random_string

ASKED_BY = ("HX-Request", "HX-History-Restore-Request")  # headers that decide between page and fragment
ACT = "act"  # in the session
NOT_SEEN = 'name="seen" value=""'  # written by templates only: the quotes in people's text are escaped


def fragment_wanted(request: HttpRequest) -> bool:
    """Whether htmx sent the request and needs only the changing parts."""
    by_htmx, for_history = (request.headers.get(name) for name in ASKED_BY)
    return bool(by_htmx) and not for_history


def unchanged(request: HttpRequest, token: str) -> bool:
    """Whether the browser shows this version already."""
    return fragment_wanted(request) and request.GET.get("seen") == token


def acted(request: HttpRequest) -> None:
    """Remember that this user changed something, so that no older state is shown to them from a shared cache."""
    request.session[ACT] = get_random_string(12)


def act(request: HttpRequest) -> str:
    """Return the mark of this user's last change; each change has a new one."""
    return str(request.session.get(ACT, ""))


def token_of(shown: str) -> str:
    """Return the version of a rendered fragment: a hash of what it shows."""
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def answer(request: HttpRequest, page: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
    """Return the page, its fragment, or 204. For pages that are cheap to render: the token is a hash of what they show."""
    shown = render_to_string(fragment, {**context, "token": "", "live": True}, request)
    token = token_of(shown)
    if unchanged(request, token):
        return HttpResponse(status=204)
    if fragment_wanted(request):
        return HttpResponse(shown.replace(NOT_SEEN, f'name="seen" value="{token}"', 1))
    return render(request, page, {**context, "token": token, "live": False})
