"""
The live stream: server-sent events that say "look again".

``change`` (``{"jobs": [1, 2]}``, only jobs that the caller may see), ``queue`` (limits or pauses changed), ``resync`` (anything
may have changed: at the start, after a loss of the database, and when too much changed to list).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import Throttled
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from queue_app.dashboard.hub import Client, News, TooManyStreams, hub
from queue_app.models import User

STILL_HERE_SECONDS = 15.0  # proxies cut connections that are silent
PACE_SECONDS = 0.1  # between two pieces of news for one page
LIFETIME_SECONDS = 600.0  # then the browser comes again, and its rights are looked at anew
COME_AGAIN = b"retry: 2000\n\n"
STILL_HERE = b": still here\n\n"


class OneOfOurs(BaseContentNegotiation):
    """The stream is the same for all, and so are its refusals: ``Accept: text/event-stream`` must not become a 406."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class Stream(APIView):
    content_negotiation_class = OneOfOurs

    @extend_schema(
        operation_id="queue_stream",
        summary="Changes as they happen (server-sent events)",
        description=__doc__,
        responses={
            (200, "text/event-stream"): OpenApiTypes.STR,
            204: OpenApiResponse(description="This server cannot stream (WSGI): poll instead."),
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        if not isinstance(request._request, ASGIRequest):
            return HttpResponse(
                status=204
            )  # a stream would hold one of few threads for ever; 204 tells browsers not to come again
        assert isinstance(request.user, User)  # the permission classes let nobody else in
        try:
            client = hub.admit(request.user)
        except TooManyStreams as refusal:
            raise Throttled(detail=str(refusal)) from None
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingHttpResponse(events(client), content_type="text/event-stream", headers=headers)


stream = Stream.as_view()


async def events(client: Client) -> AsyncIterator[bytes]:
    """What the page hears, until it goes away, its time is over, or the web process ends."""
    try:  # from the first moment: who goes away while this waits for a thread must leave, too
        # this request ends in minutes; the connection that looked its user up must not wait for that
        await sync_to_async(connections.close_all)()
        loop = asyncio.get_running_loop()
        ends = loop.time() + LIFETIME_SECONDS
        hub.join(client)
        yield COME_AGAIN
        while loop.time() < ends and not hub.closing:
            try:
                async with asyncio.timeout(STILL_HERE_SECONDS):  # not wait_for(), which loses a cancellation beside a result
                    news = await client.news()
            except TimeoutError:
                yield STILL_HERE
                continue
            if news:
                yield _as_text(news)
            await asyncio.sleep(PACE_SECONDS)
    finally:
        hub.leave(client)


def _as_text(news: News) -> bytes:
    events: list[tuple[str, dict[str, Any]]] = []
    if news.resync:
        events.append(("resync", {}))
    if news.jobs:
        events.append(("change", {"jobs": sorted(news.jobs)}))
    if news.queue:
        events.append(("queue", {}))
    return "".join(f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n" for name, data in events).encode()
