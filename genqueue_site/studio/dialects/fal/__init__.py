"""
fal's queue under ``/fal/{endpoint}`` and its files under ``/fal/files``; `platform` is its other API.

As at fal, a request that has ended is ``COMPLETED``; if it failed, there is an error next to the status, or only in the answer to
the request for its result. `inputs` lists the fields of the endpoints. No key is needed.
"""

from __future__ import annotations

import re

from genqueue_site.studio.dialects.fal import hooks, platform
from genqueue_site.studio.dialects.fal.answer import CANCELLED, NAME, PREFIX, headers, result, state_of, status
from genqueue_site.studio.dialects.fal.inputs import INPUTS
from genqueue_site.studio.dialects.fal.request import app_of, order_of, wrong_with
from genqueue_site.studio.floor import Floor, Full
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.reading import file_of
from genqueue_site.studio.wire import Call, Dialect, Refused, Request, Response, fields_of, json_response

# types of errors of the queue itself, by HTTP status
KINDS = {500: "internal_error", 503: "runner_scheduling_failure", 504: "request_timeout"}
WORDS = {402: "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."}


def submit(floor: Floor, request: Request) -> Response:
    """Accept a request for an endpoint."""
    endpoint, fields = request.target, fields_of(request)
    if endpoint not in INPUTS:
        raise Refused(404, f"Application '{app_of(endpoint)}' not found")
    if wrong := wrong_with(endpoint, fields):
        raise Refused(422, "", extra={"detail": wrong})
    try:
        job = floor.accept(order_of(floor, request, fields))
    except Full as error:
        raise Refused(429, str(error), retry_after=error.retry_after) from error
    root = f"{job.echo['origin']}{PREFIX}/{app_of(endpoint)}/requests/{job.id}"
    body = {
        "status": "IN_QUEUE",
        "request_id": job.id,
        "gateway_request_id": job.id,
        "response_url": root,
        "status_url": f"{root}/status",
        "cancel_url": f"{root}/cancel",
        "queue_position": floor.waiting_before(job),
    }
    return json_response(body, headers=headers())


def look(floor: Floor, request: Request) -> Response:
    """Return the status of a request."""
    job = _found(floor, request)
    return _not_found() if job is None else status(floor, job, logs=request.query.get("logs") in {"1", "true"})


def output(floor: Floor, request: Request) -> Response:
    """Return the result of a request that has ended."""
    job = _found(floor, request)
    if job is None or job.doom == "removed":
        return _not_found()
    if state_of(floor, job) != "COMPLETED":
        raise Refused(400, "Request is still in progress")
    return result(job)


def cancel(floor: Floor, request: Request) -> Response:
    """Cancel a waiting or running request."""
    job = _found(floor, request)
    if job is None:
        return _not_found()
    state = state_of(floor, job)
    if state == "COMPLETED" or not floor.cancel(job, CANCELLED):
        return json_response({"status": "ALREADY_COMPLETED"}, status=400, headers=headers())
    if state == "IN_QUEUE":
        return json_response({"status": "OK"}, headers=headers())
    return json_response({"status": "CANCELLATION_REQUESTED"}, status=202, headers=headers())


def content(floor: Floor, request: Request) -> Response:
    """Return a file. As at fal, everyone who has its address can download it."""
    number, _, name = request.target.partition("/")
    job, missing = floor.find(number, dialect=NAME), Refused(404, "File not found")
    if job is None or job.failure or job.doom == "dead_asset":
        raise missing
    return file_of(floor, job, name, missing=missing)


def error(refused: Refused) -> Response:
    """Format a refusal as the queue does."""
    kind = KINDS.get(refused.status)
    body = {"detail": WORDS.get(refused.status, refused.message), **refused.extra} | ({"error_type": kind} if kind else {})
    waits = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
    return json_response(body, status=refused.status, headers=headers() | waits | ({"X-Fal-Error-Type": kind} if kind else {}))


def asked(request: Request) -> tuple[str | None, str | None]:
    """Return endpoint and prompt of a create call as far as they can be read."""
    try:
        prompt = fields_of(request).get("prompt")
    except Refused:
        prompt = None
    return request.target or None, prompt if isinstance(prompt, str) else None


def _found(floor: Floor, request: Request) -> Job | None:
    return floor.find(request.target, dialect=NAME)


def _not_found() -> Response:
    return json_response({"status": "NOT_FOUND"}, status=404, headers=headers())


_OTHERS = r"(?!files/|v1/|\.well-known/)"  # what is no endpoint
_REQUEST = rf"{PREFIX}/{_OTHERS}.+/requests/([^/]+)"
DIALECT = Dialect(
    name=NAME,
    prefixes=(PREFIX,),
    calls=(
        Call(kind="create", method="POST", path=re.compile(rf"{PREFIX}/({_OTHERS}(?:(?!/requests/).)+)"), handle=submit),
        Call(kind="retrieve", method="GET", path=re.compile(rf"{_REQUEST}/status"), handle=look),
        Call(kind="retrieve", method="GET", path=re.compile(rf"{_REQUEST}(?:/response)?"), handle=output),
        Call(kind="cancel", method="PUT", path=re.compile(rf"{_REQUEST}/cancel"), handle=cancel),
        Call(kind="content", method="GET", path=re.compile(rf"{PREFIX}/files/([^/]+/[^/]+)"), handle=content),
        Call(kind="about", method="GET", path=re.compile(rf"{PREFIX}/\.well-known/jwks\.json"), handle=hooks.key_set),
    ),
    error=error,
    asked=asked,
    hook=hooks.hook,
)
PLATFORM = platform.DIALECT
