"""Pages that renew themselves: htmx asks the page's own address again and gets its changing parts, or 204 for no change."""

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string

NOT_SEEN = 'name="seen" value=""'  # as templates write it; people's text cannot, its quotes are escaped


def fragment_wanted(request: HttpRequest) -> bool:
    """Whether htmx asks, and so wants the changing parts only."""
    return bool(request.headers.get("HX-Request")) and not request.headers.get("HX-History-Restore-Request")


def unchanged(request: HttpRequest, token: str) -> bool:
    """Whether the one who asks has seen this very version."""
    return fragment_wanted(request) and request.GET.get("seen") == token


def answer(request: HttpRequest, page: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
    """The page, its fragment, or 204: for pages that are cheap to make, whose token is a hash of what they show."""
    shown = render_to_string(fragment, {**context, "token": "", "live": True}, request)
    token = hashlib.sha256(shown.encode()).hexdigest()[:16]
    if unchanged(request, token):
        return HttpResponse(status=204)
    if fragment_wanted(request):
        return HttpResponse(shown.replace(NOT_SEEN, f'name="seen" value="{token}"', 1))
    return render(request, page, {**context, "token": token, "live": False})
