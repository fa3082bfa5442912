"""The catalogue: job types, models, their prices and limits, provider accounts and routes."""

from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from queue_app.rules import codec_checks, pricing, priority
from queue_app.rules.pricing import Price

LIMIT_MESSAGE = "Enter a whole number from 1 to 50. To stop a model, pause it."
PAUSED_HELP = "No job starts here. Running jobs finish. Default: off. Example: on while the provider has an outage."
REASON_HELP = "A pause needs one, up to 200 characters. Everyone whose jobs wait sees it. Default: empty. Example: quality check."
UNTIL_HELP = "Date and time at which the pause ends. Default: empty, until someone resumes. Example: tomorrow, 08:00."


class Medium(models.TextChoices):
    IMAGE = "image"
    VIDEO = "video"
    PAGE = "page"
    TEXT = "text"


class Backoff(models.TextChoices):
    EXPONENTIAL = "exponential", "exponential, full jitter"
    FIXED = "fixed", "fixed: the base every time"


_SECONDS: Any = {"validators": [MinValueValidator(1), MaxValueValidator(86_400)]}
_ATTEMPTS: Any = {"validators": [MinValueValidator(1), MaxValueValidator(20)]}


def check_codec(value: Any) -> None:
    """
    Check a codec.

    :raises ValidationError: it is invalid; all problems are named.
    """
    if found := codec_checks.problems(value):
        raise ValidationError(found)


def check_price(value: Any) -> None:
    """
    Check a price rule.

    :raises ValidationError: it is invalid; all problems are named.
    """
    if found := pricing.problems(value):
        raise ValidationError(found)


class Kind(models.Model):
    """A job type: medium, default priority, limit, timeout and retries."""

    key = models.CharField(max_length=60, primary_key=True)
    label = models.CharField(max_length=100)
    medium = models.CharField(
        max_length=10, choices=Medium.choices, help_text="Jobs of this type run only on models of this medium."
    )
    restricted = models.BooleanField(
        default=False,
        help_text="Only users with the permission “Can submit jobs of restricted types” can submit these jobs. Default: off.",
    )
    default_priority = models.SmallIntegerField(
        default=0,
        validators=[MinValueValidator(priority.LOWEST), MaxValueValidator(priority.HIGHEST)],
        help_text="Of jobs that ask for none, -100 to 100: larger numbers start first. Default: 0, normal. "
        "Example: 10 is high, -10 low.",
    )
    max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How many jobs of this type run at the same time, 1 or more. Default: empty, no limit. Example: 2.",
    )
    timeout_seconds = models.PositiveIntegerField(
        "timeout",
        default=600,
        validators=[MinValueValidator(60)],
        help_text="Seconds that a job may run, at least 60; then its provider is asked to cancel it. Default: 600. "
        "Example: 1200 is 20 minutes. Models can have a timeout of their own.",
    )
    max_attempts = models.PositiveSmallIntegerField(
        "attempts",
        default=4,
        **_ATTEMPTS,
        help_text="How often a job is sent before it fails, 1 to 20, the first attempt included. Default: 4, so 3 retries. "
        "Example: 1 for no retry.",
    )
    backoff = models.CharField(
        max_length=20,
        choices=Backoff.choices,
        default=Backoff.EXPONENTIAL,
        help_text="Seconds before the next attempt. Exponential: at random, up to the base × 2, × 4, × 8 … Default: exponential. "
        "Example: fixed, with a base of 300 seconds.",
    )
    retry_base_seconds = models.PositiveIntegerField(
        "base wait",
        default=5,
        **_SECONDS,
        help_text="Seconds, 1 to 86,400. Default: 5. Example: 300 with fixed waits is every 5 minutes.",
    )
    retry_cap_seconds = models.PositiveIntegerField(
        "longest wait",
        default=600,
        **_SECONDS,
        help_text="Seconds, 1 to 86,400; no wait is longer. Default: 600, 10 minutes. Example: 3600 for an hour.",
    )
    files_kept_days = models.PositiveIntegerField(
        "keep files for days",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(36_500)],
        help_text="Days, 1 or more. Older files are deleted; their jobs, history and charges stay. Default: empty, all are kept. "
        "Example: 90.",
    )
    payloads_kept_days = models.PositiveIntegerField(
        "keep provider answers for days",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(36_500)],
        help_text="Days, 1 or more, from the end of a task; then what its provider said is deleted. Default: empty, all is kept. "
        "Example: 30.",
    )

    class Meta:
        verbose_name = "job type"

    def __str__(self) -> str:
        return self.key


class ProviderAccount(models.Model):
    """Our account at a provider: adapter, base URL, API key (from the environment) and its own limit."""

    key = models.CharField(max_length=60, primary_key=True)
    adapter = models.CharField(max_length=40)
    base_url = models.URLField(
        "base URL",
        blank=True,
        help_text="Leave empty to use the studio (STUDIO_URL). The studio is also used while no API key is set.",
    )
    api_key_env = models.CharField(
        "API key variable",
        max_length=80,
        blank=True,
        help_text="Name of the environment variable that holds the key. Never the key itself.",
    )
    webhook_secret_env = models.CharField(
        "webhook secret variable",
        max_length=80,
        blank=True,
        db_default="",
        help_text="Name of the environment variable that holds the secret for its webhooks. Never the secret itself.",
    )
    options = models.JSONField(default=dict, blank=True)
    max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="How many jobs of all its models run at the same time, 1 or more. Default: empty, no limit. Example: 4.",
    )
    daily_budget_usd = models.DecimalField(
        "daily budget in USD",
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text="US dollars. When finished and running jobs have cost this much, the account pauses until midnight (queue time "
        "zone). Running jobs continue, so the last one can exceed it. Default: empty, no budget. Example: 250.00.",
    )
    can_look_up = models.BooleanField(
        "can look up tasks",
        default=False,
        help_text="The provider has a task list, so unknown outcomes can be resolved automatically.",
    )
    trusts_list = models.BooleanField(
        "trusted task list",
        default=False,
        help_text="You know that the provider's list shows every task as we sent it. Then the proof that a task is missing needs "
        "no other task of ours in the list. All other checks stay.",
    )
    may_repeat = models.BooleanField(
        "may repeat lost calls",
        default=False,
        help_text="Of jobs in several paid steps, such as pages: a call whose answer was lost is sent again, although it may be "
        "billed twice. Each is counted. Otherwise staff decide. Default: on for chat, off for all others.",
    )
    paused = models.BooleanField(default=False, help_text=PAUSED_HELP)
    paused_reason = models.CharField(max_length=200, blank=True, help_text=REASON_HELP)
    paused_until = models.DateTimeField(null=True, blank=True, help_text=UNTIL_HELP)
    cooldown_until = models.DateTimeField(null=True, blank=True, editable=False)
    lowered_by = models.PositiveSmallIntegerField(
        default=0,
        editable=False,
        help_text="How far rate limits (HTTP 429) lowered the limit. It recovers step by step within 10 minutes.",
    )
    lowered_at = models.DateTimeField(null=True, editable=False)
    failures_in_a_row = models.PositiveSmallIntegerField(default=0, editable=False)

    def __str__(self) -> str:
        return self.key

    @property
    def is_preview(self) -> bool:
        """Whether its jobs go to the studio because the account has no base URL or its API key is not set."""
        return not self.base_url or not settings.PROVIDER_KEYS.get(self.api_key_env)

    @property
    def is_usable(self) -> bool:
        return not self.is_preview or settings.ALLOW_STUDIO


class GenerationModel(models.Model):
    """A model that generates: medium, price, typical run time and allowed parameters."""

    class Unit(models.TextChoices):
        SECOND = "second"
        IMAGE = "image"
        PAGE = "page"
        TEXT = "text"

    key = models.CharField(max_length=60, primary_key=True)
    label = models.CharField(max_length=100)
    medium = models.CharField(max_length=10, choices=Medium.choices)
    active = models.BooleanField(default=True)
    unit = models.CharField(max_length=10, choices=Unit.choices)
    tickets_per_unit = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    usd_per_unit = models.DecimalField("estimated USD per unit", max_digits=12, decimal_places=6)
    price: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(
        "price rule",
        default=dict,
        blank=True,
        validators=[check_price],
        help_text="Rates that differ from the price per unit: "
        '{"rates": [{"when": {"resolution": "4K", "audio": true}, "usd": "0.60", "tickets": 2}]}. The first that fits counts.',
    )
    typical_seconds = models.PositiveIntegerField(
        default=60, help_text="Run time in seconds, for estimates until enough jobs have run. Default: 60. Example: 150."
    )
    timeout_seconds = models.PositiveIntegerField(
        "timeout",
        null=True,
        blank=True,
        validators=[MinValueValidator(60)],
        help_text="Seconds that a job may run, at least 60. Empty: the job type's. Example: 1800 for a slow model.",
    )
    max_attempts = models.PositiveSmallIntegerField(
        "attempts",
        null=True,
        blank=True,
        **_ATTEMPTS,
        help_text="How often a job is sent before it fails, 1 to 20. Empty: the job type's. Example: 1 for no retry.",
    )
    backoff = models.CharField(
        max_length=20,
        choices=Backoff.choices,
        blank=True,
        default="",
        help_text="Seconds before the next attempt. Empty: the job type's. Example: fixed, with a base of 300 seconds.",
    )
    retry_base_seconds = models.PositiveIntegerField(
        "base wait",
        null=True,
        blank=True,
        **_SECONDS,
        help_text="Seconds, 1 to 86,400. Empty: the job type's. Example: 30 for a provider that is often busy.",
    )
    retry_cap_seconds = models.PositiveIntegerField(
        "longest wait",
        null=True,
        blank=True,
        **_SECONDS,
        help_text="Seconds, 1 to 86,400; no wait is longer. Empty: the job type's. Example: 3600 for an hour.",
    )
    parameters = models.JSONField(
        default=dict,
        blank=True,
        help_text='Allowed parameters: {"duration": {"values": [4, 8], "default": 8}, "seed": {"low": 0, "high": 9}}.',
    )

    class Meta:
        verbose_name = "model"
        constraints = [models.CheckConstraint(condition=Q(tickets_per_unit__gte=1), name="model_is_never_free")]

    def __str__(self) -> str:
        return self.key

    @property
    def pricing(self) -> Price:
        """The price of jobs of this model, by their parameters."""
        return Price(self.unit, self.tickets_per_unit, Decimal(self.usd_per_unit), self.price)


class ModelConcurrencyLimit(models.Model):
    """How many jobs of a model may run concurrently. A row of its own, so operators edit limits without touching prices."""

    model = models.OneToOneField(GenerationModel, on_delete=models.CASCADE, primary_key=True, related_name="limit")
    max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs",
        validators=[MinValueValidator(1, LIMIT_MESSAGE), MaxValueValidator(50, LIMIT_MESSAGE)],
        help_text="How many jobs of this model run at the same time, 1 to 50. No default. Example: 4. To stop a model, pause it.",
    )
    paused = models.BooleanField(default=False, help_text=PAUSED_HELP)
    paused_reason = models.CharField(max_length=200, blank=True, help_text=REASON_HELP)
    paused_until = models.DateTimeField(null=True, blank=True, help_text=UNTIL_HELP)

    class Meta:
        verbose_name = "limit"
        constraints = [
            models.CheckConstraint(
                condition=Q(max_concurrent__gte=1, max_concurrent__lte=50),
                name="model_limit_is_1_to_50",
                violation_error_message=LIMIT_MESSAGE,
            )
        ]

    def __str__(self) -> str:
        return f"{self.model_id}: {self.max_concurrent} concurrent"


class ModelRoute(models.Model):
    """
    A provider account and endpoint that serve a model, and the codec, which says how our parameters are sent there. A claim takes
    the first active, usable route with room that can express the job's parameters.
    """

    model = models.ForeignKey(GenerationModel, on_delete=models.CASCADE, related_name="routes")
    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="routes")
    endpoint_id = models.CharField("endpoint ID", max_length=200)
    active = models.BooleanField(default=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="Lower numbers are used first.")
    codec: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(
        default=dict,
        blank=True,
        validators=[check_codec],
        help_text="How parameters are sent to this endpoint: "
        '{"duration": {"field": "duration", "as": "string", "values": [5, 10]}, "prompt": {"most": 2500}}. '
        "Parameters that it does not name can't be used here.",
    )
    needs_check = models.BooleanField(
        "needs a check",
        default=False,
        help_text="Used with an API key only after a check found the endpoint at the provider. The studio uses it in any case.",
    )
    checked_at = models.DateTimeField("checked at", null=True, blank=True, help_text="When a check last found the endpoint.")
    reason = models.CharField(max_length=300, blank=True, help_text="Why this route is not active, or what to know about it.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["model", "account", "endpoint_id"], name="route_once")]

    def __str__(self) -> str:
        return f"{self.model_id} at {self.account_id}"
