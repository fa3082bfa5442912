"""The stages of a job's work, read off its history: done, current, failed, and the seconds of each."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from queue_app.models import Job, JobEvent, State

Standing = Literal["done", "now", "wait", "bad"]
STORING_PARTS = ("download", "post-processing", "storage")
_TAKEN_UP = (State.SUBMITTING, State.RUNNING, State.STORING)


@dataclass(frozen=True)
class Stage:
    """One stage. ``status``: done, now, wait, or bad (the work ended there); ``seconds`` so far, if known."""

    name: str
    status: Standing
    seconds: float | None = None


def stages(job: Job, events: Iterable[JobEvent], *, at: datetime) -> list[Stage]:
    """Return the stages of the job's current try, from its ``events`` in order."""
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
