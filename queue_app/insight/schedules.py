"""Schedules with their last runs."""

from collections.abc import Sequence

from django.db.models import OuterRef, Subquery

from queue_app.models import Schedule, ScheduleRun


def last_runs(schedules: Sequence[Schedule]) -> dict[int, ScheduleRun]:
    """Return the last run of each schedule that had one, with its job and batch, by the schedule's id."""
    newest = ScheduleRun.objects.filter(schedule=OuterRef("pk")).order_by("-due_at").values("pk")[:1]
    ids = Schedule.objects.filter(pk__in=[one.pk for one in schedules]).order_by().values_list(Subquery(newest))
    found = ScheduleRun.objects.filter(pk__in=ids).select_related("job", "batch")
    return {run.schedule_id: run for run in found}
