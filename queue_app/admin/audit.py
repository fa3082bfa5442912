"""Who did what, and which processes are at work."""

from django.contrib import admin

from queue_app.admin import display
from queue_app.admin.base import OfJob, ReadOnlyAdmin
from queue_app.models import AuditEntry, JobEvent, OutboxMessage, State, WorkerProcess


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
