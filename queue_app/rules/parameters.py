"""
What a model lets one ask for. A specification is a dict of names, each one of:

* ``{"values": [4, 8, 12], "default": 8, "unit": "s"}``: one of these;
* ``{"low": 0, "high": 4294967295}``: a whole number in this span, none by default.
"""

from collections.abc import Mapping
from typing import Any

PROBLEMS_MOST = 100  # named in one answer; those beyond are found when these are fixed
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
    words = [_said(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _given(value: Any, *, like: Any) -> str:
    """What was sent, told apart from a number or text that looks the same."""
    return f"the text “{_said(value)}”" if isinstance(value, str) and not isinstance(like, str) else _said(value)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"
