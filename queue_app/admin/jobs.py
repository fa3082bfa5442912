"""Jobs, their batches and attempts: filters, search, and the verbs that staff may call, each after a look at what it will do."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from queue_app import clock, lifecycle
from queue_app.admin import display
from queue_app.admin.base import ReadOnlyAdmin
from queue_app.admin.job_page import context as job_page
from queue_app.insight import waiting
from queue_app.models import Attempt, Batch, Job, State, Status, User
from queue_app.models.job import OPEN_STATES, STATES_OF_STATUS
from queue_app.work import intake, policy

MOST = 10_000  # jobs that one action takes


class StatusFilter(admin.SimpleListFilter):
    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status.value, status.label) for status in Status]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        states = STATES_OF_STATUS.get(self.value() or "")
        return queryset.filter(state__in=states) if states else queryset


class PriorityFilter(admin.SimpleListFilter):
    title = "priority"
    parameter_name = "level"
    spans = {"raised": {"priority__gt": 0}, "normal": {"priority": 0}, "low": {"priority__lt": 0}}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, key.capitalize()) for key in self.spans]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(**self.spans.get(self.value() or "", {}))


class WhenFilter(admin.SimpleListFilter):
    title = "ended"
    parameter_name = "ended"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("24h", "Last 24 h")] if self.parameter_name in request.GET else []  # a saved view's, shown only there

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(ended_at__gt=clock.now() - timedelta(hours=24)) if self.value() else queryset


@dataclass(frozen=True)
class Consequence:
    """One line of a preview: how many, what becomes of them, why, and the badge beside it."""

    count: int
    what: str
    why: str
    state: str


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    title = "Jobs"
    list_display = ("job", "prompt_line", "status_line", "progress_line", "owner", "tickets_held", "age")
    list_display_links = ("job",)
    list_filter = (StatusFilter, PriorityFilter, "model", "kind", WhenFilter)
    list_select_related = ("owner", "batch", "model", "kind")
    search_fields = ("prompt",)
    search_help_text = "Words of the prompt, or a job's number"
    ordering = ("-id",)
    actions = ("cancel", "retry")
    change_form_template = "admin/queue_app/job/change_form.html"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        return (queryset.search(search_term.strip()) if search_term.strip() else queryset), False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return lookup in {"state", "batch__id__exact", "owner__id__exact"} or super().lookup_allowed(lookup, value, request)

    def dress(self, rows: list[Job]) -> None:
        at = clock.now()
        looked = waiting.outlook(rows, at=at)
        for row in rows:
            row.at, row.outlook = at, looked  # type: ignore[attr-defined]

    @admin.display(description="Job", ordering="id")
    def job(self, job: Job) -> str:
        return display.with_sub(display.number(job.pk), display.level(job.priority))

    @admin.display(description="Prompt")
    def prompt_line(self, job: Job) -> str:
        return display.clipped(job.prompt, f"{job.model_id} · {job.batch or job.kind_id}")

    @admin.display(description="Status")
    def status_line(self, job: Job) -> str:
        reason = ""
        if job.state == State.QUEUED:
            found = [one for one in job.outlook.waiting_on(job) if one.limit != "jobs_ahead"]  # type: ignore[attr-defined]
            reason = " · ".join(f"{one.limit} {one.key} {one.used} of {one.max}".replace("  ", " ") for one in found[:2])
        elif job.state == State.FAILED:
            reason = job.error_code
        elif job.state == State.UNKNOWN:
            reason = "held, nothing charged"
        return display.with_sub(display.badge(job.state), reason)

    @admin.display(description="Progress")
    def progress_line(self, job: Job) -> str:
        if job.state == State.RUNNING and job.progress is not None:
            return display.progress(job.progress)
        place = job.outlook.position(job)  # type: ignore[attr-defined]
        if place is None:
            return "–"
        eta = job.outlook.eta(job)  # type: ignore[attr-defined]
        about = f"about {display.duration(eta.p50_seconds)}" if eta and eta.p50_seconds is not None else ""
        return display.with_sub(f"no. {display.number(place)}", about)

    @admin.display(description="Tickets", ordering="tickets")
    def tickets_held(self, job: Job) -> str:
        return display.number(job.tickets)

    @admin.display(description="Age", ordering="queued_at")
    def age(self, job: Job) -> str:
        return display.age(job.queued_at, job.at)  # type: ignore[attr-defined]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("queue_app.operate_queue")

    @admin.action(description="Cancel…", permissions=["operate"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        selected = _Selection(jobs)
        if "confirm" not in request.POST:
            return self._preview(
                request, selected, selected.on_cancel(), verb="Cancel", keep="Keep them", counts=selected.open_count
            )
        verdicts = lifecycle.cancel(selected.ids, at=clock.now(), actor=_name(request), reason=request.POST.get("reason", ""))
        _audit(request, "cancel jobs", selected.ids)
        for verdict, words in (
            (lifecycle.Verdict.CANCELLED, "cancelled"),
            (lifecycle.Verdict.REQUESTED, "asked to stop at the provider"),
            (lifecycle.Verdict.TOO_LATE, "too late: stored or ended"),
        ):
            if count := list(verdicts.values()).count(verdict):
                level = messages.WARNING if verdict == lifecycle.Verdict.TOO_LATE else messages.SUCCESS
                self.message_user(request, f"{display.number(count)} {_jobs(count)} {words}.", level)
        return None

    @admin.action(description="Retry…", permissions=["operate"])
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        selected = _Selection(jobs)
        if "confirm" not in request.POST:
            return self._preview(
                request, selected, selected.on_retry(), verb="Retry", keep="Leave them", counts=selected.ended_badly
            )
        queued, refused = intake.retry_each(selected.ids, at=clock.now(), actor=_name(request))
        _audit(request, "retry jobs", queued)
        if queued:
            self.message_user(request, f"{display.number(len(queued))} {_jobs(len(queued))} queued again.", messages.SUCCESS)
        for reason, count in _counted(refused.values()):
            self.message_user(request, f"{display.number(count)} not retried: {reason}", messages.WARNING)
        return None

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        job = (
            Job.objects.select_related("owner", "batch", "model", "kind").filter(pk=object_id).first()
            if object_id.isdigit()
            else None
        )
        extra = {**(extra_context or {}), **(job_page(job, at=clock.now()) if job else {})}
        if job:
            extra["may_operate"] = self.has_operate_permission(request)
        return super().change_view(request, object_id, form_url, extra)

    def _preview(
        self, request: HttpRequest, selected: "_Selection", lines: list[Consequence], *, verb: str, keep: str, counts: int
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{verb} {display.number(len(selected.ids))} {_jobs(len(selected.ids))}?",
            "lines": [line for line in lines if line.count],
            "tickets": selected.tickets if verb == "Cancel" else 0,
            "verb": verb,
            "action": verb.lower(),
            "acts_on": counts,
            "acts_on_words": f"{display.number(counts)} {_jobs(counts)}",
            "keep": keep,
            "ids": selected.ids,
            "shown": selected.first(200),
        }
        return TemplateResponse(request, "admin/queue_app/job/bulk_preview.html", context)


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    title = "Batches"
    list_display = ("name", "owner", "max_concurrent", "paused", "created_at", "ended_at")
    list_filter = ("paused",)
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    ordering = ("-id",)
    actions = ("pause", "resume")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("queue_app.operate_queue")

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        self._each(request, batches, policy.pause_batch, "paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        self._each(request, batches, policy.resume_batch, "resumed")

    def _each(self, request: HttpRequest, batches: QuerySet[Batch], verb: Callable[..., None], word: str) -> None:
        at = clock.now()
        for batch in batches.order_by("pk"):
            verb(batch, at=at, actor=request.user)
        self.message_user(request, f"{len(batches)} {word}. What runs goes on; queued jobs keep their places.", messages.SUCCESS)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = ("job", "number", "account", "called_at", "accepted_at", "ended_at", "outcome", "error_message")
    list_filter = ("outcome", "account")
    list_select_related = ("job", "account")
    search_fields = ("=job__id",)
    search_help_text = "A job's number"
    ordering = ("-created_at", "id")
    exclude = ("token", "remote", "remote_id")


class _Selection:
    """The jobs that an action was asked for, as they stand now."""

    def __init__(self, jobs: QuerySet[Job]):
        self.ids: list[int] = list(jobs.order_by("pk").values_list("pk", flat=True)[:MOST])

    @cached_property
    def by_state(self) -> dict[str, int]:
        counts = Job.objects.filter(pk__in=self.ids).order_by().values_list("state").annotate(Count("pk"))
        return dict(counts)

    @cached_property
    def tickets(self) -> int:
        """What goes back to the wallets at once when the queued ones are cancelled."""
        queued = Job.objects.filter(pk__in=self.ids, state=State.QUEUED)
        return queued.aggregate(sum=Sum("tickets"))["sum"] or 0

    @property
    def open_count(self) -> int:
        return self._count(*OPEN_STATES) - self._count(State.STORING, State.CANCELLING)

    @property
    def ended_badly(self) -> int:
        return self._count(State.FAILED, State.CANCELLED)

    def first(self, most: int) -> QuerySet[Job]:
        return Job.objects.filter(pk__in=self.ids).order_by("pk")[:most]

    def on_cancel(self) -> list[Consequence]:
        left = self._count(State.STORING, State.CANCELLING, State.COMPLETED, State.FAILED, State.CANCELLED)
        stop = "Shown as “Cancel asked” until the provider answers. If it was faster, the result is kept and charged."
        unsure = "We do not know yet whether the provider took it. It ends as cancelled, or runs on and is then asked to stop."
        return [
            Consequence(
                self._count(State.QUEUED), "cancelled at once", "They wait in the queue; nothing was bought.", State.QUEUED
            ),
            Consequence(self._count(State.RUNNING), "asked to stop at the provider", stop, State.RUNNING),
            Consequence(self._count(State.SUBMITTING, State.UNKNOWN), "decided later", unsure, State.UNKNOWN),
            Consequence(left, "left as they are", "They are being stored, were asked before, or have ended.", State.COMPLETED),
        ]

    def on_retry(self) -> list[Consequence]:
        again = "At today's price, from their owners' wallets; at the end of their lanes."
        return [
            Consequence(self.ended_badly, "queued again", again, State.QUEUED),
            Consequence(
                len(self.ids) - self.ended_badly,
                "left as they are",
                "Only failed and cancelled jobs can be retried.",
                State.COMPLETED,
            ),
        ]

    def _count(self, *states: State) -> int:
        return sum(self.by_state.get(state, 0) for state in states)


def _name(request: HttpRequest) -> str:
    return request.user.get_username()


def _audit(request: HttpRequest, action: str, ids: list[int]) -> None:
    assert isinstance(request.user, User)
    if ids:
        at: datetime = clock.now()
        reason = request.POST.get("reason", "")
        policy.audit(action, f"{len(ids)} jobs", at=at, actor=request.user, after={"jobs": ids[:1000]}, reason=reason)


def _jobs(count: int) -> str:
    return "job" if count == 1 else "jobs"


def _counted(reasons: Any) -> list[tuple[str, int]]:
    listed = list(reasons)
    return [(reason, listed.count(reason)) for reason in dict.fromkeys(listed)]
