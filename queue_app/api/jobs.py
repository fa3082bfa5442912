"""Calls about jobs: submit, list, read, cancel, retry."""

from decimal import Decimal
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock, tickets
from queue_app.api import answers, serializers, shapes
from queue_app.api.authentication import VIA, actor, caller, operates
from queue_app.api.idempotency import once
from queue_app.api.reading import asked, asked_by_query
from queue_app.api.views import IDEMPOTENCY_KEY, PAGING, Pages, View, page_of
from queue_app.api.views import answers as answered
from queue_app.lifecycle import Verdict
from queue_app.models import Batch, Job, JobEvent, User
from queue_app.models.job import JobQuerySet
from queue_app.work import intake, jobs

MEANING = {
    Verdict.CANCELLED: "It is cancelled; nothing is charged.",
    Verdict.REQUESTED: "Its provider is asked to stop it. If it was faster, the result is kept and charged.",
    Verdict.TOO_LATE: "There is nothing left to stop: it has ended, or its files are being stored.",
}
BEYOND_STOPPING = "It cannot be stopped; if it is delivered it is charged."


class Jobs(View):
    @extend_schema(
        operation_id="jobs_list",
        parameters=[serializers.JobQuery, *PAGING],
        responses=answered(page_of(shapes.JobOut, "Job"), 400),
    )
    def get(self, request: Request) -> Response:
        """The caller's jobs, newest first; staff see everybody's."""
        query = asked_by_query(request, serializers.JobQuery)
        found = answers.visible(Job.objects.of(caller(request)))
        if "status" in query:
            found = found.with_status(query["status"])
        for name, column in (("model", "model"), ("kind", "kind"), ("campaign", "batch")):
            if name in query:
                found = found.filter(**{column: query[name]})
        if words := query.get("search", "").strip():
            found = found.search(words)
        pages = Pages("-id")
        rows = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response(answers.jobs(rows, request, at=clock.now()))

    @extend_schema(
        operation_id="jobs_create",
        request=serializers.JobAsked,
        parameters=[IDEMPOTENCY_KEY, serializers.DryRun],
        responses={**answered(shapes.JobOut, 400, 402, 409, 413, 415, 422, status=201), 200: shapes.PriceOut},
    )
    def post(self, request: Request) -> Response:
        """Submit one job; with `?dry_run=true` only price it."""
        given = asked(request, serializers.JobAsked)
        draft = serializers.draft(given)
        user, at = caller(request), clock.now()
        if asked_by_query(request, serializers.DryRun)["dry_run"]:
            (job,) = intake.price(user, [draft], at=at)
            return Response(shapes.render(shapes.PriceOut, _price(user, job)))

        def submit() -> Job:
            return intake.enqueue(user, [draft], at=at, actor=actor(request))[1][0]

        return once(request, request.data, status=201, do=submit, render=lambda job: answers.job(job, request, at=at))


class JobDetail(View):
    @extend_schema(operation_id="jobs_read", responses=answered(shapes.JobOut, 404))
    def get(self, request: Request, pk: int) -> Response:
        """One job in full: where it is, why it waits, what it cost, what came of it."""
        job = get_object_or_404(answers.visible(Job.objects.of(caller(request))), pk=pk)
        return Response(answers.job(job, request, at=clock.now()))


class JobEvents(View):
    @extend_schema(operation_id="jobs_events", parameters=PAGING, responses=answered(page_of(shapes.EventOut, "Event"), 400, 404))
    def get(self, request: Request, pk: int) -> Response:
        """The job's history, oldest first."""
        job = get_object_or_404(Job.objects.of(caller(request)), pk=pk)
        pages = Pages("seq", page_size=100)
        rows = pages.paginate_queryset(JobEvent.objects.filter(job=job), request, view=self) or []
        return pages.get_paginated_response([shapes.render(shapes.EventOut, row) for row in rows])


class CancelJob(View):
    @extend_schema(operation_id="jobs_cancel", request=None, responses=answered(shapes.CancelOut, 404))
    def post(self, request: Request, pk: int) -> Response:
        """Stop a job as far as it can be stopped; asked again, it answers the same."""
        job = get_object_or_404(jobs_to_change(request), pk=pk)
        verdict = jobs.cancel(job, at=clock.now(), actor=caller(request), via=VIA)
        job = answers.visible(Job.objects.all()).get(pk=pk)
        told = answers.job(job, request, at=clock.now())
        beyond = verdict == Verdict.REQUESTED and not told["can_be_stopped"]
        return Response({"verdict": verdict.value, "message": BEYOND_STOPPING if beyond else MEANING[verdict], **told})


class RetryJob(View):
    @extend_schema(
        operation_id="jobs_retry",
        request=None,
        parameters=[IDEMPOTENCY_KEY],
        responses=answered(shapes.JobOut, 400, 402, 404, 409, 422),
    )
    def post(self, request: Request, pk: int) -> Response:
        """Queue a failed or cancelled job again, at today's price."""
        job = get_object_or_404(jobs_to_change(request), pk=pk)
        at = clock.now()

        def retry() -> Job:
            jobs.retry(job, at=at, actor=caller(request), via=VIA)
            return answers.visible(Job.objects.all()).get(pk=pk)

        return once(request, None, status=200, do=retry, render=lambda job: answers.job(job, request, at=at))


class JobsBatch(View):
    many_jobs = True

    @extend_schema(
        operation_id="jobs_batch_create",
        request=serializers.BatchAsked,
        parameters=[IDEMPOTENCY_KEY],
        responses=answered(shapes.BatchMadeOut, 400, 402, 409, 413, 415, 422, status=201),
    )
    def post(self, request: Request) -> Response:
        """Submit 1 to 1,000 jobs as one batch: all or nothing."""
        given = asked(request, serializers.BatchAsked)
        drafts = [serializers.draft(dict(one)) for one in given["jobs"]]
        user, at = caller(request), clock.now()

        def submit() -> tuple[Batch, list[Job]]:
            batch, jobs = intake.enqueue(user, drafts, at=at, actor=actor(request), batch_name=given.get("name") or "")
            assert batch is not None  # a name was given
            return batch, jobs

        return once(request, request.data, status=201, do=submit, render=lambda made: _made(*made, request))


def jobs_to_change(request: Request) -> JobQuerySet:
    """The rows whose jobs the caller may change: their own; who operates the queue: all."""
    user = caller(request)
    return Job.objects.of(user) if operates(request) else Job.objects.filter(owner=user)


def _price(user: User, job: Job) -> dict[str, Any]:
    available = tickets.balances(user)["available"]
    return {
        "dry_run": True,
        "model": job.model_id,
        "kind": job.kind_id,
        "parameters": job.parameters,
        "priority": job.priority,
        "priority_reasons": job.priority_reasons,
        "preview": job.preview,
        "cost": answers.cost(job),
        "wallet": {"available": available, "after": available - job.tickets},
        "affordable": job.tickets <= available,
    }


def _made(batch: Batch, jobs: list[Job], request: Request) -> dict[str, Any]:
    held = sum(job.tickets for job in jobs)
    usd = sum((job.usd_estimate for job in jobs), Decimal(0))
    made = {
        "batch": batch.pk,
        "jobs": answers.line_facts(jobs, request),
        "total": len(jobs),
        "cost": {"tickets": held, "reserved": held, "captured": 0, "refunded": 0, "usd": answers.dollars(usd)},
        "url": answers.address(request, "batch", batch.pk),
    }
    return shapes.render(shapes.BatchMadeOut, made)
