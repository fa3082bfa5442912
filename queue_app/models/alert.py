"""What calls for staff: thresholds as rows, and each time one was passed."""

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from queue_app.rules.words import one_line


class AlertRule(models.Model):
    """
    A measure and the value at which it calls. It opens at ``opens_at`` and closes only at ``closes_at``, so that a value that
    swings around one number does not ring all day.
    """

    class Measure(models.TextChoices):
        QUEUE_DEPTH = "queue_depth", "jobs waiting"
        OLDEST_WAIT = "oldest_wait", "seconds that the oldest job waits for its turn"
        FAILURE_RATE = "failure_rate", "percent of the last hour's ended jobs that failed"
        UNKNOWN_JOBS = "unknown_jobs", "jobs whose outcome is unknown"
        WORKER_SILENT = "worker_silent", "seconds since a worker's last heartbeat"
        TICKETS_LOW = "tickets_low", "tickets left in a wallet that was spent from in the last 7 days"
        PAID_NOT_DELIVERED = "paid_not_delivered", "jobs of the last 24 h paid for and not delivered"
        OLD_SNAPSHOT = "old_snapshot", "seconds that a transaction has kept the database from clearing up"

    measure = models.CharField(max_length=20, choices=Measure.choices, primary_key=True)
    active = models.BooleanField(default=True)
    opens_at = models.FloatField(help_text="It opens when the measure reaches this.")
    closes_at = models.FloatField(help_text="It closes when the measure is back at this; apart, so that it does not flutter.")
    mail = models.BooleanField(default=True, help_text="Tell staff by e-mail when it opens.")

    class Meta:
        ordering = ("measure",)

    def __str__(self) -> str:
        return str(self.get_measure_display())

    @property
    def rises(self) -> bool:
        """Whether large values are the bad ones."""
        return self.measure != self.Measure.TICKETS_LOW

    def calls(self, value: float) -> bool:
        """Whether an alert opens at this value."""
        return value >= self.opens_at if self.rises else value <= self.opens_at

    def is_over(self, value: float) -> bool:
        """Whether an open alert closes at this value."""
        return value <= self.closes_at if self.rises else value >= self.closes_at

    def clean(self) -> None:
        if None in (self.opens_at, self.closes_at):
            return  # their fields say what is missing
        if self.rises and self.closes_at >= self.opens_at:
            raise ValidationError({"closes_at": "It must be below the value at which it opens."})
        if not self.rises and self.closes_at <= self.opens_at:
            raise ValidationError({"closes_at": "It must be above the value at which it opens."})


class Alert(models.Model):
    """One time that a rule called, about one thing; open until its measure is back."""

    rule = models.ForeignKey(AlertRule, on_delete=models.CASCADE, related_name="alerts")
    subject = models.CharField(max_length=200, blank=True, help_text="Where a rule watches many, which: a worker, a user.")
    value = models.FloatField(help_text="The measure when it was last looked at.")
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
