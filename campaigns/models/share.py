"""Links that share a campaign with people without an account, and the reviews of those people."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F

from campaigns.models.brief import Campaign
from campaigns.models.combination import Review, Version
from queue_app.rules.words import one_line


class ShareLinkQuerySet(models.QuerySet["ShareLink"]):
    def open(self, at: datetime) -> "ShareLinkQuerySet":
        """Return the links that work at ``at``: neither expired nor revoked."""
        return self.filter(revoked_at=None, expires_at__gt=at)


class ShareLink(models.Model):
    """An address that shows the results of one campaign. Only the hash of its token is stored (I36)."""

    class Shows(models.TextChoices):
        COMPLETED = "completed", "all completed"
        APPROVED = "approved", "approved and winners"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="share_links")
    form_key = models.UUIDField(unique=True, help_text="Key of the form. A form that is sent again creates no second link.")
    token_sha256 = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=100, help_text="Who the link is for. Visitors never see it.")
    may_answer = models.BooleanField(help_text="Visitors may approve, reject and comment.")
    shows = models.CharField(max_length=10, choices=Shows.choices)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField(null=True, help_text="Last visit, to the minute.")

    objects = ShareLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(expires_at__gt=F("created_at")), name="share_link_ends_after_its_start"),
        ]

    def __str__(self) -> str:
        return one_line(f"share link {self.pk} of campaign {self.campaign_id}")

    def is_open(self, at: datetime) -> bool:
        return self.revoked_at is None and self.expires_at > at


class ClientReview(models.Model):
    """A review or a comment by a visitor of a share link. Rows are only added; the latest one of a link and version counts."""

    link = models.ForeignKey(ShareLink, on_delete=models.CASCADE, related_name="reviews")
    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="client_reviews")
    review = models.CharField(max_length=10, choices=Review.choices, blank=True)
    comment = models.CharField(max_length=1000, blank=True)
    name = models.CharField(max_length=80, help_text="As the visitor typed it.")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["version", "-id"], name="client_reviews_of_a_version")]

    def __str__(self) -> str:
        return one_line(f"{self.name}: {self.review or 'comment'} on {self.version}")
