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
from queue_app.models import GenerationModel, Kind, ModelRoute, User
from queue_app.models.catalog import Medium
from queue_app.rules import parameters as parameter_rules
from queue_app.rules import priority
from queue_app.rules.numbers import counted
from queue_app.ui import parameters
from queue_app.ui.parameters import Choices, Field, ImageField, Typed
from queue_app.work import capacity, intake, pipeline, usual

OFFERED = (*parameters.NAMES, "images")  # parameters with a field in the form
FIRST_CHOICE = "sora-2"
_MEDIA = [Medium.VIDEO, Medium.IMAGE, Medium.TEXT, Medium.PAGE]


@dataclass(frozen=True)
class KindOffer:
    """
    A job type that the user may use: the priority of such a job, and the price in tickets and the typical run time in seconds of
    the cheapest and of the fastest model for it.
    """

    kind: Kind
    level: int
    tickets: int
    seconds: float

    @property
    def priority(self) -> str:
        return f"{priority.name(self.level).lower()} priority"


@dataclass
class QuickForm:
    """
    The form with its values, options and price in tickets. ``models`` are those of the chosen job type. ``price_shown`` is the
    price on the pressed button; ``errors`` are by field; ``gone`` is the chosen model if it is not available, ``barred`` the
    chosen job type if it is not offered.
    """

    key: str
    prompt: str
    price_shown: int | None
    models: list[GenerationModel]
    model: GenerationModel | None
    owner: User
    kinds: list[KindOffer] = field(default_factory=list)
    kind: KindOffer | None = None
    barred: str = ""
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
        kind = self.barred or (self.kind.kind.key if self.kind else None)
        return intake.Draft(model=self.model.key, prompt=self.prompt, kind=kind, parameters=self.typed.parameters, notify=True)

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
    Read the form. For a look, a job type that is not offered is replaced by that of the model, a model that is not available or
    not for the job type by the first that is, and values that the model does not offer by its defaults. Otherwise they stay, for
    intake to refuse. Models for what takes more than a prompt, such as pages, are not offered here.
    """
    ways = capacity.usable_routes()
    by_key = {model.key: model for model in _in_order(capacity.available_models(ways).values()) if not pipeline.of(model.medium)}
    kinds = _kinds(owner, by_key.values(), ways)
    asked, asked_kind = given.get("model", ""), given.get("kind", "")
    kind = next((one for one in kinds if one.kind.key == asked_kind), None)
    model = by_key.get(asked)
    if kind and is_look and model and model.medium != kind.kind.medium:
        model = None
    if model is None:
        fitting = [one for one in by_key.values() if kind is None or one.medium == kind.kind.medium]
        model = next((one for one in fitting if one.key == FIRST_CHOICE), next(iter(fitting), None))
    if kind is None and model is not None:
        kind = next((one for one in kinds if one.kind.key == model.medium), None)
    medium = kind.kind.medium if kind else model.medium if model else ""
    shown = given.get("price", "")
    form = QuickForm(
        key=given.get("key", "")[:64] or uuid.uuid4().hex,
        prompt=given.get("prompt", ""),
        price_shown=int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 10 else None,
        models=[one for one in by_key.values() if one.medium == medium or one is model],
        model=model,
        owner=owner,
        kinds=kinds,
        kind=kind,
        barred=_barred(asked_kind[:60], kind, medium, is_look=is_look),
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
    key, level = (form.kind.kind.key, form.kind.level) if form.kind else (model.medium, priority.NORMAL)
    form.left = estimates.for_new(model.key, 1, level, form.owner, None, key, at=at)


def _barred(asked: str, kind: KindOffer | None, medium: str, *, is_look: bool) -> str:
    """Return the job type that was asked for if it is not offered; in a look only one that fits the models."""
    if not asked or (kind and kind.kind.key == asked):
        return ""
    return asked if not is_look or Kind.objects.filter(pk=asked, medium=medium).exists() else ""


def _in_order(models: Iterable[GenerationModel]) -> list[GenerationModel]:
    return sorted(models, key=lambda model: (_MEDIA.index(Medium(model.medium)), model.key))


def _kinds(owner: User, models: Iterable[GenerationModel], ways: Mapping[str, Sequence[ModelRoute]]) -> list[KindOffer]:
    """Return the job types that the user may use now: those of a medium that one of these models makes."""
    by_medium: dict[str, list[GenerationModel]] = {}
    for model in models:
        by_medium.setdefault(model.medium, []).append(model)
    found = [kind for kind in Kind.objects.all() if kind.medium in by_medium and not intake.restriction(kind, owner)]
    found.sort(key=lambda kind: (_MEDIA.index(Medium(kind.medium)), kind.key != kind.medium, kind.key))
    return [
        KindOffer(
            kind,
            intake.default_priority(kind, owner)[0],
            tickets=min(map(_least_price, by_medium[kind.medium])),
            seconds=min(
                usual.of(model, preview=ways[model.key][0].account.is_preview).seconds for model in by_medium[kind.medium]
            ),
        )
        for kind in found
    ]


def _least_price(model: GenerationModel) -> int:
    """Return the price of a job with the model's shortest duration and its other defaults, in tickets."""
    lengths = model.parameters.get("duration", {}).get("values")
    settled, _ = parameter_rules.settle(model.key, model.parameters, {"duration": min(lengths)} if lengths else {})
    return model.pricing.tickets_of(settled)
