"""Batches: list, read, cancel, pause, resume, retry failed jobs."""

from typing import Any

from django.http import HttpResponseBase
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock, lifecycle
from queue_app.api import answers, waits
from queue_app.api.authentication import VIA, caller, key_of
from queue_app.api.filters import BatchFilterSet
from queue_app.api.generics import JsonViewSet
from queue_app.api.idempotency import Made, once
from queue_app.api.permissions import reaches_others
from queue_app.api.schema import call
from queue_app.api.serializers.base import render
from queue_app.api.serializers.batches import BatchCancelOut, BatchChangeOut, BatchLine, BatchOut
from queue_app.api.serializers.requests import BatchChange, BatchQuery, PauseAsked, WaitQuery
from queue_app.insight import batches as insight
from queue_app.insight import waiting
from queue_app.models import Batch
from queue_app.models.job import BatchQuerySet
from queue_app.rules import numbers
from queue_app.work import batches, keys, policy, ticket_budgets


class BatchViewSet(JsonViewSet[Batch]):
    """List, read, cancel, pause, resume and retry batches."""

    filterset_class = BatchFilterSet

    def get_queryset(self) -> BatchQuerySet:
        user = caller(self.request)
        found = Batch.objects.of(user) if reaches_others(self.request) else Batch.objects.filter(owner=user)
        return found.select_related("owner")

    @call("batches_list", BatchLine(many=True), query=BatchQuery)
    def list(self, request: Request) -> Response:
        """List your batches, newest first, those of campaigns among them. Staff see all batches."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        stands = insight.standings(page, at=clock.now())
        lines = [render(BatchLine, _line(batch, how, request)) for batch, how in zip(page, stands, strict=True)]
        return self.get_paginated_response(lines)

    @call("batches_read", BatchOut, 404, query=WaitQuery)
    def retrieve(self, request: Request, pk: int) -> HttpResponseBase:
        """
        Read one batch: jobs by status, cost and time until the last job. With `?wait=30`, the answer comes when its `seq` has
        passed `after` (by default: when one of its jobs changes), once all are finished, or after these seconds.
        """

        def look() -> waits.Seen:
            batch = self.get_object()
            return waits.Seen(lambda: insight.heard(pk), lambda: _answer(batch, request))

        return waits.until_changed(self, request, look, batch=pk)

    @call("batches_change", BatchChangeOut, 404, body=BatchChange)
    def partial_update(self, request: Request, pk: int) -> Response:
        """
        Set a batch's name, its limit, its budget, or the priority of its queued jobs. Only staff can set one above 0, or raise a
        job above what it had: `not_raised` jobs keep theirs.
        """
        batch = self.get_object()
        if "budget_tickets" in self.given:
            keys.refuse_limited(key_of(request), "change the budget of other jobs", of=batch)
        changed, not_raised = batches.change(batch, self.given, at=clock.now(), actor=caller(request), via=VIA)
        waiting.forget()
        return Response({**_answer(changed, request), "not_raised": not_raised})

    @call("batches_cancel", BatchCancelOut, 404)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Cancel all unfinished jobs of the batch where possible."""
        found = batches.cancel(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        verdicts = {verdict.value: found[verdict] for verdict in lifecycle.CancelVerdict}
        return Response({**_answer(_reread(pk), request), "verdicts": verdicts})

    @call("batches_pause", BatchOut, 404, body=PauseAsked)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: int) -> Response:
        """Pause the batch. None of its queued jobs start; running jobs finish."""
        paused = policy.pause_batch(self.get_object(), **self.given, at=clock.now(), actor=caller(request), via=VIA)
        return Response(_answer(paused, request))

    @call("batches_resume", BatchOut, 404)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: int) -> Response:
        """Resume the batch. Its queued jobs have kept their positions."""
        batch = self.get_object()
        keys.refuse_limited(key_of(request), "resume other jobs", of=batch)
        resumed = policy.resume_batch(batch, at=clock.now(), actor=caller(request), via=VIA)
        return Response(_answer(resumed, request))

    @call("batches_retry_failed", BatchOut, 402, 404, 409, 422, repeatable=True)
    @action(detail=True, methods=["post"], url_path="retry-failed")
    def retry_failed(self, request: Request, pk: int) -> HttpResponseBase:
        """Retry the failed jobs of the batch at today's price, all or nothing."""
        batch = self.get_object()

        def retry() -> Made:
            batches.retry(batch, at=clock.now(), actor=caller(request), via=VIA, key=key_of(request))
            return {"batch": batch.pk}

        return once(request, status=200, do=retry, render=lambda _: _answer(_reread(pk), request))


def _answer(batch: Batch, request: Request) -> dict[str, Any]:
    money = insight.money(batch)
    cost = {
        "tickets": money.reserved + money.captured,
        "reserved": money.reserved,
        "captured": money.captured,
        "refunded": money.refunded,
        "usd": numbers.dollars(money.usd_spent + money.usd_to_come),
    }
    budget = ticket_budgets.tickets_of(batch)
    return render(
        BatchOut, _line(batch, insight.standing(batch, at=clock.now()), request) | {"cost": cost, "budget_tickets": budget}
    )


def _line(batch: Batch, stands: insight.Standing, request: Request) -> dict[str, Any]:
    return {
        "id": batch.pk,
        "name": batch.name,
        "owner": batch.owner.username,
        "total": stands.total,
        **stands.counts,
        "done": stands.is_done,
        "starts_in": stands.starts_in,
        "eta": stands.eta,
        "max_concurrent": batch.max_concurrent,
        "paused": batch.paused,
        "paused_reason": batch.paused_reason,
        "paused_until": batch.paused_until,
        "callback_url": answers.callback_url(batch, request),
        "created_at": batch.created_at,
        "ended_at": batch.ended_at,
        "seq": stands.seq,
        "url": answers.address(request, "batch-detail", batch.pk),
        "links": answers.batch_links(batch.pk, request),
    }


def _reread(pk: int) -> Batch:
    """Return the batch as it is after a verb, which may have changed more than the row that it was given."""
    return Batch.objects.select_related("owner").get(pk=pk)
