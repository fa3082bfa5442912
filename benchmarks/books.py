"""The judgement of a storm: the studio's log of create calls compared with our jobs and attempts."""

from __future__ import annotations

import math
from bisect import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from benchmarks.lanes import LANES, Lane

# outcomes after which the provider may get the job once more (I17), although it accepted it before
MAY_FOLLOW = {"failed", "cancelled", "lost", "abandoned"}
ENDED = {"completed", "failed", "cancelled"}


class Task(NamedTuple):
    """A task that the studio accepted. Times are Unix seconds; ``failure`` is the code of a task that failed there."""

    id: str
    dialect: str
    prompt: str
    at: float
    ended: float
    failure: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Task:
        """Build one from an accepted row of the studio's log."""
        ended = math.inf if row["ended"] is None else row["ended"]
        return cls(row["id"], row["dialect"], row["prompt"], row["at"], ended, row["failure"])


class JobRow(NamedTuple):
    """A job. Prompts are unique to a request, so the studio's log tells jobs by them."""

    id: int
    state: str
    prompt: str
    error_code: str = ""


class Tried(NamedTuple):
    """
    An attempt. ``lost_at`` is when we stopped waiting for the answer to its create call, ``None`` if there was one. ``lost_by``
    is who noticed: the worker, or the recovery after the worker had died.
    """

    account: str
    job: int
    number: int
    called_at: float | None
    remote_id: str | None = None
    outcome: str | None = None
    synchronous: bool = False
    lost_at: float | None = None
    lost_by: str | None = None


JOBS = "SELECT id, state, prompt, error_code FROM queue_app_job ORDER BY id"
ATTEMPTS = """
    SELECT account_id, job_id, number, extract(epoch FROM called_at)::float, remote_id, outcome, synchronous,
           extract(epoch FROM lost.at)::float, lost.actor
      FROM queue_app_attempt attempt
      LEFT JOIN LATERAL (
        SELECT at, actor FROM queue_app_jobevent event
         WHERE event.job_id = attempt.job_id AND event.attempt = attempt.number AND to_state = 'unknown'
         ORDER BY seq LIMIT 1
      ) lost ON true
     ORDER BY job_id, number
"""


@dataclass
class Books:
    """The jobs that were asked for (by prompt), our rows, and the tasks that the studio accepted."""

    asked: Sequence[str]
    jobs: Sequence[JobRow]
    attempts: Sequence[Tried]
    tasks: Sequence[Task]
    long_workers: int
    lanes: Sequence[Lane] = LANES

    def __post_init__(self) -> None:
        self._attempts_of: dict[int, list[Tried]] = defaultdict(list)
        for called in self.attempts:
            if called.called_at is not None:
                self._attempts_of[called.job].append(called)
        self._job_of = {job.prompt: job for job in self.jobs}
        self.tasks_of: dict[tuple[int, int], list[Task]] = defaultdict(list)  # by job and number of the attempt
        self._strangers = []
        for task in sorted(self.tasks, key=lambda task: task.at):
            attempt = self._attempt_for(task)
            if attempt is None:
                self._strangers.append(task)
            else:
                self.tasks_of[attempt.job, attempt.number].append(task)

    @property
    def again(self) -> Counter[str]:
        """The outcomes after which a job that the studio had accepted was accepted once more."""
        return Counter(str(before.outcome) for before, _ in self._accepted_again())

    @property
    def unanswered(self) -> Counter[tuple[str, str]]:
        """The number of create calls without a readable answer, by account and by who noticed (``lost_by``)."""
        return Counter((one.account, str(one.lost_by)) for one in self.attempts if one.lost_at is not None)

    def findings(self) -> dict[str, list[str]]:
        """Return what is wrong, by sort; empty lists if all is well."""
        return {"lost": [*self._lost()], "twice": [*self._twice()], "over a limit": [*self._over()]}

    def peaks(self) -> dict[str, tuple[int, int]]:
        """Return the most tasks at once by the studio's count, and the limit: of each lane, and of the long calls."""
        found = {lane.account: (peak(self._spans(lane.account)), lane.at_once) for lane in self.lanes}
        return {**found, "long calls": (peak(self._long_calls()), self.long_workers)}

    def _attempt_for(self, task: Task) -> Tried | None:
        """
        Return the attempt whose create call made this task: the last one called before it. The next attempt of the job is called
        only when a late task is ruled out, so the time tells.
        """
        job = self._job_of.get(task.prompt)
        called = self._attempts_of[job.id] if job else []
        place = bisect([attempt.called_at or 0.0 for attempt in called], task.at)
        return called[place - 1] if place else None

    def _accepted_again(self) -> Iterator[tuple[Tried, Tried]]:
        """Yield the pairs of attempts of a job, one after the other, whose tasks the studio has both accepted."""
        for attempts in self._attempts_of.values():
            accepted = [attempt for attempt in attempts if (attempt.job, attempt.number) in self.tasks_of]
            yield from pairwise(accepted)

    def _lost(self) -> Iterator[str]:
        sent = {job.prompt for job in self.jobs}
        yield from (f"never queued: {prompt}" for prompt in self.asked if prompt not in sent)
        for job in self.jobs:
            if job.state not in ENDED:
                yield f"job {job.id} is {job.state}"
            elif job.error_code == "poison":
                yield f"job {job.id} is given up as {job.error_code}"
        yield from (f"{task.dialect} has a task that no attempt sent: {task.id}" for task in self._strangers)
        for attempt in self.attempts:
            for task in self.tasks_of.get((attempt.job, attempt.number), ()):
                if not _is_known(task, attempt):
                    yield f"{_name(attempt)} ({attempt.outcome}) does not know task {task.id} of {task.dialect}"

    def _twice(self) -> Iterator[str]:
        yield from (f"{count} jobs: {prompt}" for prompt, count in Counter(job.prompt for job in self.jobs).items() if count > 1)
        for attempt in self.attempts:
            if len(tasks := self.tasks_of.get((attempt.job, attempt.number), ())) > 1:
                yield f"{_name(attempt)} was accepted {len(tasks)} times: {', '.join(task.id for task in tasks)}"
        for before, after in self._accepted_again():
            if before.outcome not in MAY_FOLLOW:
                yield f"{_name(after)} was accepted after attempt {before.number} ({before.outcome}) had been"

    def _over(self) -> Iterator[str]:
        yield from (f"{name}: {most} at once, limit {limit}" for name, (most, limit) in self.peaks().items() if most > limit)

    def _spans(self, dialect: str) -> list[tuple[float, float]]:
        return [(task.at, task.ended) for task in self.tasks if task.dialect == dialect]

    def _long_calls(self) -> list[tuple[float, float]]:
        """Return the spans in which the studio worked on a task whose create call a long worker was still waiting for."""
        return [
            (task.at, min(task.ended, attempt.lost_at or math.inf))
            for attempt in self.attempts
            if attempt.synchronous
            for task in self.tasks_of.get((attempt.job, attempt.number), ())
        ]


def peak(spans: Iterable[tuple[float, float]]) -> int:
    """Return how many of these spans overlap at most; one that ends when another begins does not. Empty spans do not count."""
    moments = sorted((moment, step) for begins, ends in spans if begins < ends for moment, step in ((begins, 1), (ends, -1)))
    most = now = 0
    for _, step in moments:
        now += step
        most = max(most, now)
    return most


def _is_known(task: Task, attempt: Tried) -> bool:
    """
    Whether our rows account for a task: by its id, by the answer of a synchronous provider, by a person's decision, or because
    the provider refused it in its answer.
    """
    if attempt.remote_id and (attempt.synchronous or attempt.remote_id == task.id):
        return True
    if attempt.outcome == "abandoned":
        return True
    return attempt.outcome == "not_accepted" and task.failure is not None


def _name(attempt: Tried) -> str:
    return f"job {attempt.job}, attempt {attempt.number}"
