"""Forecasts that were made, and what happened: what later forecasts learn from."""

from django.db import models
from django.db.models import Q

from queue_app.models.catalog import GenerationModel
from queue_app.models.job import Batch, Job


class PastForecast(models.Model):
    """
    What the simulation said of a job or a batch at one moment, what was shown of it, and the seconds until it happened.

    ``happened``: empty until it is known, false if it never will: ``seconds`` is then how long it had not happened.
    """

    class What(models.TextChoices):
        START = "start"
        END = "end"
        REST = "rest", "end of a running job"
        BATCH = "batch", "end of a batch"

    what = models.CharField(max_length=5, choices=What.choices)
    job = models.ForeignKey(Job, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    batch = models.ForeignKey(Batch, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    model = models.ForeignKey(GenerationModel, null=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    priority = models.SmallIntegerField(default=0)
    measured = models.BooleanField(help_text="It rests on measured run times. Others say nothing about these.")
    at = models.DateTimeField()
    p50 = models.FloatField()
    p90 = models.FloatField()
    shown_p50 = models.FloatField(help_text="As it was shown, corrected by the past forecasts of then.")
    shown_p90 = models.FloatField()
    seconds = models.FloatField(null=True)
    happened = models.BooleanField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["-at", "-id"], name="past_forecast_newest"),
            models.Index(fields=["job"], name="past_forecast_of_job", condition=Q(happened=None)),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(happened=None) ^ Q(seconds__isnull=False), name="past_forecast_known_when_over")
        ]

    def __str__(self) -> str:
        return f"{self.get_what_display()} of {self.job or self.batch} from {self.at}"
