"""
What a model lets one ask for. A specification is a dict of names, each one of:

* ``{"values": [4, 8, 12], "default": 8, "unit": "s"}``: one of these;
* ``{"low": 0, "high": 4294967295}``: a whole number in this span, none by default;
* ``{"most": 500}``: text of at most so many characters, none by default;
* ``{"roles": {"first_frame": 1, "last_frame": 1, "references": 9}}``: URLs of images, so many in each role.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from queue_app.rules.words import is_storable

PROBLEMS_MOST = 100  # named in one answer; those beyond are found when these are fixed
LONGEST_URL = 2_000  # characters
Problems = dict[str, str]


def settle(
    model: str, specification: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
) -> tuple[dict[str, Any], Problems]:
    """
    Fill in the defaults and check what was given.

    Gives the parameters to buy with and the problems by name; each problem says what may be asked instead. Once there are more
    than ``PROBLEMS_MOST`` the rest is not looked at.
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
    """Name values to choose from, as in “4, 8 or 12”."""
    words = [_said(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def given(value: Any, *, like: Any) -> str:
    """Name what was sent, told apart from a number or text that looks the same."""
    return f"the text “{_said(value)}”" if isinstance(value, str) and not isinstance(like, str) else _said(value)


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
            return f"{model} takes no {_said(role).replace('_', ' ')}. Available: {', '.join(roles)}."
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
    """Whether this could be an address; where it leads is for whoever fetches it to see to."""
    if not isinstance(value, str) or len(value) > LONGEST_URL or not is_storable(value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc and value.isprintable()
    except ValueError:
        return False


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
