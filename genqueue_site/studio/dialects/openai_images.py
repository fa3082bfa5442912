"""
OpenAI's images under ``/v1/images/generations`` and ``/v1/images/edits``: the answer to the call is the images, as base64.

Images of an edit are accepted and not drawn. GIF, SVG, streams and masks are refused.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from genqueue_site.studio.dialects import openai
from genqueue_site.studio.dialects.fields import takes
from genqueue_site.studio.floor import Floor, Order
from genqueue_site.studio.jobs import Job, Recipe
from genqueue_site.studio.reading import seed_of
from genqueue_site.studio.wire import Call, Dialect, Refused, Request, Response, fields_of, json_response

NAME = "openai_images"
FIXED_SIZES = ("1024x1024", "1536x1024", "1024x1536")  # of the older models
OLDER = ("gpt-image-1.5", "gpt-image-1-mini")
MODELS = ("gpt-image-2", "gpt-image-2.5-sunburst", "gpt-image-2.5-flare", "gpt-image-2.6-sunburst", "gpt-image-2.6-flare", *OLDER)
FORMATS, QUALITIES = ("png", "jpeg", "webp"), ("low", "medium", "high", "auto")
BACKGROUNDS, MODERATIONS, FIDELITIES = ("transparent", "opaque", "auto"), ("low", "auto"), ("high", "low")
KNOWN = [
    "model", "prompt", "n", "size", "quality", "background", "output_format", "output_compression", "moderation", "user",
    "safety_identifier", "stream",
]  # fmt: skip
KNOWN_OF_EDITS = ["image", "image[]", "images", "input_fidelity"]
MOST_IMAGES, MOST_INPUTS = 10, 16
SIDE_STEP, LONGEST_SIDE, LONGEST_RATIO, FEWEST_PIXELS, MOST_PIXELS = 16, 3840, 3, 655_360, 8_294_400
TOKENS_OF_A_SIDE = {"low": 16, "medium": 32, "high": 64}  # a square image has the square of it
Fields = Mapping[str, object]


def generate(floor: Floor, request: Request) -> Response:
    """Draw images from a prompt and return them."""
    fields = fields_of(request)
    openai.known_only(fields, KNOWN)
    return _drawn(floor, request, fields)


def edit(floor: Floor, request: Request) -> Response:
    """Draw images from a prompt and reference images, and return them."""
    fields = fields_of(request)
    openai.known_only(fields, [*KNOWN, *KNOWN_OF_EDITS])
    _check_inputs(fields, is_form=request.headers.get("content-type", "").startswith("multipart/"))
    return _drawn(floor, request, fields)


def recipe_of(fields: Fields) -> Recipe:
    """
    Return what is to be drawn.

    :raises Refused: a field has a value that the model does not take.
    """
    model, prompt = openai.model(fields, MODELS), openai.prompt(fields)
    count, size = _whole(fields, "n", 1, MOST_IMAGES, default=1), _size(fields, model)
    style = _one_of(fields, "output_format", FORMATS, default="png")
    _one_of(fields, "quality", QUALITIES, default="auto")
    _one_of(fields, "background", BACKGROUNDS, default="auto")
    _one_of(fields, "moderation", MODERATIONS, default="auto")
    _one_of(fields, "input_fidelity", FIDELITIES, default="low")
    if "output_compression" in fields and style == "png":
        raise Refused(400, "Compression less than 100 is not supported for PNG output format.", param="output_compression")
    _whole(fields, "output_compression", 0, 100, default=100)
    if fields.get("stream"):
        raise Refused(400, "The studio does not stream. Leave 'stream' out.", code="unsupported_value", param="stream")
    return Recipe(
        prompt=prompt,
        model=model,
        seed=seed_of(prompt),
        width=size[0],
        height=size[1],
        seconds=0,
        codec=style,
        count=count,
    )


def _drawn(floor: Floor, request: Request, fields: Fields) -> Response:
    number, recipe = f"img_{secrets.token_hex(16)}", recipe_of(fields)
    job = openai.finished(floor, Order(dialect=NAME, id=number, recipe=recipe, echo={}, doom=request.doom))
    quality, background = (str(fields.get(name) or "auto") for name in ("quality", "background"))
    return json_response(_answer(floor, job, quality.replace("auto", "medium"), background.replace("auto", "opaque")))


def _check_inputs(fields: Fields, *, is_form: bool) -> None:
    if is_form:
        if not any(isinstance(fields.get(name), bytes) for name in ("image", "image[]")):
            raise openai.missing("image")
        return
    images = fields.get("images")
    if images is None:
        raise openai.missing("images")
    if not isinstance(images, list) or not 1 <= len(images) <= MOST_INPUTS:
        raise openai.bad_value("images", images, f"an array of 1 to {MOST_INPUTS} images")
    for place, image in enumerate(images):
        if not isinstance(image, dict) or not (takes("U", image.get("image_url")) or isinstance(image.get("file_id"), str)):
            raise openai.bad_value(f"images[{place}]", image, "an object with image_url or file_id")


def _size(fields: Fields, model: str) -> tuple[int, int]:
    size = fields.get("size", "auto")
    if size in (None, "auto"):
        return 1024, 1024
    match = re.fullmatch(r"([0-9]{2,5})x([0-9]{2,5})", size) if isinstance(size, str) else None
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if model in OLDER:
        if size not in FIXED_SIZES:
            raise openai.bad_value("size", size, f"one of {', '.join(FIXED_SIZES)} or auto")
        return width, height
    steps = width % SIDE_STEP == 0 and height % SIDE_STEP == 0 and 0 < max(width, height) <= LONGEST_SIDE
    if not (
        steps and max(width, height) <= LONGEST_RATIO * min(width, height) and FEWEST_PIXELS <= width * height <= MOST_PIXELS
    ):
        wanted = (
            f"sides that are multiples of {SIDE_STEP} up to {LONGEST_SIDE}, {FEWEST_PIXELS:,} to {MOST_PIXELS:,} pixels, or auto"
        )
        raise openai.bad_value("size", size, wanted)
    return width, height


def _one_of(fields: Fields, name: str, words: tuple[str, ...], *, default: str) -> str:
    value = openai.text(fields, name) or default
    if value not in words:
        raise openai.bad_value(name, value, f"one of {', '.join(words)}")
    return value


def _whole(fields: Fields, name: str, low: int, high: int, *, default: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not re.fullmatch("[0-9]{1,4}", str(value)) or not low <= int(str(value)) <= high:
        raise openai.bad_value(name, value, f"a whole number from {low} to {high}")
    return int(str(value))


def _answer(floor: Floor, job: Job, quality: str, background: str) -> dict[str, Any]:
    recipe = job.recipe
    contents = [floor.file_of(job, name) for name in recipe.files]
    images = [{"b64_json": b64encode(content).decode()} for content in contents]
    if job.doom == "dead_asset":
        images = [{"b64_json": b64encode(content[: len(content) // 2]).decode()} for content in contents]
    elif job.doom == "removed":
        images = [{"b64_json": ""} for _ in contents]
    elif job.doom == "no_output":
        images = []
    read = -(-len(recipe.prompt) // 4)
    written = len(images) * TOKENS_OF_A_SIDE[quality] ** 2 * recipe.width * recipe.height // 1024**2
    return {
        "created": int(job.accepted_at),
        "background": background,
        "data": images,
        "output_format": recipe.codec,
        "quality": quality,
        "size": f"{recipe.width}x{recipe.height}",
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"text_tokens": read, "image_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"text_tokens": 0, "image_tokens": written},
            "total_tokens": read + written,
        },
    }


DIALECT = Dialect(
    name=NAME,
    prefixes=("/v1/images",),
    calls=(
        Call(kind="create", method="POST", path=re.compile(r"/v1/images/generations"), handle=generate),
        Call(kind="create", method="POST", path=re.compile(r"/v1/images/edits"), handle=edit),
    ),
    error=openai.error,
    asked=openai.asked(None),
)
