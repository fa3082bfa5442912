"""Calls about batches: read, cancel, pause, resume, retry what failed."""

from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock, lifecycle
from queue_app.api import answers, shapes
from queue_app.api.authentication import VIA, caller, operates
from queue_app.api.idempotency import Made, once
from queue_app.api.views import View, call
from queue_app.insight.batches import standing
from queue_app.models import Batch
from queue_app.models.job import BatchQuerySet
from queue_app.work import batches, policy


class BatchDetail(View):
    @call("batches_read", shapes.BatchOut, 404)
    def get(self, request: Request, pk: int) -> Response:
        """Read one batch: jobs by status, cost and time until the last job."""
        found = Batch.objects.of(caller(request)).select_related("owner")
        return Response(batch_answer(get_object_or_404(found, pk=pk), request))


class CancelBatch(View):
    @call("batches_cancel", shapes.BatchCancelOut, 404)
    def post(self, request: Request, pk: int) -> Response:
        """Cancel all unfinished jobs of the batch where possible."""
        batch = get_object_or_404(batches_to_change(request), pk=pk)
        verdicts = batches.cancel(batch, at=clock.now(), actor=caller(request), via=VIA)
        told = {verdict.value: verdicts[verdict] for verdict in lifecycle.Verdict}
        return Response({**batch_answer(_anew(batch), request), "verdicts": told})


class PauseBatch(View):
    @call("batches_pause", shapes.BatchOut, 404)
    def post(self, request: Request, pk: int) -> Response:
        """Pause the batch. None of its queued jobs start; running jobs finish."""
        batch = get_object_or_404(batches_to_change(request), pk=pk)
        paused = policy.pause_batch(batch, at=clock.now(), actor=caller(request), via=VIA)
        return Response(batch_answer(paused, request))


class ResumeBatch(View):
    @call("batches_resume", shapes.BatchOut, 404)
    def post(self, request: Request, pk: int) -> Response:
        """Resume the batch. Its queued jobs have kept their positions."""
        batch = get_object_or_404(batches_to_change(request), pk=pk)
        resumed = policy.resume_batch(batch, at=clock.now(), actor=caller(request), via=VIA)
        return Response(batch_answer(resumed, request))


class RetryBatch(View):
    @call("batches_retry_failed", shapes.BatchOut, 402, 404, 409, 422, repeatable=True)
    def post(self, request: Request, pk: int) -> HttpResponseBase:
        """Retry the failed jobs of the batch at today's price, all or nothing."""
        batch = get_object_or_404(batches_to_change(request), pk=pk)

        def retry() -> Made:
            batches.retry_failed(batch, at=clock.now(), actor=caller(request), via=VIA)
            return {"batch": batch.pk}

        return once(request, status=200, do=retry, render=lambda _: batch_answer(_anew(batch), request))


def batches_to_change(request: Request) -> BatchQuerySet:
    """The batches that the caller may change: their own; who operates the queue: all."""
    user = caller(request)
    reachable = Batch.objects.of(user) if operates(request) else Batch.objects.filter(owner=user)
    return reachable.select_related("owner")


def batch_answer(batch: Batch, request: Request) -> dict[str, Any]:
    """The batch as `shapes.BatchOut` has it."""
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
            "usd": answers.dollars(money.usd_spent + money.usd_to_come),
        },
        "max_concurrent": batch.max_concurrent,
        "paused": batch.paused,
        "paused_reason": batch.paused_reason,
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
        "url": answers.address(request, "batch", batch.pk),
    }
    return shapes.render(shapes.BatchOut, facts)


def _anew(batch: Batch) -> Batch:
    """The batch as it is now: what was done to it is in the database, and only some of it in the row that was read before."""
    return Batch.objects.select_related("owner").get(pk=batch.pk)
