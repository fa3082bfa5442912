"""
How long an installation takes to recover from each blow of a storm, by samples of the work that is overdue and by the history of
the jobs.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.lanes import LANES
from queue_app.rules import limits

STANDS_STILL = 60.0  # longest recovery that is reported, in seconds

# Overdue work by account: jobs that could start, checks, and files to store; then the unfinished jobs, those in a slot, and the
# long calls. An account that is cooling down or full is not our delay, and neither is a provider that makes a living worker wait.
DUE = """
    SELECT account.key,
           coalesce(bool_or(job.state = 'queued' AND NOT job.held AND job.not_before IS NULL), false)
           AND NOT (account.paused OR coalesce(account.cooldown_until > now.at, false)),
           coalesce(bool_or(job.state IN ('running', 'cancelling') AND job.next_check_at < now.at AND worker.id IS NULL), false),
           coalesce(bool_or(job.state = 'storing' AND job.next_check_at < now.at AND worker.id IS NULL), false),
           count(job.id),
           count(*) FILTER (WHERE job.state IN ('submitting', 'running', 'cancelling')
                               OR (job.state = 'unknown' AND attempt.slot_until > now.at)),
           count(*) FILTER (WHERE job.state = 'submitting' AND attempt.synchronous),
           account.lowered_by, account.lowered_at, now.at
      FROM unnest(%(accounts)s::text[], %(models)s::text[]) AS lane (account, model)
      JOIN queue_app_provideraccount account ON account.key = lane.account
     CROSS JOIN (SELECT clock_timestamp() AS at) now
      LEFT JOIN queue_app_job job ON job.model_id = lane.model AND job.ended_at IS NULL
      LEFT JOIN queue_app_attempt attempt ON attempt.job_id = job.id AND attempt.number = job.attempt_number
      LEFT JOIN queue_app_workerprocess worker
        ON job.lease_taken AND job.leased_by = worker.host || ':' || worker.pid || ':' || worker.group_started
       AND worker.role = 'worker' AND worker.beat_at > now.at - interval '6 s'
     GROUP BY account.key, now.at
"""
VALUES = {"accounts": [lane.account for lane in LANES], "models": [lane.model for lane in LANES]}
# the times at which such work was done
DONE = """
    SELECT extract(epoch FROM at)::float,
           CASE WHEN to_state = 'submitting' THEN 0 WHEN from_state IN ('running', 'cancelling') THEN 1 ELSE 2 END
      FROM queue_app_jobevent
     WHERE from_state <> to_state AND (to_state = 'submitting' OR from_state IN ('running', 'cancelling', 'storing'))
     ORDER BY at
"""
SORTS = ("start", "look", "store")


@dataclass
class Fallen:
    """A blow: its time (wall clock), name and victim, and the time it was over."""

    at: float
    name: str
    whom: str
    over: float


@dataclass
class Recoveries:
    """Samples of what was overdue: their times, and for each of `SORTS` whether there was such work."""

    long_workers: int
    samples: list[tuple[float, tuple[bool, ...]]] = field(default_factory=list)

    def look(self, now: float, rows: Sequence[Sequence[Any]]) -> None:
        """Take a sample of the rows of `DUE`. While the database is lost there are none, and everything counts as overdue."""
        start = look = store = not rows
        free_workers = self.long_workers - sum(row[6] for row in rows)
        lane_of = {lane.account: lane for lane in LANES}
        for account, may_start, checks, stores, _, used, _, by, since, at in rows:
            lane = lane_of[account]
            room = min(lane.of_model, limits.lowered(lane.of_account, by=by, since=since, at=at))
            start |= may_start and used < room and (free_workers > 0 or not lane.synchronous)
            look, store = look | checks, store | stores
        self.samples.append((now, (start, look, store)))

    def after(self, blows: Iterable[Fallen], done: Iterable[Sequence[Any]]) -> list[tuple[float, str]]:
        """
        Return the recovery time in seconds and the victim of each blow, ascending. ``done`` are the rows of `DONE`.

        It is the time during which work was due, from the blow's end until some was done; the longest one of starts, checks and
        stores.
        """
        times: list[list[float]] = [[] for _ in SORTS]
        for at, sort in done:
            times[sort].append(at)
        found = []
        for blow in blows:
            waits = []
            for sort, moments in enumerate(times):
                first = next((at for at in moments if at > blow.over), blow.over + STANDS_STILL)
                waits.append((self._due_seconds(sort, blow.over, first), SORTS[sort]))
            seconds, name = max(waits)
            found.append((seconds, f"{blow.whom} ({name})"))
        return sorted(found)

    def _due_seconds(self, sort: int, begins: float, ends: float) -> float:
        """Return the seconds between two times in which work of this sort was due, by the samples."""
        times = [at for at, _ in self.samples]
        first, last = max(0, bisect(times, begins) - 1), bisect(times, ends)
        moments = [begins, *times[first + 1 : last], ends]
        spans = zip(self.samples[first:last], moments, moments[1:], strict=False)
        return sum(after - before for (_, due), before, after in spans if due[sort])
