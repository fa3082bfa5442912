"""A request in fal's format: its status, its result, its row in the lists."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import CONTENT_TYPES, Failure, Job
from genqueue_site.studio.reading import iso
from genqueue_site.studio.wire import Response, json_response

NAME, PREFIX = "fal", "/fal"
CANCELLED = Failure(code="client_cancelled", message="Request was cancelled by the client.")
NEVER_BEGAN = Failure(code="never_began", message="Request timed out")
# HTTP status and type of the error of a failed job, next to its status and in place of its result; for a blocked job only there
ENDS = {
    "generation_failed": (500, "runner_server_error"),
    "render_failed": (500, "internal_error"),
    "expired": (504, "generation_timeout"),
    "canceled": (499, "client_cancelled"),
    "client_cancelled": (499, "client_cancelled"),
    "never_began": (504, "request_timeout"),
}


def headers() -> dict[str, str]:
    """Return the headers of every answer."""
    return {"x-fal-request-id": str(uuid.uuid4())}


def state_of(floor: Floor, job: Job) -> str:
    """Return the status of a request. One that has not begun in time ends here."""
    if not job.has_ended(time.time()) and job.started_at is None and time.time() > job.echo["start_by"]:
        floor.cancel(job, NEVER_BEGAN)
    if job.has_ended(time.time()):
        return "COMPLETED"
    return "IN_QUEUE" if job.started_at is None else "IN_PROGRESS"


def status(floor: Floor, job: Job, *, logs: bool) -> Response:
    """Return the answer about a request's status: 202 until it has ended."""
    state = state_of(floor, job)
    body: dict[str, Any] = {"status": state, "request_id": job.id}
    if state == "IN_QUEUE":
        body["queue_position"] = floor.waiting_before(job)
    else:
        body["logs"] = [] if logs else None
    if state != "COMPLETED":
        return json_response(body, status=202, headers=headers())
    body["metrics"] = {"inference_time": round((job.ends_at or 0.0) - (job.started_at or job.ends_at or 0.0), 3)}
    if job.failure and job.failure.code in ENDS:
        body |= {"error": job.failure.message, "error_type": ENDS[job.failure.code][1]}
    return json_response(body, headers=headers())


def result(job: Job) -> Response:
    """Return the answer with the output of a request that has ended, or with its error."""
    if job.failure is None:
        return json_response(output(job), headers=headers())
    if job.failure.code not in ENDS:
        wrong = problem("prompt", job.failure.message, "content_policy_violation", job.recipe.prompt)
        return json_response({"detail": [wrong]}, status=422, headers=headers() | {"X-Fal-Retryable": "false"})
    code, kind = ENDS[job.failure.code]
    more = {"X-Fal-Request-Timeout-Type": "user"} if job.failure is NEVER_BEGAN else {}
    body = {"detail": job.failure.message, "error_type": kind}
    return json_response(body, status=code, headers=headers() | {"X-Fal-Error-Type": kind} | more)


def output(job: Job) -> dict[str, Any]:
    """Return the output of a request, with the addresses of its files."""
    files: list[dict[str, Any]] = [
        {
            "url": f"{job.echo['origin']}{PREFIX}/files/{job.id}/{name}",
            "content_type": CONTENT_TYPES[name[name.rindex(".") :]],
            "file_name": name,
        }
        for name in ([] if job.doom == "no_output" else job.recipe.files)
    ]
    if job.recipe.seconds:
        return {"video": files[0] if files else None, "seed": job.recipe.seed}
    sides = {"width": job.recipe.width, "height": job.recipe.height}
    return {"images": [file | sides for file in files], "seed": job.recipe.seed, "description": ""}


def row(job: Job, *, payloads: bool) -> dict[str, Any]:
    """Return a request as a row of the platform's lists."""
    ended = job.has_ended(time.time())
    code = None if not ended else 200 if job.failure is None else ENDS.get(job.failure.code, (422, ""))[0]
    body: dict[str, Any] = {
        "request_id": job.id,
        "endpoint_id": job.model,
        "sent_at": iso(job.accepted_at),
        "started_at": iso(job.started_at),
        "ended_at": iso(job.ends_at if ended else None),
        "status_code": code,
        "duration": round((job.ends_at or 0.0) - job.accepted_at, 3) if ended else None,
    }
    if payloads:
        body["json_input"] = json.loads(job.echo["input"])
        body["json_output"] = output(job) if ended and job.failure is None else None
    return body


def problem(name: str, words: str, kind: str, value: object) -> dict[str, Any]:
    """Return the problem of a field, in the format of fal's models."""
    url = f"https://docs.fal.ai/errors#{kind}"
    return {"loc": ["body", name], "msg": words, "type": kind, "url": url, "ctx": {}, "input": value}
