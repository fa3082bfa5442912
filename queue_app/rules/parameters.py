"""
Parameters that a model accepts. A specification maps each name to one of:

* ``{"values": [4, 8, 12], "default": 8, "unit": "s"}``: one of these values;
* ``{"low": 0, "high": 4294967295}``: a whole number in this range, without a default;
* ``{"most": 500}``: text of at most this many characters, without a default;
* ``{"roles": {"first_frame": 1, "last_frame": 1, "references": 9}}``: URLs of images, at most this many in each role.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from queue_app.rules.words import is_storable

PROBLEMS_MOST = 100  # most problems in one answer; the others are reported once these are fixed
LONGEST_URL = 2_000  # characters
Problems = dict[str, str]


def settle(
    model: str, specification: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
) -> tuple[dict[str, Any], Problems]:
    """
    Check the given parameters and add the defaults.

    Return the parameters of the job and the problems by name; each problem names the allowed values. Stops once there are more
    than ``PROBLEMS_MOST``.
    """
    problems: Problems = {}
    settled = {name: rule["default"] for name, rule in specification.items() if "default" in rule}
    for name, value in given.items():
        rule = specification.get(name)
        if rule is None:
            problems[name] = f"{model} has no parameter “{name}”. Available: {', '.join(specification) or 'none'}."
        elif value is None:
            continue
        elif problem := _problem(model, name, rule, value):
            problems[name] = problem
        else:
            settled[name] = value
        if len(problems) > PROBLEMS_MOST:
            break
    return settled, problems


def listed(values: Sequence[Any]) -> str:
    """Return the possible values as text: “4, 8 or 12”."""
    words = [_shown(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def given(value: Any, *, like: Any) -> str:
    """Return the sent value for a message; mark text where a number is expected, as both would look the same."""
    return f"the text “{_shown(value)}”" if isinstance(value, str) and not isinstance(like, str) else _shown(value)


def _problem(model: str, name: str, rule: Mapping[str, Any], value: Any) -> str | None:
    if "values" in rule:
        allowed = rule["values"]
        if any(value == one and type(value) is type(one) for one in allowed):
            return None
        unit = f" {rule['unit']}" if rule.get("unit") else ""
        return f"{name} must be {listed(allowed)}{unit} for {model}, not {given(value, like=allowed[0])}."
    if "most" in rule:
        return _text_problem(name, rule["most"], value)
    if "roles" in rule:
        return _images_problem(model, name, rule["roles"], value)
    low, high = rule["low"], rule["high"]
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return None
    return f"{name} must be a whole number from {low} to {high}, not {given(value, like=low)}."


def _text_problem(name: str, most: int, value: Any) -> str | None:
    if not isinstance(value, str):
        return f"{name} must be text, not {given(value, like='')}."
    if len(value) > most:
        return f"{name} is {len(value):,} characters; the limit is {most:,}."
    return None if is_storable(value) else f"{name} contains a NUL character or an unpaired surrogate. Remove it."


def _images_problem(model: str, name: str, roles: Mapping[str, int], value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return f"{name} must be an object of {', '.join(roles)}."
    for role, images in value.items():
        many = role == "references"
        if role not in roles:
            return f"{model} takes no {_shown(role).replace('_', ' ')}. Available: {', '.join(roles)}."
        if many and not isinstance(images, list):
            return f"{name}.{role} must be a list of URLs."
        if many and len(images) > roles[role]:
            return f"{name}.{role} has {len(images):,} images; {model} takes {roles[role]}."
        if not all(map(_is_url, images if many else [images])):
            return f"{name}.{role} must be {'URLs that begin' if many else 'a URL that begins'} with https:// or http://."
    if "last_frame" in value and "first_frame" in roles and not value.get("first_frame"):
        return "A last frame needs a first frame, too."
    return None


def _is_url(value: Any) -> bool:
    """Whether this has the form of an address. Where it leads is checked when it is fetched."""
    if not isinstance(value, str) or len(value) > LONGEST_URL or not is_storable(value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and value.isprintable()
    except ValueError:
        return False


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
