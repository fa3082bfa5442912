"""A page of Replicate's list of predictions: 100 rows, newest first, with links to the pages before and after."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from genqueue_site.studio.dialects.replicate.answer import NAME, prediction
from genqueue_site.studio.dialects.replicate.request import invalid
from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.reading import origin_of
from genqueue_site.studio.wire import Refused, Request

SIZE = 100
FILTERS = ("created_after", "created_before", "source")


def page_of(floor: Floor, request: Request) -> dict[str, object]:
    """Return the page for a query."""
    jobs = _filtered(floor.all_of(NAME)[::-1], request.query)
    first = _place(jobs, request.query.get("cursor"))
    page = jobs[first : first + SIZE]
    return {
        "previous": _link(request, jobs[first - SIZE - 1] if first > SIZE else None) if first >= SIZE else None,
        "next": _link(request, page[-1]) if len(jobs) > first + SIZE else None,
        "results": [prediction(floor, job) for job in page],
    }


def _filtered(jobs: list[Job], query: Mapping[str, str]) -> list[Job]:
    after, before = (_moment(query, name) for name in ("created_after", "created_before"))
    if query.get("source") == "web":
        return []
    return [job for job in jobs if (after is None or _made(job) >= after) and (before is None or _made(job) < before)]


def _made(job: Job) -> datetime:
    """Return the time of acceptance with the precision of answers."""
    return datetime.fromtimestamp(job.accepted_at, UTC)


def _moment(query: Mapping[str, str], name: str) -> datetime | None:
    if name not in query:
        return None
    try:
        parsed = datetime.fromisoformat(query[name])
    except ValueError as error:
        raise invalid([(name, "Does not match format 'date-time'")]) from error
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _place(jobs: list[Job], cursor: str | None) -> int:
    """Return the index of the first row of a page: after the job whose time and id the cursor contains."""
    if not cursor:
        return 0
    try:
        at, number = json.loads(urlsafe_b64decode(cursor))
        return sum((job.accepted_at, job.id) >= (float(at), str(number)) for job in jobs)
    except (ValueError, TypeError) as error:
        raise Refused(404, "Invalid cursor") from error


def _link(request: Request, last: Job | None) -> str:
    """Return the address of the page after a job, or of the first page."""
    query = {name: request.query[name] for name in FILTERS if name in request.query}
    if last:
        query["cursor"] = urlsafe_b64encode(json.dumps([last.accepted_at, last.id]).encode()).decode()
    return f"{origin_of(request)}/v1/predictions" + (f"?{urlencode(query)}" if query else "")
