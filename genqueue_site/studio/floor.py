"""
The studio's capacity: accepts jobs, renders a few at a time, ends each at its time, and counts them. Texts cost no rendering:
they are written beside the renders and never wait for one.

All counts are made under one lock, so that ``running`` and ``peak`` are exact with any number of concurrent clients.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from genqueue_site.studio import prose
from genqueue_site.studio.config import Config
from genqueue_site.studio.jobs import Failure, Job, Recipe, Shelf
from genqueue_site.studio.rendering import RenderFailed, Rendering
from genqueue_site.studio.timetable import Timetable
from genqueue_site.studio.wire import Hangup, Moment

WAIT_SECONDS = 0.02  # between two looks at a job that is waited for
LOG_ROWS = 100_000  # most create calls in the log; the oldest are dropped
CANCELED = Failure(code="canceled", message="The job was canceled.")
ABORTED = Failure(code="aborted", message="The deadline passed before the job started.")
DOOMS = {
    "failed": Failure(code="generation_failed", message="The video generation failed."),
    "moderated": Failure(code="moderation_blocked", message="Your request was blocked by our moderation system."),
    "canceled": CANCELED,
    "expired": Failure(code="expired", message="The job expired before it was finished."),
}


class Full(Exception):
    """The studio runs its most jobs. Another try may succeed in ``retry_after`` seconds."""

    def __init__(self, running: int, retry_after: int) -> None:
        super().__init__(f"The studio is at its limit of running videos ({running}). Try again in {retry_after}s.")
        self.retry_after = retry_after


@dataclass(frozen=True, kw_only=True)
class Order:
    """A create call that its dialect has accepted. ``id`` is the new id of its job; ``cancel_after`` is in seconds."""

    dialect: str
    id: str
    recipe: Recipe
    echo: dict[str, Any]
    webhook: str | None = None
    cancel_after: float | None = None
    doom: str | None = None


@dataclass(frozen=True)
class _Create:
    dialect: str
    model: str | None
    prompt: str | None
    at: float
    job: Job | None


class _Line:
    """Jobs that wait for one of some threads."""

    def __init__(self) -> None:
        self.waiting: deque[Job] = deque()
        self.work = threading.Semaphore(0)

    def join(self, job: Job) -> None:
        """Let a job wait; the caller has the floor's lock."""
        self.waiting.append(job)
        self.work.release()


class Floor:
    """
    All jobs of the studio, on disk and running. Thread-safe.

    ``tell`` is called by the timetable when a job starts and when it ends.
    """

    def __init__(self, config: Config, tell: Callable[[Job, Moment], None]) -> None:
        self.config = config
        self.closing = threading.Event()
        self.times = Timetable()
        self._tell = tell
        self._shelf = Shelf(config.home)
        self._disk = threading.Lock()  # taken before _lock; writing a job may be slow, and polls must not wait for it
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: set[str] = set()
        self._creates: deque[_Create] = deque(maxlen=LOG_ROWS)
        self._to_render, self._to_write = _Line(), _Line()
        self._renderings: dict[str, Rendering] = {}
        for job in self._shelf.load():
            self._admit(job)
            self._note(job)
        self._peak = self._settle(time.time())

    def open(self) -> None:
        """Start rendering, including jobs that an earlier studio left unfinished."""
        self.times.open()
        for number in range(self.config.parallel_renders):
            threading.Thread(target=self._work_off, args=[self._to_render], name=f"render-{number}", daemon=True).start()
        threading.Thread(target=self._work_off, args=[self._to_write], name="write", daemon=True).start()

    def close(self) -> None:
        """Kill the renders. Their jobs stay accepted and are rendered after the next start."""
        self.closing.set()
        self.times.close()
        with self._lock:
            for rendering in self._renderings.values():
                rendering.kill()

    def accept(self, order: Order) -> Job:
        """
        Accept a job and return it; it is durable by then.

        :raises Full: ``max_running`` jobs are running.
        """
        with self._disk:
            with self._lock:
                self._refuse_when_full()
            now = time.time()
            job = Job(
                id=order.id,
                dialect=order.dialect,
                model=order.recipe.model,
                recipe=order.recipe,
                echo=order.echo,
                accepted_at=now,
                webhook=order.webhook,
                deadline=None if order.cancel_after is None else now + order.cancel_after,
                doom=order.doom,
            )
            self._shelf.write(job)
            with self._lock:
                self._admit(job)
                self._note(job)
                self._peak = max(self._peak, self._settle(time.time()))
        return job

    def turn_away(self, *, dialect: str, model: str | None, prompt: str | None) -> None:
        """Log a create call that was not accepted."""
        with self._lock:
            self._creates.append(_Create(dialect, model, prompt, time.time(), None))

    def find(self, job_id: str, *, dialect: str) -> Job | None:
        """Return the job of a dialect with this id, or ``None``."""
        with self._lock:
            job = self._jobs.get(job_id)
        return job if job and job.dialect == dialect else None

    def all_of(self, dialect: str) -> list[Job]:
        """Return the jobs of a dialect, oldest first."""
        with self._lock:
            return [job for job in self._jobs.values() if job.dialect == dialect]

    def file_of(self, job: Job, name: str) -> bytes:
        """
        Return the content of a file of a completed job.

        :raises FileNotFoundError: the job has been deleted in the meantime.
        """
        return self._shelf.read(job.id, name)

    def wait_for_end(self, job: Job) -> None:
        """
        Wait until a job has ended.

        :raises Hangup: the studio closes.
        """
        while not job.has_ended(now := time.time()):
            left = job.ends_at - now if job.ends_at is not None else WAIT_SECONDS
            if self.closing.wait(min(WAIT_SECONDS, max(0.0, left))):
                raise Hangup

    def waiting_before(self, job: Job) -> int:
        """Return the number of jobs that are rendered before this one."""
        with self._lock:
            return next((place for place, other in enumerate(self._line_of(job).waiting) if other is job), 0)

    def cancel(self, job: Job, failure: Failure = CANCELED) -> bool:
        """End a job now, without files, and keep it. Return false if it has ended or has been deleted."""
        with self._disk:
            with self._lock:
                now = time.time()
                if job.id not in self._jobs or job.has_ended(now):
                    return False
                if rendering := self._renderings.get(job.id):
                    rendering.kill()
            self._end(job, failure, at=now)
            self._shelf.clear(job.id)
        return True

    def delete(self, job: Job) -> bool:
        """Delete the job and its files, and abort it if it is running. Return false if it was already deleted."""
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
        """
        Return the number of running jobs (including those from disk), its maximum since the start, and the create calls: accepted
        ones also of earlier runs, refused ones since the start.
        """
        with self._lock:
            now = time.time()
            running = self._settle(now)
            return {"running": running, "peak": self._peak, "creates": [_log_row(create, now) for create in self._creates]}

    def _admit(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._running.add(job.id)
        if job.ends_at is None:
            self._line_of(job).join(job)
        elif not job.has_ended(time.time()):
            self.times.at(job.ends_at, partial(self._tell_of_end, job, job.ends_at))
        if job.deadline is not None and not job.has_ended(time.time()):
            self.times.at(job.deadline, partial(self._miss_deadline, job))

    def _line_of(self, job: Job) -> _Line:
        return self._to_write if job.recipe.codec == "text" else self._to_render

    def _note(self, job: Job) -> None:
        self._creates.append(_Create(job.dialect, job.model, job.recipe.prompt, job.accepted_at, job))

    def _miss_deadline(self, job: Job) -> None:
        self.cancel(job, ABORTED if job.started_at is None else CANCELED)

    def _settle(self, now: float) -> int:
        """Remove jobs from the running ones whose end time has come; return the number of the others."""
        self._running -= {job_id for job_id in self._running if self._jobs[job_id].has_ended(now)}
        return len(self._running)

    def _refuse_when_full(self) -> None:
        now = time.time()
        running, cap = self._settle(now), self.config.max_running
        if cap and running >= cap:
            oldest = min(self._jobs[job_id].accepted_at for job_id in self._running)
            raise Full(running, max(1, round(oldest + self.config.seconds_per_job - now)))

    def _work_off(self, line: _Line) -> None:
        while True:
            line.work.acquire()
            if self.closing.is_set():
                return
            with self._lock:
                job = line.waiting.popleft()
                if job.id not in self._jobs or job.ends_at is not None:
                    continue
                rendering = self._renderings[job.id] = Rendering()
                job.rendering = True
                if job.started_at is None:
                    job.started_at = time.time()
                    self.times.at(job.started_at, partial(self._tell, job, "start"))
            try:
                self._render(job, rendering)
                again = False
            except OSError as error:  # probably a full disk; the job is accepted, so keep trying
                print(f"Studio could not write {job.id}. Trying again: {error}", file=sys.stderr, flush=True)
                self.closing.wait(1)
                again = True
            with self._lock:
                del self._renderings[job.id]
                if again:
                    line.join(job)

    def _render(self, job: Job, rendering: Rendering) -> None:
        failure = DOOMS.get(job.doom or "")
        bench = self._shelf.bench()
        try:
            if failure is None and job.recipe.codec == "text":  # too quick for a process of its own
                prose.write_file(job.recipe, bench)
            elif failure is None:
                rendering.run(job.recipe.within(self.config.longer_side), bench)
        except RenderFailed as error:
            failure = Failure(code="render_failed", message=str(error))
        if self.closing.is_set():
            return  # the render was killed, the job goes on after the next start
        with self._disk:
            if job.id not in self._jobs or job.ends_at is not None:  # deleted or canceled in the meantime
                self._shelf.discard(bench)
                return
            if failure is None:
                self._shelf.keep(bench, job.id)
            else:
                self._shelf.discard(bench)
            self._end(job, failure, at=max(time.time(), job.accepted_at + self.config.least_seconds(job.recipe.seed)))

    def _end(self, job: Job, failure: Failure | None, *, at: float) -> None:
        self._shelf.write(replace(job, ends_at=at, failure=failure))
        with self._lock:
            job.failure, job.ends_at = failure, at
        self.times.at(at, partial(self._tell_of_end, job, at))

    def _tell_of_end(self, job: Job, at: float) -> None:
        if job.ends_at == at and job.id in self._jobs:  # not if it was canceled earlier or deleted
            self._tell(job, "end")


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
        "failure": job.failure.code if job and job.failure and job.has_ended(now) else None,
    }
