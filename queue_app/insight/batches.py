"""How a batch stands: its jobs by status, what it cost, and when the last of them will be done."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from queue_app.insight import forecast
from queue_app.models import Batch, Job, LedgerEntry, LedgerTransaction, Reservation, State, Status
from queue_app.models.job import OPEN_STATES, STATUS_OF_STATE


@dataclass(frozen=True)
class Money:
    """Tickets by what became of them; ``usd_spent`` is of what is completed, ``usd_to_come`` of what is open."""

    reserved: int
    captured: int
    released: int
    refunded: int
    usd_spent: Decimal
    usd_to_come: Decimal


@dataclass(frozen=True)
class Standing:
    """``counts`` of jobs by status; ``eta`` is ``None`` once all have ended."""

    counts: dict[str, int]
    total: int
    money: Money
    eta: forecast.Estimate | None


def standing(batch: Batch, *, at: datetime) -> Standing:
    """Count, sum and estimate, with a fixed number of queries."""
    counts = dict.fromkeys(map(str, Status), 0)
    for state, jobs in Job.objects.filter(batch=batch).values_list("state").annotate(jobs=Count("*")).order_by():
        counts[STATUS_OF_STATE[State(state)]] += jobs
    is_open = counts[Status.QUEUED] or counts[Status.PROCESSING]
    eta = forecast.for_batch(batch.pk, at) if is_open else None
    return Standing(counts=counts, total=sum(counts.values()), money=money(batch), eta=eta)


def money(batch: Batch) -> Money:
    """What the batch cost so far and may still cost; three queries."""
    usd = Coalesce("usd_actual", "usd_estimate")
    dollars = Job.objects.filter(batch=batch).aggregate(
        spent=Sum(usd, filter=Q(state=State.COMPLETED)), to_come=Sum(usd, filter=Q(state__in=OPEN_STATES))
    )
    held = dict(Reservation.objects.filter(job__batch=batch).values_list("state").annotate(Sum("amount")).order_by())
    refunds = LedgerEntry.objects.filter(
        transaction__kind=LedgerTransaction.Kind.REFUND,
        transaction__reservation__job__batch=batch,
        side=LedgerEntry.Side.AVAILABLE,
    )
    return Money(
        reserved=held.get(Reservation.State.HELD, 0),
        captured=held.get(Reservation.State.CAPTURED, 0),
        released=held.get(Reservation.State.RELEASED, 0),
        refunded=refunds.aggregate(sum=Sum("amount"))["sum"] or 0,
        usd_spent=dollars["spent"] or Decimal(0),
        usd_to_come=dollars["to_come"] or Decimal(0),
    )
