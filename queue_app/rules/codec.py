"""
The codec of a route: how our parameters are sent to one endpoint of a provider. Plain data that staff may edit.

A codec maps each parameter to the endpoint's field and the values that the field accepts:

* ``prompt`` ``{field, most}``: at most this many characters;
* ``duration`` ``{field, as, values | low, high}``: whole seconds, sent as ``integer`` 8, ``number`` 8, ``string`` "8" or
  ``string_s`` "8s";
* ``aspect`` ``{field, values}``, or ``{field, sizes}`` with a size for each ratio: a name, or ``[width, height]``, which is sent
  as an object, or in two fields if ``fields`` names them; ``{field, by_resolution: {"720p": sizes}}`` if a size determines the
  resolution, too;
* ``resolution``, ``quality`` ``{field, values}``; ``values`` (here and above) is a list of words, or an object: ours to theirs;
* ``audio``, ``loop`` ``{field}``: true or false;
* ``seed`` ``{field, low, high}``; ``negative_prompt`` ``{field, most}``; ``count`` ``{field, high}``;
* ``images``: a way to send images, or a list of ways, of which the first that takes all given roles is used (see `ways_of`);
* ``always``: fields that are sent as they are;
* ``answer`` ``{limit, format}``, of texts: the field for the most tokens of an answer, by default ``max_tokens``, and how its
  JSON Schema is sent: ``json_schema``, or ``json_object`` if the endpoint only takes that it is JSON; otherwise it is not sent.

``{"fixed": value}`` in place of a field: the endpoint makes this value only, and nothing is sent. A parameter without an entry
can't be used at the endpoint, except no loop and one image, which every endpoint makes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from queue_app.rules.parameters import NEUTRAL, given, listed, same

Codec = Mapping[str, Any]
Wire = dict[str, Any]

ROLES = ("first_frame", "last_frame", "references")
SEED_LOW, SEED_HIGH = 0, 4_294_967_295
URL_MARK = "{url}"
FORMATS = ("json_schema", "json_object")
# the parts of a codec, and the members that each may have
MEMBERS: Mapping[str, set[str]] = {
    "prompt": {"field", "most"},
    "duration": {"field", "as", "values", "low", "high", "fixed"},
    "aspect": {"field", "fields", "values", "sizes", "by_resolution", "fixed"},
    "resolution": {"field", "values", "fixed"},
    "quality": {"field", "values", "fixed"},
    "audio": {"field", "fixed"},
    "loop": {"field", "fixed"},
    "seed": {"field", "low", "high"},
    "negative_prompt": {"field", "most"},
    "count": {"field", "high"},
    "answer": {"limit", "format"},
}
# our parameters by the part that sends them; ``images`` is not among them, as its fields depend on the given roles
PARAMETERS: Mapping[str, str] = {
    "duration": "duration",
    "aspect_ratio": "aspect",
    "resolution": "resolution",
    "quality": "quality",
    "audio": "audio",
    "seed": "seed",
    "negative_prompt": "negative_prompt",
    "count": "count",
    "loop": "loop",
}


class CannotSay(Exception):
    """A route can't express ``parameter`` or its value. The message names what is possible instead."""

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.message = message


def encode(codec: Codec, inputs: Mapping[str, Any]) -> tuple[Wire, str | None]:
    """
    Convert ``prompt`` and our parameters to the fields of an endpoint. A parameter that is ``None`` counts as not given.

    Return the wire fields, and the endpoint to use in place of the route's own if the given images need another one.

    :raises CannotSay: the endpoint can't express a parameter or its value.
    """
    prompt = inputs.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise CannotSay("prompt", "Enter a prompt.")
    wire, endpoint = say(codec, {name: value for name, value in inputs.items() if name != "prompt"}, characters=len(prompt))
    return {codec.get("prompt", {}).get("field", "prompt"): prompt, **wire}, endpoint


def say(codec: Codec, parameters: Mapping[str, Any], *, characters: int) -> tuple[Wire, str | None]:
    """
    Convert our parameters as `encode` does, for a prompt of this many ``characters``, which is left out of the wire fields.

    :raises CannotSay: the endpoint can't express a parameter or its value.
    """
    asked = {name: value for name, value in parameters.items() if value is not None}
    images = _images(asked.pop("images", None))
    way = _way(codec, images) if images else {}
    here = {name: part for name, part in {**codec, **way.get("codec", {})}.items() if part is not None}
    most = here.get("prompt", {}).get("most")
    if most is not None and characters > most:
        raise CannotSay("prompt", f"The prompt is {characters:,} characters; the limit is {most:,}.")
    wire: Wire = dict(here.get("always", {}))
    for name, value in asked.items():
        if name not in way.get("from_image", ()):
            wire |= _said(here, name, value, asked)
    return _with_images(wire, way, images), way.get("endpoint")


def part_of(codec: Codec, parameter: str) -> Mapping[str, Any] | None:
    """Return the part of a codec that sends a parameter, or ``None``."""
    return codec.get(PARAMETERS.get(parameter, ""))


def seconds_of(part: Mapping[str, Any]) -> list[int]:
    """Return the durations in seconds that a part can express."""
    return list(part["values"]) if "values" in part else list(range(part["low"], part["high"] + 1))


def ways_of(codec: Codec) -> list[Mapping[str, Any]]:
    """
    Return the ways to send images: ``first_frame``, ``last_frame`` (a field, or ``{field, item, list}``), ``references``
    (``{field, most, item}``). ``item`` is the JSON for one image, with "{url}" for its URL.

    A way may also have ``endpoint``, used in place of the route's own; ``from_image``, parameters that follow from the image and
    are not sent; ``codec``, the parts that differ there, null for those that do not exist there.
    """
    images = codec.get("images", [])
    return list(images) if isinstance(images, list) else [images]


# --- parameters -----------------------------------------------------------------------------------------------------


def _said(codec: Codec, name: str, value: Any, asked: Mapping[str, Any]) -> Wire:
    part = part_of(codec, name)
    if part is not None and "fixed" in part:
        if not same(value, part["fixed"]):
            raise _not_one_of(name, value, [part["fixed"]])
        return {}
    if part is not None:
        return _SAYERS[name](codec, name, value, asked)
    if name == "resolution" and "by_resolution" in codec.get("aspect", {}):
        _sizes(codec, asked)  # the size determines it
        return {}
    if name in NEUTRAL and same(value, NEUTRAL[name]):
        return {}
    raise CannotSay(name, f"{name} can't be set here.")


def _duration(codec: Codec, name: str, value: Any, asked: Mapping[str, Any]) -> Wire:
    part = codec["duration"]
    seconds = seconds_of(part)
    if not any(same(value, one) for one in seconds):
        raise _not_one_of(name, value, seconds, unit=" s")
    return {part["field"]: {"string": str(value), "string_s": f"{value}s"}.get(part["as"], value)}


def _aspect(codec: Codec, name: str, value: Any, asked: Mapping[str, Any]) -> Wire:
    part = codec["aspect"]
    if "values" in part:
        return {part["field"]: _their_word(name, value, part["values"])}
    sizes = _sizes(codec, asked)
    if not isinstance(value, str) or value not in sizes:
        raise _not_one_of(name, value, list(sizes))
    size = sizes[value]
    if isinstance(size, str):
        return {part["field"]: size}
    if "fields" in part:
        return dict(zip(part["fields"], size, strict=True))
    return {part["field"]: dict(zip(("width", "height"), size, strict=True))}


def _sizes(codec: Codec, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the sizes of an endpoint by ratio: if they depend on the resolution, those of the requested or of the first one."""
    part: Mapping[str, Any] = codec["aspect"]
    sizes: Mapping[str, Any] = part.get("sizes", {})
    if "by_resolution" in part:
        tables = part["by_resolution"]
        resolution = asked.get("resolution", next(iter(tables)))
        if not isinstance(resolution, str) or resolution not in tables:
            raise _not_one_of("resolution", resolution, list(tables))
        if "aspect_ratio" not in asked:
            raise CannotSay("aspect_ratio", "Choose an aspect ratio, too: here a size says both.")
        sizes = tables[resolution]
    return sizes


def _word(codec: Codec, name: str, value: Any, asked: Mapping[str, Any]) -> Wire:
    return {codec[name]["field"]: _their_word(name, value, codec[name]["values"])}


def _switch(codec: Codec, name: str, value: Any, asked: Mapping[str, Any]) -> Wire:
    if not isinstance(value, bool):
        raise _not_one_of(name, value, [True, False])
    return {codec[name]["field"]: value}


def _number(codec: Codec, name: str, value: Any, asked: Mapping[str, Any]) -> Wire:
    part = codec[name]
    low, high = 1 if name == "count" else part.get("low", SEED_LOW), part.get("high", SEED_HIGH)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise CannotSay(name, f"{name} must be a whole number from {low} to {high}, not {given(value, like=low)}.")
    return {part["field"]: value}


def _text(codec: Codec, name: str, value: Any, asked: Mapping[str, Any]) -> Wire:
    field, most = codec[name]["field"], codec[name]["most"]
    if not isinstance(value, str):
        raise CannotSay(name, f"{name} must be text, not {given(value, like='')}.")
    if len(value) > most:
        raise CannotSay(name, f"{name} is {len(value):,} characters; the limit is {most:,}.")
    return {field: value} if value else {}


_SAYERS: Mapping[str, Callable[[Codec, str, Any, Mapping[str, Any]], Wire]] = {
    "duration": _duration,
    "aspect_ratio": _aspect,
    "resolution": _word,
    "quality": _word,
    "audio": _switch,
    "loop": _switch,
    "seed": _number,
    "count": _number,
    "negative_prompt": _text,
}


def _their_word(name: str, value: Any, values: Sequence[str] | Mapping[str, str]) -> str:
    if not isinstance(value, str) or value not in values:
        raise _not_one_of(name, value, list(values))
    return values[value] if isinstance(values, Mapping) else value


def _not_one_of(name: str, value: Any, allowed: Sequence[Any], *, unit: str = "") -> CannotSay:
    return CannotSay(name, f"{name} must be {listed(allowed)}{unit}, not {given(value, like=allowed[0])}.")


# --- images ---------------------------------------------------------------------------------------------------------


def _images(value: Any) -> dict[str, Any]:
    """Return the given images by role, without empty roles."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not set(value) <= set(ROLES):
        raise CannotSay("images", f"images must be an object of {', '.join(ROLES)}.")
    found = {role: value[role] for role in ROLES if value.get(role)}
    for role, images in found.items():
        many = role == "references"
        if not isinstance(images, list if many else str) or not all(isinstance(url, str) for url in images):
            raise CannotSay("images", f"images.{role} must be {'a list of URLs' if many else 'a URL'}.")
    return found


def _way(codec: Codec, images: Mapping[str, Any]) -> Mapping[str, Any]:
    ways = ways_of(codec)
    if not ways:
        raise CannotSay("images", "Images can't be used here.")
    fitting = [way for way in ways if set(images) <= set(way)]
    if not fitting:
        raise CannotSay("images", f"Images can only be used as {_said_ways(ways)} here.")
    if "last_frame" in images and "first_frame" not in images and all("first_frame" in way for way in fitting):
        raise CannotSay("images", "A last frame needs a first frame, too.")
    count = len(images.get("references", ()))
    for way in fitting:
        if not count or count <= way["references"]["most"]:
            return way
    most = max(way["references"]["most"] for way in fitting)
    raise CannotSay("images", f"You sent {count} reference images; the limit is {most}.")


def _said_ways(ways: Sequence[Mapping[str, Any]]) -> str:
    """Return the possible roles: “first frame, first frame with last frame or references”."""
    return listed([" with ".join(role.replace("_", " ") for role in ROLES if role in way) for way in ways])


def _with_images(wire: Wire, way: Mapping[str, Any], images: Mapping[str, Any]) -> Wire:
    for role, urls in images.items():
        how = way[role] if isinstance(way[role], Mapping) else {"field": way[role]}
        items = [_filled(how.get("item", URL_MARK), url) for url in (urls if role == "references" else [urls])]
        if role == "references" or how.get("list"):
            wire[how["field"]] = [*wire.get(how["field"], []), *items]
        else:
            (wire[how["field"]],) = items
    return wire


def _filled(item: Any, url: str) -> Any:
    if isinstance(item, Mapping):
        return {name: _filled(inner, url) for name, inner in item.items()}
    return url if item == URL_MARK else item
