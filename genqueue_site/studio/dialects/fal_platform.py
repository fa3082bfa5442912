"""fal's platform API under ``/fal/v1``: lists of requests, what they cost, the account."""

from __future__ import annotations

import json
import math
import re
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from genqueue_site.studio.dialects import fal
from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.wire import Call, Refused, Request, Response, json_response

PAGE, LARGEST_PAGE = 50, 100


def search(floor: Floor, request: Request) -> Response:
    """List requests of an endpoint, newest first by creation."""
    return _listing(floor, request, floor.all_of(fal.NAME), key=lambda job: job.accepted_at)


def by_endpoint(floor: Floor, request: Request) -> Response:
    """List requests of an endpoint that have been started, newest first by their end."""
    started = [job for job in floor.all_of(fal.NAME) if job.rendering or job.ends_at is not None]
    return _listing(floor, request, started, key=lambda job: job.ends_at or math.inf)


def _listing(floor: Floor, request: Request, jobs: Iterable[Job], *, key: Callable[[Job], float]) -> Response:
    limit, cursor, endpoint = (request.query.get(name, "") for name in ("limit", "cursor", "endpoint_id"))
    if limit and not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= LARGEST_PAGE):
        raise Refused(400, f"limit must be a whole number from 1 to {LARGEST_PAGE}")
    try:
        first = int(b64decode(cursor, validate=True)) if cursor else 0
    except ValueError as error:
        raise Refused(400, "cursor is not valid") from error
    found = sorted((job for job in jobs if endpoint in ("", job.echo["endpoint"])), key=key, reverse=True)
    page = found[first : first + int(limit or PAGE)]
    behind = first + len(page)
    told = {
        "items": [_item(job, request) for job in page],
        "next_cursor": b64encode(str(behind).encode()).decode() if len(found) > behind else None,
        "has_more": len(found) > behind,
    }
    return json_response(told)


def _item(job: Job, request: Request) -> dict[str, Any]:
    ended = job.has_ended(time.time())
    told: dict[str, Any] = {
        "request_id": job.id,
        "endpoint_id": job.echo["endpoint"],
        "sent_at": _moment(job.accepted_at),
        "started_at": _moment(job.accepted_at if job.rendering or ended else None),
        "ended_at": _moment(job.ends_at if ended else None),
        "status_code": fal.status_code(job) if ended else None,
        "duration": round((job.ends_at or 0) - job.accepted_at, 3) if ended else None,
    }
    if request.query.get("expand") == "payloads":
        told["json_input"] = json.loads(job.echo["input"])
        told["json_output"] = fal.output(job, request) if ended and job.failure is None else None
    return told


def billing_events(floor: Floor, request: Request) -> Response:
    """Bill nothing: previews are free."""
    return json_response({"billing_events": [], "next_cursor": None, "has_more": False})


def billing(floor: Floor, request: Request) -> Response:
    """Tell whose account this is."""
    return json_response({"username": "studio", "credits": {"current_balance": 0.0, "currency": "USD"}})


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def error(refused: Refused) -> Response:
    """Word a refusal as this API does."""
    kinds = {401: "authorization_error", 404: "not_found", 429: "rate_limited"}
    kind = kinds.get(refused.status, "server_error" if refused.status >= 500 else "validation_error")
    told = {"error": {"type": kind, "message": refused.message, "request_id": str(uuid.uuid4())}}
    headers = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
    return json_response(told, status=refused.status, headers=headers)


DIALECT = replace(
    fal.QUEUE,
    prefix=f"{fal.PREFIX}/v1",
    calls=(
        Call(kind="list", method="GET", path=re.compile(r"/models/requests/search"), handle=search),
        Call(kind="list", method="GET", path=re.compile(r"/models/requests/by-endpoint"), handle=by_endpoint),
        Call(kind="list", method="GET", path=re.compile(r"/models/billing-events"), handle=billing_events),
        Call(kind="list", method="GET", path=re.compile(r"/account/billing"), handle=billing),
    ),
    error=error,
)
