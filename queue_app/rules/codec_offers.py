"""The parameters that a codec allows, as a specification of a model's parameters (`rules.parameters`)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from queue_app.rules.codec import PARAMETERS, ROLES, SEED_HIGH, SEED_LOW, Codec, part_of, seconds_of, ways_of
from queue_app.rules.parameters import same

Specification = dict[str, dict[str, Any]]
_LISTED = ("duration", "aspect_ratio", "resolution", "quality", "audio")


def offers(codec: Codec) -> Specification:
    """Return the parameters of one endpoint, in the order in which forms show them."""
    found: Specification = {name: {"values": values} for name in _LISTED if (values := _values(codec, name))}
    if "duration" in found:
        found["duration"]["unit"] = "s"
    if seed := codec.get("seed"):
        found["seed"] = {"low": seed.get("low", SEED_LOW), "high": seed.get("high", SEED_HIGH)}
    if negative := codec.get("negative_prompt"):
        found["negative_prompt"] = {"most": negative["most"]}
    if (count := codec.get("count")) and count["high"] > 1:
        found["count"] = {"low": 1, "high": count["high"], "default": 1}
    found["loop"] = {"values": _values(codec, "loop") or [False]}
    if roles := _roles(codec):
        found["images"] = {"roles": roles}
    return found


def common(codecs: Iterable[Codec]) -> Specification:
    """Return the parameters that all these endpoints allow: those of a model that any of them may serve."""
    all_of_them = [offers(codec) for codec in codecs]
    shared = {
        name: _shared(rule, [one[name] for one in all_of_them])
        for name, rule in (all_of_them[0] if all_of_them else {}).items()
        if all(name in one for one in all_of_them)
    }
    return {name: rule for name, rule in shared.items() if rule}


def with_images(codec: Codec, roles: Collection[str]) -> tuple[set[str], set[str]]:
    """
    Return what images in these roles do to other parameters at one endpoint: those that follow from the image, and those that
    can't be set beside it. Both are empty if images can't be used in these roles.
    """
    way = next((way for way in ways_of(codec) if roles and {*roles} <= {*way}), {})
    parts = way.get("codec", {})
    lacking = {name for name, part in PARAMETERS.items() if part in parts and parts[part] is None}
    return set(way.get("from_image", ())), lacking


def _values(codec: Codec, name: str) -> list[Any]:
    part = part_of(codec, name)
    if part is None:
        return list(codec.get("aspect", {}).get("by_resolution", ())) if name == "resolution" else []
    if "fixed" in part:
        return [part["fixed"]]
    if name == "duration":
        return seconds_of(part)
    if name in ("audio", "loop"):
        return [False, True]
    if "by_resolution" in part:  # the ratios that every resolution has
        first, *others = part["by_resolution"].values()
        return [ratio for ratio in first if all(ratio in other for other in others)]
    return list(part["sizes"] if "sizes" in part else part["values"])


def _roles(codec: Codec) -> dict[str, int]:
    """Return the most images of each role, in any of the ways."""
    most: dict[str, int] = {}
    for way in ways_of(codec):
        for role in ROLES:
            if role in way:
                most[role] = max(most.get(role, 0), way[role]["most"] if role == "references" else 1)
    return most


def _shared(rule: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a rule of the form of ``rule`` that allows what all ``rules`` allow; empty if there is nothing."""
    if "values" in rule:
        values = [one for one in rule["values"] if all(any(same(one, other) for other in each["values"]) for each in rules)]
        return {**rule, "values": values} if values else {}
    if "roles" in rule:
        least = {role: min(each["roles"].get(role, 0) for each in rules) for role in rule["roles"]}
        roles = {role: most for role, most in least.items() if most}
        return {**rule, "roles": roles} if roles else {}
    if "most" in rule:
        return {**rule, "most": min(each["most"] for each in rules)}
    low, high = max(each["low"] for each in rules), min(each["high"] for each in rules)
    return {**rule, "low": low, "high": high} if low <= high else {}
