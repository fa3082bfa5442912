"""A create call at fal: read, checked against the fields of its endpoint, and converted to an order."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

from genqueue_site.studio.dialects.fal.answer import NAME, problem
from genqueue_site.studio.dialects.fal.inputs import INPUTS
from genqueue_site.studio.dialects.fields import takes
from genqueue_site.studio.floor import Floor, Order
from genqueue_site.studio.jobs import Recipe
from genqueue_site.studio.reading import is_web_address, origin_of, seed_of, shape
from genqueue_site.studio.wire import Request

THREE_PARTS = {"workflows", "comfy"}  # owners whose applications have a name of three parts
IMAGES = re.compile(r"banana|gemini-3-pro-image|seedream|flux-2-pro|gpt-image|flash-scanner")
PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
SIDES = {"0.5K": 512, "2K": 2048, "3K": 3072, "4K": 4096, "480p": 854, "540p": 960, "1080p": 1920, "4k": 3840}
SECONDS, UNLESS_SAID = re.compile(r"([0-9]{1,3})s?"), {"video-01": 6, "hailuo": 6, "veo": 8, "omni": 8}
CODECS = {"png": "png", "jpeg": "jpeg", "webp": "webp"}
LONGEST_WAIT = 10**9  # seconds


def wrong_with(endpoint: str, fields: Mapping[str, object]) -> list[dict[str, Any]]:
    """Return the problems of the fields of a create call. Unknown fields are ignored."""
    known = INPUTS[endpoint]
    needed = [name for name, kind in known.items() if kind.endswith("!") or name == "prompt"]
    missing = [problem(name, "Field required", "missing", dict(fields)) for name in needed if fields.get(name) is None]
    given = {name: value for name, value in fields.items() if name in known and value is not None}
    odd = [name for name, value in given.items() if not takes(known[name], value)]
    return missing + [problem(name, f"Input should be {known[name]}", "literal_error", given[name]) for name in odd]


def order_of(floor: Floor, request: Request, fields: Mapping[str, Any]) -> Order:
    """Convert a valid create call to an order."""
    webhook = request.query.get("fal_webhook")
    within = _start_timeout(request)
    return Order(
        dialect=NAME,
        id=str(uuid.uuid4()),
        recipe=_recipe(floor, request.target, fields),
        echo={"input": json.dumps(dict(fields)), "origin": origin_of(request), "start_by": time.time() + within},
        webhook=webhook if is_web_address(webhook) else None,
        doom=request.doom,
    )


def app_of(endpoint: str) -> str:
    """Return the part of an endpoint's name that the addresses of its requests contain."""
    parts = endpoint.split("/")
    return "/".join(parts[: 3 if parts[0] in THREE_PARTS else 2])


def _start_timeout(request: Request) -> float:
    """Return the seconds within which a request must begin; the newer header wins if both are sent."""
    for name in ("x-fal-request-start-timeout", "x-fal-request-timeout"):
        text = request.headers.get(name, "")
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) and float(text) > 0.1:
            return float(text)
    return LONGEST_WAIT


def _recipe(floor: Floor, endpoint: str, fields: Mapping[str, Any]) -> Recipe:
    is_image = IMAGES.search(endpoint) is not None
    width, height = _size(fields, is_image=is_image)
    prompt, seed = str(fields["prompt"]), fields.get("seed")
    match = SECONDS.fullmatch(str(fields.get("duration", "")))
    seconds = int(match[1]) if match else next((length for name, length in UNLESS_SAID.items() if name in endpoint), 5)
    return Recipe(
        prompt=prompt,
        model=endpoint,
        seed=seed_of(prompt) if seed is None else int(seed),
        width=width,
        height=height,
        seconds=0.0 if is_image else float(seconds),
        codec=CODECS.get(str(fields.get("output_format")), "png") if is_image else floor.config.codec,
        count=int(fields.get("num_images") or 1) if is_image else 1,
    )


def _size(fields: Mapping[str, Any], *, is_image: bool) -> tuple[int, int]:
    size = fields.get("image_size")
    if isinstance(size, dict):
        return int(size["width"]), int(size["height"])
    if size in PRESETS:
        return PRESETS[str(size)]
    asked = str(size or fields.get("resolution")).removeprefix("auto_")
    longer = SIDES.get(asked, 1024 if is_image else 1280)
    return shape(fields.get("aspect_ratio"), longer, default="1:1" if is_image else "16:9")
