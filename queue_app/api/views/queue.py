"""The queue: at a glance, and its events as they happen."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.exceptions import Throttled
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from queue_app import clock
from queue_app.api import answers
from queue_app.api.authentication import caller
from queue_app.api.generics import JsonAPIView
from queue_app.api.negotiation import OneType
from queue_app.api.schema import call
from queue_app.api.serializers.base import render
from queue_app.api.serializers.jobs import JobLine
from queue_app.api.serializers.queue import ModelOut, QueueOut, SummaryOut, WorkerOut
from queue_app.insight import board
from queue_app.insight.shared import at_most_every
from queue_app.live import stream
from queue_app.live.hub import TooManyStreams, hub
from queue_app.models import ApiKey, JobEvent, User

HIDDEN = {"host": None, "pid": None, "task": ""}  # of a worker, for all but staff: our machines, and jobs of others


class QueueView(JsonAPIView):
    @call("queue_read", QueueOut)
    def get(self, request: Request) -> HttpResponse:
        """
        Read counts, models, workers, and the first 100 jobs in progress and queued. You see your own jobs, staff see all jobs.

        Everything is at most 1 second old. The two lists include every event so far.
        """
        user = caller(request)
        events = JobEvent.objects.order_by("-pk").annotate(read_at=clock.ReadAt()).values_list("pk", "read_at")
        last, at = events.first() or (0, clock.now())
        parts = (_summary(user, at), _models_and_workers(user, at), _lists(user, last, request))
        return HttpResponse(b"{%b}" % b",".join(parts), content_type="application/json")


class StreamView(JsonAPIView):
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
            # a stream would keep one of few threads; 204 tells browsers not to reconnect
            return HttpResponse(status=204)
        key = request.auth.digest if isinstance(request.auth, ApiKey) else ""
        session = "" if key else request._request.session.session_key or ""
        try:
            client = hub.admit(caller(request), key=key, session=session)
        except TooManyStreams as refusal:
            raise Throttled(detail=str(refusal)) from None
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingHttpResponse(stream.events(client), content_type="text/event-stream", headers=headers)


def _summary(user: User, at: datetime) -> bytes:
    return _members({"summary": render(SummaryOut, board.summary(user, at=at))})


def _models_and_workers(user: User, at: datetime) -> bytes:
    """Return models and workers, rendered once for each reading of the board."""
    seen = board.shared(at=at)
    hidden = {} if user.is_staff else HIDDEN

    def rendered() -> bytes:
        models = [render(ModelOut, model) for model in seen.models]
        workers = [render(WorkerOut, {**asdict(worker), **hidden}) for worker in seen.workers]
        return _members({"models": models, "workers": workers})

    return at_most_every(board.SHARED_FOR, f"queue:board:{user.is_staff}:{seen.at.timestamp()}", rendered)


def _lists(user: User, last: int, request: Request) -> bytes:
    """Return the first running and queued jobs, shared by all who may see the same ones until the next event of a job."""
    whose = "all" if user.is_staff else str(user.pk)

    def rendered() -> bytes:
        listed = {"processing": board.processing(user), "queued": board.coming_next(user)}
        lines = {name: answers.lines(jobs, request) for name, jobs in listed.items()}
        return _members({name: [render(JobLine, line) for line in found] for name, found in lines.items()})

    return at_most_every(board.SHARED_FOR, f"queue:lists:{whose}:{last}:{request.build_absolute_uri('/')}", rendered)


def _members(facts: Mapping[str, Any]) -> bytes:
    """Return an object's JSON without its braces: rendered once, sent to all."""
    return JSONRenderer().render(facts)[1:-1]
