"""The queue at a glance."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from queue_app import clock
from queue_app.api import answers, queue_shapes
from queue_app.api.authentication import caller
from queue_app.api.shapes import JobLine, render
from queue_app.api.views import View, call
from queue_app.insight import board
from queue_app.insight.shared import at_most_every
from queue_app.models import JobEvent, User

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
        parts = (_summary(user, at), _models_and_workers(user, at), _lists(user, last, request))
        return HttpResponse(b"{%b}" % b",".join(parts), content_type="application/json")


def _summary(user: User, at: datetime) -> bytes:
    return _members({"summary": render(queue_shapes.SummaryOut, board.summary(user, at=at))})


def _models_and_workers(user: User, at: datetime) -> bytes:
    """Rendered once for each look at the board."""
    seen = board.shared(at=at)
    hidden = {} if user.is_staff else HIDDEN

    def rendered() -> bytes:
        models = [render(queue_shapes.ModelOut, model) for model in seen.models]
        workers = [render(queue_shapes.WorkerOut, {**asdict(worker), **hidden}) for worker in seen.workers]
        return _members({"models": models, "workers": workers})

    return at_most_every(board.SHARED_FOR, f"queue:board:{user.is_staff}:{seen.at.timestamp()}", rendered)


def _lists(user: User, last: int, request: Request) -> bytes:
    """In flight and waiting, shared by all who may see the same until something happens to a job."""
    whose = "all" if user.is_staff else str(user.pk)

    def rendered() -> bytes:
        listed = {"processing": board.processing(user), "queued": board.coming_next(user)}
        lines = {name: answers.line_facts(jobs, request) for name, jobs in listed.items()}
        return _members({name: [render(JobLine, line) for line in found] for name, found in lines.items()})

    return at_most_every(board.SHARED_FOR, f"queue:lists:{whose}:{last}:{request.build_absolute_uri('/')}", rendered)


def _members(facts: Mapping[str, Any]) -> bytes:
    """An object's JSON without its braces: rendered once, sent to all."""
    return JSONRenderer().render(facts)[1:-1]
