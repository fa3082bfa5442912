"""Conversion of our parameters to the fields of ``/v1/videos``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from queue_app.providers.base import ErrorKind, ProviderError

SIZES = {
    ("720p", "16:9"): "1280x720",
    ("720p", "9:16"): "720x1280",
    ("720p", "1:1"): "1024x1024",
    ("1080p", "16:9"): "1792x1024",
    ("1080p", "9:16"): "1024x1792",
    ("1080p", "1:1"): "1080x1080",
}
DEFAULT_RESOLUTION, DEFAULT_RATIO = "720p", "16:9"
KNOWN = {"prompt", "duration", "aspect_ratio", "resolution", "seed", "loop", "reference_images"}


def wire_fields(endpoint_id: str, inputs: Mapping[str, Any], *, encoding: str) -> dict[str, Any]:
    """
    Convert ``prompt`` and our parameters to the fields of a create call.

    ``seed`` and ``loop`` are not in OpenAI's own schema. They are sent only if set, which means that the catalogue allows them
    for the model.

    :raises ProviderError: INVALID_REQUEST; the message names the parameter that can't be expressed.
    """
    prompt = inputs.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise _invalid("A video needs a prompt.")
    if unknown := sorted(set(inputs) - KNOWN):
        raise _invalid(f"This provider does not support {', '.join(unknown)}.")
    wire: dict[str, Any] = {"model": endpoint_id, "prompt": prompt, "size": _size(inputs)}
    if inputs.get("duration") is not None:
        wire["seconds"] = str(_whole(inputs, "duration"))
    if inputs.get("seed") is not None:
        wire["seed"] = _whole(inputs, "seed")
    if inputs.get("loop"):
        wire["loop"] = True
    if inputs.get("reference_images"):
        wire["input_reference"] = _reference(inputs["reference_images"], encoding)
    return wire


def _size(inputs: Mapping[str, Any]) -> str:
    wanted = (inputs.get("resolution") or DEFAULT_RESOLUTION, inputs.get("aspect_ratio") or DEFAULT_RATIO)
    if wanted not in SIZES:
        offered = ", ".join(" ".join(pair) for pair in SIZES)
        raise _invalid(f"No size for resolution {wanted[0]!r} at aspect ratio {wanted[1]!r}. Available: {offered}.")
    return SIZES[wanted]


def _whole(inputs: Mapping[str, Any], name: str) -> int:
    value = inputs[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise _invalid(f"{name} must be a whole number, not {value!r}.")
    return value


def _reference(images: Any, encoding: str) -> dict[str, str]:
    if encoding != "json":
        raise _invalid("Reference images need an account with request_encoding json.")
    if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], str):
        raise _invalid("This provider takes exactly one reference image, as a URL.")
    return {"image_url": images[0]}


def _invalid(message: str) -> ProviderError:
    return ProviderError(ErrorKind.INVALID_REQUEST, message, code="invalid_parameter")
