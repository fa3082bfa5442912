"""What every request and every answer of the site passes through."""

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
UTF_8 = {"utf-8", "ascii"}
FORMS = {"application/x-www-form-urlencoded", "multipart/form-data"}


def _answered(change: Change) -> Callable[[Answers | AnswersLater], Answers | AnswersLater]:
    """A middleware that gives what ``change`` makes of each answer."""

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


# A fragment is never stored, and every page says that its answer hangs on who asks: else going back shows the fragment, without
# the page around it. To htmx the log-in page is 401 and nothing, so that a page that is open says so and stays.
pages_and_fragments = _answered(_kept_apart)
# below /api/ whatever is refused, by whomever, is a problem document
problems_below_api = _answered(_as_problem)


@sync_and_async_middleware
def connections_freed(get_response: Answers | AnswersLater) -> Answers | AnswersLater:
    """
    Before the first byte of a stream is sent, let go of the database connection that found out what to send: a slow reader must
    not hold it until the last byte.
    """
    if iscoroutinefunction(get_response):
        later = cast(AnswersLater, get_response)

        async def freed_later(request: HttpRequest) -> HttpResponseBase:
            response = await later(request)
            if response.streaming:
                await sync_to_async(_free)()  # in the thread of this request
            return response

        return freed_later

    now = cast(Answers, get_response)

    def freed(request: HttpRequest) -> HttpResponseBase:
        response = now(request)
        if response.streaming:
            _free()
        return response

    return freed


@sync_and_async_middleware
def acts_remembered(get_response: Answers | AnswersLater) -> Answers | AnswersLater:
    """Whatever page it was on that somebody of the staff has changed something, what they look at next is read after that."""
    if iscoroutinefunction(get_response):
        later = cast(AnswersLater, get_response)

        async def remembered_later(request: HttpRequest) -> HttpResponseBase:
            response = await later(request)
            if _may_have_changed(request, response):
                await sync_to_async(_remember)(request)
            return response

        return remembered_later

    now = cast(Answers, get_response)

    def remembered(request: HttpRequest) -> HttpResponseBase:
        response = now(request)
        if _may_have_changed(request, response):
            _remember(request)
        return response

    return remembered


def _may_have_changed(request: HttpRequest, response: HttpResponseBase) -> bool:
    return request.method not in ("GET", "HEAD", "OPTIONS") and response.status_code < 400


def _remember(request: HttpRequest) -> None:
    if SESSION_KEY in request.session and getattr(request.user, "is_staff", False):  # keys have no session, others no dashboard
        fragments.acted(request)


def _free() -> None:
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()


@sync_and_async_middleware
def storable_text(get_response: Answers | AnswersLater) -> Answers | AnswersLater:
    """
    Refuse text that the database cannot keep or look for, wherever in a request it stands; nothing behind this meets any.

    Queries and bodies of the API are not read here: its own readers refuse the same, by name.
    """
    if iscoroutinefunction(get_response):
        later = cast(AnswersLater, get_response)

        async def checked_later(request: HttpRequest) -> HttpResponseBase:
            is_form = request.content_type in FORMS  # a body to be read and parsed
            wrong = await sync_to_async(_wrong)(request) if is_form else _wrong(request)
            return _unreadable(request, wrong) if wrong else await later(request)

        return checked_later

    now = cast(Answers, get_response)

    def checked(request: HttpRequest) -> HttpResponseBase:
        wrong = _wrong(request)
        return _unreadable(request, wrong) if wrong else now(request)

    return checked


def _wrong(request: HttpRequest) -> str:
    """Return which part of the request holds such text, or says that it is not in UTF-8, and what to do; empty if none does."""
    if request.encoding and codecs.lookup(request.encoding).name not in UTF_8:
        return "The Content-Type names another charset. Send UTF-8."
    parts = (where for where, text in _texts(request) if not words.is_storable(text))
    where = next(parts, "")
    return where and f"{where} contains a NUL character or an unpaired surrogate. Remove it."


def _unreadable(request: HttpRequest, detail: str) -> HttpResponse:
    """Refuse a request with these words: a problem below ``/api/``, elsewhere a page."""
    if request.path.startswith(errors.BELOW):
        response: HttpResponse = JsonResponse(errors.refusal(400, detail), status=400, content_type=errors.CONTENT_TYPE)
    else:
        response = HttpResponse(render_to_string("400.html", {"detail": detail}), status=400)
    response["Content-Length"] = str(len(response.content))  # the middleware that sets it is not reached
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
    A read without the last slash is led to the right address; a write is told that there is nothing here. A client that follows a
    redirect turns a POST into a GET: its order would be lost, and answered as if all were well.
    """

    def should_redirect_with_slash(self, request: HttpRequest) -> bool:
        return request.method in ("GET", "HEAD") and super().should_redirect_with_slash(request)
