"""fal's platform API under ``/fal/v1``: lists of requests, their cost, the account."""

from __future__ import annotations

import math
import re
import uuid
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable

from genqueue_site.studio.dialects.fal.answer import NAME, PREFIX, row
from genqueue_site.studio.dialects.fal.inputs import INPUTS
from genqueue_site.studio.dialects.fields import document_of
from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.wire import Call, Dialect, Refused, Request, Response, json_response

PAGE, LARGEST_PAGE = 50, 100


def search(floor: Floor, request: Request) -> Response:
    """List requests of an endpoint, newest first by creation."""
    return _listing(request, floor.all_of(NAME), key=lambda job: job.accepted_at)


def by_endpoint(floor: Floor, request: Request) -> Response:
    """List requests of an endpoint that have been started, newest first by their end."""
    started = [job for job in floor.all_of(NAME) if job.started_at is not None]
    return _listing(request, started, key=lambda job: job.ends_at or math.inf)


def billing_events(floor: Floor, request: Request) -> Response:
    """Return a bill of $0: previews are free."""
    asked = request.query.get("request_id", "")
    found = [job for job in floor.all_of(NAME) if job.id == asked and job.ends_at]
    events = [{"request_id": job.id, "endpoint_id": job.model, "output_units": 1, "cost_total": 0.0} for job in found]
    return json_response({"billing_events": events, "next_cursor": None, "has_more": False})


def billing(floor: Floor, request: Request) -> Response:
    """Describe the account."""
    return json_response({"username": "studio", "credits": {"current_balance": 0.0, "currency": "USD"}})


def models(floor: Floor, request: Request) -> Response:
    """List the endpoints that are asked for, with the schema of their input if the client wants it."""
    asked = request.query.get("endpoint_id", "").split(",")
    whole = request.query.get("expand") == "openapi-3.0"
    found = [
        {"endpoint_id": name, "metadata": {"display_name": name, "status": "active"}}
        | ({"openapi": document_of(INPUTS[name])} if whole else {})
        for name in asked
        if name in INPUTS
    ]
    return json_response({"models": found, "next_cursor": None, "has_more": False})


def pricing(floor: Floor, request: Request) -> Response:
    """List prices: previews are free."""
    asked = [name for name in request.query.get("endpoint_id", "").split(",") if name in INPUTS]
    if not asked:
        raise Refused(404, "No prices found for these endpoints")
    prices = [{"endpoint_id": name, "unit_price": 0.0, "unit": "unit", "currency": "USD"} for name in asked]
    return json_response({"prices": prices, "next_cursor": None, "has_more": False})


def _listing(request: Request, jobs: Iterable[Job], *, key: Callable[[Job], float]) -> Response:
    limit, cursor, endpoint = (request.query.get(name, "") for name in ("limit", "cursor", "endpoint_id"))
    if limit and not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= LARGEST_PAGE):
        raise Refused(400, f"limit must be a whole number from 1 to {LARGEST_PAGE}")
    try:
        first = int(b64decode(cursor, validate=True)) if cursor else 0
    except ValueError as error:
        raise Refused(400, "cursor is not valid") from error
    found = sorted((job for job in jobs if endpoint in ("", job.model)), key=key, reverse=True)
    page = found[first : first + int(limit or PAGE)]
    behind = first + len(page)
    body = {
        "items": [row(job, payloads=request.query.get("expand") == "payloads") for job in page],
        "next_cursor": b64encode(str(behind).encode()).decode() if len(found) > behind else None,
        "has_more": len(found) > behind,
    }
    return json_response(body)


def error(refused: Refused) -> Response:
    """Format a refusal as this API does."""
    kinds = {401: "authorization_error", 404: "not_found", 429: "rate_limited"}
    kind = kinds.get(refused.status, "server_error" if refused.status >= 500 else "validation_error")
    body = {"error": {"type": kind, "message": refused.message, "request_id": str(uuid.uuid4())}}
    headers = {} if refused.retry_after is None else {"Retry-After": str(refused.retry_after)}
    return json_response(body, status=refused.status, headers=headers)


DIALECT = Dialect(
    name=f"{NAME} platform",
    prefixes=(f"{PREFIX}/v1",),
    calls=(
        Call(kind="list", method="GET", path=re.compile(rf"{PREFIX}/v1/models/requests/search"), handle=search),
        Call(kind="list", method="GET", path=re.compile(rf"{PREFIX}/v1/models/requests/by-endpoint"), handle=by_endpoint),
        Call(kind="about", method="GET", path=re.compile(rf"{PREFIX}/v1/models/billing-events"), handle=billing_events),
        Call(kind="about", method="GET", path=re.compile(rf"{PREFIX}/v1/account/billing"), handle=billing),
        Call(kind="about", method="GET", path=re.compile(rf"{PREFIX}/v1/models"), handle=models),
        Call(kind="about", method="GET", path=re.compile(rf"{PREFIX}/v1/models/pricing"), handle=pricing),
    ),
    error=error,
    asked=lambda _: (None, None),
)
