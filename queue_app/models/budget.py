"""Ticket budgets: how many tickets the jobs of a user, a campaign or an API key may cost, in all or each day."""

from datetime import time
from typing import TypeAlias

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from queue_app.models.account import ApiKey, User
from queue_app.models.job import Batch

Scope: TypeAlias = User | Batch | ApiKey
SCOPES = ("user", "batch", "key")
MOST = 1_000_000_000  # tickets
_ONE = "Choose exactly one of user, campaign and API key."


class TicketBudget(models.Model):
    """
    The most tickets that the jobs of one user, batch or API key may cost in a period. What counts is in `work.ticket_budgets`.

    The columns after ``resets_at`` are the queue's own notes while jobs are on hold for it.
    """

    class Period(models.TextChoices):
        TOTAL = "total", "in total"
        DAY = "day", "each day"

    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.CASCADE, related_name="ticket_budgets", help_text="All jobs of this user."
    )
    batch = models.ForeignKey(
        Batch,
        verbose_name="campaign or batch",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="ticket_budgets",
        help_text="All jobs of this campaign or batch.",
    )
    key = models.ForeignKey(
        ApiKey,
        verbose_name="API key",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="ticket_budgets",
        help_text="All jobs submitted with this key.",
    )
    tickets = models.PositiveIntegerField(
        validators=[MinValueValidator(1)],
        help_text="Tickets that jobs started in the period may cost together, from 1. No default. "
        "Example: 120 lets 30 jobs of 4 tickets start. Failed and cancelled jobs don't count; refunds give nothing back.",
    )
    period = models.CharField(
        max_length=5,
        choices=Period.choices,
        default=Period.TOTAL,
        help_text="In total: for all time. Each day: starts again at the reset time. Default: in total. Example: each day.",
    )
    resets_at = models.TimeField(
        "reset time",
        default=time.min,
        help_text="Time of day at which a daily budget starts again, in the queue's time zone. Default: 00:00. Example: 06:00.",
    )
    created_at = models.DateTimeField(editable=False)

    held_since = models.DateTimeField(null=True, editable=False, help_text="Since then, jobs have been on hold for it.")
    opens_at = models.DateTimeField(null=True, editable=False, help_text="End of the day for which they are on hold.")
    told_at = models.DateTimeField(null=True, editable=False, help_text="Its owner was told then that it is reached.")
    seen = models.BigIntegerField(
        null=True,
        editable=False,
        help_text="Checksum of what decided about jobs on hold at the last look. Empty: look again.",
    )
    counted = models.BigIntegerField(default=0, editable=False, help_text="Tickets of all its jobs that started before the next.")
    counted_until = models.DateTimeField(
        null=True, editable=False, help_text="All jobs of its scope that started before this have ended for good."
    )
    lifted = models.BooleanField(
        default=False, editable=False, help_text="It was removed. The row stays until its jobs are released."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=False, batch=None, key=None)
                | Q(user=None, batch__isnull=False, key=None)
                | Q(user=None, batch=None, key__isnull=False),
                name="ticket_budget_of_one_scope",
                violation_error_message=_ONE,
            ),
            models.CheckConstraint(condition=Q(tickets__gte=1), name="ticket_budget_allows_something"),
            *(
                models.UniqueConstraint(
                    fields=[scope, "period"],
                    condition=Q(lifted=False, **{f"{scope}__isnull": False}),
                    name=f"ticket_budget_once_per_{scope}",
                    violation_error_message="There is a budget for this and this period already. Change that one.",
                )
                for scope in SCOPES
            ),
        ]
        indexes = [models.Index(fields=["opens_at"], name="ticket_budget_holds", condition=Q(held_since__isnull=False))]

    def __str__(self) -> str:
        return f"{self.tickets:,} tickets {self.get_period_display()} for {self.scope_name}"

    def clean(self) -> None:
        """:raises ValidationError: it has no scope, or several."""
        if sum(getattr(self, f"{scope}_id") is not None for scope in SCOPES) != 1:
            raise ValidationError(_ONE)

    @property
    def scope(self) -> str:
        """Return which of `SCOPES` it is for."""
        return next(scope for scope in SCOPES if getattr(self, f"{scope}_id") is not None)

    @property
    def scope_name(self) -> str:
        """Return what it is for in words: “user ana”, “campaign Winter shoes”, “API key render farm”."""
        if self.user is not None:
            return f"user {self.user}"
        if self.batch is not None:
            return f"campaign {self.batch}"
        return f"API key {self.key.name or self.key.token_key}" if self.key is not None else ""

    @property
    def owner_id(self) -> int:
        """Return the user whose jobs it limits: each scope lies within one account."""
        if self.batch is not None:
            return self.batch.owner_id
        return self.user_id or (self.key.user_id if self.key is not None else 0)
