"""
Types of the fields of a vendor's endpoints, written in a few letters.

``S`` is one of several words, ``Ss`` of words followed by "s", ``I`` an integer, ``N`` a number, each with its possible values:
"S 5 10", "Ss 4 6 8", "I 2-15". ``B`` is true or false, ``U`` a URL, ``U[9]`` up to nine URLs, ``T`` text, ``T500`` text of at
most 500 characters, ``SIZE`` a word or an object of width and height, ``PIXELS`` "1280x720". "!" marks a required field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Fields = Mapping[str, str]
BEGINNINGS = ("https://", "http://", "data:")  # of a URL


def takes(kind: str, value: Any) -> bool:
    """Whether a field of this type accepts a value."""
    name, *listed = kind.removesuffix("!").split()
    words = [*_spread(listed)]
    letters, most = re.fullmatch(r"([A-Za-z]+)\[?([0-9]*)\]?", name).groups()  # type: ignore[union-attr]
    match letters:
        case "S" | "Ss":
            return isinstance(value, str) and value in {word + letters[1:] for word in words}
        case "I" | "N":
            return type(value) in ((int,) if letters == "I" else (int, float)) and (not words or f"{value:g}" in words)
        case "B":
            return isinstance(value, bool)
        case "T":
            return isinstance(value, str) and len(value) <= int(most or 10**9)
        case "U" if most:
            return isinstance(value, list) and 1 <= len(value) <= int(most) and all(takes("U", one) for one in value)
        case "U":
            return isinstance(value, str) and value.startswith(BEGINNINGS)
        case "SIZE" if isinstance(value, dict):
            return set(value) == {"width", "height"} and all(type(side) is int for side in value.values())
        case "SIZE":
            return isinstance(value, str) and value in words
        case "PIXELS":
            return isinstance(value, str) and re.fullmatch("[0-9]{3,4}x[0-9]{3,4}", value) is not None
    raise ValueError(f"There is no kind of field {kind!r}.")


def document_of(fields: Fields) -> dict[str, Any]:
    """Return the OpenAPI document of an endpoint with these fields."""
    needed = [name for name, kind in fields.items() if kind.endswith("!")]
    inputs = {"type": "object", "required": needed, "properties": {name: _schema(kind) for name, kind in fields.items()}}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/EndpointInput"}}}}
    size = {"type": "object", "properties": {side: {"type": "integer"} for side in ("width", "height")}}
    return {
        "openapi": "3.0.4",
        "info": {"title": "Studio preview", "version": "1"},
        "paths": {"/": {"post": {"requestBody": body}}},
        "components": {"schemas": {"EndpointInput": inputs, "ImageSize": size}},
    }


def _schema(kind: str) -> dict[str, Any]:
    name, *listed = kind.removesuffix("!").split()
    words = [*_spread(listed)]
    letters, most = re.fullmatch(r"([A-Za-z]+)\[?([0-9]*)\]?", name).groups()  # type: ignore[union-attr]
    text: dict[str, Any] = {"type": "string"}
    match letters:
        case "S" | "Ss":
            return text | {"enum": [word + letters[1:] for word in words]}
        case "I" | "N":
            number = {"type": "integer" if letters == "I" else "number"}
            return number | ({"enum": [int(word) for word in words]} if words else {})
        case "B":
            return {"type": "boolean"}
        case "T":
            return text | ({"maxLength": int(most)} if most else {})
        case "U" if most:
            return {"type": "array", "items": text, "maxItems": int(most)}
        case "SIZE":
            return {"anyOf": [{"$ref": "#/components/schemas/ImageSize"}, text | {"enum": words}]}
        case "U" | "PIXELS":
            return text
    raise ValueError(f"There is no kind of field {kind!r}.")


def _spread(words: list[str]) -> Iterator[str]:
    """Yield the words, with each number of a range: "4-6" is 4, 5 and 6."""
    for word in words:
        span = re.fullmatch(r"([0-9]+)-([0-9]+)", word)
        yield from map(str, range(int(span[1]), int(span[2]) + 1)) if span else [word]
