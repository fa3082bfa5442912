"""
The web application. It uses ASGI because live pages keep their connections open.

The handler adds what Django can't decide later: how much of a body is read, and the answer to a request with unreadable headers;
and it lets requests wait.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any
from urllib.parse import unquote_plus

import django
from asgiref.sync import SyncToAsync, sync_to_async
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.core.handlers.exception import response_for_exception
from django.db import connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, parse_cookie
from django.urls import reverse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genqueue_site.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - these imports read the settings

from genqueue_site import urls  # noqa: E402, F401 - loaded now, not in the first request
from queue_app import hooks  # noqa: E402
from queue_app.api import errors  # noqa: E402
from queue_app.api.authentication import names_a_key  # noqa: E402
from queue_app.api.waits import preferred  # noqa: E402
from queue_app.live.waits import AT_ONCE, Later  # noqa: E402

_JOBS = reverse("api:job-list")
Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


# Requests that can wait come in crowds, and each that is in a view may hold a connection. So few are in views at a time: with the
# hub and the two threads that look, a web process holds 10 connections for them. Reads are short. A write may fetch images for a
# minute, or wait 10 s for its twin; so writes have doors of their own, and a request that finds no door soon goes in without one
# and is answered at once, as if it had not asked to wait. Thus slow requests of one user end nobody's access, only their waits.
_DOORS = {True: asyncio.Semaphore(3), False: asyncio.Semaphore(4)}  # of reads, and of writes
DOOR_SECONDS = 5.0  # a crowd of 500 reads passes in one


class TooLarge(Exception):
    """The body is larger than the site accepts."""


class Handler(ASGIHandler):
    """Django's handler with a size limit for every body, with or without a declared length."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope, receive = _without_body(scope) if _is_nobody(scope) else (scope, _limited(scope, receive))
        try:
            await super().handle(scope, receive, send)
        except TooLarge:
            detail = "The files are larger than 20 MB. Make them smaller." if _takes_files(scope) else ""
            await self.send_response(_refusal(scope, 413, detail), send)

    async def run_get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Let a request wait, for its answer or for what it streams, without a thread and a database connection."""
        door = _DOORS[_reads(request)] if _may_wait(request) else None
        if door is None or not await _is_open(door):
            request.META[AT_ONCE] = door is not None
            response = await super().run_get_response(request)
        else:
            try:
                response = await super().run_get_response(request)
                await sync_to_async(connections.close_all)()
            finally:
                door.release()
        if response.streaming or isinstance(response, Later):
            _give_thread_back()
        return await _settled(request, response) if isinstance(response, Later) else response

    def create_request(self, scope: Message, body_file: IO[bytes]) -> tuple[ASGIRequest, None] | tuple[None, HttpResponseBase]:
        try:
            request = ASGIRequest(scope, body_file)
        except ValueError:  # bytes that are not text, or an unknown encoding
            return None, _refusal(scope, 400)
        # a chunked body has no declared length, and without one Django would treat it as empty
        request.META["CONTENT_LENGTH"] = str(body_file.seek(0, os.SEEK_END))
        body_file.seek(0)
        return request, None


def _may_wait(request: HttpRequest) -> bool:
    """Whether it is a call that can wait, and asks to; other calls ignore or refuse such words."""
    if _reads(request):
        return request.path.startswith(errors.BELOW) and _asks_to_wait(request.META["QUERY_STRING"])
    return request.method == "POST" and request.path == _JOBS and preferred(request.headers.get("Prefer", "")) > 0


def _reads(request: HttpRequest) -> bool:
    return request.method in ("GET", "HEAD")


async def _is_open(door: asyncio.Semaphore) -> bool:
    """Wait a little for the door. Return whether it was taken; the caller then releases it."""
    try:
        async with asyncio.timeout(DOOR_SECONDS):
            return await door.acquire()
    except TimeoutError:
        return False


def _asks_to_wait(query: str) -> bool:
    """Whether a query has ``wait``. Django reads queries inside the view, where it can refuse one: here that would break."""
    return any(unquote_plus(pair.partition("=")[0]) == "wait" for pair in query.split("&"))


def _give_thread_back() -> None:
    """End the thread of the request's synchronous code. It gets another one if it needs one later."""
    context = SyncToAsync.thread_sensitive_context.get(None)
    executor = SyncToAsync.context_to_thread_executor.pop(context, None) if context else None
    if executor:
        executor.shutdown(wait=False)


async def _settled(request: HttpRequest, response: Later) -> HttpResponse:
    try:
        await response.settle()
    except Exception as error:  # ours, as in a view: it is logged, and the client gets a problem
        failed = await sync_to_async(response_for_exception)(request, error)
        errors.turn_into_problem(request, failed)
        return failed
    return response


def _limited(scope: Scope, receive: Receive) -> Receive:
    """
    Return a ``receive`` that accepts no more bytes than the site does at this address. It raises `TooLarge`: on the first call if
    the declared length is too large, otherwise once too many bytes have arrived.
    """
    declared = _header(scope, b"content-length")
    most = _most(scope)
    too_large = declared.isdigit() and int(declared[:20]) > most
    received = 0

    async def limited() -> Message:
        nonlocal received
        if too_large:
            raise TooLarge
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise TooLarge
        return message

    return limited


def _most(scope: Scope) -> int:
    """Return the most bytes of a body: fewer of webhooks, more at addresses for images if the request has credentials."""
    if scope["path"].startswith(hooks.BELOW):
        return settings.WEBHOOK_MAX_BYTES
    return settings.UPLOAD_MAX_BYTES if _takes_files(scope) else settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def _takes_files(scope: Scope) -> bool:
    return scope["path"] in settings.UPLOAD_PATHS and not _is_without_name(scope)


def _is_nobody(scope: Scope) -> bool:
    """
    Whether an API call has neither a key nor a session, so that it will be refused whatever its body is.

    Keys and sessions are not verified here: with an invalid one, the body is read before the call is refused.
    """
    return scope["path"].startswith(errors.BELOW) and _is_without_name(scope)


def _is_without_name(scope: Scope) -> bool:
    cookies = parse_cookie(_header(scope, b"cookie").decode("latin-1"))
    return not names_a_key(_header(scope, b"authorization")) and settings.SESSION_COOKIE_NAME not in cookies


def _without_body(scope: Scope) -> tuple[Scope, Receive]:
    """Return the request with an empty body. The sent body is not read, and a client that expects "100 Continue" gets none."""
    kept = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")]
    is_asked = False

    async def nothing() -> Message:
        nonlocal is_asked
        if is_asked:
            await asyncio.Event().wait()  # until the answer is sent and this task is cancelled
        is_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return {**scope, "headers": kept}, nothing


def _header(scope: Scope, wanted: bytes) -> bytes:
    return b"; ".join(value for name, value in scope["headers"] if name == wanted)


def _refusal(scope: Message, status: int, detail: str = "") -> HttpResponse:
    """Return the error as a problem document below ``/api/``, elsewhere as text."""
    problem = errors.refusal(status, detail)
    if scope["path"].startswith(errors.BELOW):
        response: HttpResponse = JsonResponse(problem, status=status, content_type=errors.CONTENT_TYPE)
    else:
        response = HttpResponse(problem["detail"], status=status, content_type="text/plain; charset=utf-8")
    response["Content-Length"] = str(len(response.content))
    return response


application = Handler()
