"""Schedules: save, list, read, change, delete, pause, resume. They live here because they make campaigns as well as jobs."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from campaigns import scheduled
from campaigns.api.answers import address
from campaigns.api.serializers import CampaignAsked, brief
from queue_app import clock
from queue_app.api import errors
from queue_app.api.authentication import VIA, caller, key_of
from queue_app.api.errors import Wrong
from queue_app.api.fields import Moment, Text
from queue_app.api.generics import JsonViewSet, together
from queue_app.api.idempotency import Made, once
from queue_app.api.pagination import OnePage
from queue_app.api.schema import call
from queue_app.api.serializers.base import Shape, StrictSerializer, render
from queue_app.api.serializers.requests import JobAsked
from queue_app.insight.schedules import last_runs
from queue_app.models import Schedule, ScheduleRun
from queue_app.models.schedule import REASON_MOST
from queue_app.rules import cron
from queue_app.work import keys, schedules
from queue_app.work.makers import JOB, maker_of

NEXT = 3  # runs in an answer
KINDS = (JOB, scheduled.CAMPAIGN)
BOTH: Any = {scheduled.CAMPAIGN: ["Send either job or campaign, not both."]}
CRON_HELP = (
    "Five fields: minute, hour, day of month, month, day of week; `0 9 * * 1-5` is 09:00 from Monday to Friday. "
    f"At most every {cron.LEAST_MINUTES} minutes."
)
ZONE_HELP = "Time zone of `cron`, such as `Europe/Madrid`. Default: the queue's."


class ScheduledJob(JobAsked):
    """A job that a schedule submits: the fields of `POST jobs/` without times."""

    deadline: Any = None
    not_before: Any = None


class ScheduleAsked(StrictSerializer):
    """A schedule: its calendar, and what it makes, a job or a campaign."""

    one_of = KINDS
    left_out = "Send job or campaign."

    name = Text(least=1, most=schedules.NAME_MOST, help_text="Its campaigns are named after it and the time of the run.")
    cron = Text(least=1, most=cron.EXPRESSION_MOST, help_text=CRON_HELP)
    time_zone = Text(most=60, required=False, help_text=ZONE_HELP)
    job = ScheduledJob(required=False)
    campaign = CampaignAsked(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """:raises ValidationError: not exactly one of job and campaign is there."""
        return super().validate(_one_at_most(attrs))


class ScheduleChange(StrictSerializer):
    """What to change of a schedule. A new job or campaign replaces what it made before, whole."""

    one_of = ("name", "cron", "time_zone", *KINDS)
    left_out = "Send name, cron, time_zone, and job or campaign, or some of them."

    name = Text(least=1, most=schedules.NAME_MOST, required=False)
    cron = Text(least=1, most=cron.EXPRESSION_MOST, required=False, help_text=CRON_HELP)
    time_zone = Text(most=60, required=False, help_text=ZONE_HELP)
    job = ScheduledJob(required=False)
    campaign = CampaignAsked(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """:raises ValidationError: job and campaign are both there."""
        return super().validate(_one_at_most(attrs))


class SchedulePause(StrictSerializer):
    """Why a schedule is paused."""

    may_be_missing = True

    reason = Text(most=REASON_MOST, required=False, allow_blank=True, help_text="Shown while it is paused.")


class ScheduleRunOut(Shape):
    """A run: what it made, or why it made nothing."""

    due_at = Moment(help_text="Its time in the calendar; of a run by hand, the time of the click.")
    ran_at = Moment()
    outcome = serializers.ChoiceField(
        choices=ScheduleRun.Outcome.values,
        help_text="`made`; `refused`, see `reason`; `missed`: over 15 minutes late, so it did not run.",
    )
    occurrences = serializers.IntegerField(help_text="Runs that were missed in a row, up to `due_at`. Otherwise 1.")
    by_hand = serializers.BooleanField()
    reason = serializers.CharField()
    job = serializers.IntegerField(allow_null=True)
    campaign = serializers.IntegerField(allow_null=True)


class ScheduleLinksOut(Shape):
    self = serializers.CharField()
    pause = serializers.CharField()
    resume = serializers.CharField()


class ScheduleOut(Shape):
    """A schedule with its next runs and its last one."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    cron = serializers.CharField()
    time_zone = serializers.CharField()
    calendar = serializers.CharField(help_text="`cron` in words.")
    job = serializers.DictField(allow_null=True, help_text="As it was sent. Null if the schedule makes campaigns.")
    campaign = serializers.DictField(allow_null=True, help_text="As it was sent. Null if the schedule makes jobs.")
    paused = serializers.BooleanField()
    paused_reason = serializers.CharField()
    next_runs = serializers.ListField(child=Moment(), help_text=f"The next {NEXT}. Empty while it is paused.")
    last_run = ScheduleRunOut(allow_null=True)
    created_at = Moment()
    links = ScheduleLinksOut()


class ScheduleViewSet(JsonViewSet[Schedule]):
    """Your own schedules, for staff too: those of others are in the admin."""

    pagination_class = OnePage

    def get_queryset(self) -> "QuerySet[Schedule]":
        return Schedule.objects.filter(owner=caller(self.request))

    def also_wrong(self, request: Request, readable: Mapping[str, Any]) -> Iterator[Wrong]:
        for one in schedules.problems(readable):
            yield one.field, one.message
        for makes in KINDS:
            if makes in readable:
                maker = maker_of(makes)
                try:
                    maker.check(caller(request), _request(makes, readable[makes]), at=clock.now())
                except maker.refusals as refusal:
                    yield from errors.named(refusal, many=False)

    @call("schedules_list", ScheduleOut(many=True))
    def list(self, request: Request) -> Response:
        """List your schedules on one page, newest first."""
        return self.get_paginated_response(_answers(list(self.get_queryset()), request, at=clock.now()))

    @call(
        "schedules_create",
        ScheduleOut,
        409,
        422,
        status=201,
        body=ScheduleAsked,
        repeatable=True,
        examples={
            "A video every weekday": {
                "name": "Daily current affairs",
                "cron": "0 9 * * 1-5",
                "time_zone": "Europe/Madrid",
                "job": {"model": "sora-2", "prompt": "The news desk at dawn.", "parameters": {"duration": 8}},
            }
        },
    )
    def create(self, request: Request) -> HttpResponseBase:
        """
        Save a schedule. At each time of its calendar it submits the job or launches the campaign, with your rights and tickets of
        that moment. You can have 50.
        """
        user, at = caller(request), clock.now()
        values = self._values(request)

        def fetch() -> None:
            _fetch(values, request, at=at)

        def save() -> Made:
            return {"schedule": schedules.make(user, values, at=at, actor=user, via=VIA).pk}

        return once(request, status=201, do=save, render=lambda made: self._answer(made["schedule"]), prepare=fetch)

    @call("schedules_read", ScheduleOut, 404)
    def retrieve(self, request: Request, pk: int) -> Response:
        """Read one schedule."""
        return Response(self._answer(self.get_object().pk))

    @call("schedules_change", ScheduleOut, 404, 422, body=ScheduleChange)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change a schedule. Another calendar or time zone counts from now on."""
        row, at = self.get_object(), clock.now()
        values = self._values(request)
        _fetch(values, request, at=at)
        schedules.change(row, values, at=at, actor=caller(request), via=VIA)
        return Response(self._answer(pk))

    @call("schedules_delete", OpenApiResponse(description="Deleted. What it has made stays."), 404, status=204)
    def destroy(self, request: Request, pk: int) -> Response:
        """Delete a schedule. Jobs and campaigns that it has made stay."""
        schedules.delete(self.get_object(), at=clock.now(), actor=caller(request), via=VIA)
        return Response(status=204)

    @call("schedules_pause", ScheduleOut, 404, body=SchedulePause)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: int) -> Response:
        """Pause a schedule. Nothing runs and nothing is missed until you resume it. Safe to repeat."""
        reason = self.given.get("reason", "")
        schedules.pause(self.get_object(), at=clock.now(), actor=caller(request), reason=reason, via=VIA)
        return Response(self._answer(pk))

    @call("schedules_resume", ScheduleOut, 404)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: int) -> Response:
        """Resume a schedule. It runs at the next time of its calendar. Safe to repeat."""
        row = self.get_object()
        keys.refuse_limited(key_of(request), "resume schedules")
        schedules.resume(row, at=clock.now(), actor=caller(request), via=VIA)
        return Response(self._answer(pk))

    def _values(self, request: Request) -> dict[str, Any]:
        """
        Return the body as `schedules.make` takes it.

        :raises ValidationError: name, calendar or time zone are wrong; names what is wrong with the rest, too.
        :raises KeyRefused: the key of the request has a ticket budget, in which scheduled jobs would not count.
        """
        keys.refuse_limited(key_of(request), "save schedules")
        if schedules.problems(self.given):
            raise ValidationError(together((), (), self.also_wrong(request, self.given)))
        values = {name: value for name, value in self.given.items() if name not in KINDS}
        makes = next((name for name in KINDS if name in self.given), None)
        return values | ({"makes": makes, "request": _request(makes, self.given[makes])} if makes else {})

    def _answer(self, pk: int) -> dict[str, Any]:
        return _answers([Schedule.objects.get(pk=pk)], self.request, at=clock.now())[0]


def _one_at_most(attrs: dict[str, Any]) -> dict[str, Any]:
    """:raises ValidationError: job and campaign are both there."""
    if {*KINDS} <= attrs.keys():
        raise serializers.ValidationError(BOTH)
    return attrs


def _request(makes: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checked job or campaign as a schedule keeps it. Null counts as left out, and what could not be read is blank."""
    if makes == scheduled.CAMPAIGN:
        return scheduled.request_of(brief(given))
    return {"model": "", "prompt": "", **{name: value for name, value in given.items() if value is not None}}


def _fetch(values: dict[str, Any], request: Request, *, at: datetime) -> None:
    """Replace the URLs of images by uploads. Calls the network."""
    if "request" in values:
        values["request"] = maker_of(values["makes"]).fetched(caller(request), values["request"], at=at)


def _answers(rows: list[Schedule], request: Request, *, at: datetime) -> list[dict[str, Any]]:
    runs = last_runs(rows)
    return [render(ScheduleOut, _facts(row, runs.get(row.pk), request, at=at)) for row in rows]


def _facts(row: Schedule, last: ScheduleRun | None, request: Request, *, at: datetime) -> dict[str, Any]:
    names = ("name", "cron", "time_zone", "paused", "paused_reason", "created_at")
    at_links = {verb: address(request, f"schedule-{verb}", row.pk) for verb in ("pause", "resume")}
    return {
        "id": row.pk,
        **{name: getattr(row, name) for name in names},
        "calendar": cron.words(row.cron),
        **{makes: row.request if row.makes == makes else None for makes in KINDS},
        "next_runs": [] if row.paused else cron.upcoming(row.cron, row.time_zone, at, NEXT),
        "last_run": last and _run(last),
        "links": {"self": address(request, "schedule-detail", row.pk), **at_links},
    }


def _run(run: ScheduleRun) -> dict[str, Any]:
    names = ("due_at", "ran_at", "outcome", "occurrences", "by_hand", "reason")
    return {**{name: getattr(run, name) for name in names}, "job": run.job_id, "campaign": run.batch_id}
