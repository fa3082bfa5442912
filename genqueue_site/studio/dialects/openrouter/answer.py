"""A video job in OpenRouter's format."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import urlencode

from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import Job

NAME = "openrouter"
KEPT_SECONDS = 24 * 3600  # how long files are stored after the end
ENDED_SOONER = {"canceled": "cancelled", "aborted": "expired", "expired": "expired"}
FLAGGED = "The request was blocked by the provider's content moderation."


def status_of(job: Job) -> str:
    """Return the job's status in the vendor's words."""
    if not job.has_ended(time.time()):
        return "in_progress" if job.rendering else "pending"
    return "completed" if job.failure is None else ENDED_SOONER.get(job.failure.code, "failed")


def is_kept(job: Job) -> bool:
    """Whether the result of a completed job is still stored."""
    return job.ends_at is not None and job.doom != "removed" and time.time() < job.ends_at + KEPT_SECONDS


def accepted(job: Job) -> dict[str, object]:
    """Return the answer to a create call."""
    return {"id": job.id, "polling_url": f"/api/v1/videos/{job.id}", "status": status_of(job)}


def video(floor: Floor, job: Job) -> dict[str, object]:
    """Return the whole job, without members that are not known yet."""
    status = status_of(job)
    answer = accepted(job) | {"status": status}
    if status in ("pending", "in_progress"):
        return answer
    answer["generation_id"] = job.id
    if status == "completed":
        files = [] if job.doom == "no_output" else job.recipe.files
        answer["unsigned_urls"] = [f"{_address(job)}/content?index={index}" for index in range(len(files))]
        answer["usage"] = {"cost": job.echo["cost"], "is_byok": False}
        if is_kept(job) and files:
            assert job.ends_at is not None
            answer["expires_at"] = int(job.ends_at + KEPT_SECONDS)
            answer["urls"] = [_signed(floor, job, name) for name in files]
    elif status == "failed":
        assert job.failure is not None
        answer["error"] = FLAGGED if job.failure.code == "moderation_blocked" else job.failure.message
    return answer


def event(floor: Floor, job: Job) -> dict[str, object]:
    """Return the content of the webhook for the end of a job."""
    said = video(floor, job)
    return {
        "id": job.id,
        "status": said["status"],
        "generation_id": said["generation_id"],
        "model": job.model,
        "unsigned_urls": said.get("unsigned_urls", []),
        "usage": said.get("usage"),
        "error": said.get("error"),
    }


def signature(floor: Floor, target: str, expires: str) -> str:
    """Return the signature for the address of a stored file."""
    return hmac.new(floor.config.webhook_secret.encode(), f"{target} {expires}".encode(), hashlib.sha256).hexdigest()


def _address(job: Job) -> str:
    return f"{job.echo['origin']}/api/v1/videos/{job.id}"


def _signed(floor: Floor, job: Job, name: str) -> str:
    assert job.ends_at is not None
    target, expires = f"{job.id}/{name}", str(int(job.ends_at + KEPT_SECONDS))
    query = urlencode({"expires": expires, "signature": signature(floor, target, expires)})
    return f"{job.echo['origin']}/openrouter.storage/{target}?{query}"
