"""Images that jobs start from."""

import secrets
import uuid
from pathlib import PurePosixPath

from django.conf import settings
from django.db import models
from django.db.models import Q


def make_token() -> str:
    return secrets.token_urlsafe(24)


class Upload(models.Model):
    """
    An image that a user uploaded or had fetched, checked and re-encoded under a name that we generated; or one that was generated
    for the user here.

    Jobs name it by its id. Providers load it by its ``token``, which is in no page and no answer of the API.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    token = models.CharField(max_length=64, unique=True, default=make_token, editable=False)
    name = models.CharField(
        max_length=200,
        db_index=True,
        help_text="Path in the storage. An image that was generated here is a file of its job, too.",
    )
    content_type = models.CharField(max_length=60)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    created_at = models.DateTimeField(help_text="When it was last uploaded.")
    used_at = models.DateTimeField(null=True, help_text="When a job first used it. Unused uploads are deleted after 30 days.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "sha256"], name="upload_once_per_owner"),
            models.CheckConstraint(condition=Q(size__gt=0), name="upload_is_not_empty"),
        ]
        indexes = [models.Index(fields=["owner", "created_at"], name="upload_unused", condition=Q(used_at=None))]

    def __str__(self) -> str:
        return f"image {self.width} × {self.height}"

    @property
    def file_name(self) -> str:
        """Return the last part of the storage name, which also ends the file's URL."""
        return PurePosixPath(self.name).name
