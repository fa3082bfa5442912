"""Batches: read, cancel, pause, resume, retry failed jobs."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock, lifecycle
from queue_app.api import answers
from queue_app.api.authentication import VIA, caller
from queue_app.api.generics import JsonViewSet
from queue_app.api.idempotency import Made, once
from queue_app.api.permissions import reaches_others
from queue_app.api.schema import call
from queue_app.api.serializers.base import render
from queue_app.api.serializers.batches import BatchCancelOut, BatchOut
from queue_app.insight.batches import standing
from queue_app.models import Batch
from queue_app.models.job import BatchQuerySet
from queue_app.rules import numbers
from queue_app.work import batches, policy


class BatchViewSet(JsonViewSet[Batch]):
    """Read, cancel, pause, resume and retry batches."""

    def get_queryset(self) -> BatchQuerySet:
        user = caller(self.request)
        found = Batch.objects.of(user) if reaches_others(self.request) else Batch.objects.filter(owner=user)
        return found.select_related("owner")

    @call("batches_read", BatchOut, 404)
    def retrieve(self, request: Request, pk: int) -> Response:
        """Read one batch: jobs by status, cost and time until the last job."""
        return Response(_answer(self.get_object(), request))

    @call("batches_cancel", BatchCancelOut, 404)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Cancel all unfinished jobs of the batch where possible."""
        found = batches.cancel(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        verdicts = {verdict.value: found[verdict] for verdict in lifecycle.CancelVerdict}
        return Response({**_answer(_reread(pk), request), "verdicts": verdicts})

    @call("batches_pause", BatchOut, 404)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: int) -> Response:
        """Pause the batch. None of its queued jobs start; running jobs finish."""
        paused = policy.pause_batch(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        return Response(_answer(paused, request))

    @call("batches_resume", BatchOut, 404)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: int) -> Response:
        """Resume the batch. Its queued jobs have kept their positions."""
        resumed = policy.resume_batch(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        return Response(_answer(resumed, request))

    @call("batches_retry_failed", BatchOut, 402, 404, 409, 422, repeatable=True)
    @action(detail=True, methods=["post"], url_path="retry-failed")
    def retry_failed(self, request: Request, pk: int) -> HttpResponseBase:
        """Retry the failed jobs of the batch at today's price, all or nothing."""
        batch = self.get_object()

        def retry() -> Made:
            batches.retry(batch, at=clock.now(), actor=caller(request), via=VIA)
            return {"batch": batch.pk}

        return once(request, status=200, do=retry, render=lambda _: _answer(_reread(pk), request))


def _answer(batch: Batch, request: Request) -> dict[str, Any]:
    stands = standing(batch, at=clock.now())
    money = stands.money
    facts = {
        "id": batch.pk,
        "name": batch.name,
        "owner": batch.owner.username,
        "total": stands.total,
        **stands.counts,
        "eta": stands.eta,
        "cost": {
            "tickets": money.reserved + money.captured,
            "reserved": money.reserved,
            "captured": money.captured,
            "refunded": money.refunded,
            "usd": numbers.dollars(money.usd_spent + money.usd_to_come),
        },
        "max_concurrent": batch.max_concurrent,
        "paused": batch.paused,
        "paused_reason": batch.paused_reason,
        "callback_url": batch.callback_url or None,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
        "url": answers.address(request, "batch-detail", batch.pk),
    }
    return render(BatchOut, facts)


def _reread(pk: int) -> Batch:
    """Return the batch as it is after a verb, which may have changed more than the row that it was given."""
    return Batch.objects.select_related("owner").get(pk=pk)
