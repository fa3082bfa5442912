"""A prediction in Replicate's format."""

from __future__ import annotations

import time

from genqueue_site.studio.dialects.replicate.models import MODELS
from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.reading import iso

NAME = "replicate"
KEPT_SECONDS = 3600  # how long input, output and logs are kept after the end
STEPS = 20  # of the progress bar in the logs
SENSITIVE = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
ENDED_SOONER = {"canceled": "canceled", "aborted": "aborted", "expired": "aborted"}


def status_of(job: Job) -> str:
    """Return the job's status in the vendor's words."""
    if not job.has_ended(time.time()):
        return "processing" if job.rendering else "starting"
    return "succeeded" if job.failure is None else ENDED_SOONER.get(job.failure.code, "failed")


def is_removed(job: Job) -> bool:
    """Whether the job's data has been deleted."""
    if job.ends_at is None or not job.has_ended(time.time()):
        return False
    return job.doom == "removed" or time.time() > job.ends_at + KEPT_SECONDS


def prediction(floor: Floor, job: Job) -> dict[str, object]:
    """Return the whole prediction."""
    status, removed = status_of(job), is_removed(job)
    ends_at = job.ends_at if job.has_ended(time.time()) else None
    address = f"{job.echo['origin']}/v1/predictions/{job.id}"
    metrics: dict[str, float] = {}
    if ends_at and job.started_at:
        metrics = {"predict_time": ends_at - job.started_at, "total_time": ends_at - job.accepted_at}
    return {
        "id": job.id,
        "model": job.model,
        "version": job.echo["version"],
        "status": status,
        "input": {} if removed else job.echo["input"],
        "output": None if removed or status != "succeeded" or job.doom == "no_output" else _output(job),
        "logs": "" if removed else _logs(floor, job),
        "error": _error(job) if status == "failed" else None,
        "metrics": metrics,
        "created_at": iso(job.accepted_at),
        "started_at": iso(job.started_at),
        "completed_at": iso(ends_at),
        "deadline": iso(job.deadline),
        "data_removed": removed,
        "source": "api",
        "urls": {
            "get": address,
            "cancel": f"{address}/cancel",
            "web": f"https://replicate.com/p/{job.id}",
            "stream": f"https://stream.replicate.com/v1/files/{job.id}",
        },
    }


def _output(job: Job) -> str | list[str]:
    urls = [f"{job.echo['origin']}/replicate.delivery/{job.id}/{name}" for name in job.recipe.files]
    return urls if MODELS[job.model].lists else urls[0]


def _error(job: Job) -> str:
    assert job.failure is not None
    return SENSITIVE if job.failure.code == "moderation_blocked" else f"{job.failure.message} (E1000)"


def _logs(floor: Floor, job: Job) -> str:
    """Return the logs: the seed and a progress bar."""
    if job.started_at is None:
        return ""
    share = (time.time() - job.accepted_at) / max(floor.config.least_seconds(job.recipe.seed), 1e-3)
    done = STEPS if job.has_ended(time.time()) else min(STEPS - 1, int(STEPS * share))
    bar = f"{'█' * done}{' ' * (STEPS - done)}"
    return f"Using seed: {job.recipe.seed}\n{100 * done // STEPS:3}%|{bar}| {done}/{STEPS}\n"
