"""What every answer of the site passes through."""

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import cast
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from queue_app.admin.live import ASKED_BY, fragment_wanted

Answers = Callable[[HttpRequest], HttpResponseBase]
AnswersLater = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def pages_and_fragments(get_response: Answers | AnswersLater) -> Answers | AnswersLater:
    """
    Keep apart what a browser and what htmx is answered at one address.

    A fragment is never stored, and every page says that its answer hangs on who asks: else going back shows the fragment, without
    the page around it. To htmx the log-in page is 401 and nothing, so that a page that is open says so and stays.
    """
    if iscoroutinefunction(get_response):
        later = cast(AnswersLater, get_response)

        async def answer_later(request: HttpRequest) -> HttpResponseBase:
            return _kept_apart(request, await later(request))

        return answer_later

    now = cast(Answers, get_response)
    return lambda request: _kept_apart(request, now(request))


def _kept_apart(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    is_fragment = fragment_wanted(request)
    if is_fragment and isinstance(response, HttpResponseRedirect) and urlsplit(response.url).path in _log_ins():
        response = HttpResponse(status=401)
    if is_fragment:
        response["Cache-Control"] = "no-store"
    if is_fragment or response.get("Content-Type", "").startswith("text/html"):
        patch_vary_headers(response, ASKED_BY)
    return response


def _log_ins() -> tuple[str, str]:
    return resolve_url(settings.LOGIN_URL), reverse("admin:login")
