"""The audit of staff's changes, the events of jobs, worker processes and outgoing messages."""

from calendar import monthrange
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from queue_app import clock
from queue_app.caching import at_most_every
from queue_app.models import AuditEntry, JobEvent, OutboxMessage, State, WorkerProcess
from queue_app.rules import numbers
from queue_app.ui import display, history
from queue_app.ui.model_admin import ExactSearch, ReadOnlyAdmin, job_link

OFFERED = 200  # values of one filter


class SeenFilter(admin.SimpleListFilter):
    """The values of one column of the audit, looked up at most once a minute."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = AuditEntry.objects.order_by(self.column).values_list(self.column, flat=True).distinct()
        seen: list[str] = at_most_every(60.0, f"audit:{self.column}", lambda: list(rows[:OFFERED]))
        return [(value, value) for value in dict.fromkeys([*seen, *filter(None, [self.value()])])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class WhoFilter(SeenFilter):
    title, parameter_name, column = "who", "who", "actor_name"


class ActionFilter(SeenFilter):
    title, parameter_name, column = "action", "action", "action"


class WhenFilter(admin.SimpleListFilter):
    """The last days, or a month and then a day of it. The choices come from the calendar and read no row."""

    title, parameter_name = "when", "when"
    lately = {"24h": ("Last 24 hours", timedelta(hours=24)), "7d": ("Last 7 days", timedelta(days=7))}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        today = timezone.localtime(clock.now()).date()
        chosen = calendar_days(self.value() or "")
        days = calendar_days(f"{chosen[0]:%Y-%m}") if chosen else []
        return [
            *((key, words) for key, (words, _) in self.lately.items()),
            *((f"{day:%Y-%m-%d}", f"{day.day} {day:%B}") for day in days if day <= today),
            *((f"{first:%Y-%m}", f"{first:%B %Y}") for first in _months(today)),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        value = self.value() or ""
        if value in self.lately:
            return queryset.filter(at__gt=clock.now() - self.lately[value][1])
        days = calendar_days(value)
        if not days:
            return queryset
        return queryset.filter(at__gte=_midnight(days[0]), at__lt=_midnight(days[-1] + timedelta(days=1)))


def calendar_days(value: str) -> list[date]:
    """Return the days of “2026-11” or of “2026-11-20”; none for any other text."""
    try:
        if len(value) == 7:
            first = date.fromisoformat(f"{value}-01")
            return [first.replace(day=day + 1) for day in range(monthrange(first.year, first.month)[1])]
        return [date.fromisoformat(value)] if len(value) == 10 else []
    except ValueError:
        return []


def _months(today: date) -> list[date]:
    """Return the first day of this month and of each of the eleven before it."""
    count = today.year * 12 + today.month - 1
    return [date((count - back) // 12, (count - back) % 12 + 1, 1) for back in range(12)]


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    title = "Audit"
    list_display = ("action_line", "who", "what", "why", "when")
    list_filter = (WhenFilter, WhoFilter, ActionFilter)
    search_fields = ("actor_name", "action", "target", "reason")
    search_help_text = "Search user, target, action or reason"
    ordering = ("-id",)
    change_form_template = "admin/queue_app/auditentry/change_form.html"

    @admin.display(description="Action")
    def action_line(self, entry: AuditEntry) -> str:
        return display.with_sub(entry.action[:1].upper() + entry.action[1:], entry.target)

    @admin.display(description="Who")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor_name

    @admin.display(description="Change")
    def what(self, entry: AuditEntry) -> str:
        return display.clipped(history.summary(entry)) if entry.before or entry.after else "–"

    @admin.display(description="Reason")
    def why(self, entry: AuditEntry) -> str:
        return display.clipped(entry.reason) if entry.reason else "–"

    @admin.display(description="When")
    def when(self, entry: AuditEntry) -> str:
        return display.when(entry.at)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        entry = AuditEntry.objects.filter(pk=numbers.of_row(object_id)).first()
        shown = {}
        if entry is not None:
            model = history.model_of(entry)
            shown = {
                "title": entry.action[:1].upper() + entry.action[1:],
                "changes": history.changes(entry),
                "thing": history.address(entry),
                "of": model._meta.verbose_name if model else "",
                "all_by": f"{reverse('admin:queue_app_auditentry_changelist')}?{urlencode({'who': entry.actor_name})}",
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})


@admin.register(JobEvent)
class JobEventAdmin(ExactSearch, ReadOnlyAdmin[JobEvent]):
    list_display = ("at", job_link, "seq", "change", "actor", "reason", "attempt")
    list_display_links = None
    ordering = ("-id",)

    @admin.display(description="Change")
    def change(self, event: JobEvent) -> str:
        if event.from_state == event.to_state:
            return "note"
        before = State(event.from_state).label.lower() if event.from_state else "new"
        return f"{before} → {State(event.to_state).label.lower()}"


@admin.register(WorkerProcess)
class WorkerProcessAdmin(ReadOnlyAdmin[WorkerProcess]):
    list_display = ("host", "role", "queue", "pid", "leader", "beat_at", "task")
    list_filter = ("role",)
    ordering = ("host", "role", "queue", "id")


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin[OutboxMessage]):
    list_display = ("id", "channel", "fact", "batch", "created_at", "tries", "delivered_at", "last_error")
    list_select_related = ("batch",)
    ordering = ("-id",)

    @admin.display(description="Fact")
    def fact(self, message: OutboxMessage) -> str:
        return display.clipped(str(message.payload.get("fact", "")))
