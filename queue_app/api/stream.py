"""The live stream as a call: who may listen is let in, and turned out when their key or session has ended."""

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

from queue_app.api.authentication import caller
from queue_app.api.negotiation import OneType
from queue_app.api.views import View, call
from queue_app.live import stream
from queue_app.live.hub import TooManyStreams, hub
from queue_app.models import ApiKey


class Stream(View):
    content_negotiation_class = OneType  # ``Accept: text/event-stream`` must not become a 406

    @call(
        "queue_stream",
        OpenApiTypes.STR,
        media_type="text/event-stream",
        summary="Changes as they happen (server-sent events)",
        description=stream.__doc__,
        other={204: OpenApiResponse(description="This server can't stream (WSGI). Poll instead.")},
    )
    def get(self, request: Request) -> HttpResponseBase:
        if not isinstance(request._request, ASGIRequest):
            # a stream would hold one of few threads for ever; 204 tells browsers not to come again
            return HttpResponse(status=204)
        key = request.auth.digest if isinstance(request.auth, ApiKey) else ""
        session = "" if key else request._request.session.session_key or ""
        try:
            client = hub.admit(caller(request), key=key, session=session)
        except TooManyStreams as refusal:
            raise Throttled(detail=str(refusal)) from None
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingHttpResponse(stream.events(client), content_type="text/event-stream", headers=headers)
