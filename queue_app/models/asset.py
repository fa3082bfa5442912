"""Files delivered by a job."""

import uuid
from pathlib import PurePosixPath

from django.db import models
from django.db.models import Q

from queue_app.models.job import Attempt, Job


class AssetQuerySet(models.QuerySet["Asset"]):
    def kept(self) -> "AssetQuerySet":
        """Return the files that have not been deleted."""
        return self.filter(expired_at=None)


class Asset(models.Model):
    """A stored file, checked and hashed, under a name that we generated (I33). Equal files are stored once, under one name."""

    class Kind(models.TextChoices):
        VIDEO = "video"
        IMAGE = "image"
        THUMBNAIL = "thumbnail"
        TILE = "tile"  # the thumbnail again, for pages that show hundreds
        SPRITESHEET = "spritesheet"
        PAGE = "page"
        MARKDOWN = "markdown"  # a page's body as its writer sees it
        JSON_LD = "json-ld", "JSON-LD"  # what search engines read, built from the page's data
        TEXT = "text"

    # what a job is generated for; the other kinds are stills made from it
    MAIN_KINDS = (Kind.VIDEO, Kind.IMAGE, Kind.PAGE, Kind.TEXT)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="assets")
    attempt = models.ForeignKey(Attempt, on_delete=models.PROTECT, related_name="assets")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    version = models.PositiveIntegerField(default=1, help_text="1 for the first delivery, plus 1 per retry.")
    number = models.PositiveSmallIntegerField(default=1, help_text="1, 2, 3, … where a delivery has several files of a kind.")
    name = models.CharField(max_length=200, help_text="Path in the storage.")
    content_type = models.CharField(max_length=60)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)
    seconds = models.FloatField(null=True)
    preview = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    expired_at = models.DateTimeField(null=True, help_text="When the file was deleted. The record stays.")

    objects = AssetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(size__gt=0), name="asset_is_not_empty"),
            models.UniqueConstraint(fields=["job", "kind", "version", "number"], name="asset_once_per_job_kind_version_number"),
        ]
        indexes = [
            models.Index(fields=["name"], name="asset_name"),
            models.Index(fields=["sha256"], name="asset_kept_by_hash", condition=Q(expired_at=None)),
            models.Index(fields=["created_at"], name="asset_kept_by_age", condition=Q(expired_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of job {self.job_id}"

    @property
    def file_name(self) -> str:
        """Return the last part of the storage name, which also ends the file's URL."""
        return PurePosixPath(self.name).name
