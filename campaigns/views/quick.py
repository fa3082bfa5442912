"""Quick generation, the form on the home page: its options, its price, and the one job that it queues."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.http import QueryDict

from campaigns import holds
from campaigns.holds import Hold
from queue_app import tickets
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.models import GenerationModel, Kind, User
from queue_app.models.catalog import Medium
from queue_app.rules import parameters as parameter_rules
from queue_app.rules.numbers import counted
from queue_app.ui import parameters
from queue_app.ui.parameters import Choices, Field, ImageField, Typed
from queue_app.work import capacity, intake

OFFERED = (*parameters.NAMES, "images")  # parameters with a field in the form
FIRST_CHOICE = "sora-2"
_MEDIA = [Medium.VIDEO, Medium.IMAGE, Medium.TEXT, Medium.PAGE]


@dataclass
class QuickForm:
    """
    The form with its values, options and price in tickets. ``price_shown`` is the price on the pressed button; ``errors`` are by
    field; ``gone`` is the chosen model if it is not available.
    """

    key: str
    prompt: str
    price_shown: int | None
    models: list[GenerationModel]
    model: GenerationModel | None
    owner: User
    typed: Typed = field(default_factory=Typed)
    choices: Choices | None = None
    followed: Sequence[str] = ()
    gone: str = ""
    errors: dict[str, list[str]] = field(default_factory=dict)
    price: int = 0
    usd: Decimal = Decimal(0)
    available: int = 0
    left: Estimate | None = None
    hold: Hold | None = None  # the pause that the job would wait for

    @property
    def missing(self) -> int:
        """Return how many tickets are missing in the wallet."""
        return max(0, self.price - self.available)

    @cached_property
    def folded(self) -> tuple[list[Field], list[Field]]:
        return parameters.folded(parameters.fields(self.choices, self.typed, self.errors)) if self.choices else ([], [])

    @cached_property
    def images(self) -> list[ImageField]:
        return parameters.image_fields(self.choices, self.typed, self.owner, self.errors) if self.choices else []

    @property
    def is_more_open(self) -> bool:
        return bool(self.choices and parameters.is_more_open(self.folded[1], self.images, self.choices, self.errors))

    def draft(self) -> intake.Draft:
        assert self.model is not None
        return intake.Draft(model=self.model.key, prompt=self.prompt, parameters=self.typed.parameters, notify=True)

    def may_be_bought(self) -> bool:
        """Whether the model is available and the button named today's price of these options. If not, set an error."""
        if self.gone:
            self.errors["model"] = [intake.not_offered(self.gone, (model.key for model in self.models))]
        elif self.price_shown != self.price:
            tickets_now = counted(self.price, "ticket")
            self.errors["price"] = [f"The price is now {tickets_now}. Check it and press Generate again."]
        return not self.errors

    def refuse(self, problems: Iterable[intake.Problem]) -> None:
        """Add the problems found by intake to their fields."""
        for problem in problems:
            self.errors.setdefault(problem.field.removeprefix("parameters."), [problem.message])


def read(given: QueryDict, owner: User, *, at: datetime, is_look: bool) -> QuickForm:
    """
    Read the form. For a look, an unavailable model is replaced by the first available one, and values that the model does not
    offer by its defaults. Otherwise they stay, for intake to refuse.
    """
    ways = capacity.usable_routes()
    models = sorted(capacity.available_models(ways).values(), key=lambda model: (_MEDIA.index(Medium(model.medium)), model.key))
    by_key = {model.key: model for model in models}
    asked = given.get("model", "")
    model = by_key.get(asked) or by_key.get(FIRST_CHOICE) or next(iter(models), None)
    shown = given.get("price", "")
    form = QuickForm(
        key=given.get("key", "")[:64] or uuid.uuid4().hex,
        prompt=given.get("prompt", ""),
        price_shown=int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 10 else None,
        models=models,
        model=model,
        owner=owner,
        typed=parameters.read(given),
        gone=asked[:60] if asked and asked not in by_key and not is_look else "",
        available=tickets.balances(owner)["available"],
    )
    if model is None:
        return form
    form.choices = Choices(model, ways[model.key], form.typed.images)
    if is_look:
        form.followed = parameters.follow(form.typed, form.choices)
    _price(form, model, at=at)
    form.hold = holds.of_models([model.key], at=at).get(model.key)
    return form


def with_images(form: QuickForm, wrong: Mapping[str, Sequence[str]], *, at: datetime) -> None:
    """Update options and price for the images that came with the form. ``wrong`` are the errors of images, by role."""
    form.errors |= {role: [*messages] for role, messages in wrong.items()}
    if form.model is not None and form.choices is not None:
        form.choices = Choices(form.model, form.choices.routes, form.typed.images)
        _price(form, form.model, at=at)


def _price(form: QuickForm, model: GenerationModel, *, at: datetime) -> None:
    settled: dict[str, Any]
    settled, _ = parameter_rules.settle(model.key, model.parameters, form.typed.parameters)
    form.price = model.pricing.tickets_of(settled)
    form.usd = model.pricing.usd_of(settled)
    level, _ = intake.default_priority(Kind.objects.get(pk=model.medium), form.owner)
    form.left = estimates.for_new(model.key, 1, level, form.owner, None, model.medium, at=at)
