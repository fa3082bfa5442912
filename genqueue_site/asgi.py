"""
The web application. It uses ASGI because live pages keep their connections open.

The handler adds what Django can't decide later: how much of a body is read, and the answer to a request with unreadable headers.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any

import django
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpResponse, HttpResponseBase, JsonResponse, parse_cookie

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "genqueue_site.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 - these imports read the settings

from genqueue_site import urls  # noqa: E402, F401 - loaded now, not in the first request
from queue_app import hooks  # noqa: E402
from queue_app.api import errors  # noqa: E402
from queue_app.api.authentication import names_a_key  # noqa: E402

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


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

    def create_request(self, scope: Message, body_file: IO[bytes]) -> tuple[ASGIRequest, None] | tuple[None, HttpResponseBase]:
        try:
            request = ASGIRequest(scope, body_file)
        except ValueError:  # bytes that are not text, or an unknown encoding
            return None, _refusal(scope, 400)
        # a chunked body has no declared length, and without one Django would treat it as empty
        request.META["CONTENT_LENGTH"] = str(body_file.seek(0, os.SEEK_END))
        body_file.seek(0)
        return request, None


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
