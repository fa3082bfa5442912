"""Trips of the circuit breaker: a value that explains why videos of a campaign fail, and what became of the rest of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from campaigns.models.brief import Campaign


class Trip(models.Model):
    """
    A value whose queued videos were put on hold, because `rules.breaker` found that it explains failures with one error code. The
    same value does not trip again for the same code.
    """

    class How(models.TextChoices):
        RELEASED = "released"
        REWRITTEN = "rewritten"
        DROPPED = "dropped", "Cancelled"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="trips")
    dimension = models.CharField(max_length=60)
    value = models.CharField(max_length=60)
    code = models.CharField(max_length=60, help_text="Error code of the failures.")
    failures = models.PositiveIntegerField(help_text="Failures with this code that have the value.")
    of = models.PositiveIntegerField(help_text="All failures with this code.")
    held = models.PositiveIntegerField(help_text="Jobs that it put on hold.")
    at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    settled_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    how = models.CharField(max_length=10, choices=How.choices, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "dimension", "value", "code"], name="trip_once"),
            models.CheckConstraint(condition=Q(settled_at=None) ^ ~Q(how=""), name="trip_settled_says_how"),
        ]

    def __str__(self) -> str:
        return f"{self.dimension} = {self.value} in {self.campaign}: {self.code}"
