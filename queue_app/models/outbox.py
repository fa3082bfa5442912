"""The outbox: messages written in the same transaction as the change they report, delivered later, at least once (I28)."""

from django.db import models
from django.db.models import Q

from queue_app.models.account import User
from queue_app.models.job import Batch, Job


class OutboxMessage(models.Model):
    channel = models.CharField(max_length=40, help_text="Name from OUTBOX_CHANNELS.")
    key = models.CharField(max_length=120, unique=True, help_text="Built from its cause. The same on every delivery attempt.")
    job = models.ForeignKey(Job, null=True, on_delete=models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, null=True, on_delete=models.CASCADE, related_name="+")
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at", "id"], name="outbox_due", condition=Q(delivered_at=None, given_up_at=None)),
        ]

    def __str__(self) -> str:
        return self.key


class Notice(models.Model):
    """A message to one user, shown on their pages until they have read it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    key = models.CharField(max_length=120, unique=True, help_text="Built from its cause, to send it only once.")
    text = models.CharField(max_length=300)
    url = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["user", "-id"], name="notice_unread", condition=Q(read_at=None))]

    def __str__(self) -> str:
        return self.text
