"""
The studio's floor: accepts jobs, renders them a few at a time, lets each end at its time, and counts.

All figures come from one lock, so that ``running`` and ``peak`` are exact however many clients call at once.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, replace

from genqueue_site.studio.config import Config
from genqueue_site.studio.jobs import Failure, Job, Recipe, Shelf
from genqueue_site.studio.rendering import RenderFailed, Rendering

LOG_ROWS = 100_000  # the oldest creates drop out of the log after that many
DOOMS = {
    "failed": Failure(code="generation_failed", message="The video generation failed."),
    "moderated": Failure(code="moderation_blocked", message="Your request was blocked by our moderation system."),
}


NEVER_BEGAN = Failure(code="never_began", message="Request timed out")


class Full(Exception):
    """As many jobs run as the studio takes; ``retry_after`` seconds may help."""

    def __init__(self, running: int, retry_after: int) -> None:
        super().__init__(f"The studio is at its limit of running videos ({running}). Try again in {retry_after}s.")
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True)
class Order:
    """
    A create that its dialect has found good. ``id``: where the dialect has ids of a form of its own; ``start_within``: seconds
    after which it may not begin any more.
    """

    dialect: str
    id_prefix: str = ""
    recipe: Recipe
    echo: dict[str, str]
    doom: str | None = None
    id: str | None = None
    start_within: float | None = None


@dataclass(frozen=True)
class _Create:
    dialect: str
    model: str | None
    prompt: str | None
    at: float
    job: Job | None


class Floor:
    """Every job the studio has, on disk and at work. Safe to call from any thread."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.closing = threading.Event()
        self._shelf = Shelf(config.home)
        self._disk = threading.Lock()  # taken before _lock; writing a job may be slow, and no poll waits for it
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: set[str] = set()
        self._creates: deque[_Create] = deque(maxlen=LOG_ROWS)
        self._waiting: deque[Job] = deque()
        self._work = threading.Semaphore(0)
        self._renderings: dict[str, Rendering] = {}
        for job in self._shelf.load():
            self._admit(job)
        self._peak = self._settle(time.time())

    def open(self) -> None:
        """Start rendering, with what an earlier studio left unfinished."""
        for number in range(self.config.parallel_renders):
            threading.Thread(target=self._render_for_ever, name=f"render-{number}", daemon=True).start()

    def close(self) -> None:
        """End the renders. Their jobs stay accepted and go on at the next start."""
        self.closing.set()
        with self._lock:
            for rendering in self._renderings.values():
                rendering.kill()

    def accept(self, order: Order) -> Job:
        """
        Take a job; it is durable when this returns.

        :raises Full: ``max_running`` jobs run.
        """
        with self._disk:
            with self._lock:
                self._refuse_when_full()
            now = time.time()
            job = Job(
                id=order.id or order.id_prefix + secrets.token_hex(16),
                dialect=order.dialect,
                model=order.recipe.model,
                recipe=order.recipe,
                echo=order.echo,
                accepted_at=now,
                doom=order.doom,
                start_by=None if order.start_within is None else now + order.start_within,
            )
            self._shelf.write(job)
            with self._lock:
                self._admit(job)
                self._creates.append(_Create(job.dialect, job.model, job.recipe.prompt, job.accepted_at, job))
                self._peak = max(self._peak, self._settle(time.time()))
        return job

    def turn_away(self, *, dialect: str, model: str | None, prompt: str | None) -> None:
        """Note a create that was not accepted."""
        with self._lock:
            self._creates.append(_Create(dialect, model, prompt, time.time(), None))

    def find(self, job_id: str, *, dialect: str) -> Job | None:
        """Look up one job of a dialect."""
        with self._lock:
            job = self._jobs.get(job_id)
        return job if job and job.dialect == dialect else None

    def all_of(self, dialect: str) -> list[Job]:
        """List the jobs of a dialect, oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if job.dialect == dialect]

    def file_of(self, job: Job, name: str) -> bytes:
        """
        Give one file of a job that has ended well.

        :raises FileNotFoundError: the job was deleted meanwhile.
        """
        return self._shelf.read(job.id, name)

    def waiting_before(self, job: Job) -> int:
        """Count the jobs that are rendered before this one is begun."""
        with self._lock:
            return next((place for place, other in enumerate(self._waiting) if other is job), 0)

    def is_overdue(self, job: Job) -> bool:
        """Whether it may not begin any more, and has not; then it has failed with that."""
        if job.rendering or job.ends_at is not None or job.start_by is None or time.time() < job.start_by:
            return False
        self.stop(job, NEVER_BEGAN)
        return True

    def stop(self, job: Job, failure: Failure) -> bool:
        """End a job without files, now; it stays known. False: it has ended before."""
        with self._disk:
            with self._lock:
                if job.id not in self._jobs or job.has_ended(time.time()):
                    return False
                if rendering := self._renderings.get(job.id):
                    rendering.kill()
            self._end(job, failure, at=time.time())
        return True

    def delete(self, job: Job) -> bool:
        """Forget the job and its files; a running one is aborted. False: someone else deleted it first."""
        with self._disk:
            with self._lock:
                if job.id not in self._jobs:
                    return False
                self._running.discard(job.id)
                del self._jobs[job.id]
                if not job.has_ended(now := time.time()):
                    job.ends_at = now
                if rendering := self._renderings.get(job.id):
                    rendering.kill()
            self._shelf.remove(job.id)
        return True

    def log(self) -> dict[str, object]:
        """Tell what runs now (with what came from disk), the most that ever ran at once, and the creates since the start."""
        with self._lock:
            now = time.time()
            running = self._settle(now)
            return {"running": running, "peak": self._peak, "creates": [_log_row(create, now) for create in self._creates]}

    def _admit(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._running.add(job.id)
        if job.ends_at is None:
            self._waiting.append(job)
            self._work.release()

    def _settle(self, now: float) -> int:
        """Drop from the running ones those whose end has come, and count the rest."""
        self._running -= {job_id for job_id in self._running if self._jobs[job_id].has_ended(now)}
        return len(self._running)

    def _refuse_when_full(self) -> None:
        now = time.time()
        running, cap = self._settle(now), self.config.max_running
        if cap and running >= cap:
            oldest = min(self._jobs[job_id].accepted_at for job_id in self._running)
            raise Full(running, max(1, round(oldest + self.config.seconds_per_job - now)))

    def _render_for_ever(self) -> None:
        while True:
            self._work.acquire()
            if self.closing.is_set():
                return
            with self._lock:
                job = self._waiting.popleft()
                if job.id not in self._jobs or job.ends_at is not None:
                    continue
            if self.is_overdue(job):
                continue
            with self._lock:
                rendering = self._renderings[job.id] = Rendering()
                job.rendering = True
            try:
                self._render(job, rendering)
                again = False
            except OSError as error:  # a full disk, most likely: the job is accepted, so it is not given up
                print(f"Studio could not write {job.id}. Trying again: {error}", file=sys.stderr, flush=True)
                self.closing.wait(1)
                again = True
            with self._lock:
                del self._renderings[job.id]
                if again:
                    self._waiting.append(job)
                    self._work.release()

    def _render(self, job: Job, rendering: Rendering) -> None:
        failure = DOOMS.get(job.doom or "")
        bench = self._shelf.bench()
        try:
            if failure is None:
                rendering.run(job.recipe, bench)
        except RenderFailed as error:
            failure = Failure(code="render_failed", message=str(error))
        if self.closing.is_set():
            return  # the render was ended, not the job
        with self._disk:
            if job.id not in self._jobs or job.ends_at is not None:  # deleted, or stopped
                self._shelf.discard(bench)
                return
            if failure is None:
                self._shelf.keep(bench, job.id)
            else:
                self._shelf.discard(bench)
            self._end(job, failure)

    def _end(self, job: Job, failure: Failure | None, *, at: float | None = None) -> None:
        ends_at = at or max(time.time(), job.accepted_at + self.config.least_seconds(job.recipe.seed))
        self._shelf.write(replace(job, ends_at=ends_at, failure=failure))
        with self._lock:
            job.failure, job.ends_at = failure, ends_at


def _log_row(create: _Create, now: float) -> dict[str, object]:
    job = create.job
    return {
        "id": job.id if job else None,
        "dialect": create.dialect,
        "model": create.model,
        "prompt": create.prompt,
        "at": create.at,
        "accepted": job is not None,
        "ended": job.ends_at if job and job.has_ended(now) else None,
    }
