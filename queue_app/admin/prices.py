"""The price calculator on a model's page: what a job would cost by the values in the form, before they are saved."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST

from queue_app.models import GenerationModel
from queue_app.rules import numbers, pricing
from queue_app.rules import parameters as rules
from queue_app.rules.pricing import Price
from queue_app.rules.words import storable
from queue_app.ui import parameters
from queue_app.ui.parameters import ParameterOption

TRY = "try."  # how the names of the calculator's own fields begin
OF_PRICES = ("unit", "tickets_per_unit", "usd_per_unit", "price", "parameters")  # of the form that it stands in
RIGHT = "queue_app.view_generationmodel"
ALWAYS_SHOWN = {"duration", "resolution", "quality", "audio", "count"}  # others only where a rate names them
COUNT_MOST = 20


@dataclass(frozen=True)
class Choice:
    name: str
    label: str
    options: list[ParameterOption]


@dataclass
class Calculation:
    """The price of one job of a model by its form, or the ``problems`` that prevent one."""

    problems: list[str] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)
    price: Price | None = None
    chosen: dict[str, Any] = field(default_factory=dict)

    @property
    def tickets(self) -> int:
        return self.price.tickets_of(self.chosen) if self.price else 0

    @property
    def usd(self) -> Decimal:
        return self.price.usd_of(self.chosen) if self.price else Decimal(0)

    @property
    def units(self) -> int:
        return self.price.units(self.chosen) if self.price else 0

    @property
    def tickets_each(self) -> int:
        return self.price.tickets_per_unit(self.chosen) if self.price else 0

    @property
    def usd_words(self) -> tuple[str, str]:
        """Return the dollars of the job, and those of a unit."""
        return numbers.dollars(self.usd), numbers.dollars(self.usd / self.units if self.units else Decimal(0))

    @property
    def basis(self) -> str:
        """Return what the price is by: “rate 2 (resolution 4K, audio on)”, or the model's own price."""
        number = self.price.rate_number(self.chosen) if self.price else None
        if self.price is None or number is None:
            return "the price per unit"
        when = self.price.rule["rates"][number - 1]["when"]
        said = (f"{name.replace('_', ' ')} {_said_values(name, values)}" for name, values in when.items())
        return f"rate {number} ({', '.join(said) or 'always'})"


@require_POST
def calculator(request: HttpRequest) -> HttpResponse:
    """
    Return the calculator for the form as posted.

    :raises PermissionDenied: the user may not see models.
    """
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    posted = {name: storable(text) for name, text in request.POST.items() if isinstance(text, str)}
    model = GenerationModel.objects.filter(pk=posted.get(f"{TRY}model", "")[:60]).first()
    context = {"calculation": calculate(posted, model), "key": model.pk if model else ""}
    return TemplateResponse(request, "admin/queue_app/generationmodel/_calculator.html", context)


def calculate(posted: Mapping[str, str], model: GenerationModel | None) -> Calculation:
    """Price a job. What is not posted, as in a form that may only be read, is the model's."""
    found = Calculation()
    texts = {name: posted[name] if name in posted else _text_of(model, name) for name in OF_PRICES}
    rule = _json(texts["price"] or "{}", "price rule", found)
    specification = _json(texts["parameters"] or "{}", "list of parameters", found)
    found.problems += pricing.problems(rule) if not found.problems else []
    tickets, usd = _tickets(texts["tickets_per_unit"]), _usd(texts["usd_per_unit"])
    if tickets is None:
        found.problems.append("Enter the tickets per unit, from 1.")
    if usd is None:
        found.problems.append("Enter the US dollars per unit.")
    if found.problems or tickets is None or usd is None:
        return found
    found.price = Price(texts["unit"], tickets, usd, rule)
    named = {name for rate in rule.get("rates", ()) for name in rate["when"]}
    for name, (label, _) in parameters.NAMES.items():
        values = _values(specification.get(name)) if isinstance(specification, dict) else []
        if values and name in ALWAYS_SHOWN | named:
            chosen = _chosen(values, posted.get(TRY + name, ""), specification[name].get("default"))
            found.chosen[name] = chosen
            options = [
                ParameterOption(parameters.text_of(one), parameters.label_of(name, one), rules.same(one, chosen))
                for one in values
            ]
            found.choices += [Choice(name, label, options)] if len(values) > 1 else []
    if found.price.unit == "second" and not isinstance(found.chosen.get("duration", 1), int):
        return Calculation(["Durations must be whole seconds."])
    return found


def _values(rule: Any) -> list[Any]:
    """Return the values to choose from: those of a list, or the numbers of a short span."""
    if not isinstance(rule, dict):
        return []
    if isinstance(rule.get("values"), list):
        return [one for one in rule["values"] if isinstance(one, str | int | bool)]
    low, high = rule.get("low"), rule.get("high")
    return list(range(low, min(high, low + COUNT_MOST) + 1)) if isinstance(low, int) and isinstance(high, int) else []


def _chosen(values: list[Any], text: str, default: Any) -> Any:
    typed = next((one for one in values if parameters.text_of(one) == text), None) if text else None
    return next((one for one in (typed, default) if any(rules.same(one, value) for value in values)), values[0])


def _json(text: str, what: str, found: Calculation) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        found.problems.append(f"The {what} is not valid JSON.")
        return {}


def _tickets(text: str) -> int | None:
    is_whole = text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if is_whole and 1 <= int(text) <= pricing.MOST_TICKETS else None


def _usd(text: str) -> Decimal | None:
    try:
        usd = Decimal(text)
        return usd if 0 <= usd <= pricing.MOST_USD else None
    except InvalidOperation:
        return None


def _text_of(model: GenerationModel | None, name: str) -> str:
    value = getattr(model, name) if model else ""
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _said_values(name: str, values: Any) -> str:
    return " or ".join(parameters.said(name, one) for one in (values if isinstance(values, list) else [values]))
