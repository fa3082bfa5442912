"""The audit of staff's changes, the events of jobs, worker processes and outgoing messages."""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.text import capfirst

from queue_app import announce, clock
from queue_app.caching import at_most_every
from queue_app.models import AuditEntry, BulkAction, JobEvent, OutboxMessage, OutgoingEvent, State, WorkerProcess
from queue_app.models.outbox import PING
from queue_app.rules import numbers, spreadsheet
from queue_app.ui import deeds, history
from queue_app.ui.deeds import Sentence
from queue_app.ui.model_admin import ExactSearch, ReadOnlyAdmin, job_link
from queue_app.ui.paging import PageList

OFFERED = 200  # values of one filter
EXPORTED = 50_000  # entries of one download


class SeenFilter(admin.SimpleListFilter):
    """The values of one column of the audit, looked up at most once a minute."""

    column = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = self.rows().order_by(self.column).values_list(self.column, flat=True).distinct()
        seen: list[str] = at_most_every(60.0, f"audit:{self.column}", lambda: list(rows[:OFFERED]))
        return [(value, self.words(value)) for value in dict.fromkeys([*seen, *filter(None, [self.value()])])]

    def rows(self) -> QuerySet[AuditEntry]:
        """Return the entries whose values are offered."""
        return AuditEntry.objects.exclude(**{self.column: ""})

    def words(self, value: str) -> str:
        return value

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(**{self.column: self.value()}) if self.value() else queryset


class WhoFilter(SeenFilter):
    title, parameter_name, column = "who", "who", "actor_name"


class AboutFilter(SeenFilter):
    title, parameter_name, column = "about", "about", "target_model"

    def words(self, value: str) -> str:
        model = history.model_of(AuditEntry(target_model=value))
        return capfirst(str(model._meta.verbose_name_plural)) if model else value


class ActionFilter(SeenFilter):
    title, parameter_name, column = "action", "action", "action"

    def rows(self) -> QuerySet[AuditEntry]:
        return super().rows().exclude(action__contains=deeds.STEP)  # told with the action that they are a step of

    def words(self, value: str) -> str:
        return capfirst(value)


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


@dataclass(frozen=True)
class Day:
    """A day of the audit with its sentences, the latest first."""

    name: str
    deeds: list[Sentence]


class AuditList(PageList):
    """A page of the audit: sentences by day."""

    @cached_property
    def days(self) -> list[Day]:
        at = clock.now()
        told = deeds.of(self.result_list, at=at)
        by_day = groupby(told, key=lambda deed: timezone.localtime(deed.entry.at).date())
        return [Day(_name_of(day, timezone.localtime(at).date()), list(those)) for day, those in by_day]


def _name_of(day: date, today: date) -> str:
    """Return “Today, 29 November”, “27 November”, “31 December 2025”."""
    name = f"{day.day} {day:%B}" if day.year == today.year else f"{day.day} {day:%B %Y}"
    near = {today: "Today", today - timedelta(days=1): "Yesterday"}.get(day)
    return f"{near}, {name}" if near else name


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    title = "Audit"
    empty = "What staff change appears here: who, what, when and why."
    list_display = ("__str__",)
    list_filter = (WhenFilter, WhoFilter, AboutFilter, ActionFilter)
    search_fields = ("actor_name", "action", "target", "reason")
    search_help_text = "Who, what, reason"
    ordering = ("-id",)
    change_form_template = "admin/queue_app/auditentry/change_form.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return AuditList

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Return all entries but later steps of one's own bulk action: its first entry tells them."""
        found: QuerySet[AuditEntry] = super().get_queryset(request)
        same = {name: OuterRef(name) for name in ("target_model", "target_pk", "actor_name")}
        earlier = AuditEntry.objects.filter(**same, id__lt=OuterRef("pk"))
        steps = Q(target_model=BulkAction._meta.label_lower, action__contains=deeds.STEP)
        return found.exclude(steps & Exists(earlier))

    def get_urls(self) -> list[URLPattern]:
        export = path("export/", self.admin_site.admin_view(self.export), name="queue_app_auditentry_export")
        return [export, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        zone = {"zone": timezone.get_current_timezone_name(), "list_query": request.GET.urlencode()}
        return super().changelist_view(request, {**zone, **(extra_context or {})})

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """
        Return the newest entries of the list, with its filters, as CSV.

        :raises PermissionDenied: the user may not read the audit.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            found = self.get_changelist_instance(request).queryset.order_by("-id")[:EXPORTED]
        except (IncorrectLookupParameters, SuspiciousOperation):
            found = AuditEntry.objects.none()
        named = {"Content-Disposition": 'attachment; filename="audit.csv"'}
        return StreamingHttpResponse(_csv(found), content_type="text/csv; charset=utf-8", headers=named)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        entry = AuditEntry.objects.filter(pk=numbers.of_row(object_id)).first()
        shown = {}
        if entry is not None:
            model = history.model_of(entry)
            (deed,) = deeds.of([entry], at=clock.now())
            shown = {
                "title": f"{entry.actor_name} {deed.told}",
                "deed": deed,
                "changes": history.changes(entry),
                "of": model._meta.verbose_name if model else "",
                "all_by": f"{reverse('admin:queue_app_auditentry_changelist')}?{urlencode({'who': entry.actor_name})}",
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})


def _csv(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    yield spreadsheet.BOM + spreadsheet.line(["Time", "Who", "Action", "Target", "Change", "Reason"])
    for entry in entries.iterator(chunk_size=500):
        change = history.summary(entry)
        cells = (entry.at.isoformat(), entry.actor_name, entry.action, entry.target, change, entry.reason)
        yield spreadsheet.line(cells)


@admin.register(JobEvent)
class JobEventAdmin(ExactSearch, ReadOnlyAdmin[JobEvent]):
    empty = "Every change of a job appears here."
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
    empty = "No process runs. Start one with manage.py runworker: jobs wait until then."
    list_display = ("host", "role", "queue", "pid", "leader", "beat_at", "task")
    list_filter = ("role",)
    ordering = ("host", "role", "queue", "id")


class OutboxFilter(admin.SimpleListFilter):
    """The values that one column of the outbox can have: known from the code, since the table is large."""

    options: Iterable[str] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value) for value in dict.fromkeys(map(str, self.options))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> QuerySet[OutboxMessage]:
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class ChannelFilter(OutboxFilter):
    title = parameter_name = "channel"
    options = settings.OUTBOX_CHANNELS


class EventFilter(OutboxFilter):
    title = parameter_name = "event"
    options = (*OutgoingEvent, *announce.TOLD, PING)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin[OutboxMessage]):
    empty = "Emails and webhooks that Genqueue sends appear here."
    list_display = ("id", "channel", "event", "owner", "batch", "created_at", "tries", "delivered_at", "last_error")
    list_filter = (ChannelFilter, EventFilter)
    list_select_related = ("batch", "owner")
    ordering = ("-id",)
