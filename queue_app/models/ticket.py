"""Tickets: wallets, reservations and the append-only ledger behind both."""

from django.db import models
from django.db.models import Q

from queue_app.models.account import User
from queue_app.models.job import Job
from queue_app.rules.numbers import counted


class Wallet(models.Model):
    """A user's tickets, created at first use. Both columns equal the sums of their ledger entries (I3)."""

    owner = models.OneToOneField(User, on_delete=models.PROTECT, related_name="wallet")
    available = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    low_at = models.PositiveIntegerField(default=20, help_text="Below this many available tickets the owner is told.")

    class Meta:
        permissions = [("move_tickets", "Can grant and refund tickets")]
        constraints = [
            models.CheckConstraint(condition=Q(available__gte=0), name="wallet_available_not_below_0"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="wallet_reserved_not_below_0"),
        ]

    def __str__(self) -> str:
        return f"Wallet of {self.owner}"


class Reservation(models.Model):
    """Tickets reserved for one job, settled once: captured or released."""

    class State(models.TextChoices):
        HELD = "held", "Reserved"
        CAPTURED = "captured", "Charged"
        RELEASED = "released", "Returned"

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="reservations")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="reservations")
    amount = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.HELD)
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField("closed at", null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job"], condition=Q(state="held"), name="reservation_one_held_per_job"),
            models.CheckConstraint(condition=Q(amount__gte=1), name="reservation_holds_something"),
            models.CheckConstraint(
                condition=Q(state="held") ^ Q(settled_at__isnull=False), name="reservation_settled_has_a_time"
            ),
        ]
        indexes = [models.Index(fields=["wallet"], name="reservation_held", condition=Q(state="held"))]

    def __str__(self) -> str:
        return f"{counted(self.amount, 'ticket')} for job {self.job_id} ({self.get_state_display().lower()})"


class LedgerTransaction(models.Model):
    """One movement of tickets. Its unique key is built from its cause, so that a repeat is harmless (I10)."""

    class Kind(models.TextChoices):
        GRANT = "grant"
        RESERVE = "reserve"
        CAPTURE = "capture", "Charge"
        RELEASE = "release", "Return"
        REFUND = "refund"

    key = models.CharField(max_length=80, unique=True)
    kind = models.CharField("type", max_length=10, choices=Kind.choices)
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="transactions")
    reservation = models.ForeignKey(Reservation, null=True, on_delete=models.PROTECT, related_name="transactions")
    at = models.DateTimeField()
    actor = models.CharField(max_length=160)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["wallet", "-id"], name="ledger_of_wallet"),
            # usage: tickets charged and refunded in a period
            models.Index(fields=["at"], name="ledger_spent_when", condition=Q(kind__in=("capture", "refund"))),
        ]

    def __str__(self) -> str:
        return self.key


class LedgerEntry(models.Model):
    """One side of a transaction. The entries of a transaction sum to 0 (I1), so all entries together do (I11)."""

    class Side(models.TextChoices):
        AVAILABLE = "available"
        RESERVED = "reserved"
        ISSUED = "issued"
        SPENT = "spent", "Charged"

    transaction = models.ForeignKey(LedgerTransaction, on_delete=models.PROTECT, related_name="entries")
    wallet = models.ForeignKey(Wallet, on_delete=models.PROTECT, related_name="entries")
    side = models.CharField(max_length=10, choices=Side.choices)
    amount = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "ledger entries"
        constraints = [models.CheckConstraint(condition=~Q(amount=0), name="ledger_entry_moves_something")]
        indexes = [models.Index(fields=["wallet", "side"], include=["amount"], name="ledger_sums")]

    def __str__(self) -> str:
        return f"{self.amount:+} {self.get_side_display().lower()}"
