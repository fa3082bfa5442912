"""Cost and time of a plan, if it were launched now."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from campaigns.plan import BULK, Plan
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.models import QueueSettings, User, Wallet
from queue_app.rules import priority


@dataclass(frozen=True)
class Outlook:
    """
    Cost and time of a plan: tickets, US dollars (an estimate), and the time until what starts at once is finished. ``level`` is
    the priority; ``is_computed``: the queue chose it. ``each`` is the price of a combination, ``each_still`` that of its still,
    0 without. ``on_hold`` videos wait until they are released.
    """

    count: int
    model: str
    medium: str
    each: int
    each_still: int
    on_hold: int
    tickets: int
    usd: Decimal
    available: int
    level: int
    is_computed: bool
    policy: QueueSettings
    left: Estimate

    @property
    def after(self) -> int:
        """Return the tickets left in the wallet after a launch; negative if there are not enough."""
        return self.available - self.tickets

    @property
    def each_video(self) -> int:
        return self.each - self.each_still

    @property
    def first(self) -> int:
        """Return how many videos start at once."""
        return self.count - self.on_hold

    @property
    def tickets_of_stills(self) -> int:
        return self.count * self.each_still

    @property
    def tickets_of_videos(self) -> int:
        return self.tickets - self.tickets_of_stills

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
    def order(self) -> str:
        """Return how a large campaign and other jobs of its model are ordered; empty for a small campaign."""
        if self.count <= BULK:
            return ""
        level = priority.name(self.level).lower()
        if self.level < priority.NORMAL:
            at = f"Campaigns over {BULK} {self.medium}s run at" if self.is_computed else "This campaign runs at"
            return f"{at} {level} priority. Normal-priority jobs go first{self._how_long}."
        if self.policy.fair_share:
            return f"Users take turns: jobs of others start between your {self.count:,} {self.medium}s."
        return (
            f"At {level} priority, later {self.model} jobs of the same priority start after all {self.count:,} {self.medium}s, "
            "unless a limit slows yours down."
        )

    @property
    def _how_long(self) -> str:
        """Return until when jobs of normal priority go first: waiting raises others to it, one level at a time."""
        if not self.policy.aging_minutes:
            return ", even later ones"
        levels = -(-(priority.NORMAL - self.level) // priority.LEVEL)
        return f" until yours have waited {levels * self.policy.aging_minutes:,} minutes"


def look(plan: Plan, owner: User, *, at: datetime) -> Outlook:
    """Price a plan for its owner and estimate when it would be finished."""
    count, model = len(plan.to_buy), plan.model
    now = plan.still.model if plan.still else model
    return Outlook(
        count=count,
        model=model.key,
        medium=model.medium,
        each=plan.tickets_each,
        each_still=plan.still.tickets if plan.still else 0,
        on_hold=plan.on_hold,
        tickets=plan.tickets,
        usd=plan.usd,
        available=Wallet.objects.filter(owner=owner).values_list("available", flat=True).first() or 0,
        level=plan.priority,
        is_computed=plan.brief.priority is None,
        policy=QueueSettings.objects.current(),
        left=estimates.for_new(
            now.key, plan.stills or len(plan.first), plan.priority, owner, plan.brief.max_concurrent, now.medium, at=at
        ),
    )
