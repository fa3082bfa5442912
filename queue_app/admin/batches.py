"""Batches of jobs, which can be paused and resumed, and attempts at providers."""

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from queue_app import clock
from queue_app.models import Attempt, Batch
from queue_app.rules.words import without_query
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ExactSearch, ReadOnlyAdmin, job_link
from queue_app.work import policy
from queue_app.work.roles import Right


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin[Batch]):
    title = "Batches"
    empty = "Batches come from campaigns and from API calls with several jobs."
    list_display = ("name", "owner", "max_concurrent", "paused", "created_at", "ended_at")
    list_filter = ("paused",)
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    ordering = ("-id",)
    exclude = ("callback_url",)
    readonly_fields = ("callback",)
    actions = ("pause", "resume")

    @admin.display(description="Callback")
    def callback(self, batch: Batch) -> str:
        return without_query(batch.callback_url) or "–"

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(Right.OPERATE)

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        self._each(request, batches, policy.pause_batch, "paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, batches: QuerySet[Batch]) -> None:
        self._each(request, batches, policy.resume_batch, "resumed")

    def _each(self, request: HttpRequest, batches: QuerySet[Batch], verb: Callable[..., Batch], word: str) -> None:
        at = clock.now()
        for batch in batches.order_by("pk"):
            verb(batch, at=at, actor=staff(request))
        effect = " Running jobs continue; queued jobs keep their position." if word == "paused" else ""
        self.message_user(request, f"{len(batches)} {word}.{effect}", messages.SUCCESS)


@admin.register(Attempt)
class AttemptAdmin(ExactSearch, ReadOnlyAdmin[Attempt]):
    empty = "Each time a job is sent to a provider, its attempt appears here."
    list_display = (job_link, "number", "account", "called_at", "accepted_at", "ended_at", "outcome", "error_message")
    list_display_links = None
    list_filter = ("outcome", "account")
    list_select_related = ("account",)
    ordering = ("-job", "-number", "id")
    exclude = ("token", "remote", "remote_id")
