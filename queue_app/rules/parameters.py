"""
Parameters that a model accepts. A specification maps each name to one of:

* ``{"values": [4, 8, 12], "default": 8, "unit": "s"}``: one of these values;
* ``{"low": 0, "high": 4294967295}``: a whole number in this range, without a default.
"""

from collections.abc import Mapping
from typing import Any

PROBLEMS_MOST = 100  # most problems in one answer; the others are reported once these are fixed
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


def _problem(model: str, name: str, rule: Mapping[str, Any], value: Any) -> str | None:
    if "values" in rule:
        allowed = rule["values"]
        if any(value == one and type(value) is type(one) for one in allowed):
            return None
        unit = f" {rule['unit']}" if rule.get("unit") else ""
        return f"{name} must be {_listed(allowed)}{unit} for {model}, not {_given(value, like=allowed[0])}."
    low, high = rule["low"], rule["high"]
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return None
    return f"{name} must be a whole number from {low} to {high}, not {_given(value, like=low)}."


def _listed(values: list[Any]) -> str:
    words = [_shown(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _given(value: Any, *, like: Any) -> str:
    """Return the sent value for a message; mark text where a number is expected, as both would look the same."""
    return f"the text “{_shown(value)}”" if isinstance(value, str) and not isinstance(like, str) else _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
