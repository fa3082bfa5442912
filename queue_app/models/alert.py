"""Alert rules with their thresholds, and the alerts they opened."""

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from queue_app.rules.words import one_line


class AlertRule(models.Model):
    """
    A measure with two thresholds: the alert opens at ``opens_at`` and closes at ``closes_at``. The gap between them keeps a value
    that swings around one threshold from opening the alert again and again.
    """

    class Measure(models.TextChoices):
        QUEUE_DEPTH = "queue_depth", "jobs waiting"
        OLDEST_WAIT = "oldest_wait", "wait of the oldest job, in seconds"
        FAILURE_RATE = "failure_rate", "failure rate in the last hour, in percent"
        UNKNOWN_JOBS = "unknown_jobs", "jobs with an unknown outcome"
        WORKER_SILENT = "worker_silent", "seconds since a worker's last heartbeat"
        TICKETS_LOW = "tickets_low", "tickets left in a recently used wallet"
        PAID_NOT_DELIVERED = "paid_not_delivered", "jobs paid but not delivered, last 24 hours"
        BUDGET_SPENT = "budget_spent", "spent part of an account's daily budget, in percent"
        OLD_SNAPSHOT = "old_snapshot", "age of the oldest database transaction, in seconds"

    measure = models.CharField(max_length=20, choices=Measure.choices, primary_key=True)
    active = models.BooleanField(default=True)
    opens_at = models.FloatField(help_text="The alert opens at this value.")
    closes_at = models.FloatField(help_text="The alert closes at this value. Keep a gap to the opening value to avoid repeats.")
    mail = models.BooleanField("email", default=True, help_text="Email staff when it opens.")

    class Meta:
        ordering = ("measure",)

    def __str__(self) -> str:
        return str(self.get_measure_display())

    @property
    def rises(self) -> bool:
        """Whether the alert opens when the value rises; otherwise it opens when the value falls."""
        return self.measure != self.Measure.TICKETS_LOW

    def calls(self, value: float) -> bool:
        """Whether an alert opens at this value."""
        return value >= self.opens_at if self.rises else value <= self.opens_at

    def is_over(self, value: float) -> bool:
        """Whether an open alert closes at this value."""
        return value <= self.closes_at if self.rises else value >= self.closes_at

    def clean(self) -> None:
        if None in (self.opens_at, self.closes_at):
            return  # the fields report that they are missing
        if self.rises and self.closes_at >= self.opens_at:
            raise ValidationError({"closes_at": "Must be below the opening value."})
        if not self.rises and self.closes_at <= self.opens_at:
            raise ValidationError({"closes_at": "Must be above the opening value."})


class Alert(models.Model):
    """An alert that a rule opened for one subject. It is open until the measure reaches the closing threshold."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    subject = models.CharField(
        max_length=200, blank=True, help_text="Worker, user or account of the alert, if the rule watches several."
    )
    value = models.FloatField(help_text="Last measured value.")
    words = models.CharField(max_length=300)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(fields=["rule", "subject"], condition=Q(closed_at=None), name="alert_one_open_per_subject")
        ]

    def __str__(self) -> str:
        return one_line(self.words)
