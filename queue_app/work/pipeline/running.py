"""
Run the stages of a job, in order and under one lease, and keep what each has made.

A worker may die at any line. Whoever takes the job up next begins at the first stage that has no result, and in it at the first
call that has none.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from queue_app import clock, database, lifecycle, wake
from queue_app.lifecycle import Lease, Trouble
from queue_app.models import Attempt, Job, JobStage, Outcome, State
from queue_app.providers.base import ProviderError, RemoteRef
from queue_app.work import answers, progress
from queue_app.work.pipeline import calls, kept
from queue_app.work.pipeline.calls import Stopped
from queue_app.work.pipeline.shape import Json, Pipeline, PipelineStage, Question, StageFailed, Unusable, of

log = logging.getLogger(__name__)
UNREADABLE = timedelta(seconds=30)  # until a saved answer that can't be read is tried again
SHARE_FOR_CALLS = 0.13  # of a task's time limit, in which calls may begin: 30 of 230 s, since one takes up to 170 s
Leased = tuple[Lease, State]


class Running:
    """A job at work: `shape.StageRun` for its stages."""

    def __init__(self, job: Job, attempt: Attempt, lease: Lease, *, may_go_on: Callable[[], bool] = lambda: True):
        pipeline = of(job.kind_id)
        if pipeline is None:
            raise RuntimeError(f"{job} of kind {job.kind_id} has no pipeline")
        self.job_id, self.owner_id, self.prompt = job.pk, job.owner_id, job.prompt
        self.metadata: Mapping[str, Any] = job.metadata
        self.results: dict[str, Json] = {}
        self._job, self._main, self._lease, self._may_go_on = job, attempt, lease, may_go_on
        self._pipeline: Pipeline = pipeline
        self._began = time.monotonic()
        self._now: PipelineStage | None = None
        self._rows = {row.name: row for row in JobStage.objects.filter(job=job, step="")}
        self.results |= {name: row.result for name, row in self._rows.items() if row.ended_at and not row.skipped}

    def stages(self, *, saves: bool) -> list[PipelineStage]:
        return [stage for stage in self._pipeline.stages if stage.saves == saves]

    def do(self, stage: PipelineStage) -> Json:
        """Run a stage, unless it has its result, and return that."""
        if (row := self._rows.get(stage.name)) is not None and row.ended_at:
            return row.result
        self._now = stage
        if stage.is_skipped and stage.is_skipped(self.metadata):
            self._keep(stage.name, "", None, seconds=0.0, at=database.again(clock.now), skipped=True)
            return None
        at = database.again(clock.now)
        database.again(lambda: self.begin(stage.name, at=at))
        began = time.monotonic()
        try:
            kept.tell_hooks("before", self.job_id, stage.name)
            result = kept.plain(stage.work(self) if stage.work else None)
        except Stopped:
            raise
        except StageFailed as problem:
            kept.tell_hooks("error", self.job_id, stage.name, problem)
            self._fail(Trouble(problem.code, str(problem)))
            raise Stopped from problem
        except Exception as problem:
            if database.is_gone(problem):
                raise
            log.exception("job %s: stage %s failed", self.job_id, stage.name)
            kept.tell_hooks("error", self.job_id, stage.name, problem)
            self._put_back(Trouble("stage_failed", f"The stage {stage.name} failed: {type(problem).__name__}."))
            raise Stopped from problem
        self._keep(stage.name, "", result, seconds=time.monotonic() - began, at=database.again(clock.now))
        kept.tell_hooks("after", self.job_id, stage.name)
        self.results[stage.name] = result
        return result

    # --- what stages use --------------------------------------------------------------------------------------------

    def ask(self, step: str, question: Callable[[Unusable | None], Question], read: Callable[[str], Json]) -> Json:
        """See `shape.StageRun.ask`."""
        stage = self._stage.name
        if (done := calls.steps_of(self._job, stage).get(step)) is not None:
            return done.result
        while True:
            began = time.monotonic()
            call, text = self._answered(step, question)
            try:
                result = kept.plain(_understood(text, read))
            except Unusable as problem:
                calls.close_unusable(call, problem, self._lease)
                continue
            self._keep(stage, step, result, seconds=time.monotonic() - began, at=database.again(clock.now), call=call)
            return result

    def once(self, step: str, make: Callable[[], Json]) -> Json:
        """See `shape.StageRun.once`."""
        stage = self._stage.name
        if (done := calls.steps_of(self._job, stage).get(step)) is not None:
            return done.result
        began = time.monotonic()
        result = kept.plain(make())
        self._keep(stage, step, result, seconds=time.monotonic() - began, at=database.again(clock.now))
        return result

    def advance(self, share: float) -> None:
        """See `shape.StageRun.advance`."""
        self._tell(self._stage.share * min(max(share, 0.0), 1.0))

    def deliver(self) -> list[Leased]:
        """Record that all paid calls are done (T10)."""
        with self._reading("leftover calls"):
            calls.close_leftovers(self._job)
        at = database.again(clock.now)
        called_at = self._main.called_at or at

        @transaction.atomic
        def done() -> list[Leased]:
            held = lifecycle.held_by(self._lease)
            if held is None:
                return []
            lease = lifecycle.deliver(
                held,
                at=at,
                actor="worker",
                ran_seconds=(at - called_at).total_seconds(),
                usd_actual=self._cost(),
                progress=sum(stage.share for stage in self.stages(saves=False)),
            )
            return [(lease, State.STORING)]

        return database.again(done, look=lambda: lifecycle.given_out(at))

    # --- inside -----------------------------------------------------------------------------------------------------

    @property
    def _stage(self) -> PipelineStage:
        if self._now is None:
            raise RuntimeError("no stage is at work")
        return self._now

    def _answered(self, step: str, question: Callable[[Unusable | None], Question]) -> tuple[Attempt, str | None]:
        """Return an open call of a step and the text of its answer; ``None`` if that is truncated."""
        with self._reading(step):
            call, ref = self._called(step, question)
            return call, calls.text_of(self._job, self._main, call, self._lease, ref)

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """
        Come back later if saved answers can't be read in this block. They are paid: they are read once the storage, or a host
        with the account's key, is there again.
        """
        try:
            yield
        except (OSError, ProviderError) as problem:
            log.warning("job %s: the answer to %s can't be read now: %s", self.job_id, what, problem)
            self._come_back(UNREADABLE)
            raise Stopped from problem

    def _called(self, step: str, question: Callable[[Unusable | None], Question]) -> tuple[Attempt, RemoteRef]:
        """Return an open call of a step and its answer: one that a worker made who has died since, or a new one."""
        last = database.again(lambda: calls.last_call(self._job, step))
        if last is not None and last.outcome is None:
            if (ref := calls.saved_answer(last)) is not None:
                return last, ref
            calls.close_lost(last, self._lease)
        self._stop_unless_in_time()
        before = None
        if last is not None and last.outcome == Outcome.FAILED and last.reservation_id == self._main.reservation_id:
            before = Unusable(last.error_kind, last.error_message)
        return calls.make_call(self._job, self._main, self._lease, step, question(before))

    def _stop_unless_in_time(self) -> None:
        """Leave the next call to another worker if the time limit of this task could end it."""
        if self._may_go_on() and time.monotonic() - self._began < SHARE_FOR_CALLS * settings.TIMES.long_task:
            return
        self._come_back(timedelta(0))
        raise Stopped

    def _come_back(self, after: timedelta) -> None:
        """Give up the lease: a worker goes on here after this time."""
        calls.come_back(self._lease, at=database.again(clock.now) + after)

    def begin(self, name: str, *, at: datetime) -> None:
        """Record that a stage has begun."""
        row, _ = JobStage.objects.get_or_create(job_id=self.job_id, name=name, step="", defaults={"started_at": at})
        self._rows[name] = row
        self._tell()

    def _keep(
        self,
        name: str,
        step: str,
        result: Json,
        *,
        seconds: float,
        at: datetime,
        skipped: bool = False,
        call: Attempt | None = None,
    ) -> None:
        """
        Keep the result of a stage or step, and with it that of its call.

        :raises Stopped: the lease is outdated. The result of a paid call is kept in any case.
        """
        cost = calls.cost_of(call) if call else None
        values = kept.fields_of(result, seconds=seconds, at=at, skipped=skipped)

        @transaction.atomic
        def keep() -> bool:
            held = lifecycle.held_by(self._lease)
            if held is None and call is None:
                return False
            if call is not None and not lifecycle.end_call(call, Outcome.DELIVERED, at=at, cost=cost) and held is None:
                words = f"Late answer to step {step}, call {call.number}. It may be billed."
                lifecycle.note(self._job, at=at, actor="worker", reason=words)
            started_at = at - timedelta(seconds=seconds)
            JobStage.objects.update_or_create(
                job_id=self.job_id, name=name, step=step, defaults=values, create_defaults={**values, "started_at": started_at}
            )
            if held is None:
                return False
            Job.objects.filter(pk=self.job_id).update(worker_deaths=0)
            return True

        is_ours = database.again(keep)
        if call is not None:
            answers.drop(call)
        if not is_ours:
            raise Stopped
        if not step:
            self._rows[name] = JobStage(job_id=self.job_id, name=name, started_at=at, **values)
            self._tell()

    def _tell(self, further: float = 0.0) -> None:
        """Tell how much of the whole work is done: the finished stages, and ``further`` of the one at work."""
        done = sum(stage.share for stage in self._pipeline.stages if (row := self._rows.get(stage.name)) and row.ended_at)
        Job.objects.filter(pk=self.job_id, fence=self._lease.fence).update(progress=round(min(done + further, 1.0), 3))
        wake.jobs_changed([self.job_id])

    def _cost(self) -> Decimal | None:
        """Return what the provider charged for all answered calls; ``None`` unless it told that for each."""
        paid = Attempt.objects.filter(reservation=self._main.reservation_id, outcome__in=(Outcome.DELIVERED, Outcome.FAILED))
        told = list(paid.exclude(step="main").values_list("cost", flat=True))
        return sum((cost for cost in told if cost is not None), Decimal(0)) if told and None not in told else None

    def _fail(self, trouble: Trouble) -> None:
        @transaction.atomic
        def fail() -> None:
            held = lifecycle.held_by(self._lease)
            if held is not None:
                lifecycle.fail(held, at=clock.now(), actor="worker", trouble=trouble)

        database.again(fail)

    def _put_back(self, trouble: Trouble) -> None:
        @transaction.atomic
        def put_back() -> None:
            held = lifecycle.held_by(self._lease)
            if held is None:
                return
            at = clock.now()
            if held.state == State.STORING:
                lifecycle.fail(held, at=at, actor="worker", trouble=trouble, outcome=Outcome.LOST, review=trouble.message)
                return
            again_at = progress.retry_at(held, at=at)
            lifecycle.put_back(
                held, at=at, actor="worker", outcome=Outcome.FAILED, spent=True, trouble=trouble, not_before=again_at
            )

        database.again(put_back)


def _understood(text: str | None, read: Callable[[str], Json]) -> Json:
    """Return what ``read`` makes of an answer; a fault in it is not the worker's end, and few answers are paid for it."""
    if text is None:
        raise Unusable(calls.CUT_OFF, "The answer was cut off at the model's limit.")
    try:
        return read(text)
    except Unusable:
        raise
    except Exception as bug:
        log.exception("an answer could not be read")
        raise Unusable("not_read", f"The answer could not be read: {type(bug).__name__}.") from bug
