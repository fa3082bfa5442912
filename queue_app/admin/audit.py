"""Who did what, what waits for a person, and which processes are at work."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from queue_app import clock, lifecycle
from queue_app.admin import display
from queue_app.admin.base import OfJob, ReadOnlyAdmin
from queue_app.models import AuditEntry, JobEvent, OutboxMessage, ReviewItem, State, User, WorkerProcess
from queue_app.work import policy


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor_name", "action", "target", "what", "reason")
    search_fields = ("actor_name", "action", "target", "reason")
    ordering = ("-id",)

    @admin.display(description="Change")
    def what(self, entry: AuditEntry) -> str:
        names = {**entry.before, **entry.after}
        said = (f"{name}: {entry.before.get(name, '–')} → {entry.after.get(name, '–')}" for name in names)
        return display.clipped("; ".join(said))


@admin.register(JobEvent)
class JobEventAdmin(OfJob):
    list_display = ("at", "job_link", "seq", "change", "actor", "reason", "attempt")
    ordering = ("-id",)

    @admin.display(description="Change")
    def change(self, event: JobEvent) -> str:
        if event.from_state == event.to_state:
            return "noted"
        before = State(event.from_state).label.lower() if event.from_state else "new"
        return f"{before} → {State(event.to_state).label.lower()}"


@admin.register(ReviewItem)
class ReviewItemAdmin(OfJob):
    title = "Needs a person"
    list_display = ("job_link", "what", "state", "opened_at", "decide_by", "closed_at", "closed_by")
    list_filter = (("closed_at", admin.EmptyFieldListFilter),)
    list_select_related = ("job",)
    ordering = ("-id",)

    actions = ("queue_again", "give_up")

    @admin.display(description="Job is")
    def state(self, item: ReviewItem) -> str:
        return display.badge(item.job.state)

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("queue_app.force_fail_job")

    @admin.action(description="The provider did not take it: queue again", permissions=["settle"])
    def queue_again(self, request: HttpRequest, items: QuerySet[ReviewItem]) -> None:
        self._settle(request, items, again=True, done="queued for another attempt")

    @admin.action(description="Give up: fail it, tickets go back", permissions=["settle"])
    def give_up(self, request: HttpRequest, items: QuerySet[ReviewItem]) -> None:
        self._settle(request, items, again=False, done="failed, tickets given back")

    def _settle(self, request: HttpRequest, items: QuerySet[ReviewItem], *, again: bool, done: str) -> None:
        assert isinstance(request.user, User)
        at, name = clock.now(), request.user.username
        asked = list(items.filter(closed_at=None).values_list("job_id", flat=True))
        settled = lifecycle.settle_unknown(asked, again=again, at=at, actor=name, reason=f"looked at the provider's side; {done}")
        if settled:
            policy.audit(f"settle unknown: {done}", f"{len(settled)} jobs", at=at, actor=request.user, after={"jobs": settled})
            self.message_user(request, f"{len(settled)} {done}.", messages.SUCCESS)
        if len(settled) < len(asked) or not asked:
            self.message_user(request, "The others have no unknown outcome any more.", messages.WARNING)


@admin.register(WorkerProcess)
class WorkerProcessAdmin(ReadOnlyAdmin):
    list_display = ("host", "role", "queue", "pid", "leader", "beat_at", "task")
    list_filter = ("role",)
    ordering = ("host", "role", "queue", "id")


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    list_display = ("id", "channel", "fact", "batch", "created_at", "tries", "delivered_at", "last_error")
    list_select_related = ("batch",)
    ordering = ("-id",)

    @admin.display(description="Fact")
    def fact(self, message: OutboxMessage) -> str:
        return display.clipped(str(message.payload.get("fact", "")))
