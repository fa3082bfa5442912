"""The user's schedules: what runs when, what came of it, and the form with its calendar."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from campaigns import scheduled, starts
from campaigns.actions import record_made, record_of
from campaigns.models import Campaign, Dimension
from campaigns.views import images, quick
from campaigns.views.quick import QuickForm
from queue_app import clock
from queue_app.insight.schedules import last_runs
from queue_app.models import Schedule, ScheduleRun, User
from queue_app.models.schedule import REASON_MOST
from queue_app.rules import cron, numbers
from queue_app.rules.words import storable
from queue_app.ui import display, fragments, parameters
from queue_app.ui.access import viewer
from queue_app.work import makers, schedules
from queue_app.work.makers import JOB, maker_of
from queue_app.work.schedules import ScheduleRefused

NEXT, NEXT_IN_FORM = 3, 5  # runs that are shown
RUNS = 10  # past runs on the page of a schedule
PRESETS = (
    ("0 9 * * *", "Every day 9:00"),
    ("0 9 * * 1-5", "Weekdays 9:00"),
    ("0 9 * * 1", "Mondays 9:00"),
    ("0 9 1 * *", "First of the month"),
    ("0 * * * *", "Every hour"),
)
_OUTCOMES: dict[str, tuple[str, str, str]] = {
    ScheduleRun.Outcome.MADE: ("completed", "Started", "completed"),
    ScheduleRun.Outcome.REFUSED: ("failed", "Refused", "failed"),
    ScheduleRun.Outcome.MISSED: ("cancelled", "Missed", "warn"),
}


@dataclass(frozen=True)
class RunLine:
    """A run as pages show it."""

    run: ScheduleRun

    @property
    def badge(self) -> SafeString:
        """Return how it ended: of a job that was made, the state of the job."""
        return display.badge(self.run.job.state) if self.run.job else display.badge(*_OUTCOMES[self.run.outcome])

    @property
    def link(self) -> tuple[str, str] | None:
        """Return the address and the name of what it made."""
        if self.run.job_id:
            return reverse("campaigns:job", args=[self.run.job_id]), f"Job {self.run.job_id:,}"
        if self.run.batch:
            return reverse("campaigns:page", args=[self.run.batch_id]), self.run.batch.name
        return None


@dataclass(frozen=True)
class ScheduleLine:
    """A schedule in the list."""

    schedule: Schedule
    last: RunLine | None
    at: datetime

    @property
    def what(self) -> str:
        request = self.schedule.request
        if self.schedule.makes == scheduled.CAMPAIGN:
            return f"Campaign: {scheduled.summary(request)}, {request.get('model', '')}"
        made = ", ".join(filter(None, [str(request.get("kind") or "job").capitalize(), request["model"]]))
        return f"{made}: {makers.summary(request)}"

    @property
    def calendar(self) -> str:
        return cron.words(self.schedule.cron)

    @property
    def next_runs(self) -> list[tuple[str, str]]:
        return _next_runs(self.schedule.cron, self.schedule.time_zone, NEXT, at=self.at)


@dataclass
class ScheduleForm:
    """The form as it was typed. ``job`` are the fields of a job; of a schedule for campaigns, ``request`` is its brief."""

    key: str
    name: str
    cron: str
    time_zone: str
    owner: User
    at: datetime
    job: QuickForm | None = None
    kind: str = ""
    campaign: Campaign | None = None
    request: dict[str, Any] = field(default_factory=dict)
    is_saved: bool = False
    errors: dict[str, list[str]] = field(default_factory=dict)

    @property
    def makes(self) -> str:
        return JOB if self.job else scheduled.CAMPAIGN

    @property
    def values(self) -> dict[str, Any]:
        """Return what was typed as `schedules.make` takes it; of a saved schedule, without a request that is as it was."""
        named = {"name": self.name, "cron": self.cron, "time_zone": self.time_zone}
        request = self._job_request() if self.job else self.request
        return named if self.is_saved and request == self.request else {**named, "makes": self.makes, "request": request}

    @property
    def summary(self) -> str:
        return scheduled.summary(self.request)

    @property
    def tickets(self) -> int | None:
        return scheduled.tickets(self.owner, self.request)

    @property
    def start(self) -> str:
        """Return how each run of a campaign's brief starts: “Stills first, by nano-banana”."""
        name, still = starts.NAMES[self.request.get("start", starts.ALL)], self.request.get("still_model")
        return f"{name}, by {still}" if still else name

    @property
    def dimensions(self) -> list[tuple[str, str]]:
        """Return the dimensions of a campaign's brief with their values, as people know them."""
        chosen = self.request.get("dimensions", {})
        return [
            (one.label, ", ".join(value.label for value in one.values.all() if value.key in chosen[one.key]))
            for one in Dimension.objects.filter(key__in=chosen).with_values()
        ]

    @property
    def calendar(self) -> dict[str, Any]:
        return _calendar(self.cron, self.time_zone, at=self.at)

    def is_good(self) -> bool:
        """Whether everything may be saved. If not, set the errors of all fields."""
        values = self.values
        for problem in schedules.problems(values):
            self._add(problem.field, problem.message)
        if "request" in values:
            maker = maker_of(self.makes)
            try:
                maker.check(self.owner, values["request"], at=self.at)
            except maker.refusals as refusal:
                self.refused(refusal)
        return not self.errors

    def refused(self, refusal: Exception) -> None:
        """Add what a refusal says to the fields, or to the whole form."""
        problems = [(one.field, one.message) for one in getattr(refusal, "problems", ())]
        for name, message in problems or [("all", str(refusal))]:
            self._add(name, message)

    def _add(self, name: str, message: str) -> None:
        of_campaign = name.startswith(f"{scheduled.CAMPAIGN}.")
        at = "campaign" if of_campaign else name.removeprefix(f"{JOB}.").removeprefix("parameters.") or "all"
        self.errors.setdefault(at, []).append(message)
        if self.job is not None:
            self.job.errors = self.errors

    def _job_request(self) -> dict[str, Any]:
        """Return the job as typed; what only the API sets stays as it was."""
        assert self.job is not None
        model = self.job.gone or (self.job.model.key if self.job.model else "")
        kept = {name: value for name, value in self.request.items() if name not in ("model", "prompt", "kind", "parameters")}
        typed: dict[str, Any] = {"model": model, "prompt": self.job.prompt, "parameters": self.job.typed.parameters}
        return {**kept, **typed, **({"kind": self.kind} if self.kind else {})}


@login_required
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Show all schedules; to htmx, what has changed of them, or 204."""
    user, at = viewer(request), clock.now()
    own = list(Schedule.objects.filter(owner=user))
    last = last_runs(own)
    rows = [ScheduleLine(one, RunLine(last[one.pk]) if one.pk in last else None, at) for one in own]
    rows.sort(key=lambda row: (row.schedule.paused, row.schedule.next_run_at or at))
    context = {
        "at": at,
        "rows": rows,
        "on": sum(not one.paused for one in own),
        "full": schedules.FULL if len(own) >= schedules.SCHEDULES_MOST else "",
        "zone": settings.QUEUE_TIME_ZONE,
    }
    return fragments.answer(request, "campaigns/schedules/page.html", "campaigns/schedules/_list.html", context)


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Show the form for a job, or for the brief of ``?campaign=``; on POST, save it once per form."""
    user, at = viewer(request), clock.now()
    campaign = _campaign(request)
    if request.method != "POST":
        form = _opened(user, request.GET, at=at)
        if campaign is not None:
            form = _for_campaign(form, campaign)
        return _shown(request, form)
    form = _typed(request, user, at=at, campaign=campaign)
    if _only_looks(request, form) or not form.is_good():
        return _shown(request, form)
    values = form.values
    try:
        with transaction.atomic():
            record = record_of(user, "schedule", form.key, [values], at=at)
            if record.made is None:
                record_made(record, schedule=schedules.make(user, values, at=at, actor=user).pk)
    except _refusals(form) as refusal:
        form.refused(refusal)
        return _shown(request, form)
    assert record.made is not None  # by this request or by the first one of this form
    messages.success(request, f"Schedule {form.name.strip()} saved.")
    return redirect("campaigns:schedule", record.made["schedule"])


@never_cache
@login_required
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest, schedule: int) -> HttpResponse:
    """Show a schedule with its runs; on POST, change it."""
    row, user, at = _own(request, schedule), viewer(request), clock.now()
    if request.method != "POST":
        return _shown(request, _saved(row, user, at=at), schedule=row)
    form = _typed(request, user, at=at, schedule=row)
    if _only_looks(request, form) or not form.is_good():
        return _shown(request, form, schedule=row)
    try:
        schedules.change(row, form.values, at=at, actor=user)
    except _refusals(form) as refusal:
        form.refused(refusal)
        return _shown(request, form, schedule=row)
    messages.success(request, "Schedule saved.")
    return redirect("campaigns:schedule", row.pk)


@login_required
@require_GET
def choices(request: HttpRequest) -> HttpResponse:
    """Return the options of the chosen model and the price of a run, as a fragment."""
    form = _opened(viewer(request), request.GET, at=clock.now())
    return render(request, "campaigns/schedules/_choices.html", _of_job(form))


@login_required
@require_GET
def calendar(request: HttpRequest) -> HttpResponse:
    """Return the next runs of a calendar, or what is wrong with it; after a preset, with the field."""
    preset = request.GET.get("preset", "")
    expression, zone = preset or request.GET.get("cron", ""), request.GET.get("time_zone", "")
    context = {"calendar": _calendar(storable(expression), storable(zone), at=clock.now()), "presets": PRESETS}
    return render(request, f"campaigns/schedules/{'_calendar' if preset else '_next'}.html", context)


@login_required
@require_POST
def pause(request: HttpRequest, schedule: int) -> HttpResponse:
    """Pause a schedule, with a reason if one was typed."""
    row, user, at = _own(request, schedule), viewer(request), clock.now()
    reason = request.POST.get("reason", "")
    try:
        schedules.pause(row, at=at, actor=user, reason=reason)
    except ScheduleRefused as refusal:
        kept = {"reason": storable(reason), "not_paused": str(refusal)}
        return _shown(request, _saved(row, user, at=at), schedule=row, pause=kept)
    messages.success(request, f"{row.name} paused.")
    return _back(request, row)


@login_required
@require_POST
def resume(request: HttpRequest, schedule: int) -> HttpResponse:
    """End the pause of a schedule."""
    row = _own(request, schedule)
    schedules.resume(row, at=clock.now(), actor=viewer(request))
    messages.success(request, f"{row.name} resumed.")
    return _back(request, row)


@login_required
@require_POST
def run(request: HttpRequest, schedule: int) -> HttpResponse:
    """Run a schedule now, once per form, and go to what it made."""
    row, user, at = _own(request, schedule), viewer(request), clock.now()
    try:
        with transaction.atomic():
            record = record_of(user, "schedule-run", request.POST.get("key", "")[:64], [row.pk], at=at)
            if record.made is None:
                record_made(record, run=schedules.run_now(row, at=at, actor=user).pk)
    except maker_of(row.makes).refusals as refusal:
        messages.error(request, f"Nothing was started. {refusal}")
        return redirect("campaigns:schedule", row.pk)
    assert record.made is not None
    made = row.runs.select_related("job", "batch").filter(pk=record.made["run"]).first()
    link = RunLine(made).link if made else None
    messages.success(request, f"{row.name} started.")
    return redirect(link[0] if link else reverse("campaigns:schedule", args=[row.pk]))


@login_required
@require_POST
def delete(request: HttpRequest, schedule: int) -> HttpResponse:
    """Delete a schedule; what it made stays."""
    row = _own(request, schedule)
    schedules.delete(row, at=clock.now(), actor=viewer(request))
    messages.success(request, f"{row.name} deleted. What it has started is kept.")
    return redirect("campaigns:schedules")


def _refusals(form: ScheduleForm) -> tuple[type[Exception], ...]:
    return (ScheduleRefused, *maker_of(form.makes).refusals)


def _own(request: HttpRequest, pk: int) -> Schedule:
    """:raises Http404: the user has no such schedule (I35)."""
    return get_object_or_404(Schedule, pk=pk, owner=viewer(request))


def _back(request: HttpRequest, row: Schedule) -> HttpResponse:
    """Go back to the list if the button was there, else to the schedule."""
    return redirect("campaigns:schedules") if request.POST.get("next") == "list" else redirect("campaigns:schedule", row.pk)


def _campaign(request: HttpRequest) -> Campaign | None:
    """:raises Http404: there is no campaign with that number that this user may see (I35)."""
    asked = request.POST.get("campaign") or request.GET.get("campaign")
    if not asked:
        return None
    own = Campaign.objects.of(viewer(request)).select_related("batch", "brand", "model")
    return get_object_or_404(own, pk=numbers.of_row(asked))


def _opened(owner: User, given: QueryDict, *, at: datetime) -> ScheduleForm:
    """Return a new form, with what the address gives of it."""
    return _read(owner, given, at=at, is_look=True)


def _read(owner: User, given: QueryDict, *, at: datetime, is_look: bool, old: Mapping[str, Any] | None = None) -> ScheduleForm:
    return ScheduleForm(
        key=given.get("key", "")[:64] or uuid.uuid4().hex,
        name=storable(given.get("name", "")),
        cron=storable(given.get("cron", PRESETS[0][0])),
        time_zone=storable(given.get("time_zone", settings.QUEUE_TIME_ZONE)).strip(),
        owner=owner,
        at=at,
        job=quick.read(given, owner, at=at, is_look=is_look),
        kind=storable(given.get("kind", ""))[:60],
        request=dict(old or {}),
        is_saved=old is not None,
    )


def _for_campaign(form: ScheduleForm, campaign: Campaign) -> ScheduleForm:
    form.job, form.campaign, form.request = None, campaign, scheduled.of_campaign(campaign)
    form.name = form.name or campaign.name[: schedules.NAME_MOST]
    return form


def _saved(row: Schedule, owner: User, *, at: datetime) -> ScheduleForm:
    """Return the form of a saved schedule."""
    given = QueryDict(mutable=True)
    given.update({"name": row.name, "cron": row.cron, "time_zone": row.time_zone})
    if row.makes == JOB:
        given.update({name: row.request.get(name) or "" for name in ("model", "prompt", "kind")})
        for name, text in parameters.as_typed(row.request.get("parameters", {})).inputs:
            given.appendlist(name, text)
    form = _read(owner, given, at=at, is_look=False, old=row.request)
    if row.makes != JOB:
        form.job = None
    return form


def _typed(
    request: HttpRequest, owner: User, *, at: datetime, schedule: Schedule | None = None, campaign: Campaign | None = None
) -> ScheduleForm:
    """Read the posted form, with the images that came with it."""
    looks = "look" in request.POST or "preset" in request.POST
    form = _read(owner, request.POST, at=at, is_look=looks, old=schedule.request if schedule else None)
    if campaign is not None:
        return _for_campaign(form, campaign)
    if schedule is not None and schedule.makes != JOB:
        form.job = None
        return form
    assert form.job is not None
    quick.with_images(form.job, images.take(request, form.job.typed, owner, at=at), at=at)
    form.errors = form.job.errors
    return form


def _only_looks(request: HttpRequest, form: ScheduleForm) -> bool:
    """Whether a button only renews the form: a preset of the calendar, or the options of a model."""
    if preset := request.POST.get("preset"):
        form.cron = storable(preset)
    return bool(preset) or "look" in request.POST


def _shown(
    request: HttpRequest, form: ScheduleForm, *, schedule: Schedule | None = None, pause: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the page; ``pause`` is the ``reason`` of a pause that was refused, and why it is ``not_paused``."""
    past = schedule.runs.select_related("job", "batch")[:RUNS] if schedule else []
    context = {
        **_of_job(form),
        "schedule": schedule,
        "line": ScheduleLine(schedule, None, form.at) if schedule else None,
        "runs": [RunLine(one) for one in past],
        "run_key": uuid.uuid4().hex,
        "calendar": form.calendar,
        "presets": PRESETS,
        "zones": cron.zones(),
        "reason_most": REASON_MOST,
        **(pause or {}),
    }
    status = 422 if form.errors or pause else 200
    return render(request, "campaigns/schedules/schedule.html", context, status=status)


def _of_job(form: ScheduleForm) -> dict[str, Any]:
    return {"schedule_form": form, "form": form.job, "at": form.at}


def _calendar(expression: str, zone: str, *, at: datetime) -> dict[str, Any]:
    """Return a typed calendar with its words and next runs, or with what is wrong."""
    wrong = {"cron": cron.problem(expression), "time_zone": cron.zone_problem(zone)}
    good = not any(wrong.values())
    return {
        "cron": expression,
        "time_zone": zone,
        "wrong": wrong,
        "words": cron.words(expression) if not wrong["cron"] else "",
        "next_runs": _next_runs(expression, zone, NEXT_IN_FORM, at=at) if good else [],
        "zone": settings.QUEUE_TIME_ZONE,
    }


def _next_runs(expression: str, zone: str, number: int, *, at: datetime) -> list[tuple[str, str]]:
    """Return the next runs in the queue's time zone, and in their own if its clock shows another time."""
    found = []
    for one in cron.upcoming(expression, zone, at, number):
        here, there = one.astimezone(ZoneInfo(settings.QUEUE_TIME_ZONE)), one.astimezone(ZoneInfo(zone))
        differs = here.utcoffset() != there.utcoffset()
        found.append((_said(here), (f"{there:%H:%M}" if here.date() == there.date() else _said(there)) if differs else ""))
    return found


def _said(when: datetime) -> str:
    return f"{when:%a} {when.day} {when:%b, %H:%M}"
