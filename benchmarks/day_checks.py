"""
What is looked at during a simulated day, at each claim:

* **Limits**: the slots in use, counted in a statement of its own, against every limit as it is then: whole queue (peak hours),
  account (lowered or not), model, batch. A model that is paused starts nothing.
* **Turn**: a job starts before no older one that its account had in the same lane (model and priority) earlier and that could
  start: not delayed or put back, and under the same limit of a batch.
* **Share**: of any two accounts that wait in the same lane, the starts since both wait there without a break are held against
  their weights. The error is by how many jobs one is off its share of them: with start-time fair queueing at most one (Goyal, Vin
  and Cheng, "Start-time Fair Queuing", 1996, theorem 1); as our turns are whole rounds, at most a round at either end. Left out
  are accounts that wait with a batch at a limit of its own, which catch up on the turns that it let pass, and those that have
  cancelled jobs before others of theirs: with these they gave up turns.
* **Waits**: how long a job was the first of its account in its lane, without the time of a pause or an outage.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, takewhile
from typing import TYPE_CHECKING

from benchmarks import stand
from benchmarks.day_plan import Plan
from queue_app.statements import Statement

if TYPE_CHECKING:
    from queue_app.models import Job, User

LONG_ENOUGH = 20  # starts of two accounts: the error of a shorter window is mostly that of whole jobs
_IN_USE = Statement("""
    SELECT job.model_id, attempt.account_id, job.batch_id, count(*)
      FROM queue_app_job job
      JOIN queue_app_attempt attempt ON attempt.job_id = job.id AND attempt.number = job.attempt_number
     WHERE job.state IN ('submitting', 'running', 'cancelling') GROUP BY 1, 2, 3
""")
_RISEN = Statement("SELECT id, priority FROM queue_app_job WHERE state = 'queued' AND priority <> base_priority")
Lane = tuple[str, int]  # model, priority


@dataclass
class Waiting:
    """An account's jobs that wait in a lane for their first start, in order; ``first_since``: when the first became the first."""

    jobs: dict[int, int | None] = field(default_factory=dict)  # its batch, if that has a limit
    first_since: float = 0.0
    gave_up_turns: bool = False  # it cancelled jobs before others that still wait


@dataclass(frozen=True)
class Window:
    """The starts of two accounts in a lane, with their weights, while both waited there without a break."""

    lane: Lane
    weights: tuple[float, float]
    starts: tuple[int, int]

    @property
    def count(self) -> int:
        return sum(self.starts)

    @property
    def off(self) -> float:
        """By how many jobs each is off its share of the starts."""
        return abs(self.starts[0] - self.count * self.weights[0] / sum(self.weights))

    @property
    def bound(self) -> float:
        """A round, of which the other had none yet, at either end: one job if both have weight 1."""
        return 2 * self.weights[0] * self.weights[1] / sum(self.weights) + 1e-9


class Checks:
    """Watches the claims of a day."""

    def __init__(self, plan: Plan, users: "Sequence[User]") -> None:
        from queue_app.models import ModelConcurrencyLimit, QueueSettings

        self.plan = plan
        self.weights = {user.pk: float(user.share_weight) for user in users}
        self._policy = QueueSettings.objects.current()
        limits = ModelConcurrencyLimit.objects.values_list("model", "max_concurrent")
        self._caps: dict[tuple[str, object], int | None] = {("model", model): most for model, most in limits}
        self.accounts_changed()
        self.passed: list[str] = []  # limits that were passed
        self.out_of_turn: list[int] = []
        self.windows: list[Window] = []
        self.waits: dict[int, list[float]] = defaultdict(list)  # at the head of an account's lane, by priority
        self.claims = 0
        self._lanes: dict[Lane, dict[int, Waiting]] = defaultdict(lambda: defaultdict(Waiting))
        self._starts: dict[Lane, Counter[int]] = defaultdict(Counter)
        self._pairs: dict[Lane, dict[tuple[int, int], tuple[int, int]]] = defaultdict(dict)  # their starts before the window
        self._of: dict[int, tuple[Lane, int]] = {}  # of a waiting job: its lane and its owner
        self._batch_limits: dict[int, int] = {}
        self._batch_of: dict[int, int] = {}

    # --- what happens ---------------------------------------------------------------------------------------------

    def entered(self, jobs: "Sequence[Job]", second: float) -> None:
        for job in jobs:
            if job.batch is not None and job.batch.max_concurrent:
                self._batch_limits[job.batch.pk] = job.batch.max_concurrent
                self._batch_of[job.pk] = job.batch.pk
            self._add(job.pk, (job.model_id, job.priority), job.owner_id, second)

    def moved(self, second: float) -> None:
        """Note the jobs that have risen to another lane."""
        for pk, priority in _RISEN.run():
            lane, owner = self._of.get(pk, (None, 0))
            if lane is not None and lane[1] != priority:
                self._remove(pk, second)
                self._add(pk, (lane[0], priority), owner, second)

    def ended(self, pk: int, second: float) -> None:
        if pk in self._of:  # cancelled
            lane, owner = self._of[pk]
            waiting = self._lanes[lane][owner]
            waiting.gave_up_turns |= pk != next(reversed(waiting.jobs))
            self._remove(pk, second)

    def claimed(self, ids: Sequence[int], at: datetime, second: float) -> None:
        """Check a claim: these jobs, in the order in which they were chosen."""
        self.claims += len(ids)
        self._check_limits(at)
        for pk in ids:
            if (known := self._of.get(pk)) is not None:
                lane, owner = known
                self._check_turn(pk, lane, owner)
                self._look_who_waits(lane)
                self._starts[lane][owner] += 1
                self.waits[lane[1]].append(self._waited(lane, self._lanes[lane][owner].first_since, second))
                self._remove(pk, second)

    def finish(self, second: float) -> None:
        for lane in [*self._pairs]:
            self._look_who_waits(lane)

    # --- the rules ------------------------------------------------------------------------------------------------

    def _check_limits(self, at: datetime) -> None:
        from queue_app.work.capacity import account_limit, queue_limit

        used: Counter[tuple[str, object]] = Counter()
        for model, account, batch, count in _IN_USE.run():
            for key in (("queue", ""), ("model", model), ("account", account), ("batch", batch)):
                used[key] += count
        caps = self._caps | {("queue", ""): queue_limit(self._policy, at=at)}
        caps |= {("account", account.pk): account_limit(account, at=at) for account in self._accounts}
        caps |= {("batch", batch): most for batch, most in self._batch_limits.items()}
        for key, count in used.items():
            most = caps.get(key)
            if most is not None and count > most:
                self.passed.append(f"{key}: {count} of {most} at {at}")

    def accounts_changed(self) -> None:
        """Read the limits of accounts again: they are lowered or given back."""
        from queue_app.models import ProviderAccount

        self._accounts = list(ProviderAccount.objects.filter(max_concurrent__isnull=False))

    def _check_turn(self, pk: int, lane: Lane, owner: int) -> None:
        jobs = self._lanes[lane][owner].jobs
        if any(other < pk for other in takewhile(lambda one: one != pk, jobs) if jobs[other] == jobs[pk]):
            self.out_of_turn.append(pk)

    def _look_who_waits(self, lane: Lane) -> None:
        """Close the windows of accounts that wait no more, and open those of accounts that have begun to."""
        waiting = {one for one, own in self._lanes[lane].items() if not (own.gave_up_turns or any(own.jobs.values()))}
        pairs, starts = self._pairs[lane], self._starts[lane]
        for one, other in [pair for pair in pairs if not waiting.issuperset(pair)]:
            before = pairs.pop((one, other))
            since = (starts[one] - before[0], starts[other] - before[1])
            if any(since):
                self.windows.append(Window(lane, (self.weights[one], self.weights[other]), since))
        for pair in combinations(sorted(waiting), 2):
            pairs.setdefault(pair, (starts[pair[0]], starts[pair[1]]))

    def _waited(self, lane: Lane, since: float, until: float) -> float:
        """Return the seconds between, without those of the pause of this model and of the outage."""
        away = 0.0
        for trouble in (self.plan.pause, self.plan.outage):
            if trouble.what == lane[0] or (trouble.what == "openai_videos" and lane[0].startswith("sora")):
                away += max(0.0, min(until, trouble.ends) - max(since, trouble.begins))
        return until - since - away

    # --- the lanes ------------------------------------------------------------------------------------------------

    def _add(self, pk: int, lane: Lane, owner: int, second: float) -> None:
        waiting = self._lanes[lane][owner]
        if not waiting.jobs:
            waiting.first_since = second
        waiting.jobs[pk] = self._batch_of.get(pk)
        self._of[pk] = (lane, owner)

    def _remove(self, pk: int, second: float) -> None:
        lane, owner = self._of.pop(pk)
        waiting = self._lanes[lane][owner]
        del waiting.jobs[pk]
        waiting.first_since = second
        if not waiting.jobs:
            del self._lanes[lane][owner]

    # --- the figures ----------------------------------------------------------------------------------------------

    @property
    def share_error(self) -> float:
        """By how much accounts were off their shares, in parts of the starts, in windows of many."""
        long = [window for window in self.windows if window.count >= LONG_ENOUGH]
        return sum(window.off for window in long) / max(1, sum(window.count for window in long))

    @property
    def unfair(self) -> list[Window]:
        """Windows with an error of more than 5 % and of more than the bound."""
        return [window for window in self.windows if window.off > max(window.bound, 0.05 * window.count)]

    def say(self) -> None:
        for window in self.unfair[:3]:
            print(f"unfair: {window}")
        stand.figure("claims", self.claims)
        for words, wrong in (("that passed no limit", self.passed), ("in their account's turn", self.out_of_turn)):
            stand.verdict(f"claims {words}", _percent(self.claims - len(wrong), self.claims), least=100, unit=" %")
        stand.figure("windows in which two accounts wait", len(self.windows))
        stand.verdict("fair-share error", 100 * self.share_error, most=5, unit=" %")
        fair = len(self.windows) - len(self.unfair)
        stand.verdict("windows within 5 % or the bound", _percent(fair, len(self.windows)), least=100, unit=" %")
        for priority, waits in sorted(self.waits.items(), reverse=True):
            stand.figure(f"first of its account, priority {priority}: p50 of the wait", stand.percentile(waits, 0.5) / 60, " min")
            stand.figure(f"first of its account, priority {priority}: longest wait", max(waits) / 60, " min")


def _percent(part: int, whole: int) -> float:
    return 100 * part / max(1, whole)
