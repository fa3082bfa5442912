"""What a bulk action will do, said before it is done: counts by state, tickets that move, cost that may still be billed."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest
from django.utils.functional import cached_property

from queue_app.models import GenerationModel, Job, State, Wallet
from queue_app.rules import pricing

MOST = 10_000  # jobs that one action takes
SHOWN = 200  # of them, listed in the preview
AT_THE_PROVIDER = (State.RUNNING, State.SUBMITTING, State.UNKNOWN)


@dataclass(frozen=True)
class Consequence:
    """One line of a preview: how many, what becomes of them, why, and the badge beside it."""

    count: int
    what: str
    why: str
    state: str
    word: str


@dataclass(frozen=True)
class _Sums:
    jobs: int = 0
    tickets: int = 0
    usd: Decimal = Decimal(0)
    owners: int = 0


class Selection:
    """The jobs that an action was asked for, as they stand now; on confirmation those of its preview and no others."""

    def __init__(self, request: HttpRequest, jobs: QuerySet[Job]):
        seen = request.POST.get("ids")  # one field: a form may not have more than 1,000
        if seen is None:
            self.asked = jobs.count()
            self.ids: list[int] = list(jobs.order_by("pk").values_list("pk", flat=True)[:MOST])
        else:
            self.ids = [int(part) for part in seen.split(",")[:MOST] if part.isascii() and part.isdigit() and len(part) < 19]
            self.asked = len(self.ids)

    @cached_property
    def _sums(self) -> dict[str, _Sums]:
        rows = Job.objects.filter(pk__in=self.ids).order_by().values_list("state")
        rows = rows.annotate(Count("pk"), Sum("tickets"), Sum("usd_estimate"), Count("owner", distinct=True))
        return {row[0]: _Sums(*row[1:]) for row in rows}

    def count(self, *states: State) -> int:
        return sum(self._of(state).jobs for state in states)

    @property
    def can_cancel(self) -> int:
        return self.count(State.QUEUED, *AT_THE_PROVIDER)

    @property
    def can_retry(self) -> int:
        return self.count(State.FAILED, State.CANCELLED)

    def on_cancel(self) -> dict[str, Any]:
        """The preview of a cancel."""
        queued, running, unsure = self.count(State.QUEUED), self.count(State.RUNNING), self.count(State.SUBMITTING, State.UNKNOWN)
        storing, asked = self.count(State.STORING), self.count(State.CANCELLING)
        ended = self.count(State.COMPLETED, State.FAILED, State.CANCELLED)
        at_once = "They wait in the queue; nothing was bought."
        stop = "Shown as “Cancel asked” until the provider answers. If it was faster, the result is kept and charged."
        later = "We do not know yet whether the provider took it. It ends as cancelled, or runs on and is then asked to stop."
        left = f"{storing} are being stored, {asked} asked before, {ended} ended. They cannot be cancelled."
        lines = [
            Consequence(queued, "cancelled at once", at_once, State.QUEUED, "Queued"),
            Consequence(running, "asked to stop at the provider", stop, State.RUNNING, "Running"),
            Consequence(unsure, "decided later", later, State.UNKNOWN, "Not known"),
            Consequence(storing + asked + ended, "left as they are", left, State.CANCELLED, "Too late"),
        ]
        return self._context("cancel", "Cancel", "Keep them", lines, self.can_cancel) | {
            "now": self._of(State.QUEUED),
            "later": sum(self._of(state).tickets for state in AT_THE_PROVIDER),
            "billed": sum((self._of(state).usd for state in AT_THE_PROVIDER), Decimal(0)),
        }

    def on_retry(self) -> dict[str, Any]:
        """The preview of a retry, at the prices of this moment."""
        again, left = "Each at the end of its lane, with all its tries.", "Only failed and cancelled jobs can be retried."
        lines = [
            Consequence(self.can_retry, "queued again", again, State.QUEUED, "Queued"),
            Consequence(len(self.ids) - self.can_retry, "left as they are", left, State.CANCELLED, "Not for retry"),
        ]
        needed = self._price_today()
        short = [
            f"{name} has {available or 0} of {needed[owner]}"
            for owner, name, available in Wallet.objects.filter(owner__in=needed)
            .order_by("owner__username")
            .values_list("owner", "owner__username", "available")
            if (available or 0) < needed[owner]
        ]
        return self._context("retry", "Retry", "Leave them", lines, self.can_retry) | {
            "needed": sum(needed.values()),
            "wallets": len(needed),
            "short": short,
        }

    def _price_today(self) -> Counter[int]:
        """Tickets that a retry of the selection would reserve, by owner."""
        models = {model.pk: model for model in GenerationModel.objects.all()}
        needed: Counter[int] = Counter()
        again = Job.objects.filter(pk__in=self.ids, state__in=(State.FAILED, State.CANCELLED))
        for owner, model, parameters in again.values_list("owner", "model", "parameters"):
            needed[owner] += pricing.tickets(models[model].unit, models[model].tickets_per_unit, parameters)
        return needed

    def _context(self, action: str, verb: str, keep: str, lines: list[Consequence], acts_on: int) -> dict[str, Any]:
        return {
            "action": action,
            "verb": verb,
            "keep": keep,
            "lines": [line for line in lines if line.count],
            "acts_on": acts_on,
            "total": len(self.ids),
            "asked": self.asked,
            "ids": ",".join(map(str, self.ids)),
            "first": self.ids[0] if self.ids else "",
            "shown": Job.objects.filter(pk__in=self.ids[:SHOWN]).order_by("pk"),
        }

    def _of(self, state: State) -> _Sums:
        return self._sums.get(state, _Sums())
