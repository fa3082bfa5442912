"""The queue: at a glance, and its events as they happen."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

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
from queue_app.api.schema import LAST_EVENT_ID, call
from queue_app.api.serializers.base import render
from queue_app.api.serializers.jobs import JobLine
from queue_app.api.serializers.queue import SHARED_FOR, LimitOut, QueueOut, SummaryOut, WorkerOut, in_order, limit_of, model
from queue_app.api.waits import credentials
from queue_app.caching import at_most_every
from queue_app.insight import counts, lately, positions, snapshot, workers
from queue_app.live import stream
from queue_app.live.hub import TooManyStreams, hub
from queue_app.models import JobEvent, Status, User

HIDDEN = {"host": None, "pid": None, "task": ""}  # of a worker, for all but staff: our machines, and jobs of others


class QueueView(JsonAPIView):
    @call("queue_read", QueueOut)
    def get(self, request: Request) -> HttpResponse:
        """
        Read counts, limits, pace, models, workers, and the first 100 jobs in progress and queued. You see your own jobs, staff
        see all jobs; limits and pace are those of the whole queue.

        Everything is at most 1 second old. The two lists include every event so far.
        """
        user = caller(request)
        events = JobEvent.objects.order_by("-pk").annotate(read_at=clock.ReadAt()).values_list("pk", "read_at")
        last, at = events.first() or (0, clock.now())
        seen = glance(at)
        statuses, priorities = count(user, at=at)
        summary = render(SummaryOut, {**statuses, "available": seen.available})
        of_all = seen.for_staff if user.is_staff else seen.for_others
        parts = (_members({"summary": summary, "by_priority": priorities}), of_all, _lists(user, last, request))
        return HttpResponse(b"{%b}" % b",".join(parts), content_type="application/json")


class StreamView(JsonAPIView):
    content_negotiation_class = OneType  # ``Accept: text/event-stream`` must not become a 406

    @call(
        "queue_stream",
        OpenApiTypes.STR,
        media_type="text/event-stream",
        summary="Changes as they happen (server-sent events)",
        description=stream.__doc__,
        headers=[LAST_EVENT_ID],
        other={204: OpenApiResponse(description="This server can't stream (WSGI). Poll instead.")},
    )
    def get(self, request: Request) -> HttpResponseBase:
        if not isinstance(request._request, ASGIRequest):
            # a stream would keep one of few threads; 204 tells browsers not to reconnect
            return HttpResponse(status=204)
        since = stream.last_heard(request.headers.get(stream.LAST_HEARD, ""))
        try:
            client = hub.admit(caller(request), **credentials(request), since=since)
        except TooManyStreams as refusal:
            raise Throttled(detail=str(refusal)) from None
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingHttpResponse(stream.events(client), content_type="text/event-stream", headers=headers)


def count(user: User, *, at: datetime) -> tuple[dict[Status, int], dict[int, int]]:
    """Return the number of jobs that the user may see: by status, and of the queued ones by priority."""
    if user.is_staff:
        return counts.by_status(at=at, within=SHARED_FOR), counts.by_priority(within=SHARED_FOR)

    def look() -> tuple[dict[Status, int], dict[int, int]]:
        queued = counts.by_priority(owner=user)
        return counts.by_status(at=at, owner=user, queued=sum(queued.values())), queued

    return at_most_every(SHARED_FOR, f"queue:counts:{user.pk}", look)


class Glance(NamedTuple):
    """The part of the answer that does not depend on the caller: free slots; limit, pace, models and workers as JSON."""

    available: int
    for_staff: bytes
    for_others: bytes


def glance(at: datetime) -> Glance:
    """Look at limits, models and workers."""

    def look() -> Glance:
        now, processes = snapshot.take(at=at, within=0), [asdict(process) for process in workers.processes(at=at)]
        models = [model(lane) for lane in in_order(now.lanes)]
        limit = render(LimitOut, limit_of(now.queue))
        of_all = {"limit": limit, **asdict(lately.pace(at=at)), "models": models}

        def rendered(hidden: Mapping[str, Any]) -> bytes:
            listed = [render(WorkerOut, {**process, **hidden}) for process in processes]
            return _members({**of_all, "workers": listed})

        return Glance(now.free_slots, rendered({}), rendered(HIDDEN))

    return at_most_every(SHARED_FOR, "queue:glance", look)


def _lists(user: User, last: int, request: Request) -> bytes:
    """Return the jobs in progress and the queued ones, shared by callers who may see the same until the next event."""
    whose = "all" if user.is_staff else str(user.pk)

    def rendered() -> bytes:
        listed = {"processing": positions.in_progress(user), "queued": positions.coming_next(user)}
        lines = {name: answers.lines(jobs, request) for name, jobs in listed.items()}
        return _members({name: [render(JobLine, line) for line in found] for name, found in lines.items()})

    return at_most_every(SHARED_FOR, f"queue:lists:{whose}:{last}:{request.build_absolute_uri('/')}", rendered)


def _members(facts: Mapping[str, Any]) -> bytes:
    """Render an object's JSON without its braces, to be sent to many callers."""
    return JSONRenderer().render(facts)[1:-1]
