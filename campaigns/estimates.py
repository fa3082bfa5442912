"""Cost and time of a plan, if it were launched now."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from campaigns.plan import BULK, Plan
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.models import User, Wallet
from queue_app.rules import priority


@dataclass(frozen=True)
class Outlook:
    """Cost and time of a plan: tickets, US dollars (an estimate), and the time until the last cell is finished."""

    count: int
    medium: str
    each: int
    tickets: int
    usd: Decimal
    available: int
    level: int
    left: Estimate

    @property
    def after(self) -> int:
        """Return the tickets left in the wallet after a launch; negative if there are not enough."""
        return self.available - self.tickets

    @property
    def missing(self) -> int:
        return max(0, -self.after)

    @property
    def fits(self) -> int:
        """Return how many cells the wallet covers."""
        return self.available // self.each

    @property
    def over(self) -> int:
        """Return how many cells the wallet does not cover."""
        return max(0, self.count - self.fits)

    @property
    def waits(self) -> str:
        """Who waits for whom: something to know about a large campaign, nothing about a small one."""
        if self.count <= BULK:
            return ""
        if self.level < priority.NORMAL:
            return (
                f"Campaigns over {BULK} {self.medium}s run at {priority.name(self.level).lower()} priority. "
                "Normal-priority jobs go first, even later ones."
            )
        level = priority.name(self.level).lower()
        return f"At {level} priority, jobs queued after yours wait until all {self.count} have started."


def look(plan: Plan, owner: User, *, at: datetime) -> Outlook:
    """Price a plan for its owner and estimate when it would be finished."""
    count, model = len(plan.to_buy), plan.model
    return Outlook(
        count=count,
        medium=model.medium,
        each=plan.tickets_each,
        tickets=plan.tickets,
        usd=plan.usd,
        available=Wallet.objects.filter(owner=owner).values_list("available", flat=True).first() or 0,
        level=plan.priority,
        left=estimates.for_new(model.key, count, plan.priority, owner, plan.brief.max_concurrent, model.medium, at=at),
    )
