"""Parts of requests and answers that several dialects read and write in the same way."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import CONTENT_TYPES, Job
from genqueue_site.studio.wire import Refused, Request, Response


def found(floor: Floor, job_id: str, *, dialect: str, missing: Refused) -> Job:
    """
    Return a job of a dialect.

    :raises Refused: ``missing``, if there is no such job.
    """
    job = floor.find(job_id, dialect=dialect)
    if job is None:
        raise missing
    return job


def file_of(floor: Floor, job: Job, name: str, *, missing: Refused) -> Response:
    """
    Return an answer with one of a job's files.

    :raises Refused: ``missing``, if there is no such file or its job has been deleted.
    """
    if name not in job.recipe.files:
        raise missing
    try:
        return Response(body=floor.file_of(job, name), content_type=CONTENT_TYPES[name[name.rindex(".") :]])
    except FileNotFoundError as error:
        raise missing from error


def origin_of(request: Request) -> str:
    """Return the studio's origin as its client addressed it. Links in answers begin with it."""
    return f"http://{request.headers.get('host') or '127.0.0.1'}"


def seed_of(prompt: str) -> int:
    """Return the seed for a prompt without one. Equal prompts give equal renders."""
    return int.from_bytes(hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[:4], "big")


def shape(ratio: object, longer_side: int, *, default: str) -> tuple[int, int]:
    """Return width and height of a ratio such as ``"16:9"``. Words such as ``"auto"`` mean the default."""
    match = re.fullmatch(r"([1-9][0-9]?):([1-9][0-9]?)", str(ratio)) or re.fullmatch(r"(\d+):(\d+)", default)
    assert match is not None
    width, height = int(match[1]), int(match[2])
    scale = longer_side / max(width, height)
    return max(16, round(width * scale)), max(16, round(height * scale))


def iso(moment: float | None) -> str | None:
    """Format Unix seconds as ISO 8601 in UTC with microseconds."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def is_web_address(text: object) -> bool:
    """Whether this is an http or https URL with a host. Vendors require https; the studio also serves a single machine."""
    return isinstance(text, str) and re.fullmatch(r"https?://[^/\s@]+(/\S*)?", text) is not None
