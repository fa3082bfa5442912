"""
What schedules can make: a maker for each kind of request, by the names in the setting ``SCHEDULED``.

Jobs are made here. Applications above the queue add their own makers, so that the queue knows none of them.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from queue_app.models import GenerationModel, User
from queue_app.rules.words import one_line
from queue_app.tickets import NotEnoughTickets
from queue_app.work import fetching, intake, pipeline
from queue_app.work.intake import Draft, IntakeRefused, KindRestricted, ModelNotAvailable, Problem

JOB = "job"
Request = dict[str, Any]


class Made(NamedTuple):
    """What a run has made: a job, or a batch of jobs."""

    job: int | None = None
    batch: int | None = None


class Maker(Protocol):
    """One kind of request that a schedule repeats. Everything is made with the rights that the owner has at that moment."""

    refusals: tuple[type[Exception], ...]
    """What `make` and `check` raise if the request is refused. Their messages are for the owner."""

    def fetched(self, owner: User, request: Mapping[str, Any], *, at: datetime) -> Request:
        """Return the request with an upload in place of each URL of an image. It may call the network: no transaction is open."""

    def check(self, owner: User, request: Mapping[str, Any], *, at: datetime) -> None:
        """Raise one of ``refusals`` if the request would be refused now for more than its tickets. Names the fields."""

    def images(self, request: Mapping[str, Any]) -> Any:
        """Return the images that the request names, as `rules.parameters` has them."""

    def make(self, owner: User, request: Mapping[str, Any], *, name: str, at: datetime, actor: str) -> Made:
        """Queue what is requested, all or nothing. ``name`` is that of this run."""


def maker_of(makes: str) -> Maker:
    found: Maker = import_string(settings.SCHEDULED[makes])
    return found


class Jobs:
    """Makes one job: the request has the fields of `intake.Draft`, without times."""

    refusals: tuple[type[Exception], ...] = (IntakeRefused, KindRestricted, ModelNotAvailable, NotEnoughTickets)

    def fetched(self, owner: User, request: Mapping[str, Any], *, at: datetime) -> Request:
        try:
            (found,) = fetching.with_uploads(owner, [_draft(request)], at=at)
        except self.refusals as refusal:
            raise _at_fields(refusal) from None
        return {**request, "parameters": dict(found.parameters)}

    def check(self, owner: User, request: Mapping[str, Any], *, at: datetime) -> None:
        try:
            intake.price(owner, [_draft(request)], at=at)
        except self.refusals as refusal:
            raise _at_fields(refusal) from None

    def images(self, request: Mapping[str, Any]) -> Any:
        return request.get("parameters", {}).get("images")

    def make(self, owner: User, request: Mapping[str, Any], *, name: str, at: datetime, actor: str) -> Made:
        _, (job,) = intake.enqueue(owner, [_draft(request)], at=at, actor=actor)
        return Made(job=job.pk)


jobs = Jobs()


def summary(request: Mapping[str, Any]) -> str:
    """Return the prompt of a job's request on one line, or the one that its pipeline gives it."""
    prompt = str(request.get("prompt", ""))
    if not prompt.strip() and (piped := pipeline.of(request.get("kind") or _medium(request))):
        prompt = piped.prompt(request.get("metadata", {}))
    return one_line(prompt)


def _medium(request: Mapping[str, Any]) -> str:
    return GenerationModel.objects.filter(pk=request.get("model", "")).values_list("medium", flat=True).first() or ""


def _draft(request: Mapping[str, Any]) -> Draft:
    return Draft(**request, notify=True)  # nothing else tells its owner that it has ended


def _at_fields(refusal: Exception) -> Exception:
    """Return a refusal whose problems name the fields in a schedule: ``job.prompt``."""
    if isinstance(refusal, (IntakeRefused, KindRestricted, ModelNotAvailable)):
        refusal.problems = [_in_job(problem) for problem in refusal.problems]
    return refusal


def _in_job(problem: Problem) -> Problem:
    return replace(problem, index=None, field=f"{JOB}.{problem.field}" if problem.field else JOB)
