"""Whether a provider's own list of input fields, as JSON schemas, still takes what a codec sends."""

from collections.abc import Iterator, Mapping
from typing import Any

from queue_app.rules.codec import ROLES, CannotSay, Codec, say, ways_of
from queue_app.rules.codec_offers import offers
from queue_app.rules.parameters import listed

Schema = Mapping[str, Any]
Fields = Mapping[str, Schema]
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def differences(codec: Codec, fields: Fields) -> list[str]:
    """Return what the provider no longer takes, in words, each parameter once: a field that is gone, or values of it."""
    always = codec.get("always", {})
    sent = [codec.get("prompt", {}).get("field", "prompt"), *always]
    gone = [f"no field “{name}”" for name in sent if name not in fields]
    changed = (words for name, values in _values(codec).items() if (words := _changed(codec, fields, name, values)))
    fixed = (f"“{name}” no longer takes {value!r}" for name, value in always.items() if not fits(value, fields.get(name, {})))
    images = (f"no field “{name}” for images" for name in _of_images(codec) if name not in fields)
    return [*gone, *fixed, *changed, *images]


def endpoints_of(endpoint_id: str, codec: Codec) -> list[str]:
    """Return the endpoints that a route uses: its own, and those for images."""
    others = (way["endpoint"] for way in ways_of(codec) if way.get("endpoint"))
    return list(dict.fromkeys([endpoint_id, *others]))


def fits(value: Any, schema: Schema) -> bool:
    """Whether a value is one that the schema allows, as far as type, choices and bounds say; an empty schema allows all."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(choices, list) and choices:
        return any(isinstance(one, Mapping) and fits(value, one) for one in choices)
    types = TYPES.get(str(schema.get("type")))
    if types and (not isinstance(value, types) or (isinstance(value, bool) and bool not in types)):
        return False
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(type(value) is type(one) and value == one for one in allowed):
        return False
    low, high = schema.get("minimum"), schema.get("maximum")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    below = is_number and isinstance(low, int | float) and value < low
    above = is_number and isinstance(high, int | float) and value > high
    return not below and not above


def _values(codec: Codec) -> dict[str, list[Any]]:
    """Return what may be asked for, by parameter; of bounds their ends."""
    found: dict[str, list[Any]] = {}
    for name, rule in offers(codec).items():
        if "values" in rule:
            found[name] = list(rule["values"])
        elif "low" in rule:
            found[name] = [rule["low"], min(rule["high"], 2**31 - 1)]
        elif "most" in rule:
            found[name] = ["a"]
    return found


def _changed(codec: Codec, fields: Fields, name: str, values: list[Any]) -> str:
    """Return what has changed about one parameter; empty for nothing."""
    sent = [(value, wire) for value in values for wire in _wires(codec, name, value)]
    gone = dict.fromkeys(field for _, wire in sent for field in wire if field not in fields)
    if gone:
        return f"no field {listed([f'“{field}”' for field in gone])} for {name}"
    refused = [str(value) for value, wire in sent if not all(fits(one, fields[field]) for field, one in wire.items())]
    return f"{name} no longer takes {listed(list(dict.fromkeys(refused)))}" if refused else ""


def _wires(codec: Codec, name: str, value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the fields that say a value, without those that are always sent. A size may need the other half of it."""
    bare = {**codec, "always": {}}
    aspects = _values_of_aspect(codec) if name == "resolution" else []
    for beside in [{}, *({"aspect_ratio": ratio} for ratio in aspects)]:
        try:
            wire, _ = say(bare, {name: value, **beside}, characters=1)
        except CannotSay:
            continue
        yield wire
        return


def _values_of_aspect(codec: Codec) -> list[str]:
    return list(offers(codec).get("aspect_ratio", {}).get("values", []))


def _of_images(codec: Codec) -> list[str]:
    """Return the fields for images at the route's own endpoint; those of other endpoints are in other lists."""
    found = []
    for way in ways_of(codec):
        parts = [way[role] for role in ROLES if role in way and not way.get("endpoint")]
        found += [part["field"] if isinstance(part, Mapping) else part for part in parts]
    return list(dict.fromkeys(found))
