"""What one job costs: price per unit × units. Amounts are whole tickets; US dollars are an estimate."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def units(unit: str, parameters: Mapping[str, Any]) -> int:
    """How many units are bought: seconds of video, else one image or one page."""
    return int(parameters["duration"]) if unit == "second" and "duration" in parameters else 1


def tickets(unit: str, tickets_per_unit: int, parameters: Mapping[str, Any]) -> int:
    return tickets_per_unit * units(unit, parameters)


def usd(unit: str, usd_per_unit: Decimal, parameters: Mapping[str, Any]) -> Decimal:
    return usd_per_unit * units(unit, parameters)
