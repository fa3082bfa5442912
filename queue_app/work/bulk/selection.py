"""Chosen jobs as they are now, summed once in the database: a million of them become a few thousand sums."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Self, TypeVar

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
from queue_app.models.job import JobQuerySet

Key = TypeVar("Key", int, str)


@dataclass(frozen=True)
class JobGroup:
    """
    Jobs that are alike in everything a preview counts by, with the tickets and the estimated cost of one attempt each.
    ``late``: their deadline has passed.
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
    """Jobs that a verb may be applied to: of a bulk action, or of an owner's page."""

    def __init__(self, jobs: JobQuerySet, *, at: datetime):
        self.jobs, self.at = jobs, at
        in_view = ExpressionWrapper(Q(archived_at=None), output_field=BooleanField())
        late = ExpressionWrapper(Q(deadline__isnull=False, deadline__lte=at), output_field=BooleanField())
        marked = jobs.order_by().annotate(in_view=in_view, late=late)
        alike = marked.values_list("state", "owner", "model", "priority", "in_view", "late")
        sums = alike.annotate(Count("pk"), Sum("tickets"), Sum("usd_estimate"))
        self.groups = [JobGroup(State(state), *rest) for state, *rest in sums]

    @classmethod
    def of(cls, action: BulkAction, *, at: datetime) -> Self:
        """Return the jobs of a bulk action."""
        numbers = BulkAction.objects.filter(pk=action.pk).values(
            number=Func(F("job_ids"), function="unnest", output_field=BigIntegerField())
        )
        return cls(Job.objects.filter(pk__in=numbers), at=at)

    def among(self, *states: State) -> Iterator[JobGroup]:
        """The groups in these states."""
        return (group for group in self.groups if group.state in states)

    def count(self, *states: State) -> int:
        return sum(group.jobs for group in self.among(*states))

    def rest(self, *states: State) -> int:
        """Return the number of jobs in none of these states."""
        return self.count(*State) - self.count(*states)

    def tickets(self, *states: State) -> int:
        return sum(group.tickets for group in self.among(*states))

    def usd(self, *states: State) -> Decimal:
        return sum((group.usd for group in self.among(*states)), Decimal(0))

    def owners(self, *states: State) -> Counter[int]:
        """Return the number of jobs in these states by owner."""
        return _sums(self.among(*states), lambda group: group.owner)

    def models(self, *states: State) -> Counter[str]:
        """Return the number of jobs in these states by model."""
        return _sums(self.among(*states), lambda group: group.model)

    def priorities(self, *states: State) -> Counter[int]:
        """Return the number of jobs in these states by priority."""
        return _sums(self.among(*states), lambda group: group.priority)

    def charged(self, *, least: int = 1) -> QuerySet[Reservation]:
        """Return the charges of completed jobs of which at least so many tickets are ``still`` refundable."""
        captured = Reservation.objects.filter(job__in=self.jobs, job__state=State.COMPLETED, state=Reservation.State.CAPTURED)
        refunds = LedgerEntry.objects.filter(
            transaction__reservation=OuterRef("pk"),
            transaction__kind=LedgerTransaction.Kind.REFUND,
            side=LedgerEntry.Side.AVAILABLE,
        )
        given = refunds.order_by().values("transaction__reservation").annotate(sum=Sum("amount")).values("sum")
        return captured.annotate(still=F("amount") - Coalesce(Subquery(given), 0)).filter(still__gte=least)


def _sums(groups: Iterable[JobGroup], key: Callable[[JobGroup], Key]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for group in groups:
        found[key(group)] += group.jobs
    return found
