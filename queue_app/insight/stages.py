"""
The stages of a job's work: done, current, failed, skipped, and the seconds of each. They are read off the job's history or, if
its type has a pipeline, off the rows that the pipeline leaves (`JobStage`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from queue_app.models import Job, JobEvent, State
from queue_app.models.job import IN_FLIGHT_STATES
from queue_app.statements import Statement
from queue_app.work import pipeline
from queue_app.work.pipeline import Pipeline

Standing = Literal["done", "now", "wait", "bad", "skipped"]
STORING_PARTS = ("download", "post-processing", "storage")
_TAKEN_UP = (State.SUBMITTING, State.RUNNING, State.STORING)
# of the results, which may be large, only the report that one of the stages leaves on the quality of what was made
_ROWS = Statement("""
    SELECT job_id, name, started_at, ended_at, seconds, skipped, result -> 'report'
      FROM queue_app_jobstage
     WHERE job_id = ANY(%(jobs)s::bigint[]) AND step = ''
     ORDER BY job_id, started_at, id
""")


@dataclass(frozen=True)
class Stage:
    """One stage. ``status``: done, now, wait, skipped, or bad (the work ended there); ``seconds`` so far, if known."""

    name: str
    status: Standing
    seconds: float | None = None


class StageRow(NamedTuple):
    """A row of a stage that has begun."""

    started_at: datetime
    ended_at: datetime | None
    seconds: float | None
    skipped: bool


@dataclass(frozen=True)
class Kept:
    """
    What a job's pipeline has left so far: the row of each stage that has begun, by its name; the checks of what was made, each
    with ``name``, ``outcome``, ``figure``, ``bound`` and ``sentence``; and their verdict: approve, review, reject, or ``None``.
    """

    rows: Mapping[str, StageRow] = field(default_factory=dict)
    checks: Sequence[Mapping[str, Any]] = ()
    verdict: str | None = None


NOTHING = Kept()


def kept_of(jobs: Iterable[Job]) -> dict[int, Kept]:
    """Return what the pipelines of these jobs have left, by job; `NOTHING` for all others. One query, none without pipelines."""
    piped = [job.pk for job in jobs if pipeline.of(job.kind_id)]
    rows: dict[int, dict[str, StageRow]] = defaultdict(dict)
    reports: dict[int, Mapping[str, Any]] = defaultdict(dict)
    for pk, name, *row, report in _ROWS.run(jobs=piped) if piped else ():
        rows[pk][name] = StageRow(*row)
        if report:
            reports[pk] = report
    found = {pk: Kept(rows[pk], reports[pk].get("checks", ()), reports[pk].get("verdict")) for pk in piped}
    return defaultdict(lambda: NOTHING, found)


def stages(job: Job, events: Iterable[JobEvent], *, at: datetime, kept: Kept = NOTHING) -> list[Stage]:
    """
    Return the stages of the job's current try, from its ``events`` in order.

    :param kept: what its pipeline has left, if its type has one (`kept_of`).
    """
    if piped := pipeline.of(job.kind_id):
        return list(_of_pipeline(piped, job, kept.rows, at))
    moves = [event for event in events if event.from_state != event.to_state]
    last_queued = max((index for index, move in enumerate(moves) if move.to_state == State.QUEUED), default=0)
    this_try = moves[last_queued:]
    begun = {state: next((move.at for move in this_try if move.to_state == state), None) for state in _TAKEN_UP}
    claimed_at, running_at, storing_at = begun.values()
    return [
        Stage("validation", "done", 0.0),
        _stage("submission", claimed_at, running_at, job.ended_at, at),
        _stage("generation", running_at, storing_at, job.ended_at, at),
        *_storing(job, this_try, storing_at, at),
    ]


def current(found: Iterable[Stage]) -> str | None:
    """Return the name of the current stage, or of the one that failed; ``None`` while the job waits and once it is complete."""
    return next((stage.name for stage in found if stage.status in ("now", "bad")), None)


def _of_pipeline(piped: Pipeline, job: Job, rows: Mapping[str, StageRow], at: datetime) -> Iterator[Stage]:
    """Yield its stages. Finished ones stay so when it is queued again; the first of the others is where it is, or ended."""
    here: Standing = "now" if job.state in IN_FLIGHT_STATES else "bad" if job.ended_at and job.attempt_number else "wait"
    for one in piped.stages:
        row = rows.get(one.name)
        if (row and row.skipped) or (one.is_skipped and one.is_skipped(job.metadata)):
            yield Stage(one.name, "skipped")
        elif (row and row.ended_at) or job.state == State.COMPLETED:
            yield Stage(one.name, "done", row.seconds if row else None)
        else:
            begun = row.started_at if row and here != "wait" else None
            yield Stage(one.name, here, _seconds(begun, job.ended_at or at) if begun else None)
            here = "wait"


def _stage(name: str, begun: datetime | None, done: datetime | None, ended: datetime | None, at: datetime) -> Stage:
    if begun is None:
        return Stage(name, "wait")
    status: Standing = "done" if done else "bad" if ended else "now"
    return Stage(name, status, _seconds(begun, done or ended or at))


def _storing(job: Job, moves: list[JobEvent], begun: datetime | None, at: datetime) -> list[Stage]:
    if begun is None:
        return [Stage(name, "wait") for name in STORING_PARTS]
    if job.state == State.COMPLETED:
        told = {part["name"]: part.get("seconds") for part in moves[-1].data.get("stages", [])}
        return [Stage(name, "done", told.get(name)) for name in STORING_PARTS]
    first, *rest = STORING_PARTS
    return [_stage(first, begun, None, job.ended_at, at), *(Stage(name, "wait") for name in rest)]


def _seconds(begun: datetime, done: datetime) -> float:
    return round(max(0.0, (done - begun).total_seconds()), 3)
