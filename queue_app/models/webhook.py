"""Inbound webhooks that were verified: hints that a provider's task may have changed."""

from django.contrib.postgres.indexes import HashIndex
from django.db import models
from django.db.models import Q

from queue_app.models.catalog import ProviderAccount
from queue_app.models.job import Attempt


class InboundWebhook(models.Model):
    """
    One event, stored at its first delivery (I27). It changes no state: the provider is asked, or it is only noted. Its content is
    not kept, because the provider's own answer counts.
    """

    class Effect(models.TextChoices):
        CHECKED = "checked", "checked immediately"
        EARLY = "early", "kept until the provider's answer"
        LATE = "late", "too late, nothing to do"
        UNMATCHED = "unmatched", "no job with this task"

    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="+")
    event_id = models.CharField(max_length=200, help_text="The provider's ID of the event, the same on every delivery.")
    attempt = models.ForeignKey(Attempt, null=True, on_delete=models.CASCADE, related_name="webhooks")
    type = models.CharField(max_length=80)
    remote_id = models.TextField("provider task", blank=True)
    sender = models.CharField(
        max_length=200, blank=True, help_text="Our user at the provider, if its signature covers many customers."
    )
    effect = models.CharField(max_length=10, choices=Effect.choices)
    received_at = models.DateTimeField()

    class Meta:
        verbose_name = "received webhook"
        constraints = [models.UniqueConstraint(fields=["account", "event_id"], name="webhook_stored_once")]
        indexes = [
            models.Index(fields=["account", "-received_at"], name="webhook_of_account"),  # is there any, and when was the last?
            models.Index(fields=["received_at"], name="webhook_age"),  # retention
            # events of tasks whose ids were not known yet
            HashIndex(fields=["remote_id"], name="webhook_unmatched", condition=Q(attempt=None)),
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.account_id}"
