"""One clip by itself: the form on the home page, its choices and its price, and the one job that it makes."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from queue_app import tickets
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.models import GenerationModel, Kind, User
from queue_app.models.catalog import Medium
from queue_app.rules import parameters as parameter_rules
from queue_app.rules.numbers import counted
from queue_app.work import capacity, intake

OFFERED = ("duration", "aspect_ratio")  # the parameters that the form asks for
FIRST_CHOICE = "sora-2"


@dataclass(frozen=True)
class Choice:
    """A parameter of the chosen model, to be chosen from ``values``."""

    name: str
    label: str
    unit: str
    values: list[Any]
    chosen: Any


@dataclass
class QuickForm:
    """
    The form as it stands: what was typed, what may be chosen, what it costs. ``price_shown`` is the price that the button named;
    ``errors`` are by field.
    """

    key: str
    prompt: str
    price_shown: int | None
    models: list[GenerationModel]
    model: GenerationModel | None
    choices: list[Choice] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    price: int = 0
    usd: Decimal = Decimal(0)
    available: int = 0
    left: Estimate | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return {choice.name: choice.chosen for choice in self.choices}

    @property
    def missing(self) -> int:
        """Tickets that the wallet lacks."""
        return max(0, self.price - self.available)

    def draft(self) -> intake.Draft:
        assert self.model is not None
        return intake.Draft(model=self.model.key, prompt=self.prompt, parameters=self.parameters)

    def price_is_as_shown(self) -> bool:
        """Whether the button named today's price of these choices; if not, says so at the price and nothing may be bought."""
        if self.price_shown == self.price:
            return True
        tickets_now = counted(self.price, "ticket")
        self.errors["price"] = f"The price is now {tickets_now}. Check it and press Generate again."
        return False

    def refuse(self, problems: list[intake.Problem]) -> None:
        """Put what intake found wrong at its fields."""
        for problem in problems:
            self.errors.setdefault(problem.field.removeprefix("parameters."), problem.message)


def read(given: Mapping[str, str], owner: User, *, at: datetime) -> QuickForm:
    """
    Read what was typed. A model or a value that is not offered (any more) gives way to the first that is; the price that the
    button named shows whether that happened.
    """
    models = [model for model in capacity.available_models().values() if model.medium != Medium.PAGE]
    models.sort(key=lambda model: (model.medium != Medium.VIDEO, model.key))
    by_key = {model.key: model for model in models}
    model = by_key.get(given.get("model", "")) or by_key.get(FIRST_CHOICE) or next(iter(models), None)
    shown = given.get("price", "")
    form = QuickForm(
        key=given.get("key", "")[:64] or uuid.uuid4().hex,
        prompt=given.get("prompt", ""),
        price_shown=int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 10 else None,
        models=models,
        model=model,
        available=tickets.balances(owner)["available"],
    )
    if model is None:
        return form
    form.choices = _choices(model, given)
    settled, _ = parameter_rules.settle(model.key, model.parameters, form.parameters)
    form.price = model.pricing.tickets_of(settled)
    form.usd = model.pricing.usd_of(settled)
    level, _ = intake.default_priority(Kind.objects.get(pk=model.medium), owner)
    form.left = estimates.for_new(model.key, 1, level, owner, None, model.medium, at=at)
    return form


def _choices(model: GenerationModel, given: Mapping[str, str]) -> list[Choice]:
    found = []
    for name in OFFERED:
        rule = model.parameters.get(name)
        if rule is None or "values" not in rule:
            continue
        by_text = {str(value): value for value in rule["values"]}
        chosen = by_text.get(given.get(name, ""), rule.get("default"))
        found.append(Choice(name, name.replace("_", " ").capitalize(), rule.get("unit", ""), rule["values"], chosen))
    return found
