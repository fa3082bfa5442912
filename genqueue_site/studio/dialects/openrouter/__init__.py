"""
OpenRouter's video jobs under ``/api/v1/videos``.

Differences from the vendor: no key is needed, and a callback may use http. Images in the request are accepted but not drawn.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from functools import partial

from genqueue_site.studio.dialects.openrouter.answer import (
    NAME,
    accepted,
    event,
    is_kept,
    signature,
    status_of,
    video,
)
from genqueue_site.studio.dialects.openrouter.models import MODELS
from genqueue_site.studio.dialects.openrouter.request import order_of
from genqueue_site.studio.floor import Floor, Full
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.reading import file_of, found, iso
from genqueue_site.studio.wire import Call, Dialect, Hook, Moment, Refused, Request, Response, fields_of, json_response


def create(floor: Floor, request: Request) -> Response:
    """Accept a video job."""
    order = order_of(floor, request, fields_of(request))
    try:
        job = floor.accept(order)
    except Full as error:
        raise Refused(429, str(error), retry_after=error.retry_after) from error
    return json_response(accepted(job), status=202)


def retrieve(floor: Floor, request: Request) -> Response:
    """Return the status of a video job."""
    return json_response(video(floor, _find(floor, request.target)))


def content(floor: Floor, request: Request) -> Response:
    """Return an output of a completed job through the API."""
    job, index = _find(floor, request.target), request.query.get("index", "0")
    if not index.isdecimal():
        raise Refused(400, "index: Expected a non-negative integer")
    status = status_of(job)
    if status != "completed":
        raise Refused(409, f"Video generation is not completed. Current status: {status}")
    if job.doom == "removed":
        raise Refused(410, "The generated video is no longer available.")
    missing = Refused(404, f"No video content at index {index}")
    if int(index) >= len(job.recipe.files) or job.doom in ("dead_asset", "no_output"):
        raise missing
    return file_of(floor, job, job.recipe.files[int(index)], missing=missing)


def stored(floor: Floor, request: Request) -> Response:
    """Return an output from the storage, which requires a signature and no key."""
    number, _, name = request.target.partition("/")
    expires = request.query.get("expires", "0")
    given, due = request.query.get("signature", ""), signature(floor, request.target, expires)
    if not hmac.compare_digest(given.encode(), due.encode()) or time.time() > int(expires):
        raise Refused(403, "Access denied.")
    missing, job = Refused(404, "No such object."), _find(floor, number)
    if status_of(job) != "completed" or not is_kept(job) or job.doom == "dead_asset":
        raise missing
    return file_of(floor, job, name, missing=missing)


def models(floor: Floor, request: Request) -> Response:
    """List the models with their capabilities and prices."""
    return json_response({"data": [row.listed(slug) for slug, row in MODELS.items()]})


def key(floor: Floor, request: Request) -> Response:
    """Describe the key of the request."""
    spent = sum(job.echo["cost"] or 0 for job in floor.all_of(NAME) if status_of(job) == "completed")
    data = {"label": "studio preview", "usage": spent, "limit": None, "limit_remaining": None, "is_free_tier": False}
    return json_response({"data": data})


def error(refused: Refused) -> Response:
    """Format a refusal as the vendor does."""
    headers = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
    fault = {"code": refused.status, "message": refused.message}
    return json_response({"error": fault}, status=refused.status, headers=headers)


def asked(request: Request) -> tuple[str | None, str | None]:
    """Return model and prompt of a create call as far as they can be read."""
    try:
        fields = fields_of(request)
    except Refused:
        return None, None
    model, prompt = fields.get("model"), fields.get("prompt")
    return model if isinstance(model, str) else None, prompt if isinstance(prompt, str) else None


def hook(floor: Floor, job: Job, moment: Moment) -> Hook | None:
    """Return the webhook for the end of a job, or ``None`` at other moments or without a callback."""
    if job.webhook is None or moment != "end":
        return None
    status = status_of(job)
    body = {"type": f"video.generation.{status}", "created_at": iso(time.time()), "data": event(floor, job)}
    return Hook(url=job.webhook, body=json.dumps(body).encode(), sign=partial(_sign, f"{job.id}-{status}"))


def _sign(number: str, body: bytes, at: float, secret: str) -> Mapping[str, str]:
    moment = str(int(at))
    digest = hmac.new(secret.encode(), moment.encode() + b"," + body, hashlib.sha256).hexdigest()
    return {"X-OpenRouter-Idempotency-Key": number, "X-OpenRouter-Signature": f"t={moment},v1={digest}"}


def _find(floor: Floor, number: str) -> Job:
    return found(floor, number, dialect=NAME, missing=Refused(404, f"Video generation job {number[:100]} not found"))


DIALECT = Dialect(
    name=NAME,
    prefixes=("/api/v1", "/openrouter.storage"),
    calls=(
        Call(kind="create", method="POST", path=re.compile(r"/api/v1/videos"), handle=create),
        Call(kind="about", method="GET", path=re.compile(r"/api/v1/videos/models"), handle=models),
        Call(kind="about", method="GET", path=re.compile(r"/api/v1/key"), handle=key),
        Call(kind="retrieve", method="GET", path=re.compile(r"/api/v1/videos/([^/]+)"), handle=retrieve),
        Call(kind="content", method="GET", path=re.compile(r"/api/v1/videos/([^/]+)/content"), handle=content),
        Call(kind="content", method="GET", path=re.compile(r"/openrouter\.storage/([^/]+/[^/]+)"), handle=stored),
    ),
    error=error,
    asked=asked,
    hook=hook,
)
