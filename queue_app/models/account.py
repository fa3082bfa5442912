"""Users, their API keys, and the stored answers to repeated requests."""

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from knox.models import AbstractAuthToken, AuthTokenManager


class User(AbstractUser):  # type: ignore[django-manager-missing]  # knox names its manager in a model that is swapped out
    """A user: owner of jobs, batches and one wallet."""

    max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1_000)],
        help_text="How many of this user's jobs run at the same time, 1 to 1,000. Leave empty for the queue default.",
    )
    notice_settings = models.JSONField(
        default=dict, blank=True, editable=False, help_text="Switched notices: event → way → whether. Others have their default."
    )


class ApiKey(AbstractAuthToken):  # type: ignore[misc]  # knox has no types
    """A user's key for the API, stored only as a hash (I36)."""

    SCOPES = ("read", "submit", "manage")

    name = models.CharField(max_length=100, blank=True)
    scopes = models.JSONField(default=list)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = AuthTokenManager()

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.token_key}… of {self.user}"


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
