"""A codec against a provider's own list of fields: what it no longer takes is named, and nothing else is."""

from typing import Any

import pytest

from queue_app.rules.codec_schema import differences, endpoints_of, fits

CODEC: dict[str, Any] = {
    "prompt": {"most": 100},
    "duration": {"field": "duration", "as": "string_s", "values": [4, 8]},
    "aspect": {"field": "size", "by_resolution": {"720p": {"16:9": "1280x720"}, "1080p": {"16:9": "1920x1080"}}},
    "audio": {"field": "generate_audio"},
    "seed": {"field": "seed"},
    "negative_prompt": {"field": "negative_prompt", "most": 50},
    "images": [
        {"first_frame": "image_url"},
        {"references": {"field": "image_urls", "most": 3}, "endpoint": "acme/model/edit"},
    ],
    "always": {"safety_tolerance": "2"},
}
FIELDS: dict[str, Any] = {
    "prompt": {"type": "string", "maxLength": 100},
    "duration": {"type": "string", "enum": ["4s", "6s", "8s"]},
    "size": {"anyOf": [{"type": "object"}, {"type": "string", "enum": ["1280x720", "1920x1080"]}]},
    "generate_audio": {"type": "boolean"},
    "seed": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "negative_prompt": {"type": "string"},
    "image_url": {},
    "safety_tolerance": {"type": "string", "enum": ["1", "2"]},
    "whatever": {},
}


def test_of_what_fits_nothing_is_said() -> None:
    assert differences(CODEC, FIELDS) == []


def without(name: str) -> dict[str, Any]:
    return {field: schema for field, schema in FIELDS.items() if field != name}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (without("prompt"), ["no field “prompt”"]),
        (without("duration"), ["no field “duration” for duration"]),
        (without("size"), ["no field “size” for aspect_ratio", "no field “size” for resolution"]),
        (without("safety_tolerance"), ["no field “safety_tolerance”"]),
        (without("image_url"), ["no field “image_url” for images"]),
        (FIELDS | {"duration": {"type": "string", "enum": ["6s", "8s"]}}, ["duration no longer takes 4"]),
        (FIELDS | {"duration": {"type": "integer"}}, ["duration no longer takes 4 or 8"]),
        (FIELDS | {"generate_audio": {"type": "string"}}, ["audio no longer takes False or True"]),
        (FIELDS | {"seed": {"type": "integer", "maximum": 100}}, ["seed no longer takes 2147483647"]),
        (FIELDS | {"safety_tolerance": {"enum": ["1"]}}, ["“safety_tolerance” no longer takes '2'"]),
        (FIELDS | {"size": {"enum": ["1280x720"]}}, ["resolution no longer takes 1080p"]),
    ],
)
def test_what_no_longer_fits_is_named_once(fields: dict[str, Any], words: list[str]) -> None:
    assert sorted(differences(CODEC, fields)) == sorted(words)


def test_a_route_uses_the_endpoints_of_its_images_too() -> None:
    assert endpoints_of("acme/model", CODEC) == ["acme/model", "acme/model/edit"]
    assert endpoints_of("acme/model", {}) == ["acme/model"]


@pytest.mark.parametrize(
    ("value", "schema", "fitting"),
    [
        (1, {"type": "integer"}, True),
        (True, {"type": "integer"}, False),
        (1, {"type": "boolean"}, False),
        (1, {"type": "number", "minimum": 1, "maximum": 1}, True),
        (0, {"minimum": 1}, False),
        (1, {"enum": ["1"]}, False),
        (1, {"enum": [True]}, False),
        ("a", {"anyOf": [{"type": "integer"}, {"enum": ["a"]}]}, True),
        ("b", {"oneOf": [{"type": "integer"}, {"enum": ["a"]}]}, False),
        (["a"], {"type": "array"}, True),
        ("a", {"type": ["string", "null"]}, True),
        ("a", {}, True),
        ("a", {"type": "odd"}, True),
    ],
)
def test_a_value_fits_a_schema_as_far_as_it_says(value: Any, schema: dict[str, Any], fitting: bool) -> None:
    assert fits(value, schema) is fitting
