"""What workers do on a job that works in stages, by its state: begin, work, stop, and make its files."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from django.db import transaction

from queue_app import clock, database, lifecycle
from queue_app.lifecycle import Lease
from queue_app.models import Attempt, Job, JobStage, State
from queue_app.work.pipeline import calls, kept
from queue_app.work.pipeline.calls import Stopped
from queue_app.work.pipeline.running import Leased, Running
from queue_app.work.pipeline.shape import Json, MadeFile, of


def enter(job: Job, attempt: Attempt, lease: Lease) -> list[Leased]:
    """Begin the work on a claimed job (T3). Return the lease for its stages, or nothing if it was asked to stop."""
    at = database.again(clock.now)

    @transaction.atomic
    def begin() -> list[Leased]:
        held = lifecycle.held_by(lease)
        own = lifecycle.begin_steps(held, at=at, actor="worker") if held else None
        return [(own, State.RUNNING)] if own else []

    return database.again(begin, look=lambda: lifecycle.given_out(at))


def work(job: Job, attempt: Attempt, lease: Lease, *, may_go_on: Callable[[], bool] = lambda: True) -> list[Leased]:
    """
    Run the stages with paid calls. Return the lease for saving when all are finished (T10), else nothing: the job has moved on,
    or is due at once for another worker, because this one has no time left for a further call.
    """
    running = Running(job, attempt, lease, may_go_on=may_go_on)
    try:
        for stage in running.stages(saves=False):
            running.do(stage)
        return running.deliver()
    except Stopped:
        return []


def stop(job: Job, attempt: Attempt, lease: Lease) -> list[Leased]:
    """End a job that was asked to stop. Return no leases."""
    calls.stop(job, attempt, lease)
    return []


def files(job: Job, attempt: Attempt, lease: Lease, room: Path) -> list[tuple[str, str, Path]]:
    """
    Run the stages after the paid calls; return kind, content type and path of each file of the job, in ``room``.

    :raises Stopped: the job has failed, or is no longer ours.
    """
    running = Running(job, attempt, lease)
    *stages, saving = running.stages(saves=True)
    made: Json = {}
    for stage in stages:
        made = running.do(stage)
    database.again(lambda: running.begin(saving.name, at=clock.now()))
    kept.tell_hooks("before", job.pk, saving.name)
    found = []
    for number, one in enumerate((MadeFile(**file) for file in made["files"]), 1):
        path = room / str(number)
        path.write_text(one.text, encoding="utf-8")
        found.append((one.kind, one.content_type, path))
    return found


def saved(job: Job, files: Json, *, seconds: float, at: datetime) -> None:
    """Record the last stage of a job: its files are saved. Runs in the transaction that completes the job."""
    pipeline = of(job.kind_id)
    if pipeline is not None:
        values = kept.fields_of({"files": files}, seconds=seconds, at=at)
        saving = pipeline.stages[-1].name
        JobStage.objects.filter(job=job, name=saving, step="").update(**values)
        transaction.on_commit(partial(kept.tell_hooks, "after", job.pk, saving))
