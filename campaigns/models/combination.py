"""The cells of a campaign's matrix, and the versions made of each."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from campaigns.models.brief import Campaign
from queue_app.models import Job, State


class Review(models.TextChoices):
    NONE = "", "not reviewed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WINNER = "winner"


# of combinations: the version that counts is stored, and nobody has judged it
TO_JUDGE = Q(review=Review.NONE, job__state=State.COMPLETED)


class Judged(models.Model):
    """
    What is said of one version: by the compliance rules at its launch, and by the people who reviewed it.

    A combination has it of the version that counts, a version while another one counts.
    """

    compliance = models.JSONField(default=dict, help_text='{"level": "clear", "hits": [...]}')
    review = models.CharField(max_length=10, choices=Review.choices, blank=True)
    reviewed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=1000, blank=True)

    class Meta:
        abstract = True


JUDGED = tuple(field.name for field in Judged._meta.fields)


class Combination(Judged):
    """One cell: a value of each chosen dimension, its prompt, its review. A blocked one is kept to show why, and never bought."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="combinations")
    index = models.PositiveIntegerField(help_text="Number in the matrix, from 1.")
    key = models.CharField(max_length=500)
    values = models.JSONField(help_text="Dimension key → value key.")
    prompt = models.TextField()
    blocked = models.BooleanField(default=False)
    job = models.OneToOneField(
        Job,
        null=True,
        on_delete=models.PROTECT,
        related_name="combination",
        help_text="Job of the version that counts: the latest, or an earlier one that was chosen.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "index"], name="combination_once"),
            models.CheckConstraint(condition=Q(blocked=False) | Q(job=None), name="combination_blocked_is_never_bought"),
        ]

    def __str__(self) -> str:
        return f"combination #{self.index} of campaign {self.campaign_id}"


class Version(Judged):
    """One making of a cell; the first at the launch, one more for each edited prompt."""

    combination = models.ForeignKey(Combination, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="version")
    prompt = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["combination", "number"], name="version_once")]

    def __str__(self) -> str:
        return f"{self.combination}, version {self.number}"
