"""A create call at Replicate: read, checked against the schema of its model, and converted to an order."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from genqueue_site.studio.dialects.replicate.answer import NAME
from genqueue_site.studio.dialects.replicate.models import MODELS, PredictionModel, version_of
from genqueue_site.studio.floor import Floor, Order
from genqueue_site.studio.jobs import Job, Recipe
from genqueue_site.studio.reading import is_web_address, origin_of, seed_of, shape
from genqueue_site.studio.wire import Refused, Request

SHORTEST_DEADLINE = 5  # seconds
LONGEST_WAIT = 60  # seconds of ``Prefer: wait``
EVENTS = ("start", "output", "logs", "completed")
CODECS = {"jpg": "jpeg", "jpeg": "jpeg", "png": "png", "webp": "webp"}


def order_of(floor: Floor, request: Request, fields: Mapping[str, object]) -> Order:
    """
    Convert a create call to an order.

    :raises Refused: the model is unknown, or the input does not fit its schema.
    """
    slug = slug_in(request, fields)
    given, events, webhook = fields.get("input"), fields.get("webhook_events_filter"), fields.get("webhook")
    if not isinstance(given, dict):
        raise invalid([("input", "input is required")])
    settled, problems = MODELS[slug].settle(given)
    if webhook is not None and not is_web_address(webhook):
        problems.append(("webhook", "Does not match format 'uri'"))
    if events is not None and not (isinstance(events, list) and all(event in EVENTS for event in events)):
        problems.append(("webhook_events_filter", f"must be some of the following: {', '.join(EVENTS)}"))
    if problems:
        raise invalid(problems)
    version = str(fields.get("version", "/"))
    echo = {
        "version": "hidden" if "/" in version else version,
        "input": given,
        "events": ["output", "completed"] if events is None else events,
        "origin": origin_of(request),
    }
    return Order(
        dialect=NAME,
        id=secrets.token_hex(13),
        recipe=_recipe(floor, slug, MODELS[slug], settled),
        echo=echo,
        webhook=None if webhook is None else str(webhook),
        cancel_after=_deadline(request),
        doom=request.doom,
    )


def slug_in(request: Request, fields: Mapping[str, object]) -> str:
    """
    Return the model of a create call: by its path, or by ``version`` as ``owner/name``, ``owner/name:64 hex`` or ``64 hex``.

    :raises Refused: the model is unknown.
    """
    if request.target:
        if request.target not in MODELS:
            raise Refused(404, "The requested resource could not be found.")
        return request.target
    version = fields.get("version")
    if not isinstance(version, str) or not version:
        raise invalid([("version", "version is required")])
    for slug in MODELS:
        if version in (slug, version_of(slug), f"{slug}:{version_of(slug)}"):
            return slug
    raise Refused(
        422,
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
        code="Invalid version or not permitted",
    )


def invalid(problems: list[tuple[str, str]]) -> Refused:
    """Build the refusal for these problems, pairs of field and words."""
    detail = "".join(f"- {field}: {words}\n" for field, words in problems)
    fields = [{"type": "invalid", "field": field, "description": words} for field, words in problems]
    return Refused(422, detail, code="Input validation failed", extra={"invalid_fields": fields})


def wait_for_end(floor: Floor, job: Job, request: Request) -> bool:
    """Wait for the job's end for as long as ``Prefer: wait`` allows. Return false if the job has not ended by then."""
    match = re.search(r"\bwait(?:=(\d{1,3}))?\b", request.headers.get("prefer", ""))
    if not match:
        return True
    ends = time.monotonic() + min(LONGEST_WAIT, int(match[1] or LONGEST_WAIT))
    while not job.has_ended(time.time()) and time.monotonic() < ends and not floor.closing.is_set():
        floor.closing.wait(0.02)
    return job.has_ended(time.time())


def _deadline(request: Request) -> float | None:
    """Return the seconds in ``Cancel-After`` (``90``, ``30s``, ``15m``, ``1h30m``), or ``None`` without it."""
    text = request.headers.get("cancel-after")
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,7})|(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?", text.strip())
    bare, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
    total = bare + 3600 * hours + 60 * minutes + seconds
    if total < SHORTEST_DEADLINE:
        raise invalid([("Cancel-After", f"must be a duration of at least {SHORTEST_DEADLINE} seconds, such as 30s, 15m or 1h")])
    return total


def _recipe(floor: Floor, slug: str, model: PredictionModel, settled: Mapping[str, Any]) -> Recipe:
    is_video = model.codec == "video"
    width, height = shape(settled.get("aspect_ratio"), 1280 if is_video else 2048, default="16:9" if is_video else "1:1")
    if "custom" in (settled.get("size"), settled.get("aspect_ratio")):
        width, height = settled.get("width", width), settled.get("height", height)
    seconds = settled.get("duration", model.seconds) if is_video else 0
    seed, prompt = settled.get("seed"), settled["prompt"]
    many = settled["max_images"] if settled.get("sequential_image_generation") == "auto" else settled.get("number_of_images", 1)
    return Recipe(
        prompt=prompt,
        model=slug,
        seed=seed_of(prompt) if seed is None else seed,
        width=width,
        height=height,
        seconds=float(model.seconds if seconds < 0 else seconds),
        codec=floor.config.codec if is_video else CODECS[settled.get("output_format", model.codec)],
        count=many,
    )
