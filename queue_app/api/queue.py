"""The queue at a glance."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock
from queue_app.api import answers, queue_shapes
from queue_app.api.authentication import caller
from queue_app.api.shapes import render
from queue_app.api.views import View
from queue_app.api.views import answers as answered
from queue_app.insight import board


class Queue(View):
    @extend_schema(operation_id="queue_read", responses=answered(queue_shapes.QueueOut))
    def get(self, request: Request) -> Response:
        """
        Counts, models, workers, and the first 100 jobs in flight and waiting: the caller's own, for staff everybody's.

        Counts, models and workers are at most a second old; the two lists are fresh.
        """
        user, at = caller(request), clock.now()
        seen = board.shared(at=at)
        facts = {
            "summary": board.summary(user, at=at),
            "models": seen.models,
            "workers": seen.workers,
            "processing": answers.line_facts(board.processing(user), request),
            "queued": answers.line_facts(board.coming_next(user), request),
        }
        return Response(render(queue_shapes.QueueOut, facts))
