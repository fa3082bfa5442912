"""The jobs of a bulk action as they stand now, summed once in the database: a million of them are a few thousand sums."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import (
    BigIntegerField,
    BooleanField,
    Count,
    ExpressionWrapper,
    F,
    Func,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
)
from django.db.models.functions import Coalesce

from queue_app.models import BulkAction, Job, LedgerEntry, LedgerTransaction, Reservation, State


@dataclass(frozen=True)
class Part:
    """
    Jobs that are alike in all that a preview asks of them, the tickets of a try each, and their estimated cost. ``late``: their
    deadline has passed.
    """

    state: State
    owner: int
    model: str
    priority: int
    in_view: bool
    late: bool
    jobs: int
    tickets: int
    usd: Decimal


class Selection:
    """The jobs of a bulk action."""

    def __init__(self, action: BulkAction, *, at: datetime):
        self.action, self.at = action, at
        numbers = BulkAction.objects.filter(pk=action.pk).values(
            number=Func(F("job_ids"), function="unnest", output_field=BigIntegerField())
        )
        self.jobs = Job.objects.filter(pk__in=numbers)
        in_view = ExpressionWrapper(Q(archived_at=None), output_field=BooleanField())
        late = ExpressionWrapper(Q(deadline__isnull=False, deadline__lte=at), output_field=BooleanField())
        marked = self.jobs.order_by().annotate(in_view=in_view, late=late)
        alike = marked.values_list("state", "owner", "model", "priority", "in_view", "late")
        sums = alike.annotate(Count("pk"), Sum("tickets"), Sum("usd_estimate"))
        self.parts = [Part(State(state), *rest) for state, *rest in sums]

    def among(self, *states: State) -> Iterator[Part]:
        """The parts in these states."""
        return (part for part in self.parts if part.state in states)

    def count(self, *states: State) -> int:
        return sum(part.jobs for part in self.among(*states))

    def tickets(self, *states: State) -> int:
        return sum(part.tickets for part in self.among(*states))

    def usd(self, *states: State) -> Decimal:
        return sum((part.usd for part in self.among(*states)), Decimal(0))

    def owners(self, *states: State) -> Counter[int]:
        """How many jobs in these states each owner has."""
        found: Counter[int] = Counter()
        for part in self.among(*states):
            found[part.owner] += part.jobs
        return found

    def charged(self, *, least: int = 1) -> QuerySet[Reservation]:
        """What the completed ones were charged, where at least so many tickets are ``still`` left of it to refund."""
        captured = Reservation.objects.filter(job__in=self.jobs, job__state=State.COMPLETED, state=Reservation.State.CAPTURED)
        refunds = LedgerEntry.objects.filter(
            transaction__reservation=OuterRef("pk"),
            transaction__kind=LedgerTransaction.Kind.REFUND,
            side=LedgerEntry.Side.AVAILABLE,
        )
        given = refunds.order_by().values("transaction__reservation").annotate(sum=Sum("amount")).values("sum")
        return captured.annotate(still=F("amount") - Coalesce(Subquery(given), 0)).filter(still__gte=least)

    def rest(self, *states: State) -> int:
        """How many are in none of these states."""
        return self.count(*State) - self.count(*states)

    def newest(self, most: int) -> list[Job]:
        """The last of them, for a list."""
        first = max(0, self.action.total - most)
        ids = BulkAction.objects.values_list(f"job_ids__{first}_{self.action.total}", flat=True).get(pk=self.action.pk)
        return list(Job.objects.filter(pk__in=ids).order_by("-pk"))
