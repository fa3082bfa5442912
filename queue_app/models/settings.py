"""Settings of the whole queue: a single row, whose lock is the claim lock."""

from zoneinfo import ZoneInfo, available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import connection, models
from django.db.models import Q

from queue_app.models.catalog import REASON_HELP, UNTIL_HELP
from queue_app.rules import peak, priority


def check_hours(value: str) -> None:
    try:
        peak.spans(value)
    except ValueError as problem:
        raise ValidationError(str(problem)) from None


def check_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(f"“{value}” is not a time zone. Use a name like Europe/Madrid or UTC.")


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
        "concurrent jobs, whole queue",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(1_000)],
        help_text="How many jobs run at the same time, 1 to 1,000. Default: 10. Example: 40 for a team of ten.",
    )
    peak_hours = models.CharField(
        max_length=200,
        default="06:00-09:00, 20:00-23:00",
        blank=True,
        validators=[check_hours],
        help_text="Hours of the day when the limit of the whole queue is multiplied by the peak factor. Default: 06:00-09:00, "
        "20:00-23:00. Example: 22:00-02:00 passes midnight. Leave empty for none.",
    )
    peak_time_zone = models.CharField(
        "time zone",
        max_length=64,
        default="",
        blank=True,
        validators=[check_zone],
        help_text="Time zone whose clocks the peak hours follow, summer time included. Example: Europe/Madrid. Empty: the site's "
        "(QUEUE_TIME_ZONE).",
    )
    peak_factor = models.DecimalField(
        max_digits=4,
        decimal_places=2,
        default=1.5,
        validators=[MinValueValidator(1)],
        help_text="Times the limit, 1 to 99.99, rounded down. Default: 1.5. Example: a limit of 10 is 15 in peak hours.",
    )
    user_max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs, per user",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How many jobs of one user run at the same time, 1 or more. Default: empty, no limit. Example: 3. "
        "Users can have a limit of their own.",
    )
    bulk_priority = models.SmallIntegerField(
        default=0,
        validators=[MinValueValidator(priority.LOWEST), MaxValueValidator(priority.HIGHEST)],
        help_text="Of campaigns over 20 videos that ask for none, -100 to 100: larger numbers start first. Default: 0, normal. "
        "Example: -10 is low.",
    )
    fair_share = models.BooleanField(
        default=True,
        help_text="Users take turns within a priority, so 600 jobs of one don't delay a single job of another. Off: first "
        "come, first served. A change also re-sorts the jobs that are waiting. Default: on. "
        "Example: off if only one person uses it.",
    )
    resort_after = models.BigIntegerField(
        null=True,
        editable=False,
        help_text="Jobs up to this number are placed anew after a switch of fair share. Empty: all are.",
    )
    aging_minutes = models.PositiveSmallIntegerField(
        "raised after",
        null=True,
        blank=True,
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(10_080)],
        help_text="Minutes after which a waiting job is raised by one level (10), 1 to 10,080. It never reaches high. "
        "Default: 30. Example: 120. Leave empty to switch it off.",
    )
    matrix_breaker = models.BooleanField(
        "circuit breaker of the matrix",
        default=True,
        help_text="Puts the rest of a value on hold when it explains why videos of a campaign fail: at least 4 failures with one "
        "error, 80% of all with it. Off: they run. Default: on. Example: off while you try out prompts that may fail.",
    )
    paused = models.BooleanField(
        default=False, help_text="No job starts. Running jobs finish. Default: off. Example: on during maintenance."
    )
    paused_reason = models.CharField(max_length=200, blank=True, help_text=REASON_HELP)
    paused_until = models.DateTimeField(null=True, blank=True, help_text=UNTIL_HELP)

    objects = QueueSettingsQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "queue settings"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="queue_settings_is_one_row")]

    def __str__(self) -> str:
        return "Queue settings"

    @property
    def peak_zone(self) -> ZoneInfo:
        """The time zone whose clocks the peak hours follow."""
        return ZoneInfo(self.peak_time_zone or settings.QUEUE_TIME_ZONE)
