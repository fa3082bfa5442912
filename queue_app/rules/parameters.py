"""
Parameters that a model accepts. A specification maps each name to one of:

* ``{"values": [4, 8, 12], "default": 8, "unit": "s"}``: one of these values;
* ``{"low": 0, "high": 4294967295}``: a whole number in this range, without a default;
* ``{"most": 500}``: text of at most this many characters, without a default;
* ``{"roles": {"first_frame": 1, "last_frame": 1, "references": 9}}``: images, at most this many in each role. An image is the
  id of an upload (`is_upload`) or a URL.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from queue_app.rules.words import is_storable

PROBLEMS_MOST = 100  # most problems in one answer; the others are reported once these are fixed
LONGEST_URL = 2_000  # characters
Problems = dict[str, str]
# names that mean the same; jobs keep the second
ALIASES: Mapping[str, str] = {"num_images": "count", "reference_images": "images"}
NEUTRAL: Mapping[str, Any] = {"loop": False, "count": 1}  # said by saying nothing
_ROLE_OF = {"first_frame": "first_frame", "last_frame": "last_frame", "reference": "references", "references": "references"}
_UPLOAD = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
        if rule is None and name in NEUTRAL and same(value, NEUTRAL[name]):
            continue
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


def by_our_names(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters by the names that jobs keep. If both names of one are there, `settle` refuses the alias."""
    found = {name: value for name, value in given.items() if ALIASES.get(name) in (None, *given)}
    for alias, name in ALIASES.items():
        if alias in given and name not in given:
            found[name] = _by_role(given[alias]) if name == "images" else given[alias]
    return found


def is_upload(value: str) -> bool:
    """Whether an image is named by the id of an upload, not by a URL."""
    return _UPLOAD.fullmatch(value) is not None


def images_in(images: Any) -> Iterator[str]:
    """Yield every image of ``images`` that is text, the frames first; of what is no object of roles, none."""
    roles = images if isinstance(images, Mapping) else {}
    for role in ("first_frame", "last_frame", "references"):
        value = roles.get(role)
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def with_images(images: Mapping[str, Any], changed: Callable[[str], str]) -> dict[str, Any]:
    """Return ``images`` with each one changed."""
    return {
        role: changed(value) if isinstance(value, str) else [changed(one) for one in value] if value else value
        for role, value in images.items()
    }


def _by_role(value: Any) -> Any:
    """Read ``[{"url": … or "upload": …, "role": …}]`` as an object of roles; anything else is returned as it is."""
    if not isinstance(value, list):
        return value
    found: dict[str, Any] = {}
    for one in value:
        if not (isinstance(one, Mapping) and set(one) in ({"url"}, {"upload"}, {"url", "role"}, {"upload", "role"})):
            return value
        role = _ROLE_OF.get(str(one.get("role", "reference")))
        image = one.get("url", one.get("upload"))
        if role is None or (role in found and role != "references"):
            return value
        found[role] = [*found.get(role, []), image] if role == "references" else image
    return found


def same(value: Any, other: Any) -> bool:
    """Whether two values are equal and of one type: true is not 1, and 8.0 not 8."""
    return type(value) is type(other) and bool(value == other)


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
        return f"{name} must be an object of {', '.join(roles)}, or a list of objects with url or upload, and a role once each."
    for role, images in value.items():
        many = role == "references"
        if role not in roles:
            return f"{model} takes no {_shown(role).replace('_', ' ')}. Available: {', '.join(roles)}."
        if many and not isinstance(images, list):
            return f"{name}.{role} must be a list of upload ids or URLs."
        if many and len(images) > roles[role]:
            return f"{name}.{role} has {len(images):,} images; {model} takes {roles[role]}."
        if not (images is None or all(map(_is_image, images if many else [images]))):
            return (
                f"{name}.{role} must be {'ids of uploads, or URLs' if many else 'the id of an upload, or a URL'} with https://."
            )
    if value.get("last_frame") and "first_frame" in roles and not value.get("first_frame"):
        return "A last frame needs a first frame, too."
    return None


def _is_image(value: Any) -> bool:
    return _is_url(value) or (isinstance(value, str) and is_upload(value))


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
