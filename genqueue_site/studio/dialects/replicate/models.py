"""The models of the studio's Replicate: the schema of their inputs, and whether their output is a URL or a list of URLs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

Field: TypeAlias = dict[str, Any]
URI: Field = {"type": "string", "format": "uri"}
TEXT: Field = {"type": "string"}
SEED: Field = {"type": "integer"}
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}


def one_of(*values: str | int, default: str | int) -> Field:
    """Return the schema of a choice."""
    return {"type": "integer" if isinstance(default, int) else "string", "enum": list(values), "default": default}


def whole(low: int, high: int, default: int) -> Field:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


def flag(default: bool) -> Field:
    """Return the schema of a switch."""
    return {"type": "boolean", "default": default}


def uris(most: int) -> Field:
    """Return the schema of a list of files."""
    return {"type": "array", "items": URI, "maxItems": most, "default": []}


@dataclass(frozen=True, kw_only=True)
class PredictionModel:
    """
    A model. ``codec`` is ``video``, or the default format of images. ``lists`` means that the output is an array. ``seconds`` is
    the default length of a video.
    """

    fields: Mapping[str, Field]
    codec: str
    lists: bool = False
    seconds: int = 5

    def settle(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Add the defaults. Return the whole input and its problems as pairs of field and words."""
        defaults = {name: field["default"] for name, field in self.fields.items() if "default" in field}
        problems = [] if "prompt" in given else [("input", "prompt is required")]
        for name, value in given.items():
            if field := self.fields.get(name):
                problems += [(f"input.{name}", words) for words in _problems(field, value)]
        return defaults | dict(given), problems

    def schema(self) -> dict[str, Any]:
        """Return the OpenAPI document of its version."""
        properties = {name: {**field, "title": name, "x-order": order} for order, (name, field) in enumerate(self.fields.items())}
        output = {"type": "array", "items": URI} if self.lists else URI
        schemas = {
            "Input": {"type": "object", "title": "Input", "required": ["prompt"], "properties": properties},
            "Output": {**output, "title": "Output"},
        }
        return {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}, "paths": {}, "components": {"schemas": schemas}}


def version_of(slug: str) -> str:
    """Return the id of a model's only version."""
    return hashlib.sha256(slug.encode()).hexdigest()


def _problems(field: Field, value: Any) -> Iterator[str]:
    kind = field["type"]
    if not _is_a(kind, value):
        yield f"Invalid type. Expected: {kind}, given: {type(value).__name__}"
        return
    if "enum" in field and value not in field["enum"]:
        yield f"must be one of the following: {', '.join(repr(one) for one in field['enum'])}"
    if "minimum" in field and not field["minimum"] <= value <= field["maximum"]:
        yield f"Must be between {field['minimum']} and {field['maximum']}"
    if "maxItems" in field and len(value) > field["maxItems"]:
        yield f"Array must have at most {field['maxItems']} items"
    if field.get("format") == "uri" and not str(value).startswith(("https://", "http://", "data:")):
        yield "Does not match format 'uri'"


def _is_a(kind: str, value: Any) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


_WIDE = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
_LIKE_INPUT = one_of("match_input_image", *_WIDE, default="match_input_image")
_BANANA = {
    "prompt": TEXT,
    "image_input": uris(14),
    "aspect_ratio": _LIKE_INPUT,
    "output_format": one_of("jpg", "png", default="jpg"),
}
_SEEDREAM = {
    "prompt": TEXT,
    "image_input": uris(14),
    "size": one_of("2K", "4K", "custom", default="2K"),
    "aspect_ratio": _LIKE_INPUT,
    "width": whole(1024, 4096, 2048),
    "height": whole(1024, 4096, 2048),
    "sequential_image_generation": one_of("disabled", "auto", default="disabled"),
    "max_images": whole(1, 15, 1),
}
_FLUX = {
    "prompt": TEXT,
    "input_images": uris(8),
    "aspect_ratio": one_of("match_input_image", "custom", *_WIDE, default="1:1"),
    "resolution": one_of("match_input_image", "0.5 MP", "1 MP", "2 MP", "4 MP", default="1 MP"),
    "width": {"type": "integer", "minimum": 256, "maximum": 2048},
    "height": {"type": "integer", "minimum": 256, "maximum": 2048},
    "safety_tolerance": whole(1, 5, 2),
    "seed": SEED,
    "output_format": one_of("webp", "jpg", "png", default="webp"),
    "output_quality": whole(0, 100, 80),
}
_GPT_IMAGE = {
    "prompt": TEXT,
    "input_images": uris(16),
    "aspect_ratio": one_of("1:1", "3:2", "2:3", default="1:1"),
    "quality": one_of("low", "medium", "high", "auto", default="auto"),
    "number_of_images": whole(1, 10, 1),
    "output_format": one_of("png", "jpeg", "webp", default="webp"),
}
_RATIOS = one_of("16:9", "9:16", "1:1", default="16:9")
_KLING = {"prompt": TEXT, "negative_prompt": TEXT, "aspect_ratio": _RATIOS, "duration": one_of(5, 10, default=5)}
_KLING_OLD = _KLING | {"start_image": URI, "cfg_scale": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5}}
_HAILUO = {
    "prompt": TEXT,
    "duration": one_of(6, 10, default=6),
    "resolution": one_of("768p", "1080p", default="768p"),
    "first_frame_image": URI,
    "prompt_optimizer": flag(True),
}
_VEO = {
    "prompt": TEXT,
    "aspect_ratio": one_of("16:9", "9:16", default="16:9"),
    "duration": one_of(4, 6, 8, default=8),
    "resolution": one_of("720p", "1080p", default="1080p"),
    "image": URI,
    "last_frame": URI,
    "reference_images": uris(3),
    "generate_audio": flag(True),
    "negative_prompt": TEXT,
    "seed": SEED,
}
_SEEDANCE = {
    "prompt": TEXT,
    "duration": whole(-1, 15, 5),
    "resolution": one_of("480p", "720p", "1080p", default="720p"),
    "aspect_ratio": one_of("adaptive", "16:9", "4:3", "1:1", "3:4", "9:16", "21:9", default="adaptive"),
    "image": URI,
    "last_frame_image": URI,
    "reference_images": uris(9),
    "reference_videos": uris(3),
    "reference_audios": uris(3),
    "generate_audio": flag(True),
    "seed": SEED,
}
_WAN = {
    "prompt": TEXT,
    "negative_prompt": TEXT,
    "duration": whole(2, 15, 5),
    "resolution": one_of("720p", "1080p", default="1080p"),
    "aspect_ratio": one_of("16:9", "9:16", "1:1", "4:3", "3:4", default="16:9"),
    "audio": URI,
    "seed": SEED,
}
_RAY = {
    "prompt": TEXT,
    "duration": one_of(5, 9, default=5),
    "aspect_ratio": one_of("1:1", "3:4", "4:3", "9:16", "16:9", "9:21", "21:9", default="16:9"),
    "start_image": URI,
    "end_image": URI,
    "loop": flag(False),
}

MODELS: dict[str, PredictionModel] = {
    "google/nano-banana": PredictionModel(fields=_BANANA, codec="jpeg"),
    "google/nano-banana-pro": PredictionModel(
        fields=_BANANA | {"resolution": one_of("1K", "2K", "4K", default="2K")}, codec="jpeg"
    ),
    "google/nano-banana-2": PredictionModel(
        fields=_BANANA | {"resolution": one_of("1K", "2K", "4K", default="1K")}, codec="jpeg"
    ),
    "bytedance/seedream-4.5": PredictionModel(fields=_SEEDREAM, codec="jpeg", lists=True),
    "bytedance/seedream-5-pro": PredictionModel(fields=_SEEDREAM, codec="jpeg", lists=True),
    "bytedance/seedream-5-lite": PredictionModel(fields=_SEEDREAM, codec="jpeg", lists=True),
    "black-forest-labs/flux-2-pro": PredictionModel(fields=_FLUX, codec="webp"),
    "openai/gpt-image-2": PredictionModel(fields=_GPT_IMAGE, codec="webp", lists=True),
    "minimax/video-01": PredictionModel(
        fields={"prompt": TEXT, "prompt_optimizer": flag(True), "first_frame_image": URI}, codec="video", seconds=6
    ),
    "minimax/hailuo-2.3": PredictionModel(fields=_HAILUO, codec="video", seconds=6),
    "kwaivgi/kling-v1.6-standard": PredictionModel(fields=_KLING_OLD, codec="video"),
    "kwaivgi/kling-v1.6-pro": PredictionModel(fields=_KLING_OLD | {"end_image": URI}, codec="video"),
    "kwaivgi/kling-v2.6": PredictionModel(fields=_KLING | {"start_image": URI, "generate_audio": flag(True)}, codec="video"),
    "google/veo-3.1": PredictionModel(fields=_VEO, codec="video", seconds=8),
    "google/veo-3.1-fast": PredictionModel(fields=_VEO, codec="video", seconds=8),
    "bytedance/seedance-2.0": PredictionModel(fields=_SEEDANCE, codec="video"),
    "bytedance/seedance-2.0-fast": PredictionModel(
        fields=_SEEDANCE | {"resolution": one_of("480p", "720p", default="720p")}, codec="video"
    ),
    "wan-video/wan-2.7-t2v": PredictionModel(fields=_WAN, codec="video"),
    "luma/ray-2-720p": PredictionModel(fields=_RAY, codec="video"),
}
