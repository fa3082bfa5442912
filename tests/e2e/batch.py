"""A batch on an installation of real processes: submitted, watched, and compared with the provider's tasks."""

import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import requests
from django.db import Error

from queue_app import clock, tickets
from queue_app.models import Attempt, Job, User, WorkerProcess
from queue_app.models.job import OPEN_STATES
from queue_app.runtime import processes
from queue_app.work import intake
from queue_app.work.intake import Draft
from tests.processes import Site, wait_for


@dataclass
class BatchRun:
    """A batch of ``sora-2`` jobs with different prompts on a site."""

    site: Site
    jobs: int
    peak: int = 0
    numbers: list[int] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def prompts(self) -> list[str]:
        return [f"A kite over the bay, take {n + 1}." for n in range(self.jobs)]

    def submit(self, count: int | None = None) -> None:
        """Submit the next ``count`` jobs, or all remaining ones."""
        prompts = self.prompts[len(self.numbers) :][:count]
        with self.site.orm():
            owner, at = User.objects.get_or_create(username="batch")[0], clock.now()
            tickets.grant(owner, 100 * len(prompts), at=at, actor="tests", reason="to spend")
            drafts = [Draft("sora-2", prompt, parameters={"duration": 4}) for prompt in prompts]
            _, queued = intake.enqueue(owner, drafts, at=at, actor="tests", batch_name="a batch")
            self.numbers += [job.pk for job in queued]
        self.began = time.monotonic()

    def keep_busy(self, *, waiting: int) -> None:
        """Submit more jobs if fewer than ``waiting`` wait, lest on a slow machine the work is done before the last blow."""
        missing, began = waiting - self.states()["queued"], self.began
        if missing > 0:
            self.jobs += missing
            self.submit(missing)
            self.began = began

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def states(self) -> Counter[str]:
        """Return the number of jobs by state; empty while the database is lost."""
        try:
            with self.site.orm():
                return Counter(Job.objects.values_list("state", flat=True))
        except Error:
            return Counter()

    def wait_for_progress(self) -> None:
        """Wait until one more job has completed."""
        before = _made(wait_for(self.states, seconds=60))
        wait_for(lambda: _made(self.states()) > before, seconds=120, of="one more job that is made")

    def wait_until_all_ended(self, *, seconds: float) -> Counter[str]:
        wait_for(self._all_ended, seconds=seconds, of="the end of all jobs")
        return self.states()

    def look(self) -> None:
        """Record the most jobs that ran at the studio, by its own count, which it loses in a crash."""
        assert self.site.studio is not None
        self.peak = max(self.peak, self.site.studio.log()["peak"])

    def workers_at(self, words: str, *, at_least: int = 1, queue: str = "default") -> list[WorkerProcess]:
        """Return living workers of a queue whose task begins with these words, or idle workers without words."""

        def found() -> list[WorkerProcess]:
            rows = [row for row in self.site.registry(role="worker", queue=queue) if processes.look(row.pid)]
            fit = [row for row in rows if (row.task.startswith(words) if words else not row.task)]
            return fit if len(fit) >= at_least else []

        return list(wait_for(found, seconds=60, of=f"{at_least} workers at {words or 'nothing'}"))

    def tasks_by_prompt(self) -> Counter[str]:
        """Return the number of tasks that the studio has accepted by prompt, also before crashes."""
        assert self.site.studio is not None
        found: Counter[str] = Counter()
        query: dict[str, Any] = {"limit": 100, "order": "asc"}
        while True:
            page = requests.get(f"{self.site.studio.url}/v1/videos", params=query, timeout=15).json()
            found.update(video["prompt"] for video in page["data"])
            if not page["has_more"]:
                return found
            query["after"] = page["data"][-1]["id"]

    def audit(self) -> dict[str, int]:
        """
        Assert that the studio has accepted each attempt at most once, and exactly those that the queue reports as accepted.

        Return the numbers of attempts, of accepted ones, and of those that were certainly not accepted.
        """
        tasks = self.tasks_by_prompt()
        with self.site.orm():
            attempts = list(Attempt.objects.select_related("job").order_by("job", "number"))
        had_a_task: Counter[str] = Counter()
        for attempt in attempts:
            assert attempt.outcome is not None
            assert (attempt.remote_id is not None) == (attempt.outcome != "not_accepted"), attempt
            had_a_task[attempt.job.prompt] += attempt.outcome != "not_accepted"
        assert len(had_a_task) == self.jobs
        assert had_a_task == tasks
        none = sum(attempt.outcome == "not_accepted" for attempt in attempts)
        return {"attempts": len(attempts), "accepted": tasks.total(), "not accepted": none}

    def _all_ended(self) -> bool:
        states = self.states()
        return states.total() > 0 and not any(states[str(state)] for state in OPEN_STATES)


def _made(states: Counter[str]) -> int:
    return states["storing"] + states["completed"]


def kill(*processes: int) -> None:
    for process in processes:
        os.kill(process, signal.SIGKILL)
