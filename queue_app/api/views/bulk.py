"""Bulk actions: preview, start, list, read, abort."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock
from queue_app.api import answers, authentication
from queue_app.api.authentication import caller
from queue_app.api.filters import JobFilterSet
from queue_app.api.generics import JsonViewSet
from queue_app.api.idempotency import Made, key_of, once
from queue_app.api.permissions import reaches_others, uses_on_all
from queue_app.api.schema import call
from queue_app.api.serializers.base import PageQuery, render
from queue_app.api.serializers.bulk import BulkLine, BulkOut, BulkPreviewOut
from queue_app.api.serializers.requests import BulkAsked
from queue_app.models import BulkAction, Job, State
from queue_app.models.job import JobQuerySet
from queue_app.work import bulk, keys
from queue_app.work.bulk import verbs
from queue_app.work.bulk.base import BulkVerb
from queue_app.work.bulk.selection import Selection

REFUSALS = 100  # in an answer
EXAMPLES = {
    "Preview a cancel": {"action": "cancel", "filter": {"status": "queued", "model": "sora-2"}, "dry_run": True},
    "Retry what failed today": {"action": "retry", "filter": {"status": "failed", "completed_after": "2026-11-30T00:00:00Z"}},
}


class BulkActionViewSet(JsonViewSet[BulkAction]):
    """One action on many jobs."""

    def get_queryset(self) -> "QuerySet[BulkAction]":
        user = caller(self.request)
        confirmed = BulkAction.objects.exclude(phase=BulkAction.Phase.DRAFT).select_related("actor").defer("job_ids")
        return confirmed if user.is_staff and reaches_others(self.request) else confirmed.filter(actor=user)

    @call("bulk_actions_list", BulkLine(many=True), query=PageQuery)
    def list(self, request: Request) -> Response:
        """List your bulk actions, newest first. Staff see all of them."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response([render(BulkLine, _line(one, request)) for one in page or []])

    @call(
        "bulk_actions_create",
        BulkOut,
        409,
        422,
        status=201,
        body=BulkAsked,
        priced=BulkPreviewOut,
        repeatable=True,
        examples=EXAMPLES,
    )
    def create(self, request: Request) -> HttpResponseBase:
        """
        Cancel or retry all of your jobs that match a filter as it is now. Staff act on the jobs of all users, also by the other
        actions, where they have the right. With `dry_run`, return what it would do: jobs by state, tickets, what can't be
        stopped. A worker does it, soon or after `delay_seconds`; read it to see how far it is.
        """
        asked, user, at = self.given, caller(request), clock.now()
        verb = verbs.VERBS[BulkAction.Verb(asked["action"])]
        own = not uses_on_all(request, verb.right)
        if own and verb.key not in bulk.OWNERS:
            raise PermissionDenied("Only staff with the right, and the scope “manage”, can do this.")
        if own and asked.get("refund"):
            raise PermissionDenied(
                "Only staff with the rights to cancel all jobs and move tickets, and the scope “manage”, can promise refunds."
            )
        if verb is verbs.RETRY:
            keys.refuse_limited(authentication.key_of(request), "retry jobs in bulk")
        jobs = _matching(Job.objects.filter(owner=user) if own else Job.objects.all(), asked["filter"])
        if asked.get("dry_run"):
            key_of(request)  # which is not used, but must be one
            return Response(render(BulkPreviewOut, _preview(verb, Selection(jobs, at=at), asked)))

        @transaction.atomic
        def start() -> Made:
            drafted = bulk.draft(verb.key, jobs, at=at, actor=user, chosen=_words(asked["filter"]), options=asked, own=own)
            delay = timedelta(seconds=asked.get("delay_seconds") or 0)
            bulk.confirm(drafted, at=at, actor=user, reason=asked.get("reason", ""), delay=delay)
            return {"action": drafted.pk}

        return once(request, status=201, do=start, render=lambda made: _answer(made["action"], request))

    @call("bulk_actions_read", BulkOut, 404)
    def retrieve(self, request: Request, pk: int) -> Response:
        """Read one bulk action: how far it is, what became of the jobs, and why some were skipped."""
        return Response(_answer(self.get_object().pk, request))

    @call("bulk_actions_abort", BulkOut, 404, 409)
    @action(detail=True, methods=["post"])
    def abort(self, request: Request, pk: int) -> Response:
        """
        Undo a bulk action before its start, or stop it while it runs: jobs that it has changed stay changed. Safe to repeat.
        """
        bulk.stop(self.get_object(), at=clock.now(), actor=caller(request))
        return Response(_answer(pk, request))


def _matching(jobs: JobQuerySet, wanted: Mapping[str, Any]) -> JobQuerySet:
    """Narrow the jobs by a checked filter, as `GET jobs/` does."""
    if "search" in wanted:
        jobs = jobs.search(wanted["search"])
    return cast(JobQuerySet, JobFilterSet(data=wanted, queryset=jobs).qs)


def _words(wanted: Mapping[str, Any]) -> str:
    """“status failed, model sora-2”: how the jobs were selected."""
    return ", ".join(f"{name} {value}" for name, value in wanted.items()) or "all jobs"


def _preview(verb: BulkVerb, chosen: Selection, options: Mapping[str, Any]) -> dict[str, Any]:
    effect = verb.effect(chosen, verb.read(options))
    return {
        "dry_run": True,
        "action": verb.key,
        "total": chosen.count(*State),
        "by_state": {str(state): jobs for state in State if (jobs := chosen.count(state))},
        "changes": effect.acts_on,
        "cannot_be_stopped": effect.beyond,
        "tickets": {name: getattr(effect, name) for name in ("returned", "returned_later", "reserved")},
        "effects": effect.with_jobs,
        "notes": [f"{remark.what} {remark.rest}".strip() for remark in effect.remarks],
    }


def _answer(pk: int, request: Request) -> dict[str, Any]:
    row = BulkAction.objects.select_related("actor").defer("job_ids").get(pk=pk)
    refused = [{"job": one.job_id, "why": one.why} for one in row.refusals.order_by("job")[:REFUSALS]]
    return render(BulkOut, {**_line(row, request), "refused": refused})


def _line(row: BulkAction, request: Request) -> dict[str, Any]:
    where = answers.address(request, "bulk-action-detail", row.pk)
    names = ("reason", "total", "worked", "results", "created_at", "starts_at", "ended_at")
    return {
        "id": row.pk,
        "action": row.verb,
        "status": row.phase,
        "done": row.is_over,
        "by": row.actor.username,
        "filter": row.chosen,
        **{name: getattr(row, name) for name in names},
        "url": where,
        "links": {"self": where, "abort": answers.address(request, "bulk-action-abort", row.pk)},
    }
