"""The queue at a glance."""

from dataclasses import asdict
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

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
    def get(self, request: Request) -> Response:
        """
        Counts, models, workers, and the first 100 jobs in flight and waiting: the caller's own, for staff everybody's.

        Everything is at most a second old; the two lists show each event of a job at once.
        """
        user, at = caller(request), clock.now()
        seen = board.shared(at=at)
        hidden = {} if user.is_staff else HIDDEN
        workers = [{**asdict(worker), **hidden} for worker in seen.workers]
        facts = {"summary": board.summary(user, at=at), "models": seen.models, "workers": workers}
        return Response(render(queue_shapes.BoardOut, facts) | self._lists(request, user))

    def _lists(self, request: Request, user: User) -> dict[str, Any]:
        """In flight and waiting, shared by all who may see the same until something happens to a job."""
        whose = "all" if user.is_staff else str(user.pk)
        last = JobEvent.objects.order_by("-pk").values_list("pk", flat=True).first()
        return at_most_every(
            board.SHARED_FOR,
            f"queue:{whose}:{last}:{request.build_absolute_uri('/')}",
            lambda: {
                name: [render(JobLine, line) for line in answers.line_facts(jobs, request)]
                for name, jobs in (("processing", board.processing(user)), ("queued", board.coming_next(user)))
            },
        )
