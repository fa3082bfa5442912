"""Jobs, their batches and attempts: filters, search, and the verbs that staff may call, each after a look at what it will do."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from queue_app import clock, lifecycle
from queue_app.admin import display, job_page
from queue_app.admin.base import OfJob, ReadOnlyAdmin
from queue_app.admin.filters import PriorityFilter, ReviewFilter, StatusFilter, WhenFilter
from queue_app.admin.preview import Selection
from queue_app.insight import board, waiting
from queue_app.models import Attempt, Batch, Job, ReviewItem, State, User
from queue_app.work import again, policy

# name, filters, the count of `board.summary` that shows the same jobs, and whether it calls for somebody
SAVED_VIEWS: tuple[tuple[str, dict[str, str], str, bool], ...] = (
    ("All", {}, "", False),
    ("Queued", {"status": "queued"}, "queued", False),
    ("Processing", {"status": "processing"}, "processing", False),
    ("Failed, 24 h", {"status": "failed", "ended": "24h"}, "failed", True),
    ("Needs a person", {"review": "open"}, "review", True),
    ("Completed, 24 h", {"status": "completed", "ended": "24h"}, "completed", False),
)


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    title = "Jobs"
    list_display = ("job", "prompt_line", "status_line", "progress_line", "owner", "tickets_held", "age")
    list_display_links = ("job",)
    list_filter = (StatusFilter, PriorityFilter, "model", "kind", WhenFilter, ReviewFilter)
    list_select_related = ("owner", "batch", "model", "kind")
    search_fields = ("prompt",)
    search_help_text = "Words of the prompt, or a job's number"
    ordering = ("-id",)
    actions = ("cancel", "retry")

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
            blockers = job.outlook.waiting_on(job)  # type: ignore[attr-defined]
            reason = next(filter(None, map(display.held_by, blockers)), "")
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

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        assert isinstance(request.user, User)
        counts = board.summary(request.user, at=clock.now()) | {"review": ReviewItem.objects.filter(closed_at=None).count()}
        asked = request.GET.dict()
        views = [
            {"name": name, "query": urlencode(query), "count": counts.get(key), "alert": alert, "current": asked == query}
            for name, query, key, alert in SAVED_VIEWS
        ]
        return super().changelist_view(request, {"views": views, **(extra_context or {})})

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("queue_app.operate_queue")

    @admin.action(description="Cancel…", permissions=["operate"])
    def cancel(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        selected = Selection(request, jobs)
        if "confirm" not in request.POST:
            return self._preview(request, selected.on_cancel())
        verdicts = lifecycle.cancel(selected.ids, at=clock.now(), actor=_name(request), reason=_reason(request))
        _audit(request, "cancel jobs", list(verdicts))
        for verdict, words, level in (
            (lifecycle.Verdict.CANCELLED, "cancelled", messages.SUCCESS),
            (lifecycle.Verdict.REQUESTED, "asked to stop at the provider", messages.SUCCESS),
            (lifecycle.Verdict.TOO_LATE, "too late: stored or ended", messages.WARNING),
        ):
            if found := [pk for pk, one in verdicts.items() if one == verdict]:
                self.message_user(request, f"{_jobs(found)} {words}.", level)
        return None

    @admin.action(description="Retry…", permissions=["operate"])
    def retry(self, request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse | None:
        selected = Selection(request, jobs)
        if "confirm" not in request.POST:
            return self._preview(request, selected.on_retry())
        queued, refused = again.each(selected.ids, at=clock.now(), actor=_name(request))
        _audit(request, "retry jobs", queued)
        if queued:
            self.message_user(request, f"{_jobs(queued)} queued again.", messages.SUCCESS)
        for reason in dict.fromkeys(refused.values()):
            found = [pk for pk, said in refused.items() if said == reason]
            self.message_user(request, f"{_jobs(found)} not retried: {reason}", messages.WARNING)
        return None

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return job_page.view(self, request, object_id) or super().change_view(request, object_id, form_url, extra_context)

    def _preview(self, request: HttpRequest, shown: dict[str, Any]) -> TemplateResponse:
        total = shown["total"]
        context = {
            **self.admin_site.each_context(request),
            **shown,
            "opts": self.opts,
            "title": f"{shown['verb']} {display.number(total)} {'job' if total == 1 else 'jobs'}?",
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
class AttemptAdmin(OfJob):
    list_display = ("job_link", "number", "account", "called_at", "accepted_at", "ended_at", "outcome", "error_message")
    list_filter = ("outcome", "account")
    list_select_related = ("account",)
    ordering = ("-job", "-number", "id")
    exclude = ("token", "remote", "remote_id")


def _name(request: HttpRequest) -> str:
    return request.user.get_username()


def _reason(request: HttpRequest) -> str:
    return request.POST.get("reason", "").replace("\x00", "").strip()[:300]


def _audit(request: HttpRequest, action: str, ids: list[int]) -> None:
    assert isinstance(request.user, User)
    if ids:
        policy.audit(action, _jobs(ids), at=clock.now(), actor=request.user, after={"jobs": ids}, reason=_reason(request))


def _jobs(ids: list[int]) -> str:
    """“Job 12”, “3 jobs: 12, 13, 14”, “48 jobs: 12, 13, 14, …”."""
    if len(ids) == 1:
        return f"Job {display.number(ids[0])}"
    first = ", ".join(map(display.number, sorted(ids)[:10]))
    return f"{display.number(len(ids))} jobs ({first}{', …' if len(ids) > 10 else ''})"
