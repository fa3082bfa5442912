"""
The price of a job: a rate × units, in whole tickets. The price in US dollars is what the provider is expected to charge.

A model's price rule is ``{"rates": [...], "estimated": true}``. Each rate has ``when``, the parameters that it is for (a value
or a list of values), and the price of a unit: ``usd``, as text, and ``tickets``. The first rate that fits counts; a price that it
lacks is the model's own price per unit. ``estimated`` means that the provider has not published the price.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

MOST_TICKETS, MOST_USD = 1_000_000, Decimal(100_000)
_RATE_MEMBERS = {"when", "usd", "tickets"}


@dataclass(frozen=True)
class Price:
    """The price of a model per ``unit`` (second, image or page), with the rates that differ."""

    unit: str
    tickets: int
    usd: Decimal
    rule: Mapping[str, Any] = field(default_factory=dict)

    def units(self, parameters: Mapping[str, Any]) -> int:
        """Return the number of units of a job: seconds of video, else images or pages."""
        seconds = int(parameters["duration"]) if self.unit == "second" and "duration" in parameters else 1
        return seconds * int(parameters.get("count") or 1)

    def tickets_of(self, parameters: Mapping[str, Any]) -> int:
        """Return the price of a job with these parameters in tickets."""
        return self.tickets_per_unit(parameters) * self.units(parameters)

    def tickets_per_unit(self, parameters: Mapping[str, Any]) -> int:
        return int(self._rate(parameters).get("tickets", self.tickets))

    def usd_of(self, parameters: Mapping[str, Any]) -> Decimal:
        """Return what the provider is expected to charge for such a job in US dollars."""
        return Decimal(self._rate(parameters).get("usd", self.usd)) * self.units(parameters)

    @property
    def is_estimated(self) -> bool:
        """Whether the price in US dollars is not a published one."""
        return bool(self.rule.get("estimated"))

    def rate_number(self, parameters: Mapping[str, Any]) -> int | None:
        """Return the number of the rate that counts, from 1; ``None`` where it is the model's own price."""
        rates = enumerate(self.rule.get("rates", ()), start=1)
        return next((number for number, rate in rates if _fits(rate["when"], parameters)), None)

    def _rate(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        number = self.rate_number(parameters)
        rate: Mapping[str, Any] = self.rule["rates"][number - 1] if number else {}
        return rate


def problems(rule: Any) -> list[str]:
    """Return the problems of a price rule, for the person who edits it. Takes any JSON."""
    return list(_problems(rule)) if isinstance(rule, dict) else ["A price rule is an object."]


def _problems(rule: Mapping[str, Any]) -> Iterator[str]:
    if unknown := sorted(set(rule) - {"rates", "estimated"}):
        yield f"Unknown member “{unknown[0][:60]}”. Available: rates, estimated."
    if not isinstance(rule.get("estimated", False), bool):
        yield "“estimated” must be true or false."
    rates = rule.get("rates", [])
    if not isinstance(rates, list):
        yield "“rates” must be a list."
        return
    for number, rate in enumerate(rates, start=1):
        yield from (f"Rate {number}: {words}" for words in _rate_problems(rate))


def _rate_problems(rate: Any) -> Iterator[str]:
    if not isinstance(rate, dict) or not rate.keys() <= _RATE_MEMBERS or not rate.keys() & {"usd", "tickets"}:
        yield "must be an object of “when”, and “usd” or “tickets” or both."
        return
    if not isinstance(rate.get("when"), dict):
        yield "“when” must be an object of parameters and their values."
    if "usd" in rate and not _is_usd(rate["usd"]):
        yield '“usd” must be an amount as text, such as "0.40".'
    tickets = rate.get("tickets", 1)
    if isinstance(tickets, bool) or not isinstance(tickets, int) or not 1 <= tickets <= MOST_TICKETS:
        yield f"“tickets” must be a whole number from 1 to {MOST_TICKETS:,}."


def _is_usd(value: Any) -> bool:
    try:
        return isinstance(value, str) and len(value) <= 30 and 0 <= Decimal(value) <= MOST_USD  # false for nan too
    except InvalidOperation:  # nan can't be compared, either
        return False


def _fits(when: Mapping[str, Any], parameters: Mapping[str, Any]) -> bool:
    return all(_is_one_of(parameters.get(name), values) for name, values in when.items())


def _is_one_of(value: Any, values: Any) -> bool:
    allowed: Sequence[Any] = values if isinstance(values, list) else [values]
    return any(type(value) is type(one) and value == one for one in allowed)
