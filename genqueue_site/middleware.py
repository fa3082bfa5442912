"""Middleware of the site."""

import codecs
from collections.abc import Awaitable, Callable, Iterator
from inspect import iscoroutinefunction
from typing import cast
from urllib.parse import urlsplit

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from queue_app.api import errors
from queue_app.rules import words
from queue_app.ui import fragments
from queue_app.ui.fragments import ASKED_BY, fragment_wanted

Answers = Callable[[HttpRequest], HttpResponseBase]
AnswersLater = Callable[[HttpRequest], Awaitable[HttpResponseBase]]
Change = Callable[[HttpRequest, HttpResponseBase], HttpResponseBase]
Condition = Callable[[HttpRequest, HttpResponseBase], bool]
UTF_8 = {"utf-8", "ascii"}
FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


def _answered(change: Change) -> Callable[[Answers | AnswersLater], Answers | AnswersLater]:
    """Return a middleware that applies ``change`` to each response."""

    @sync_and_async_middleware
    def middleware(get_response: Answers | AnswersLater) -> Answers | AnswersLater:
        if iscoroutinefunction(get_response):
            later = cast(AnswersLater, get_response)

            async def changed_later(request: HttpRequest) -> HttpResponseBase:
                return change(request, await later(request))

            return changed_later

        now = cast(Answers, get_response)
        return lambda request: change(request, now(request))

    return middleware


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


def _as_problem(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    is_page = isinstance(response, HttpResponse) and response.get("Content-Type") != errors.CONTENT_TYPE
    if response.status_code >= 400 and is_page and request.path.startswith(errors.BELOW):
        errors.turn_into_problem(request, cast(HttpResponse, response))
    return response


# Fragments are never cached, and pages vary by the header that requests a fragment; otherwise the browser's Back would show a
# fragment without its page. For htmx a redirect to the log-in page becomes an empty 401, so that an open page can report it.
pages_and_fragments = _answered(_kept_apart)
# below /api/ every error is a problem document, even those raised by Django or other middleware
problems_below_api = _answered(_as_problem)


def _followed(when: Condition, then: Callable[[HttpRequest], None]) -> Callable[[Answers | AnswersLater], Answers | AnswersLater]:
    """Return a middleware that calls ``then`` after a response that meets the condition, before its first byte is sent."""

    @sync_and_async_middleware
    def middleware(get_response: Answers | AnswersLater) -> Answers | AnswersLater:
        if iscoroutinefunction(get_response):
            later = cast(AnswersLater, get_response)

            async def followed_later(request: HttpRequest) -> HttpResponseBase:
                response = await later(request)
                if when(request, response):
                    await sync_to_async(then)(request)  # in the thread of this request
                return response

            return followed_later

        now = cast(Answers, get_response)

        def followed(request: HttpRequest) -> HttpResponseBase:
            response = now(request)
            if when(request, response):
                then(request)
            return response

        return followed

    return middleware


def _may_have_changed(request: HttpRequest, response: HttpResponseBase) -> bool:
    return request.method not in ("GET", "HEAD", "OPTIONS") and response.status_code < 400


def _remember(request: HttpRequest) -> None:
    if SESSION_KEY in request.session and getattr(request.user, "is_staff", False):  # keys have no session, users no dashboard
        fragments.acted(request)


def _streams(request: HttpRequest, response: HttpResponseBase) -> bool:
    return response.streaming


def _free(request: HttpRequest) -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


# close the database connections before a streaming response is sent, so that a slow reader does not keep one until its end
connections_freed = _followed(_streams, _free)
# after a change by staff, on any page, make sure that what they see next is not older than the change
acts_remembered = _followed(_may_have_changed, _remember)


@sync_and_async_middleware
def storable_text(get_response: Answers | AnswersLater) -> Answers | AnswersLater:
    """
    Refuse requests with text that the database can't store or search, anywhere in the request, so that no view gets any.

    Queries and bodies of API calls are left to the API, which refuses the same text and names the field.
    """
    if iscoroutinefunction(get_response):
        later = cast(AnswersLater, get_response)

        async def checked_later(request: HttpRequest) -> HttpResponseBase:
            is_form = request.content_type in FORMS  # its body must be parsed, which blocks
            wrong = await sync_to_async(_wrong)(request) if is_form else _wrong(request)
            return _unreadable(request, wrong) if wrong else await later(request)

        return checked_later

    now = cast(Answers, get_response)

    def checked(request: HttpRequest) -> HttpResponseBase:
        wrong = _wrong(request)
        return _unreadable(request, wrong) if wrong else now(request)

    return checked


def _wrong(request: HttpRequest) -> str:
    """Return the message for the first part of the request that can't be accepted, or an empty string."""
    if request.encoding and codecs.lookup(request.encoding).name not in UTF_8:
        return "The Content-Type names another charset. Send UTF-8."
    parts = (where for where, text in _texts(request) if not words.is_storable(text))
    where = next(parts, "")
    return where and f"{where} contains a NUL character or an unpaired surrogate. Remove it."


def _unreadable(request: HttpRequest, detail: str) -> HttpResponse:
    """Return a 400 with this message: a problem document below ``/api/``, elsewhere a page."""
    if request.path.startswith(errors.BELOW):
        response: HttpResponse = JsonResponse(errors.refusal(400, detail), status=400, content_type=errors.CONTENT_TYPE)
    else:
        response = HttpResponse(render_to_string("400.html", {"detail": detail}), status=400)
    response["Content-Length"] = str(len(response.content))  # the middleware that would set it is skipped
    return response


def _texts(request: HttpRequest) -> Iterator[tuple[str, str]]:
    yield "The address", request.path
    yield from (("A header", text) for name, text in request.META.items() if name.startswith(("HTTP_", "CONTENT_")))
    for pair in request.COOKIES.items():
        yield from (("A cookie", text) for text in pair)
    if request.path.startswith(errors.BELOW):
        return
    for name, values in request.GET.lists():
        yield from (("The query", text) for text in (name, *values))
    for name, values in request.POST.lists():
        yield from (("The form", text) for text in (name, *map(str, values)))
    for name, files in request.FILES.lists():
        yield from (("The form", text) for text in (name, *(file.name or "" for file in files)))


class SlashesOfReadsOnly(CommonMiddleware):
    """
    Redirect only reads to the URL with the trailing slash; a write without it is 404.

    Clients turn a redirected POST into a GET, so the write would be lost and still look successful.
    """

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return request.method in ("GET", "HEAD") and super().should_redirect_with_slash(request)
