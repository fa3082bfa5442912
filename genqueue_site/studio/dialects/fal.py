"""
fal's queue under ``/fal/{endpoint}``, and its files under ``/fal/files``; for its platform API see `fal_platform`.

A task that is over is ``COMPLETED``; whether it went well is told by an error beside that, or only by the answer to the question
for its result, as at fal. What an endpoint takes is in `fal_inputs`. Nobody needs a key.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from genqueue_site.studio.dialects.fal_inputs import FAL
from genqueue_site.studio.dialects.fal_recipes import recipe_for
from genqueue_site.studio.dialects.inputs import takes
from genqueue_site.studio.floor import Floor, Full, Order
from genqueue_site.studio.jobs import VIDEO, Failure, Job
from genqueue_site.studio.wire import Call, Dialect, Refused, Request, Response, fields_of, json_response

NAME, PREFIX = "fal", "/fal"
CANCELLED = Failure(code="client_cancelled", message="Request was cancelled by the client.")
# what a job ended with, in fal's words: HTTP status and type of error; a blocked one is told of by its result alone
ENDS = {
    "generation_failed": (500, "runner_server_error"),
    "render_failed": (500, "internal_error"),
    "client_cancelled": (499, "client_cancelled"),
    "never_began": (504, "request_timeout"),
}
THREE_PARTS = {"workflows", "comfy"}

# --- the queue ----------------------------------------------------------------------------------------------------------


def submit(floor: Floor, request: Request) -> Response:
    """Accept a request for an endpoint."""
    endpoint, fields = request.target, fields_of(request)
    if endpoint not in FAL:
        raise Refused(404, f"Application '{_app(endpoint)}' not found")
    if wrong := _wrong(endpoint, fields):
        floor.turn_away(dialect=NAME, model=endpoint, prompt=asked(request)[1])
        return json_response({"detail": wrong}, status=422, headers=_headers())
    order = Order(
        dialect=NAME,
        recipe=recipe_for(endpoint, fields),
        echo={"endpoint": endpoint, "input": json.dumps(fields), "webhook": request.query.get("fal_webhook", "")},
        doom=request.doom,
        id=str(uuid.uuid4()),
        start_within=_start_timeout(request),
    )
    try:
        job = floor.accept(order)
    except Full as error:
        raise Refused(429, str(error), retry_after=error.retry_after) from error
    root = f"http://{request.headers.get('host', '127.0.0.1')}{PREFIX}/{_app(endpoint)}/requests/{job.id}"
    told = {
        "status": "IN_QUEUE",
        "request_id": job.id,
        "gateway_request_id": job.id,
        "response_url": root,
        "status_url": f"{root}/status",
        "cancel_url": f"{root}/cancel",
        "queue_position": floor.waiting_before(job),
    }
    return json_response(told, headers=_headers())


def status(floor: Floor, request: Request) -> Response:
    """Tell how a request stands: 202 until it is over."""
    job = _find(floor, request)
    if job is None:
        return _not_found()
    state = _state(floor, job)
    told: dict[str, Any] = {"status": state, "request_id": job.id}
    if state == "IN_QUEUE":
        told["queue_position"] = floor.waiting_before(job)
    elif request.query.get("logs") == "1":
        told["logs"] = []
    if state != "COMPLETED":
        return json_response(told, status=202, headers=_headers())
    told["metrics"] = {"inference_time": round((job.ends_at or job.accepted_at) - job.accepted_at, 3)}
    if job.failure and job.failure.code in ENDS:
        told |= {"error": job.failure.message, "error_type": ENDS[job.failure.code][1]}
    return json_response(told, headers=_headers())


def result(floor: Floor, request: Request) -> Response:
    """Give the output of a request that is over, or what kept it from having one."""
    job = _find(floor, request)
    if job is None:
        return _not_found()
    if _state(floor, job) != "COMPLETED":
        raise Refused(400, "Request is still in progress")
    if job.failure is None:
        return json_response(output(job, request), headers=_headers())
    if job.failure.code in ENDS:
        code, kind = ENDS[job.failure.code]
        more = {"X-Fal-Request-Timeout-Type": "user"} if job.failure.code == "never_began" else {}
        told = {"detail": job.failure.message, "error_type": kind}
        return json_response(told, status=code, headers=_headers() | {"X-Fal-Error-Type": kind} | more)
    wrong = _problem("prompt", job.failure.message, "content_policy_violation", job.recipe.prompt)
    return json_response({"detail": [wrong]}, status=422, headers=_headers() | {"X-Fal-Retryable": "false"})


def cancel(floor: Floor, request: Request) -> Response:
    """Take a waiting request out of the queue, or tell a running one to stop, which it does."""
    job = _find(floor, request)
    if job is None:
        return _not_found()
    state = _state(floor, job)
    if state == "COMPLETED" or not floor.stop(job, CANCELLED):
        return json_response({"status": "ALREADY_COMPLETED"}, status=400, headers=_headers())
    if state == "IN_QUEUE":
        return json_response({"status": "OK"}, headers=_headers())
    return json_response({"status": "CANCELLATION_REQUESTED"}, status=202, headers=_headers())


def content(floor: Floor, request: Request) -> Response:
    """Give a file, as fal's file servers do to everyone who has its address."""
    number, _, name = request.target.partition("/")
    job = floor.find(number, dialect=NAME)
    if job is None or job.failure or job.doom == "dead_asset" or name not in _names(job):
        raise Refused(404, "File not found")
    try:
        return Response(body=floor.file_of(job, name), content_type=_content_type(job))
    except FileNotFoundError as error:
        raise Refused(404, "File not found") from error


# --- reading a request ----------------------------------------------------------------------------------------------


def _wrong(endpoint: str, fields: dict[str, object]) -> list[dict[str, Any]]:
    known = FAL[endpoint]
    missing = [name for name, kind in known.items() if (kind.endswith("!") or name == "prompt") and fields.get(name) is None]
    wrong = [_problem(name, "Field required", "missing", dict(fields)) for name in missing]
    for name, value in fields.items():
        if name in known and value is not None and not takes(known[name], value):
            wrong.append(_problem(name, f"Input should be {known[name]}", "literal_error", value))
    return wrong


def _problem(name: str, words: str, kind: str, value: object) -> dict[str, Any]:
    url = f"https://docs.fal.ai/errors#{kind}"
    return {"loc": ["body", name], "msg": words, "type": kind, "url": url, "ctx": {}, "input": value}


def _start_timeout(request: Request) -> float | None:
    """The newer name wins where both are sent."""
    for name in ("x-fal-request-start-timeout", "x-fal-request-timeout"):
        told = request.headers.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", told) and float(told) > 0.1:
            return float(told)
    return None


# --- telling ------------------------------------------------------------------------------------------------------------


def _find(floor: Floor, request: Request) -> Job | None:
    return floor.find(request.target, dialect=NAME)


def _state(floor: Floor, job: Job) -> str:
    if job.has_ended(time.time()) or floor.is_overdue(job):
        return "COMPLETED"
    return "IN_PROGRESS" if job.rendering else "IN_QUEUE"


def output(job: Job, request: Request) -> dict[str, Any]:
    """Tell what a request has made, and where it is."""
    root = f"http://{request.headers.get('host', '127.0.0.1')}{PREFIX}/files/{job.id}"
    files = [{"url": f"{root}/{name}", "content_type": _content_type(job), "file_name": name} for name in _names(job)]
    if job.recipe.images:
        sides = {"width": job.recipe.width, "height": job.recipe.height}
        return {"images": [file | sides for file in files], "seed": job.recipe.seed, "description": ""}
    return {"video": files[0], "seed": job.recipe.seed}


def _names(job: Job) -> list[str]:
    return job.recipe.picture_names or [VIDEO]


def _content_type(job: Job) -> str:
    return f"image/{job.recipe.format}" if job.recipe.images else "video/mp4"


def _app(endpoint: str) -> str:
    """The part of an endpoint's name that its requests are found under."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in THREE_PARTS else 2])


def _headers() -> dict[str, str]:
    return {"x-fal-request-id": str(uuid.uuid4())}


def _not_found() -> Response:
    return json_response({"status": "NOT_FOUND"}, status=404, headers=_headers())


def status_code(job: Job) -> int:
    """The HTTP status of a request's result, once it is over."""
    return 200 if job.failure is None else ENDS.get(job.failure.code, (422, ""))[0]


def error(refused: Refused) -> Response:
    """Word a refusal as the queue does."""
    kind = {500: "internal_error", 503: "runner_scheduling_failure", 504: "request_timeout"}.get(refused.status)
    headers = _headers() | ({} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)})
    if kind is None:
        return json_response({"detail": refused.message}, status=refused.status, headers=headers)
    told = {"detail": refused.message, "error_type": kind}
    return json_response(told, status=refused.status, headers=headers | {"X-Fal-Error-Type": kind})


def asked(request: Request) -> tuple[str | None, str | None]:
    """Read endpoint and prompt of a create that may be broken."""
    try:
        prompt = fields_of(request).get("prompt")
    except Refused:
        prompt = None
    return request.target or urlsplit(request.path).path, prompt if isinstance(prompt, str) else None


QUEUE = Dialect(
    name=NAME,
    prefix=PREFIX,
    calls=(
        Call(kind="create", method="POST", path=re.compile(r"/((?:(?!/requests/).)+)"), handle=submit),
        Call(kind="retrieve", method="GET", path=re.compile(r"/.+/requests/([^/]+)/status"), handle=status),
        Call(kind="retrieve", method="GET", path=re.compile(r"/.+/requests/([^/]+)(?:/response)?"), handle=result),
        Call(kind="delete", method="PUT", path=re.compile(r"/.+/requests/([^/]+)/cancel"), handle=cancel),
    ),
    error=error,
    asked=asked,
)
FILES = replace(
    QUEUE,
    prefix=f"{PREFIX}/files",
    calls=(Call(kind="content", method="GET", path=re.compile(r"/([^/]+/[^/]+)"), handle=content),),
)
