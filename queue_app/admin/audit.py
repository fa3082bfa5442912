"""Who did what, what waits for a person, and which processes are at work."""

from django.contrib import admin

from queue_app.admin import display
from queue_app.admin.base import ReadOnlyAdmin
from queue_app.models import AuditEntry, JobEvent, OutboxMessage, ReviewItem, WorkerProcess


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor_name", "action", "target", "what", "reason")
    search_fields = ("actor_name", "action", "target", "reason")
    ordering = ("-id",)

    @admin.display(description="Change")
    def what(self, entry: AuditEntry) -> str:
        return "; ".join(f"{name}: {entry.before.get(name)} → {value}" for name, value in entry.after.items())


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "job", "seq", "change", "actor", "reason", "attempt")
    list_select_related = ("job",)
    search_fields = ("=job__id",)
    search_help_text = "A job's number"
    ordering = ("-id",)

    @admin.display(description="Change")
    def change(self, event: JobEvent) -> str:
        if event.from_state == event.to_state:
            return "note"
        return f"{event.from_state or 'new'} → {event.to_state}"


@admin.register(ReviewItem)
class ReviewItemAdmin(ReadOnlyAdmin):
    title = "Needs a person"
    list_display = ("job", "what", "opened_at", "decide_by", "closed_at", "closed_by")
    list_filter = (("closed_at", admin.EmptyFieldListFilter),)
    list_select_related = ("job",)
    ordering = ("-id",)


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
