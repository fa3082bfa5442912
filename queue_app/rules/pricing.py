"""The price of a job: price per unit × units, in whole tickets. The price in US dollars is an estimate."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def units(unit: str, parameters: Mapping[str, Any]) -> int:
    """Return the number of units of a job: its duration in seconds if the unit is a second, else 1."""
    return int(parameters["duration"]) if unit == "second" and "duration" in parameters else 1


def tickets(unit: str, tickets_per_unit: int, parameters: Mapping[str, Any]) -> int:
    return tickets_per_unit * units(unit, parameters)


def usd(unit: str, usd_per_unit: Decimal, parameters: Mapping[str, Any]) -> Decimal:
    return usd_per_unit * units(unit, parameters)
