"""Calls about jobs: submit, list, read, cancel, retry."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock, tickets
from queue_app.api import answers, errors, reading, rows, serializers, shapes
from queue_app.api.authentication import VIA, actor, caller, operates
from queue_app.api.idempotency import Made, once
from queue_app.api.views import FoundPages, Pages, View, call, page_of
from queue_app.lifecycle import Verdict
from queue_app.models import Job, JobEvent, User
from queue_app.models.job import JobQuerySet
from queue_app.work import intake, jobs

MEANING = {
    Verdict.CANCELLED: "Cancelled. Nothing is charged.",
    Verdict.REQUESTED: "Cancel requested. If the job finishes first, the result is kept and charged.",
    Verdict.TOO_LATE: "Too late to cancel: the job is finished or saving its files.",
}
BEYOND_STOPPING = "This provider can't cancel. The job is charged if it is delivered."


# parameter: the column of a job that it asks for
NARROWED_BY = {
    "model": "model",
    "kind": "kind",
    "campaign": "batch",
    "batch": "batch",
    "created_after": "queued_at__gte",
    "created_before": "queued_at__lt",
    "completed_after": "ended_at__gte",
    "completed_before": "ended_at__lt",
}


class Submits(View):
    """A call that takes jobs in."""

    def also_wrong(self, request: Request, readable: Mapping[str, Any]) -> Iterator[reading.Wrong]:
        drafts = [serializers.draft(one) for one in (readable.get("jobs", []) if self.many_jobs else [readable])]
        found = intake.problems(caller(request), drafts, at=clock.now())
        return errors.named(intake.IntakeRefused(found), many=self.many_jobs)


class Jobs(Submits):
    @call("jobs_list", page_of(shapes.JobOut, "Job"), query=serializers.JobQuery)
    def get(self, request: Request) -> Response:
        """List your jobs, newest first. Staff see all jobs."""
        found = answers.visible(Job.objects.of(caller(request)))
        for name, value in self.query.items():
            if name == "status":
                found = found.with_status(*value)
            elif name in NARROWED_BY:
                found = found.filter(**{NARROWED_BY[name]: value})
        everybodys = answers.visible(Job.objects.all())
        pages = FoundPages(self.query["search"], everybodys) if "search" in self.query else Pages("-id")
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response(answers.jobs(page, request))

    @call(
        "jobs_create",
        shapes.JobOut,
        402,
        409,
        422,
        status=201,
        query=serializers.DryRun,
        body=serializers.JobAsked,
        priced=shapes.PriceOut,
        repeatable=True,
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Submit one job. With `?dry_run=true`, return its price without creating it."""
        draft, user, at = serializers.draft(self.given), caller(request), clock.now()
        if self.query["dry_run"]:
            (job,) = intake.price(user, [draft], at=at)
            return Response(shapes.render(shapes.PriceOut, {**_priced(job), **_bill(user, [job])}))

        def submit() -> Made:
            return {"job": intake.enqueue(user, [draft], at=at, actor=actor(request))[1][0].pk}

        return once(request, status=201, do=submit, render=lambda made: _job(made["job"], request))


class JobDetail(View):
    @call("jobs_read", shapes.JobOut, 404)
    def get(self, request: Request, pk: int) -> Response:
        """Read one job: position, why it is waiting, cost and result."""
        return Response(answers.job(rows.job(pk, caller(request)), request))


class JobEvents(View):
    @call("jobs_events", page_of(shapes.EventOut, "Event"), 404, query=reading.PageQuery)
    def get(self, request: Request, pk: int) -> Response:
        """List the history of a job, oldest first."""
        job = get_object_or_404(Job.objects.of(caller(request)), pk=pk)
        pages = Pages("seq", page_size=100)
        page = pages.paginate_queryset(JobEvent.objects.filter(job=job), request, view=self) or []
        return pages.get_paginated_response([shapes.render(shapes.EventOut, event) for event in page])


class CancelJob(View):
    @call("jobs_cancel", shapes.CancelOut, 404)
    def post(self, request: Request, pk: int) -> Response:
        """Cancel a job where possible. Safe to repeat."""
        job = get_object_or_404(jobs_to_change(request), pk=pk)
        verdict = jobs.cancel(job, at=clock.now(), actor=caller(request), via=VIA)
        told = _job(pk, request)
        beyond = verdict == Verdict.REQUESTED and not told["can_be_stopped"]
        return Response({"verdict": verdict.value, "message": BEYOND_STOPPING if beyond else MEANING[verdict], **told})


class RetryJob(View):
    @call("jobs_retry", shapes.JobOut, 402, 404, 409, 422, repeatable=True)
    def post(self, request: Request, pk: int) -> HttpResponseBase:
        """Retry a failed or cancelled job, at today's price."""
        job = get_object_or_404(jobs_to_change(request), pk=pk)

        def retry() -> Made:
            jobs.retry(job, at=clock.now(), actor=caller(request), via=VIA)
            return {"job": job.pk}

        return once(request, status=200, do=retry, render=lambda made: _job(made["job"], request))


class JobsBatch(Submits):
    many_jobs = True

    @call(
        "jobs_batch_create",
        shapes.BatchMadeOut,
        402,
        409,
        422,
        status=201,
        query=serializers.DryRun,
        body=serializers.BatchAsked,
        priced=shapes.BatchPriceOut,
        repeatable=True,
    )
    def post(self, request: Request) -> HttpResponseBase:
        """Submit 1 to 1,000 jobs as one batch, all or nothing. With `?dry_run=true`, return the price without creating them."""
        drafts = [serializers.draft(one) for one in self.given["jobs"]]
        user, at = caller(request), clock.now()
        if self.query["dry_run"]:
            jobs = intake.price(user, drafts, at=at)
            facts = {"batch": None, "jobs": [_priced(job) for job in jobs], "total": len(jobs), "cost": _cost(jobs, held=False)}
            return Response(shapes.render(shapes.BatchPriceOut, facts | _bill(user, jobs)))

        def submit() -> Made:
            batch, _ = intake.enqueue(
                user,
                drafts,
                at=at,
                actor=actor(request),
                batch_name=self.given.get("name") or "",
                max_concurrent=self.given.get("max_concurrent"),
            )
            assert batch is not None  # a name was given
            return {"batch": batch.pk}

        return once(request, status=201, do=submit, render=lambda made: _made(made["batch"], request))


def jobs_to_change(request: Request) -> JobQuerySet:
    """The rows whose jobs the caller may change: their own; who operates the queue: all."""
    user = caller(request)
    return Job.objects.of(user) if operates(request) else Job.objects.filter(owner=user)


def _job(pk: int, request: Request) -> dict[str, Any]:
    return answers.job(answers.visible(Job.objects.all()).get(pk=pk), request)


def _priced(job: Job) -> dict[str, Any]:
    """What a job that was not queued would be."""
    names = ("parameters", "priority", "priority_reasons", "preview")
    return {
        "model": job.model_id,
        "kind": job.kind_id,
        **{name: getattr(job, name) for name in names},
        "cost": answers.cost(job),
    }


def _bill(user: User, jobs: Sequence[Job]) -> dict[str, Any]:
    """What they would cost together, and what would be left."""
    available, needed = tickets.balances(user)["available"], sum(job.tickets for job in jobs)
    return {
        "dry_run": True,
        "wallet": {"available": available, "after": available - needed},
        "affordable": needed <= available,
    }


def _cost(jobs: Sequence[Job], *, held: bool) -> dict[str, Any]:
    """The price of all, in tickets and in US dollars."""
    needed = sum(job.tickets for job in jobs)
    usd = answers.dollars(sum((job.usd_estimate for job in jobs), Decimal(0)))
    return {"tickets": needed, "reserved": needed if held else 0, "captured": 0, "refunded": 0, "usd": usd}


def _made(pk: int, request: Request) -> dict[str, Any]:
    jobs = list(answers.visible(Job.objects.filter(batch=pk)).order_by("id"))
    made = {
        "batch": pk,
        "jobs": answers.line_facts(jobs, request),
        "total": len(jobs),
        "cost": _cost(jobs, held=True),
        "url": answers.address(request, "batch", pk),
    }
    return shapes.render(shapes.BatchMadeOut, made)
