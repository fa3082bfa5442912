"""Campaigns and drafts, as requested. Counts, states and tickets are in the batch and its jobs, never stored here (I13)."""

import uuid

from django.conf import settings
from django.db import models

from campaigns.models.brand import Brand
from queue_app.models import Batch, GenerationModel, User
from queue_app.models.fields import InOrderField
from queue_app.rules.words import one_line


class CampaignQuerySet(models.QuerySet["Campaign"]):
    def of(self, user: User) -> "CampaignQuerySet":
        """Return the campaigns that this user may read (I35)."""
        return self if user.is_staff else self.filter(batch__owner=user)


class Campaign(models.Model):
    """A batch with its brief. Both have the same number."""

    batch = models.OneToOneField(Batch, on_delete=models.PROTECT, primary_key=True, related_name="campaign")
    name = models.CharField(max_length=200)
    brand = models.ForeignKey(Brand, on_delete=models.PROTECT, related_name="campaigns")
    product_category = models.CharField(max_length=200, blank=True)
    big_idea = models.TextField()
    visual_messaging = models.TextField(blank=True)
    audio_messaging = models.TextField(blank=True)
    dimensions = InOrderField(help_text="Dimension key → selected value keys, in matrix order.")
    labels = models.JSONField(default=dict, help_text="Labels of the dimensions and values at launch.")
    exclude = models.JSONField(default=list)
    model = models.ForeignKey(GenerationModel, on_delete=models.PROTECT, related_name="+")
    parameters = models.JSONField()
    priority = models.SmallIntegerField()
    start = models.CharField(max_length=12, default="all", help_text="Which of its jobs start at launch: `starts`.")
    still_model = models.ForeignKey(
        GenerationModel, null=True, on_delete=models.PROTECT, related_name="+", help_text="Makes the stills of a storyboard."
    )
    file_names = models.CharField(
        max_length=200, blank=True, help_text="Template of the names of downloaded files. Empty: number and values."
    )
    created_at = models.DateTimeField()

    objects = CampaignQuerySet.as_manager()

    def __str__(self) -> str:
        return one_line(self.name)


class Draft(models.Model):
    """
    A campaign form in progress, saved at every change. Its id is also the key of its launch: once launched, it names its
    campaign, however often the form is sent again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    body = models.JSONField(default=dict, help_text="The form fields as typed.")
    revision = models.PositiveIntegerField(default=0)
    updated_at = models.DateTimeField()
    campaign = models.ForeignKey(Campaign, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner"], condition=models.Q(campaign=None), name="draft_one_open_per_owner"),
        ]

    def __str__(self) -> str:
        return f"Draft of {self.owner}"
