"""
The web process: ASGI, because live pages hold their connections open.

Around Django's own handler stands what must be decided before it has a request: how much of a body is read at all, and what
happens to a request whose headers cannot be read.
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

from django.conf import settings  # noqa: E402 - what follows reads the settings

from queue_app.api import errors  # noqa: E402
from queue_app.api.authentication import names_a_key  # noqa: E402

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class TooLarge(Exception):
    """More bytes have come than the site takes."""


class Handler(ASGIHandler):
    """Django's, with a limit for every body, whether its length was told or not."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope, receive = _without_body(scope) if _is_nobody(scope) else (scope, _limited(scope, receive))
        try:
            await super().handle(scope, receive, send)
        except TooLarge:
            await self.send_response(_refusal(scope, 413), send)

    def create_request(self, scope: Message, body_file: IO[bytes]) -> tuple[ASGIRequest, None] | tuple[None, HttpResponseBase]:
        try:
            request = ASGIRequest(scope, body_file)
        except ValueError:  # bytes that are no text, a parameter in an encoding that is none
            return None, _refusal(scope, 400)
        # of a body that came in pieces the length is known only now; without one it would be taken for empty
        request.META["CONTENT_LENGTH"] = str(body_file.seek(0, os.SEEK_END))
        body_file.seek(0)
        return request, None


def _limited(scope: Scope, receive: Receive) -> Receive:
    """
    Receive no more than the site takes.

    :raises TooLarge: at the first look, where the length was told.
    """
    told = _header(scope, b"content-length")
    too_large = told.isdigit() and int(told[:20]) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    received = 0

    async def limited() -> Message:
        nonlocal received
        if too_large:
            raise TooLarge
        message = await receive()
        received += len(message.get("body", b""))
        if received > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge
        return message

    return limited


def _is_nobody(scope: Scope) -> bool:
    """
    Whether a call of the API names no key and no session: it will be refused, whatever it sends.

    Nothing is looked up here: a key or a session cookie that somebody has made up has its body read before it is refused.
    """
    cookies = parse_cookie(_header(scope, b"cookie").decode("latin-1"))
    named = names_a_key(_header(scope, b"authorization")) or settings.SESSION_COOKIE_NAME in cookies
    return scope["path"].startswith(errors.BELOW) and not named


def _without_body(scope: Scope) -> tuple[Scope, Receive]:
    """The same request with an empty body. What was sent is not read, nor is who waits to send it asked to go on."""
    kept = [(name, value) for name, value in scope["headers"] if name not in (b"content-length", b"transfer-encoding")]
    is_asked = False

    async def nothing() -> Message:
        nonlocal is_asked
        if is_asked:
            await asyncio.Event().wait()  # until the answer is sent, and this is cancelled
        is_asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return {**scope, "headers": kept}, nothing


def _header(scope: Scope, wanted: bytes) -> bytes:
    return b"; ".join(value for name, value in scope["headers"] if name == wanted)


def _refusal(scope: Message, status: int) -> HttpResponse:
    """A problem below ``/api/``, elsewhere its words."""
    problem = errors.refusal(status)
    if scope["path"].startswith(errors.BELOW):
        response: HttpResponse = JsonResponse(problem, status=status, content_type=errors.CONTENT_TYPE)
    else:
        response = HttpResponse(problem["detail"], status=status, content_type="text/plain; charset=utf-8")
    response["Content-Length"] = str(len(response.content))
    return response


application = Handler()
