"""Schedules of users: their calendars and last runs. Operators pause and resume them; nobody edits what they make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from queue_app import clock
from queue_app.insight.schedules import last_runs
from queue_app.models import Schedule, ScheduleRun
from queue_app.rules import cron
from queue_app.ui import display
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ReadOnlyAdmin, column
from queue_app.work import schedules
from queue_app.work.roles import Right


@dataclass(frozen=True)
class ScheduleRow:
    """A schedule in the list, with its last run."""

    schedule: Schedule
    last: ScheduleRun | None

    @column("Last run")
    def last_run(self) -> str:
        if self.last is None:
            return "–"
        when = display.minute(self.last.due_at, clock.now())
        return display.with_sub(f"{self.last.get_outcome_display()}, {when}", self.last.reason)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin[Schedule]):
    title = "Schedules"
    empty = "Users save schedules on their page Schedules or by API. They submit jobs and launch campaigns again and again."
    list_display = ("line", "owner", "calendar", "state", "next_run_at", ScheduleRow.last_run)
    list_display_links = ("line",)
    list_filter = ("paused", "makes")
    list_select_related = ("owner",)
    search_fields = ("name", "owner__username")
    search_help_text = "Name or owner"
    ordering = ("-id",)
    actions = ("pause", "resume")
    fields = ("name", "owner", "makes", "calendar", "state", "paused_reason", "next_run_at", "told_at", "created_at")
    readonly_fields = fields

    def rows(self, found: Sequence[Schedule]) -> list[ScheduleRow]:
        last = last_runs(found)
        return [ScheduleRow(one, last.get(one.pk)) for one in found]

    @admin.display(description="Schedule")
    def line(self, schedule: Schedule) -> str:
        return display.with_sub(schedule.name, schedule.makes.capitalize())

    @admin.display(description="Calendar")
    def calendar(self, schedule: Schedule) -> str:
        return display.with_sub(cron.words(schedule.cron), f"{schedule.cron}, {schedule.time_zone}")

    @admin.display(description="Status")
    def state(self, schedule: Schedule) -> SafeString:
        if schedule.paused:
            return display.badge("cancelled", "Paused", "pause")
        return display.badge("completed", "On")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(Right.OPERATE)

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, found: QuerySet[Schedule]) -> None:
        reason = f"Paused by {staff(request).username}"  # what its owner reads
        self._each(
            request, found, lambda one: schedules.pause(one, at=clock.now(), actor=staff(request), reason=reason), "paused"
        )

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, found: QuerySet[Schedule]) -> None:
        self._each(request, found, lambda one: schedules.resume(one, at=clock.now(), actor=staff(request)), "resumed")

    def _each(self, request: HttpRequest, found: QuerySet[Schedule], verb: Callable[[Schedule], Schedule], word: str) -> None:
        for one in found.order_by("pk"):
            verb(one)
        effect = " What they have started continues; their owners can resume them." if word == "paused" else ""
        self.message_user(request, f"{len(found)} {word}.{effect}", messages.SUCCESS)
