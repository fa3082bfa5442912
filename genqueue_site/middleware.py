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
from django.utils.decorators import sync_and_async_middleware

from queue_app.admin.live import fragment_wanted

Answers = Callable[[HttpRequest], HttpResponseBase]
AnswersLater = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


@sync_and_async_middleware
def told_when_logged_out(get_response: Answers | AnswersLater) -> Answers | AnswersLater:
    """To htmx, 401 and nothing in place of the log-in page in the middle of another: the page then says so and stays."""
    if iscoroutinefunction(get_response):
        later = cast(AnswersLater, get_response)

        async def told_later(request: HttpRequest) -> HttpResponseBase:
            return _told(request, await later(request))

        return told_later

    now = cast(Answers, get_response)
    return lambda request: _told(request, now(request))


def _told(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    to_log_in = isinstance(response, HttpResponseRedirect) and urlsplit(response.url).path in _log_ins()
    return HttpResponse(status=401) if to_log_in and fragment_wanted(request) else response


def _log_ins() -> tuple[str, str]:
    return resolve_url(settings.LOGIN_URL), reverse("admin:login")
