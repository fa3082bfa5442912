"""The jobs of a bulk action as they stand now, summed by state and by owner in the database."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import BigIntegerField, Count, F, Func, QuerySet, Sum

from queue_app.models import BulkAction, Job, State


@dataclass
class Sums:
    """Jobs, the tickets of a try each, their estimated cost, and how many owners they have."""

    jobs: int = 0
    tickets: int = 0
    usd: Decimal = Decimal(0)
    owners: int = 0


class Selection:
    """The jobs of a bulk action as they stand now."""

    def __init__(self, action: BulkAction):
        self.action = action
        numbers = BulkAction.objects.filter(pk=action.pk).values(
            number=Func(F("job_ids"), function="unnest", output_field=BigIntegerField())
        )
        self.jobs: QuerySet[Job] = Job.objects.filter(pk__in=numbers)
        self.by_state: dict[str, Sums] = {}
        self.by_owner: Counter[int] = Counter()
        sums = self.jobs.order_by().values_list("state", "owner").annotate(Count("pk"), Sum("tickets"), Sum("usd_estimate"))
        for state, owner, jobs, tickets, usd in sums:
            one = self.by_state.setdefault(state, Sums())
            one.jobs, one.tickets, one.usd, one.owners = one.jobs + jobs, one.tickets + tickets, one.usd + usd, one.owners + 1
            self.by_owner[owner] += jobs

    def count(self, *states: State) -> int:
        return sum(self.of(state).jobs for state in states)

    def of(self, state: State) -> Sums:
        return self.by_state.get(state, Sums())

    def tickets(self, *states: State) -> int:
        return sum(self.of(state).tickets for state in states)

    def usd(self, *states: State) -> Decimal:
        return sum((self.of(state).usd for state in states), Decimal(0))

    def rest(self, *states: State) -> int:
        """How many are in none of these states."""
        return self.count(*State) - self.count(*states)
