"""
What is looked at during a simulated day, at each claim:

* **Limits**: the slots in use, counted in a statement of its own, against every limit as it is then: whole queue (peak hours),
  account (lowered or not), model, batch. A model that is paused starts nothing.
* **Turn**: a job starts before no other that its account had in the same lane (model and priority) earlier and that could start:
  not delayed or put back, and under the same limit of a batch.
* **Share**: while an account waits in a lane beside others, each start there gives it its weight / the weights of all that wait
  (generalised processor sharing; Parekh and Gallager 1993). What it is due by that is held against what it got, over the whole
  time that it waited without a break. It may be one round off: as many jobs as its weight (Goyal, Vin and Cheng 1996).
* **Waits**: how long a job was the first of its account in its lane, without the time of a pause or an outage.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from benchmarks import stand
from benchmarks.day_plan import Plan

if TYPE_CHECKING:
    from queue_app.models import Job, User

LONG_ENOUGH = 20.0  # jobs due: the error of a shorter wait is mostly that of whole jobs
IN_USE = """
    SELECT job.model_id, attempt.account_id, job.batch_id, count(*)
      FROM queue_app_job job
      JOIN queue_app_attempt attempt ON attempt.job_id = job.id AND attempt.number = job.attempt_number
     WHERE job.state IN ('submitting', 'running', 'cancelling') GROUP BY 1, 2, 3
"""
MOVED = "SELECT id, priority FROM queue_app_job WHERE state = 'queued' AND priority <> base_priority"
Lane = tuple[str, int]  # model, priority


@dataclass
class Waiting:
    """An account's jobs that wait in a lane for their first start, in order; ``first_since``: when the first became the first."""

    jobs: dict[int, int | None] = field(default_factory=dict)  # its batch, if that has a limit
    first_since: float = 0.0


@dataclass
class Share:
    """What an account is due in a lane, and what it got, since it has waited there without a break."""

    weight: float
    due: float = 0.0
    got: int = 0

    @property
    def error(self) -> float:
        """By how much it is off, in parts of what it is due, beyond one round."""
        return max(0.0, abs(self.got - self.due) - self.weight) / max(self.due, 1.0)


class Checks:
    """Watches the claims of a day."""

    def __init__(self, plan: Plan, users: "Sequence[User]") -> None:
        from queue_app.models import QueueSettings

        self.plan = plan
        self.weights = {user.pk: float(getattr(user, "share_weight", 1)) for user in users}
        self.is_fair = getattr(QueueSettings.objects.current(), "fair_share", False)
        self.passed: list[str] = []  # limits that were passed
        self.out_of_turn: list[int] = []
        self.shares: list[tuple[Lane, Share]] = []  # of waits that are over
        self.waits: dict[int, list[float]] = defaultdict(list)  # at the head of an account's lane, by priority
        self.claims = 0
        self._lanes: dict[Lane, dict[int, Waiting]] = defaultdict(lambda: defaultdict(Waiting))
        self._shares: dict[tuple[Lane, int], Share] = {}
        self._of: dict[int, tuple[Lane, int]] = {}  # of a waiting job: its lane and its owner
        self._batch_limits: dict[int, int] = {}
        self._in_batch: Counter[int] = Counter()
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
        for pk, priority in _rows(MOVED):
            lane, owner = self._of.get(pk, (None, 0))
            if lane is not None and lane[1] != priority:
                self._remove(pk, second)
                self._add(pk, (lane[0], priority), owner, second)

    def put_back(self, pk: int, second: float) -> None:
        self._leave_batch(pk)

    def ended(self, pk: int, second: float) -> None:
        if pk in self._of:
            self._remove(pk, second)
        else:
            self._leave_batch(pk)

    def claimed(self, ids: Sequence[int], at: datetime, second: float) -> None:
        """Check a claim: these jobs, in the order in which they were chosen."""
        self.claims += len(ids)
        self._check_limits(at)
        for pk in ids:
            if (known := self._of.get(pk)) is not None:
                lane, owner = known
                self._check_turn(pk, lane, owner)
                self._count_shares(lane, owner)
                self.waits[lane[1]].append(self._waited(lane, self._lanes[lane][owner].first_since, second))
                self._remove(pk, second)
            if (batch := self._batch_of.get(pk)) is not None:
                self._in_batch[batch] += 1

    def finish(self, second: float) -> None:
        for (lane, _), share in self._shares.items():
            self.shares.append((lane, share))
        self._shares.clear()

    # --- the rules ------------------------------------------------------------------------------------------------

    def _check_limits(self, at: datetime) -> None:
        from queue_app.models import ModelConcurrencyLimit, ProviderAccount, QueueSettings
        from queue_app.rules import limits
        from queue_app.work.capacity import queue_limit

        used: Counter[tuple[str, object]] = Counter()
        for model, account, batch, count in _rows(IN_USE):
            for key in (("queue", ""), ("model", model), ("account", account), ("batch", batch)):
                used[key] += count
        caps: dict[tuple[str, object], int] = {("queue", ""): queue_limit(QueueSettings.objects.current(), at=at)}
        caps |= {("model", key): cap for key, cap in ModelConcurrencyLimit.objects.values_list("model", "max_concurrent")}
        for key, cap, by, since in ProviderAccount.objects.filter(max_concurrent__isnull=False).values_list(
            "key", "max_concurrent", "lowered_by", "lowered_at"
        ):
            caps["account", key] = limits.lowered(cap, by=by, since=since, at=at)
        caps |= {("batch", pk): cap for pk, cap in self._batch_limits.items()}
        self.passed += [
            f"{name} {key}: {count} of {caps[name, key]}"
            for (name, key), count in used.items()
            if _is_over(caps, name, key, count)
        ]

    def _check_turn(self, pk: int, lane: Lane, owner: int) -> None:
        jobs = self._lanes[lane][owner].jobs
        first = next(other for other, batch in jobs.items() if batch == jobs[pk])
        if first != pk:
            self.out_of_turn.append(pk)

    def _count_shares(self, lane: Lane, owner: int) -> None:
        """Give each account that waits in the lane its due of this start, which is the owner's."""
        waiting = [one for one, own in self._lanes[lane].items() if self._could_start(own)]
        for one in [one for known, one in self._shares if known == lane and one not in waiting]:
            self.shares.append((lane, self._shares.pop((lane, one))))
        if len(waiting) < 2 or owner not in waiting:
            return
        whole = sum(self.weights[one] for one in waiting)
        for one in waiting:
            share = self._shares.setdefault((lane, one), Share(self.weights[one]))
            share.due += self.weights[one] / whole
            share.got += one == owner

    def _could_start(self, own: Waiting) -> bool:
        batches = set(own.jobs.values())
        return any(batch is None or self._in_batch[batch] < self._batch_limits[batch] for batch in batches)

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
            if share := self._shares.pop((lane, owner), None):
                self.shares.append((lane, share))

    def _leave_batch(self, pk: int) -> None:
        if (batch := self._batch_of.get(pk)) is not None:
            self._in_batch[batch] -= 1

    # --- the figures ----------------------------------------------------------------------------------------------

    @property
    def share_error(self) -> float:
        """What accounts with long waits were off, in parts of what they were due."""
        long = [share for _, share in self.shares if share.due >= LONG_ENOUGH]
        return sum(abs(share.got - share.due) for share in long) / max(1.0, sum(share.due for share in long))

    @property
    def worst_share_error(self) -> float:
        """The largest error of one wait of an account, beyond one round."""
        return max((share.error for _, share in self.shares), default=0.0)

    def say(self) -> None:
        stand.figure("claims", self.claims)
        stand.verdict("limits passed", len(self.passed), most=0)
        stand.verdict("jobs out of their account's turn", len(self.out_of_turn), most=0)
        if self.is_fair:
            stand.verdict("fair-share error", 100 * self.share_error, most=5, unit=" %")
            stand.verdict(
                "fair-share error, the worst wait of an account, beyond one round",
                100 * self.worst_share_error,
                most=5,
                unit=" %",
            )
        for priority, waits in sorted(self.waits.items(), reverse=True):
            stand.figure(f"first of its account, priority {priority}: p50 of the wait", stand.percentile(waits, 0.5) / 60, " min")
            stand.figure(f"first of its account, priority {priority}: longest wait", max(waits) / 60, " min")


def _is_over(caps: dict[tuple[str, object], int], name: str, key: object, count: int) -> bool:
    return (name, key) in caps and count > caps[name, key]


def _rows(sql: str) -> list[tuple[object, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows: list[tuple[object, ...]] = cursor.fetchall()
    return rows
