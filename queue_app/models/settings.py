"""Settings of the whole queue: a single row, whose lock is the claim lock."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models
from django.db.models import Q

from queue_app.rules import peak


def check_hours(value: str) -> None:
    try:
        peak.spans(value)
    except ValueError as problem:
        raise ValidationError(str(problem)) from None


class QueueSettingsQuerySet(models.QuerySet["QueueSettings"]):
    def current(self) -> "QueueSettings":
        return self.get(pk=1)

    def lock_claims(self, *, within_seconds: float | None = None) -> "QueueSettings":
        """
        Lock the settings row until the transaction ends and return it.

        Every claim and every write to a limit, pause or policy takes this lock first (I21). Count jobs in a new statement after
        it. ``within_seconds`` limits the wait for this and every later lock of the transaction.
        """
        names = [str(field.column) for field in QueueSettings._meta.concrete_fields]
        haste = "" if within_seconds is None else f"SET LOCAL lock_timeout = {within_seconds * 1000:.0f};"  # milliseconds
        with connection.cursor() as cursor:
            # one round trip
            cursor.execute(f"{haste} SELECT {', '.join(names)} FROM queue_app_queuesettings WHERE id = 1 FOR UPDATE")  # noqa: S608
            return QueueSettings.from_db(connection.alias, names, cursor.fetchone())


class QueueSettings(models.Model):
    max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs, whole queue", default=10, validators=[MinValueValidator(1), MaxValueValidator(1_000)]
    )
    peak_hours = models.CharField(
        max_length=200,
        default="06:00-09:00, 20:00-23:00",
        blank=True,
        validators=[check_hours],
        help_text="Times of day (queue time zone) when the queue limit is multiplied by the peak factor.",
    )
    peak_factor = models.DecimalField(max_digits=4, decimal_places=2, default=1.5, validators=[MinValueValidator(1)])
    user_max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs, per user",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Leave empty for no limit.",
    )
    bulk_priority = models.SmallIntegerField(
        default=0, help_text="Priority of campaigns over 20 videos, such as 0 (normal, the default) or -10 (low)."
    )
    fair_share = models.BooleanField(
        default=True,
        help_text="Accounts take turns within a priority: nobody's single job waits behind 600 of another. Off: first come, "
        "first served. A change also re-sorts the jobs that are waiting.",
    )
    aging_minutes = models.PositiveSmallIntegerField(
        "raised after",
        null=True,
        blank=True,
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(10_080)],
        help_text="Minutes after which a waiting job is raised by one level (10), such as 30. It never reaches high. Leave "
        "empty to switch it off.",
    )
    paused = models.BooleanField(default=False)
    paused_reason = models.CharField(max_length=200, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)

    objects = QueueSettingsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "queue settings"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="queue_settings_is_one_row")]

    def __str__(self) -> str:
        return "Queue settings"
