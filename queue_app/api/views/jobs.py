"""Jobs: submit, list, read, cancel, retry."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from queue_app import clock, tickets
from queue_app.api import answers, errors, rows, status, waits
from queue_app.api.authentication import VIA, actor, caller, key_of
from queue_app.api.errors import Wrong
from queue_app.api.filters import JobFilterSet
from queue_app.api.generics import JsonViewSet
from queue_app.api.idempotency import Made, once
from queue_app.api.pagination import EventPages, JobPages
from queue_app.api.permissions import reaches_others
from queue_app.api.schema import ETAG, IF_NONE_MATCH, NOT_MODIFIED, PREFER, PREFERENCE_APPLIED, RETRY_HINT, call
from queue_app.api.serializers.base import PageQuery, render
from queue_app.api.serializers.batches import BatchMadeOut, BatchPriceOut
from queue_app.api.serializers.jobs import CancelOut, EventOut, JobOut, PriceOut, StatusOut
from queue_app.api.serializers.requests import (
    AN_UPLOAD,
    BatchAsked,
    DryRun,
    JobAsked,
    JobChange,
    JobQuery,
    MoveAsked,
    RetryAsked,
    WaitQuery,
    draft,
)
from queue_app.lifecycle import STOPS_AFTER_CALL, CancelVerdict
from queue_app.models import Job, JobEvent, User
from queue_app.models.job import JobQuerySet
from queue_app.rules import numbers
from queue_app.work import fetching, intake, jobs, retention

MEANING = {
    CancelVerdict.CANCELLED: "Cancelled. Nothing is charged.",
    CancelVerdict.REQUESTED: "Cancel requested. If the job finishes first, the result is kept and charged.",
    CancelVerdict.TOO_LATE: "Too late to cancel: the job is finished or saving its files.",
}
EXAMPLES = {
    "A video": {"model": "sora-2", "prompt": "A tram through a sunlit old town.", "parameters": {"duration": 8}},
    "A silent video from an image": {
        "model": "kling-v3",
        "prompt": "The shoe turns slowly.",
        "parameters": {"duration": 5, "audio": False, "images": {"first_frame": AN_UPLOAD}},
    },
    "Three images with references": {
        "model": "nano-banana-2",
        "prompt": "The shoe in the snow.",
        "parameters": {"resolution": "2K", "num_images": 3, "reference_images": [{"upload": AN_UPLOAD}]},
    },
    "A page": {
        "kind": "page",
        "metadata": {
            "page_type": "product",
            "target_url": "https://shop.example/kettles/aria-15",
            "keywords": ["electric kettle", "quiet kettle"],
            "language": "en",
            "product": {
                "name": "Aria 1.5",
                "sku": "AR-15",
                "price": "49.90",
                "currency": "EUR",
                "attributes": {"Capacity": "1.5 l", "Power": "2200 W", "Weight": "1.1 kg"},
            },
        },
    },
    "A text": {"model": "text-writer", "prompt": "Three slogans for a shoe."},
}
BEYOND_STOPPING = "This provider can't cancel. The job is charged if it is delivered."


class JobViewSet(JsonViewSet[Job]):
    """Submit, list, read, cancel and retry jobs."""

    filterset_class = JobFilterSet
    pagination_class = JobPages

    def get_queryset(self) -> JobQuerySet:
        user = caller(self.request)
        return Job.objects.of(user) if reaches_others(self.request) else Job.objects.filter(owner=user)

    def also_wrong(self, request: Request, readable: Mapping[str, Any]) -> Iterable[Wrong]:
        if self.detail:  # a retry, which is checked with its job
            return ()
        drafts = [draft(one) for one in (readable.get("jobs", []) if self.many_jobs else [readable])]
        found = intake.problems(caller(request), drafts, at=clock.now())
        of_batch = intake.batch_problems(**_of_batch(readable)) if self.many_jobs else []
        return errors.named(intake.IntakeRefused([*of_batch, *found]), many=self.many_jobs)

    @call("jobs_list", JobOut(many=True), query=JobQuery)
    def list(self, request: Request) -> Response:
        """List your jobs, newest first. Staff see all jobs."""
        page = self.paginate_queryset(self.filter_queryset(answers.visible(self.get_queryset())))
        return self.get_paginated_response(answers.jobs(page or [], request))

    @call(
        "jobs_create",
        JobOut,
        402,
        409,
        422,
        status=201,
        query=DryRun,
        body=JobAsked,
        priced=PriceOut,
        repeatable=True,
        examples=EXAMPLES,
        headers=(PREFER, PREFERENCE_APPLIED),
    )
    def create(self, request: Request) -> HttpResponseBase:
        """
        Submit one job. With `?dry_run=true`, return its price without creating it. With `Prefer: wait=60`, the answer comes once
        the job is finished, or after these seconds.
        """
        asked, user, at = [draft(self.given)], caller(request), clock.now()
        if self.query["dry_run"]:
            (job,) = intake.price(user, fetching.with_uploads(user, asked, at=at), at=at)
            return Response(render(PriceOut, {**_priced(job), **_bill(user, [job])}))

        def submit() -> Made:
            return {"job": intake.enqueue(user, asked, at=at, actor=actor(request), key=key_of(request))[1][0].pk}

        def fetch() -> None:
            asked[:] = fetching.with_uploads(user, asked, at=at)

        return once(
            request,
            status=201,
            do=submit,
            render=lambda made: answers.job_of(made["job"], request),
            prepare=fetch if fetching.is_needed(asked) else None,
            hold=partial(waits.until_ended, self, request),
        )

    @call(
        "jobs_batch_create",
        BatchMadeOut,
        402,
        409,
        422,
        status=201,
        query=DryRun,
        body=BatchAsked,
        priced=BatchPriceOut,
        repeatable=True,
    )
    @action(detail=False, methods=["post"], many_jobs=True)
    def batch(self, request: Request) -> HttpResponseBase:
        """Submit 1 to 1,000 jobs as one batch, all or nothing. With `?dry_run=true`, return the price without creating them."""
        asked = [draft(one) for one in self.given["jobs"]]
        user, at = caller(request), clock.now()
        if self.query["dry_run"]:
            if wrong := intake.batch_problems(**_of_batch(self.given)):
                raise intake.IntakeRefused([*wrong, *intake.problems(user, asked, at=at)])
            priced = intake.price(user, fetching.with_uploads(user, asked, at=at), at=at)
            facts = {"batch": None, "jobs": [*map(_priced, priced)], "total": len(priced), "cost": _cost(priced, reserved=False)}
            return Response(render(BatchPriceOut, facts | _bill(user, priced)))

        def submit() -> Made:
            own = _of_batch(self.given)
            new = {"batch_name": own.pop("name"), **own}
            batch, _ = intake.enqueue(user, asked, at=at, actor=actor(request), key=key_of(request), **new)
            assert batch is not None  # a name was given
            return {"batch": batch.pk}

        def fetch() -> None:
            asked[:] = fetching.with_uploads(user, asked, at=at)

        return once(
            request,
            status=201,
            do=submit,
            render=lambda made: _made(made["batch"], request),
            prepare=fetch if fetching.is_needed(asked) else None,
        )

    @call("jobs_read", JobOut, 404, query=WaitQuery)
    def retrieve(self, request: Request, pk: int) -> HttpResponseBase:
        """
        Read one job: position, why it is waiting, cost and result. With `?wait=30`, the answer comes when the job's `seq` has
        passed `after` (by default: when it changes), once the job is finished, or after these seconds.
        """

        def look() -> waits.Seen:
            job, at = rows.job(pk, caller(request))  # as `get_object` would, by a prepared statement
            return waits.Seen(lambda: (job.event_seq, not job.is_open), lambda: answers.job(job, at, request))

        return waits.until_changed(self, request, look, job=pk)

    @call("jobs_status", StatusOut, 404, headers=(ETAG, IF_NONE_MATCH, RETRY_HINT), other={304: NOT_MODIFIED})
    @action(detail=True)
    def status(self, request: Request, pk: int) -> HttpResponseBase:
        """
        Read where a job is, in at most a few hundred bytes. Its `ETag` changes with everything but `starts_in` and `eta`, so send
        it as `If-None-Match`. `Retry-After` says when it is worth asking again.
        """
        return status.answer(pk, request)

    @call("jobs_events", EventOut(many=True), 404, query=PageQuery)
    @action(detail=True, pagination_class=EventPages)
    def events(self, request: Request, pk: int) -> Response:
        """List the history of a job, oldest first."""
        history: QuerySet[Any] = JobEvent.objects.filter(job=self.get_object())
        page = self.paginate_queryset(history)
        return self.get_paginated_response([render(EventOut, event) for event in page or []])

    @call("jobs_change", JobOut, 404, 409, body=JobChange)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Set the priority of a queued job. Owners can lower it, and take that back; staff can set any."""
        jobs.set_priority(self.get_object(), self.given["priority"], at=clock.now(), actor=caller(request), via=VIA)
        return Response(answers.job_of(pk, request))

    @call("jobs_move", JobOut, 404, 409, body=MoveAsked)
    @action(detail=True, methods=["post"])
    def move(self, request: Request, pk: int) -> Response:
        """
        Move a queued job among its owner's jobs of the same model and priority: before all of them, or before one. These jobs
        exchange their places; those of other users keep theirs.
        """
        before = None if self.given.get("to") == "first" else self.given["before"]
        jobs.move(self.get_object(), before=before, at=clock.now(), actor=caller(request), via=VIA)
        return Response(answers.job_of(pk, request))

    @call("jobs_cancel", CancelOut, 404)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: int) -> Response:
        """Cancel a job where possible. Safe to repeat."""
        verdict = jobs.cancel(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        job = answers.job_of(pk, request)
        message = MEANING[verdict]
        if verdict == CancelVerdict.REQUESTED and not job["can_be_stopped"]:
            message = BEYOND_STOPPING
        elif verdict == CancelVerdict.REQUESTED and job["kind"] in settings.PIPELINES:
            message = f"Cancel requested. {STOPS_AFTER_CALL}"
        return Response({**job, "verdict": verdict.value, "message": message})

    @call("jobs_retry", JobOut, 402, 404, 409, 422, body=RetryAsked, repeatable=True)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: int) -> HttpResponseBase:
        """
        Retry a failed or cancelled job, at today's price. A body can change its prompt, its parameters, or both; they are
        checked as those of a new job, and the job's history keeps what they were.
        """
        job, at = self.get_object(), clock.now()
        given = {name: value for name, value in self.given.items() if value is not None}
        asked = [intake.draft_like(job, **given)] if given else []

        def retry() -> Made:
            change = asked[0] if asked else None
            jobs.retry(job, at=clock.now(), actor=caller(request), via=VIA, change=change, key=key_of(request))
            return {"job": job.pk}

        def fetch() -> None:
            asked[:] = fetching.with_uploads(job.owner, asked, at=at)

        return once(
            request,
            status=200,
            do=retry,
            render=lambda made: answers.job_of(made["job"], request),
            prepare=fetch if fetching.is_needed(asked) else None,
        )

    @call("jobs_assets_delete", JobOut, 404, 409)
    @action(detail=True, methods=["delete"])
    def assets(self, request: Request, pk: int) -> Response:
        """Delete the files of a finished job. The job, its history and its charge stay. Safe to repeat."""
        retention.expire_files_of(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        return Response(answers.job_of(pk, request))


def _of_batch(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the batch itself. Null counts as left out."""
    texts = {name: given.get(name) or "" for name in ("name", "callback_url")}
    return {**texts, "max_concurrent": given.get("max_concurrent")}


def _priced(job: Job) -> dict[str, Any]:
    """Return the facts of `PricedJobOut` for a job that was not queued."""
    names = ("parameters", "priority", "priority_reasons", "preview")
    return {
        "model": job.model_id,
        "kind": job.kind_id,
        **{name: getattr(job, name) for name in names},
        "cost": answers.cost(job),
    }


def _bill(user: User, jobs: Sequence[Job]) -> dict[str, Any]:
    """Return whether the user can afford the jobs together, and what would be left."""
    available, needed = tickets.balances(user)["available"], sum(job.tickets for job in jobs)
    return {
        "dry_run": True,
        "wallet": {"available": available, "after": available - needed},
        "affordable": needed <= available,
    }


def _cost(jobs: Sequence[Job], *, reserved: bool) -> dict[str, Any]:
    """Return the price of all jobs, in tickets and US dollars."""
    needed = sum(job.tickets for job in jobs)
    usd = numbers.dollars(sum((job.usd_estimate for job in jobs), Decimal(0)))
    return {"tickets": needed, "reserved": needed if reserved else 0, "captured": 0, "refunded": 0, "usd": usd}


def _made(pk: int, request: Request) -> dict[str, Any]:
    jobs = list(answers.visible(Job.objects.filter(batch=pk)).order_by("id"))
    made = {
        "batch": pk,
        "jobs": answers.lines(jobs, request),
        "total": len(jobs),
        "cost": _cost(jobs, reserved=True),
        "url": answers.address(request, "batch-detail", pk),
        "links": answers.batch_links(pk, request),
    }
    return render(BatchMadeOut, made)
