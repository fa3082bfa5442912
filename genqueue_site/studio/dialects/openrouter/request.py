"""A create call at OpenRouter: read, checked against the capabilities of its model, and converted to an order."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Mapping, Sequence
from typing import Any

from genqueue_site.studio.dialects.openrouter.answer import NAME
from genqueue_site.studio.dialects.openrouter.models import MODELS, VideoModel, pixels
from genqueue_site.studio.floor import Floor, Order
from genqueue_site.studio.jobs import Recipe
from genqueue_site.studio.reading import is_web_address, origin_of, seed_of
from genqueue_site.studio.wire import Refused, Request

KINDS_OF_REFERENCE = ("image_url", "audio_url", "video_url")


def order_of(floor: Floor, request: Request, fields: Mapping[str, Any]) -> Order:
    """
    Convert a create call to an order.

    :raises Refused: the model is unknown or does not support the request.
    """
    slug = _text(fields, "model")
    if slug not in MODELS:
        raise Refused(404, f"Model {str(slug)[:100]} not found" if slug else "No model specified")
    model, prompt = MODELS[slug], _text(fields, "prompt")
    if not prompt:
        raise Refused(400, "prompt: Required")
    seconds = _whole(fields, "duration", model.durations[0])
    _check(slug, "duration", seconds, sorted(model.durations))
    resolution, size = _size(slug, model, fields)
    audio = _flag(fields, "generate_audio", bool(model.audio))
    _check_images(slug, model, fields)
    callback = _text(fields, "callback_url")
    if callback is not None and not is_web_address(callback):
        raise Refused(400, "callback_url: Must be a valid HTTPS URL")
    cost = model.cost(seconds=seconds, resolution=resolution, size=size, audio=audio)
    recipe = Recipe(
        prompt=prompt,
        model=slug,
        seed=_whole(fields, "seed", seed_of(prompt)),
        width=size[0],
        height=size[1],
        seconds=float(seconds),
        codec=floor.config.codec,
    )
    return Order(
        dialect=NAME,
        id=_number("gen-vid"),
        recipe=recipe,
        echo={"origin": origin_of(request), "cost": None if cost is None else float(cost)},
        webhook=callback,
        doom=request.doom,
    )


def _number(prefix: str) -> str:
    letters = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(20))
    return f"{prefix}-{int(time.time())}-{letters}"


def _size(slug: str, model: VideoModel, fields: Mapping[str, Any]) -> tuple[str, tuple[int, int]]:
    """Return resolution and size in pixels by ``size``, or by ``resolution`` and ``aspect_ratio``."""
    if size := _text(fields, "size"):
        _check(slug, "size", size, model.sizes())
        width, height = (int(side) for side in size.split("x"))
        fitting = [name for name in model.resolutions for ratio in model.ratios if pixels(name, ratio) == (width, height)]
        return fitting[0], (width, height)
    resolution = _text(fields, "resolution") or model.resolutions[0]
    ratio = _text(fields, "aspect_ratio") or model.ratios[0]
    _check(slug, "resolution", resolution, model.resolutions)
    _check(slug, "aspect_ratio", ratio, model.ratios)
    return resolution, pixels(resolution, ratio)


def _check_images(slug: str, model: VideoModel, fields: Mapping[str, Any]) -> None:
    for image in _objects(fields, "frame_images"):
        _check(slug, "frame_images.frame_type", image.get("frame_type"), model.frames or ())
        _check_file("frame_images", image, ("image_url",))
    for reference in _objects(fields, "input_references"):
        _check_file("input_references", reference, KINDS_OF_REFERENCE)


def _check_file(name: str, part: Mapping[str, Any], kinds: Sequence[str]) -> None:
    kind = part.get("type")
    inner = part.get(str(kind))
    if kind not in kinds or not isinstance(inner, dict) or not isinstance(inner.get("url"), str):
        raise Refused(400, f"{name}: Invalid input")


def _check(slug: str, name: str, value: object, supported: Sequence[object]) -> None:
    if value not in supported:
        words = ", ".join(map(str, supported)) or "none"
        raise Refused(400, f"{name}: {str(value)[:100]} is not supported by {slug}. Supported values: {words}")


def _objects(fields: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = fields.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise Refused(400, f"{name}: Expected array of objects")
    return value


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, f"{name}: Expected string, received {type(value).__name__}")
    return value


def _whole(fields: Mapping[str, Any], name: str, default: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(400, f"{name}: Expected number, received {type(value).__name__}")
    return value


def _flag(fields: Mapping[str, Any], name: str, default: bool) -> bool:
    value = fields.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(400, f"{name}: Expected boolean, received {type(value).__name__}")
    return default if value is None else value
