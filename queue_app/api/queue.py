"""The queue at a glance."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from queue_app import clock
from queue_app.api import answers, queue_shapes
from queue_app.api.authentication import caller
from queue_app.api.queue_shapes import SHARED_FOR
from queue_app.api.shapes import JobLine, render
from queue_app.api.views import View, call
from queue_app.caching import at_most_every
from queue_app.insight import counts, positions, snapshot, workers
from queue_app.models import JobEvent, Status, User

HIDDEN = {"host": None, "pid": None, "task": ""}  # of a worker, from all but staff: our machines, and others' jobs


class Queue(View):
    @call("queue_read", queue_shapes.QueueOut)
    def get(self, request: Request) -> HttpResponse:
        """
        Read counts, models, workers, and the first 100 jobs in progress and queued. You see your own jobs, staff see all jobs.

        Everything is at most 1 second old. The two lists include every event so far.
        """
        user = caller(request)
        events = JobEvent.objects.order_by("-pk").annotate(read_at=clock.ReadAt()).values_list("pk", "read_at")
        last, at = events.first() or (0, clock.now())
        seen = glance(at)
        counted = render(queue_shapes.SummaryOut, {**count(user, at=at), "available": seen.available})
        models_and_workers = seen.for_staff if user.is_staff else seen.for_others
        parts = (_members({"summary": counted}), models_and_workers, _lists(user, last, request))
        return HttpResponse(b"{%b}" % b",".join(parts), content_type="application/json")


def count(user: User, *, at: datetime) -> dict[Status, int]:
    """Return the number of jobs that the user may see, by status."""
    if user.is_staff:
        return counts.by_status(at=at, within=SHARED_FOR)
    return at_most_every(SHARED_FOR, f"queue:counts:{user.pk}", lambda: counts.by_status(at=at, owner=user))


class Glance(NamedTuple):
    """The part of the answer that does not depend on the caller: free slots, and models with workers as JSON."""

    available: int
    for_staff: bytes
    for_others: bytes


def glance(at: datetime) -> Glance:
    """Look at limits, models and workers."""

    def look() -> Glance:
        now, processes = snapshot.take(at=at, within=0), [asdict(process) for process in workers.processes(at=at)]
        models = [queue_shapes.model(lane) for lane in queue_shapes.in_order(now.lanes)]

        def rendered(hidden: Mapping[str, Any]) -> bytes:
            listed = [render(queue_shapes.WorkerOut, {**process, **hidden}) for process in processes]
            return _members({"models": models, "workers": listed})

        return Glance(now.free_slots, rendered({}), rendered(HIDDEN))

    return at_most_every(SHARED_FOR, "queue:glance", look)


def _lists(user: User, last: int, request: Request) -> bytes:
    """Return the jobs in progress and the queued ones, shared by callers who may see the same until the next event."""
    whose = "all" if user.is_staff else str(user.pk)

    def rendered() -> bytes:
        listed = {"processing": positions.in_progress(user), "queued": positions.coming_next(user)}
        lines = {name: answers.line_facts(jobs, request) for name, jobs in listed.items()}
        return _members({name: [render(JobLine, line) for line in found] for name, found in lines.items()})

    return at_most_every(SHARED_FOR, f"queue:lists:{whose}:{last}:{request.build_absolute_uri('/')}", rendered)


def _members(facts: Mapping[str, Any]) -> bytes:
    """Render an object's JSON without its braces, to be sent to many callers."""
    return JSONRenderer().render(facts)[1:-1]
