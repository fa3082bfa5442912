"""Batches of jobs, with their limit and pause, and attempts at providers."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from queue_app import clock
from queue_app.admin.policy_forms import PolicyForm
from queue_app.models import Attempt, Batch
from queue_app.rules.words import without_query
from queue_app.ui import display, pauses
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ExactSearch, PolicyAdmin, ReadOnlyAdmin, job_link
from queue_app.work import batches, policy
from queue_app.work.roles import Right

PAUSE = {"paused", "paused_reason", "paused_until"}
FACTS = ("name", "owner", "origin", "created_at", "ended_at", "callback")


@admin.register(Batch)
class BatchAdmin(PolicyAdmin[Batch]):
    """Operators set limit and pause, by the verbs that owners use too."""

    form = PolicyForm
    title = "Batches"
    empty = "Batches come from campaigns and from API calls with several jobs."
    sortable_by = ()
    list_display = ("name", "owner", "max_concurrent", "pause_column", "created_at", "ended_at")
    list_filter = ("paused",)
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    ordering = ("-id",)
    readonly_fields = FACTS
    fieldsets = (
        (None, {"fields": FACTS}),
        ("Limit", {"fields": ("max_concurrent",), "description": "Applies to the next job; running jobs continue."}),
        ("Pause", {"fields": ("paused", "paused_reason", "paused_until")}),
        ("Audit", {"fields": ("why",)}),
    )
    actions = ("pause", "resume")

    @admin.display(description="Callback")
    def callback(self, batch: Batch) -> str:
        return without_query(batch.callback_url) or "–"

    @admin.display(description="Paused")
    def pause_column(self, batch: Batch) -> str:
        return display.pause(batch.paused, batch.paused_reason, batch.paused_until)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Batch | None = None) -> bool:
        return request.user.has_perm(Right.OPERATE)

    def save_model(self, request: HttpRequest, obj: Batch, form: Any, change: bool) -> None:
        said, touched = form.cleaned_data, set(form.changed_data)
        by: dict[str, Any] = {"at": clock.now(), "actor": staff(request)}
        if "max_concurrent" in touched:
            batches.change(obj, {"max_concurrent": said["max_concurrent"]}, reason=said["why"], **by)
        if touched & PAUSE and said["paused"]:
            policy.pause_batch(obj, reason=said["paused_reason"], until=said["paused_until"], **by)
        elif "paused" in touched:
            policy.resume_batch(obj, reason=said["why"], **by)

    @admin.action(description="Pause…", permissions=["change"])
    def pause(self, request: HttpRequest, batches: QuerySet[Batch]) -> HttpResponse | None:
        """Ask for a reason and an end, then pause them all."""
        asked, is_sent = pauses.asked(request.POST, at=clock.now()), "minutes" in request.POST
        if not is_sent or not asked.reason:
            shown = {
                **self.admin_site.each_context(request),
                "title": f"Pause {len(batches)} {'batch' if len(batches) == 1 else 'batches'}?",
                "batches": batches,
                "box": ACTION_CHECKBOX_NAME,
                "minutes": pauses.MINUTES,
                "asked": asked,
                "wrong": pauses.NO_REASON if is_sent else "",
            }
            return TemplateResponse(request, "admin/queue_app/batch/pause.html", shown)
        for batch in batches.order_by("pk"):
            policy.pause_batch(batch, at=asked.at, actor=staff(request), reason=asked.reason, until=asked.until)
        effect = "Running jobs continue; queued jobs keep their position."
        self.message_user(request, f"{len(batches)} paused. {effect}", messages.SUCCESS)
        return None

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        for batch in batches.order_by("pk"):
            policy.resume_batch(batch, at=clock.now(), actor=staff(request))
        self.message_user(request, f"{len(batches)} resumed.", messages.SUCCESS)


@admin.register(Attempt)
class AttemptAdmin(ExactSearch, ReadOnlyAdmin[Attempt]):
    empty = "Each time a job is sent to a provider, its attempt appears here."
    list_display = (job_link, "number", "account", "called_at", "accepted_at", "ended_at", "outcome", "error_message")
    list_display_links = None
    list_filter = ("outcome", "account")
    list_select_related = ("account",)
    ordering = ("-job", "-number", "id")
    exclude = ("token", "remote", "remote_id")
