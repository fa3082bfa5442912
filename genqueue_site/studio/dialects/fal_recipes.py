"""What the studio draws for a request to one of fal's endpoints: a film or pictures, of the asked shape and length."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from genqueue_site.studio.jobs import Recipe

IMAGE_ENDPOINTS = re.compile(r"banana|gemini-3-pro-image|seedream|flux-2-pro|gpt-image|flash-scanner")
PRESETS = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
LINES = {"360p": 360, "480p": 480, "540p": 540, "720p": 720, "1080p": 1080, "2K": 1440, "4k": 2160}
SIDES = {"0.5K": 512, "1K": 1024, "2K": 2048, "3K": 3072, "4K": 4096}
SECONDS, SECONDS_UNLESS_SAID = re.compile(r"([0-9]+(?:\.[0-9]+)?)s?"), {"video-01": 6.0, "hailuo": 6.0, "veo": 8.0, "omni": 8.0}
FORMATS = {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "webp": "webp"}


def recipe_for(endpoint: str, fields: dict[str, Any]) -> Recipe:
    """What to draw for a request that is found good."""
    prompt, seed = str(fields["prompt"]), fields.get("seed")
    if seed is None:
        seed = int.from_bytes(hashlib.sha256(prompt.encode("utf-8", "replace")).digest()[:4], "big")
    if IMAGE_ENDPOINTS.search(endpoint):
        width, height = _picture_size(fields)
        count, kind = int(fields.get("num_images") or 1), FORMATS.get(str(fields.get("output_format")), "png")
        return Recipe(prompt=prompt, model=endpoint, seed=seed, width=width, height=height, images=count, format=kind)
    lines = LINES.get(str(fields.get("resolution")), 720)
    width, height = _shape(fields, "16:9", lines)
    return Recipe(prompt=prompt, model=endpoint, seed=seed, width=width, height=height, seconds=_length(endpoint, fields))


def _picture_size(fields: dict[str, Any]) -> tuple[int, int]:
    size = fields.get("image_size")
    if isinstance(size, dict):
        return int(size["width"]), int(size["height"])
    if size in PRESETS:
        return PRESETS[str(size)]
    asked = str(size or fields.get("resolution") or "1K").removeprefix("auto_")
    return _shape(fields, "1:1", SIDES.get(asked, 1024))


def _shape(fields: dict[str, Any], ratio: str, shorter: int) -> tuple[int, int]:
    """Width and height in pixels, the shorter side of this length."""
    asked = re.fullmatch(r"([0-9]+):([0-9]+)", str(fields.get("aspect_ratio") or ratio)) or re.fullmatch("(1):(1)", "1:1")
    assert asked is not None
    across, up = int(asked[1]), int(asked[2])
    return round(shorter * max(1.0, across / up) / 2) * 2, round(shorter * max(1.0, up / across) / 2) * 2


def _length(endpoint: str, fields: dict[str, Any]) -> float:
    told = SECONDS.fullmatch(str(fields.get("duration", "")))
    return float(told[1]) if told else next((seconds for name, seconds in SECONDS_UNLESS_SAID.items() if name in endpoint), 5.0)
