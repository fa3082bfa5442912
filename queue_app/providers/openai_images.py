"""
OpenAI-style images (`providers.md` §4.7): ``/v1/images/generations``, and ``/v1/images/edits`` with reference images, both in
JSON. The images come as base64 in the answer; some gateways send URLs instead.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from queue_app.providers.base import Wire, encoded
from queue_app.providers.synchronous import AnswerResult, Synchronous, failed, web_address
from queue_app.rules.codec import Codec

MOST_IMAGES = 20
LISTS = ("data", "images")
IMAGE_FIELD = "images"  # of an edit; a generation has none
SPACE = re.compile(r"\s+")
DATA_URL = re.compile(r"data:[a-z/+.-]{0,60};base64,", re.IGNORECASE)


class OpenAIImages(Synchronous):
    """One account at an OpenAI-style images API."""

    name = "openai_images"
    kinds = ("image",)

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        """
        Convert ``prompt`` and our parameters to wire fields.

        :raises ProviderError: INVALID_REQUEST, naming the parameter that this endpoint can't express.
        """
        wire = encoded(endpoint_id, codec, inputs)
        return replace(wire, inputs={"model": wire.endpoint_id, **wire.inputs})

    def path(self, inputs: Mapping[str, Any]) -> str:
        return "/images/edits" if IMAGE_FIELD in inputs else "/images/generations"

    def read(self, body: Mapping[str, Any]) -> AnswerResult | None:
        """Return the images that can be read. An empty list means that the provider generated none."""
        listed = _listed(body)
        if listed is None:
            return None
        files = list(_files(listed))
        if files:
            return AnswerResult(files[:MOST_IMAGES], content_type=_content_type(body), raw=_revised(listed))
        said = next((one for one in listed if isinstance(one, dict) and one.get("error")), {})
        if said or not listed:
            return failed(said or body, "The provider sent no image.")
        return None


def _listed(body: Mapping[str, Any]) -> list[Any] | None:
    """Return the list of images, which some gateways put in an envelope."""
    inner = body.get("data")
    holders = [body, inner] if isinstance(inner, dict) else [body]
    return next((holder[name] for holder in holders for name in LISTS if isinstance(holder.get(name), list)), None)


def _files(listed: list[Any]) -> Iterator[bytes | str]:
    for one in listed:
        image = one if isinstance(one, dict) else {}
        found = _decoded(image.get("b64_json")) or web_address(image.get("url")) or _decoded(image.get("url"), data_url=True)
        if found:
            yield found


def _decoded(value: Any, *, data_url: bool = False) -> bytes | None:
    """Return the bytes in a base64 text, which may be a data URL; ``None`` for anything else."""
    if not isinstance(value, str):
        return None
    begins = DATA_URL.match(value)
    if data_url and not begins:
        return None
    text = SPACE.sub("", value[begins.end() :] if begins else value)
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if "-" in text or "_" in text else None, validate=True)
    except (binascii.Error, ValueError):
        return None


def _content_type(body: Mapping[str, Any]) -> str:
    named = body.get("output_format")
    return f"image/{named}" if isinstance(named, str) and re.fullmatch("[a-z]{2,8}", named) else ""


def _revised(listed: list[Any]) -> dict[str, Any]:
    """Return the prompts that the provider rewrote, if it did."""
    prompts = [one["revised_prompt"] for one in listed if isinstance(one, dict) and isinstance(one.get("revised_prompt"), str)]
    return {"revised_prompts": prompts[:MOST_IMAGES]} if prompts else {}
