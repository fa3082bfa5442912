"""The outbox: messages written in the same transaction as the change they report, delivered later, at least once (I28)."""

from datetime import datetime

from django.db import models
from django.db.models import Q

from queue_app.models.account import User
from queue_app.models.job import URL_MOST, Batch, Job
from queue_app.rules.words import without_query

OPEN = Q(delivered_at=None, given_up_at=None)
FAILED = Q(given_up_at__isnull=False)
DESCRIPTION_MOST, OFF_REASON_MOST = 200, 300  # characters


class OutgoingEvent(models.TextChoices):
    """What a webhook endpoint can be told. A batch's own word (`Batch.origin`) names the event of its end."""

    JOB_QUEUED = "job.queued", "Job queued, or queued again by a retry"
    JOB_STARTED = "job.started", "Job started (each attempt)"
    JOB_COMPLETED = "job.completed", "Job completed"
    JOB_FAILED = "job.failed", "Job failed"
    JOB_CANCELLED = "job.cancelled", "Job cancelled"
    CAMPAIGN_COMPLETED = "campaign.completed", "Campaign finished"
    BATCH_COMPLETED = "batch.completed", "Batch finished"
    WALLET_LOW = "wallet.low", "Tickets running low"


PING = "ping"  # the event of a test delivery, to any endpoint


class SigningSecret(models.Model):
    """A secret that signs webhooks (Standard Webhooks). For a while after a rotation the previous one signs too."""

    secret = models.CharField(max_length=80, editable=False)
    previous_secret = models.CharField(max_length=80, blank=True, editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    def secrets(self, at: datetime) -> list[str]:
        """Return the secrets that sign at this time, the current one first."""
        return [self.secret, *([self.previous_secret] if self.previous_until and self.previous_until > at else [])]


class WebhookEndpointManager(models.Manager["WebhookEndpoint"]):
    """The endpoints that have not been deleted."""

    def get_queryset(self) -> "models.QuerySet[WebhookEndpoint]":
        return super().get_queryset().filter(deleted_at=None)


class WebhookEndpoint(SigningSecret):
    """
    An address of a user's own server that is told of the events it asks for.

    A deleted one is off, and only retention still sees it: who read it as active may still write messages that refer to it.
    """

    owner = models.ForeignKey(User, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField("URL", max_length=URL_MOST)
    description = models.CharField(max_length=DESCRIPTION_MOST, blank=True)
    events = models.JSONField(default=list)
    active = models.BooleanField(default=True)
    off_reason = models.CharField(max_length=OFF_REASON_MOST, blank=True, help_text="Why Genqueue or staff turned it off.")
    failing_since = models.DateTimeField(null=True, editable=False, help_text="First failed try since the last success.")
    created_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, editable=False)

    objects = WebhookEndpointManager()
    with_deleted = models.Manager["WebhookEndpoint"]()

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["owner"], name="endpoint_told", condition=Q(active=True))]

    def __str__(self) -> str:
        return self.description or self.address

    @property
    def address(self) -> str:
        """Return the URL for everybody but its owner."""
        return without_query(self.url)


class CallbackSecret(SigningSecret):
    """The secret that signs a user's callbacks: messages to the ``callback_url`` of a job, batch or campaign."""

    owner = models.OneToOneField(User, primary_key=True, on_delete=models.CASCADE, related_name="callback_secret")

    def __str__(self) -> str:
        return f"Callback secret of {self.owner}"


_TO_ENDPOINT, _WEBHOOK = Q(endpoint__isnull=False), Q(channel="webhooks")
# lists of deliveries, newest first: without the last two, a list of few among a million delivered ones would read them all
_LISTED = {"": Q(), "open_": OPEN, "failed_": FAILED}


class OutboxMessage(models.Model):
    channel = models.CharField(max_length=40, help_text="Name from OUTBOX_CHANNELS.")
    lane = models.CharField(
        max_length=80, help_text="Who is told, such as one endpoint. A lane has few deliveries at a time, so none delays another."
    )
    key = models.CharField(max_length=120, unique=True, help_text="Built from its cause. The same on every delivery attempt.")
    event = models.CharField(max_length=40, help_text="What it tells, such as job.completed.")
    owner = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="+")
    endpoint = models.ForeignKey(  # `Meta` has its indexes
        WebhookEndpoint, null=True, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    job = models.ForeignKey(Job, null=True, on_delete=models.CASCADE, related_name="+")
    batch = models.ForeignKey(Batch, null=True, on_delete=models.CASCADE, related_name="+")
    payload = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, help_text="A worker delivers it until then.")
    tries = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    given_up_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="outbox_due", condition=OPEN & Q(leased_until=None)),
            models.Index(fields=["lane", "due_at", "id"], name="outbox_lane", condition=OPEN),
            models.Index(
                fields=["lane", "leased_until"],
                include=["channel", "owner"],
                name="outbox_leased",
                condition=Q(leased_until__isnull=False),
            ),
            models.Index(fields=["endpoint", "created_at"], name="outbox_day_of_endpoint", condition=_TO_ENDPOINT),
            *(
                models.Index(fields=["endpoint", "-id"], name=f"outbox_{name}of_endpoint", condition=_TO_ENDPOINT & which)
                for name, which in _LISTED.items()
            ),
            *(
                models.Index(fields=["owner", "-id"], name=f"outbox_{name}of_owner", condition=_WEBHOOK & which)
                for name, which in _LISTED.items()
            ),
            models.Index(fields=["owner", "-id"], name="outbox_queue_clear", condition=Q(channel="notices", event="queue_clear")),
            models.Index(fields=["created_at"], name="outbox_age"),  # retention
        ]

    def __str__(self) -> str:
        return self.key

    @property
    def name(self) -> str:
        """Return what its receiver knows it by, on every try: the header ``webhook-id``."""
        return f"msg_{self.pk}"

    @property
    def is_open(self) -> bool:
        return self.delivered_at is None and self.given_up_at is None


class DeliveryTry(models.Model):
    """One try to deliver a webhook, and what the receiver answered."""

    message = models.ForeignKey(OutboxMessage, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField()
    seconds = models.FloatField()
    status = models.PositiveSmallIntegerField(null=True, help_text="HTTP status. Empty without an answer.")
    answer = models.CharField(max_length=500, blank=True, help_text="The beginning of the answer.")
    error = models.CharField(max_length=300, blank=True, help_text="Why it counts as failed. Empty if it was delivered.")

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.status or self.error} at {self.at:%H:%M:%S}"


class Notice(models.Model):
    """A message to one user, shown on their pages until they have read it."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    key = models.CharField(max_length=120, unique=True, help_text="Built from its cause, to send it only once.")
    event = models.CharField(max_length=40, blank=True, help_text="What it tells, as in the outbox.")
    text = models.CharField(max_length=300)
    url = models.CharField(max_length=300, blank=True)
    jobs = models.JSONField(default=list, help_text="Jobs that it counts. The notice that replaces it counts them, too.")
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)
    shown = models.BooleanField(
        default=True, help_text="Not if dismissed or replaced by a newer one. The row stays, so that its cause is told only once."
    )

    class Meta:
        indexes = [
            models.Index(fields=["user", "-id"], name="notice_unread", condition=Q(read_at=None)),
            models.Index(fields=["created_at"], name="notice_age", condition=Q(read_at__isnull=False)),  # retention
        ]

    def __str__(self) -> str:
        return self.text
