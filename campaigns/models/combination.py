"""The combinations of a campaign's matrix, and the versions of each."""

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


# combinations whose version that counts is completed and not reviewed
TO_JUDGE = Q(review=Review.NONE, job__state=State.COMPLETED)


class Reviewable(models.Model):
    """
    The compliance check and the review of one version.

    A combination has those of the version that counts; a version has its own while another one counts.
    """

    compliance = models.JSONField(default=dict, help_text='{"level": "clear", "hits": [...]}')
    review = models.CharField(max_length=10, choices=Review.choices, blank=True)
    reviewed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    reviewed_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=1000, blank=True)

    class Meta:
        abstract = True


REVIEW_FIELDS = tuple(field.name for field in Reviewable._meta.fields)


class Combination(Reviewable):
    """A value of each chosen dimension, with its prompt and review. A blocked one has no job; it is stored to show why."""

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
        help_text="Job of the version that counts: the latest, or another one that was chosen.",
    )
    still = models.OneToOneField(
        Job,
        null=True,
        on_delete=models.PROTECT,
        related_name="still_of",
        help_text="Job of the still that its video starts from, the latest one. Of a storyboard only.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["campaign", "index"], name="combination_once"),
            models.CheckConstraint(condition=Q(blocked=False) | Q(job=None), name="combination_blocked_is_never_bought"),
        ]

    def __str__(self) -> str:
        return f"combination #{self.index} of campaign {self.campaign_id}"


class Version(Reviewable):
    """One generation of a combination: the first at launch, one more for each edited prompt."""

    combination = models.ForeignKey(Combination, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="version")
    prompt = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["combination", "number"], name="version_once")]

    def __str__(self) -> str:
        return f"{self.combination}, version {self.number}"
