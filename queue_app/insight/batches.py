"""How a batch stands: its jobs by status, what it cost, and when the last of them will be done."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, F, Sum, Window
from django.db.models.functions import Coalesce, RowNumber

from queue_app.insight import waiting
from queue_app.insight.waiting import Eta
from queue_app.models import Batch, Job, LedgerEntry, LedgerTransaction, Reservation, State, Status
from queue_app.models.job import IN_FLIGHT_STATES, STATUS_OF_STATE


@dataclass(frozen=True)
class Standing:
    """``counts`` by status; tickets ``reserved``, ``captured`` and ``refunded``; ``usd`` of what is open or completed."""

    counts: dict[str, int]
    total: int
    reserved: int
    captured: int
    refunded: int
    usd: Decimal
    eta: Eta | None


def standing(batch: Batch, *, at: datetime) -> Standing:
    """Count, sum and estimate, with a fixed number of queries. ``eta`` is ``None`` once all its jobs have ended."""
    counts = dict.fromkeys(map(str, Status), 0)
    usd = Decimal(0)
    rows = Job.objects.filter(batch=batch).values_list("state").order_by()
    for state, jobs, dollars in rows.annotate(jobs=Count("pk"), usd=Sum(Coalesce("usd_actual", "usd_estimate"))):
        counts[STATUS_OF_STATE[State(state)]] += jobs
        if state not in (State.FAILED, State.CANCELLED):
            usd += dollars
    held = dict(Reservation.objects.filter(job__batch=batch).values_list("state").annotate(Sum("amount")).order_by())
    refunds = LedgerEntry.objects.filter(
        transaction__kind=LedgerTransaction.Kind.REFUND,
        transaction__reservation__job__batch=batch,
        side=LedgerEntry.Side.AVAILABLE,
    )
    return Standing(
        counts=counts,
        total=sum(counts.values()),
        reserved=held.get(Reservation.State.HELD, 0),
        captured=held.get(Reservation.State.CAPTURED, 0),
        refunded=refunds.aggregate(sum=Sum("amount"))["sum"] or 0,
        usd=usd,
        eta=_eta(batch, at=at),
    )


def _eta(batch: Batch, *, at: datetime) -> Eta | None:
    """That of the job that ends last: the batch's last place in each lane, and what is in flight."""
    from_the_end = Window(RowNumber(), partition_by="model", order_by=["priority", F("order_key").desc(), F("id").desc()])
    queued = Job.objects.filter(batch=batch, state=State.QUEUED).annotate(place=from_the_end).filter(place=1)
    in_flight = Job.objects.filter(batch=batch, state__in=IN_FLIGHT_STATES)
    last = [*queued.select_related("model"), *in_flight.select_related("model")]
    outlook = waiting.outlook(last, at=at)
    found = [eta for job in last if (eta := outlook.eta(job))]
    return max(found, key=_late, default=None)


def _late(eta: Eta) -> tuple[bool, float, float]:
    """What nobody can know ends last."""
    return eta.p50_seconds is None, eta.p50_seconds or 0.0, eta.p90_seconds or 0.0
