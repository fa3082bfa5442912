"""Schedules: what is made again and again by a calendar, and each of their runs with its result."""

from django.db import models
from django.db.models import Q

from queue_app.models.account import User
from queue_app.models.job import Batch, Job
from queue_app.rules.cron import EXPRESSION_MOST

REASON_MOST = 200  # characters
RESULT_MOST = 500  # characters


class Schedule(models.Model):
    """
    A saved request of a user, made at the times of a calendar.

    ``makes`` names the kind of request in the setting ``SCHEDULED``; ``request`` is what its maker keeps of it. ``wake_at`` is
    when the dispatcher hands the schedule out: at ``next_run_at``, or later while a worker has it. Both are null during a pause.
    """

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="schedules")
    name = models.CharField(max_length=100)
    makes = models.CharField(max_length=20)
    request = models.JSONField()
    cron = models.CharField("calendar", max_length=EXPRESSION_MOST)
    time_zone = models.CharField(max_length=60)
    paused = models.BooleanField(default=False)
    paused_reason = models.CharField(max_length=REASON_MOST, blank=True)
    next_run_at = models.DateTimeField("next run", null=True)
    wake_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True, help_text="Last notice of a refused run since the last run that worked.")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["wake_at"], name="schedule_due", condition=Q(wake_at__isnull=False))]
        constraints = [
            models.CheckConstraint(condition=Q(paused=False) | Q(next_run_at=None), name="paused_schedule_has_no_next_run"),
            models.CheckConstraint(
                condition=Q(next_run_at=None, wake_at=None) | Q(next_run_at__isnull=False, wake_at__isnull=False),
                name="schedule_wakes_for_its_next_run",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ScheduleRun(models.Model):
    """
    One run of a schedule: what it made, or why it made nothing. A row of missed runs stands for all ``occurrences`` in
    a row up to ``due_at``.
    """

    class Outcome(models.TextChoices):
        MADE = "made", "Started"
        REFUSED = "refused", "Refused"
        MISSED = "missed", "Missed"

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="runs", db_index=False)
    due_at = models.DateTimeField()
    ran_at = models.DateTimeField()
    by_hand = models.BooleanField(default=False)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    occurrences = models.PositiveIntegerField(default=1)
    reason = models.CharField(max_length=RESULT_MOST, blank=True)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ("-due_at",)
        constraints = [
            models.UniqueConstraint(fields=["schedule", "due_at"], name="schedule_runs_once"),
            models.CheckConstraint(
                condition=Q(outcome="made") & (Q(job__isnull=False) | Q(batch__isnull=False))
                | ~Q(outcome="made") & Q(job=None, batch=None),
                name="made_run_names_what_it_made",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule}, {self.due_at:%Y-%m-%d %H:%M}"
