"""Users, their API keys, and the stored answers to repeated requests."""

from decimal import Decimal
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from knox.models import AbstractAuthToken, AuthTokenManager

RATE_MOST = 1_000_000  # calls a minute
_RATE: Any = {
    "null": True,
    "blank": True,
    "validators": [MinValueValidator(1), MaxValueValidator(RATE_MOST)],
    "help_text": f"1 to {RATE_MOST:,}. Leave empty for the site's default.",
}


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox names its manager in a model that is swapped out
    """A user: owner of jobs, batches and one wallet."""

    max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000)],
        help_text="How many of this user's jobs run at the same time, 1 to 1,000. Empty: the limit per user of the queue "
        "settings. Example: 5.",
    )
    share_weight = models.DecimalField(
        "share",
        max_digits=4,
        decimal_places=2,
        default=1,
        validators=[MinValueValidator(Decimal("0.1")), MaxValueValidator(10)],
        help_text="Turns in each round of a queue, 0.1 to 10. Default: 1. Example: with 2, twice as many of its jobs start.",
    )
    notice_settings = models.JSONField(
        default=dict, blank=True, editable=False, help_text="Switched notices: event → way → whether. Others have their default."
    )


class ApiKey(AbstractAuthToken):  # type: ignore[misc]  # knox has no types
    """
    A user's key for the API, stored only as a hash (I36). A revoked one stays listed for a while and lets nobody in.

    A key with a rate of its own has that in place of the site's.
    """

    SCOPES = ("read", "submit", "manage")
    NAME_MOST = 100

    digest = models.CharField(max_length=128, unique=True, editable=False)  # knox has it as primary key, which addresses show
    name = models.CharField(max_length=NAME_MOST, blank=True)
    scopes = models.JSONField(default=list)
    reads_per_minute = models.PositiveIntegerField(**_RATE)
    writes_per_minute = models.PositiveIntegerField(**_RATE)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_from = models.GenericIPAddressField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    form_key = models.UUIDField(null=True, editable=False, help_text="The form that created it: sent again, it creates no other.")

    objects = AuthTokenManager()

    class Meta:
        verbose_name = "API key"
        constraints = [models.UniqueConstraint(fields=["user", "form_key"], name="api_key_once_per_form")]

    def __str__(self) -> str:
        return f"{self.token_key}… of {self.user}"


class CallRate(models.Model):
    """
    Until when the calls of one caller have used up its rate, for all processes (`queue_app.ui.pace`).

    The table is unlogged: what a crash of the server forgets is at most a minute of calls.
    """

    key = models.CharField(max_length=200, primary_key=True)
    used_up = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class IdempotencyRecord(models.Model):
    """
    The one answer to all requests of a user with the same Idempotency-Key (I29).

    ``status`` and ``made`` are written by the transaction that does the work. ``answer`` is rendered from ``made`` after its
    commit, by the first request to need it, and never changes again.
    """

    account = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    body_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True, help_text="Empty while the first request is still running.")
    made = models.JSONField(null=True, help_text="Result of the request, as its transaction recorded it.")
    answer = models.TextField(null=True, help_text="Response body, byte for byte.")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="idempotency_once_per_account_and_key")]

    def __str__(self) -> str:
        return self.key
