"""
What a campaign would be: its fields read and checked, its matrix built, priced and held against the rules. Writes nothing; the
form, the preview, the API's dry run and the launch all ask here, so that what is shown is what is bought.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db.models import Prefetch

from campaigns.brief import PRODUCTION, Brief, Problem, problems
from campaigns.models import Brand, ComplianceRule, Dimension, DimensionValue
from campaigns.rules import compliance, matrix, prompt
from campaigns.rules.matrix import Cell, Choice
from queue_app.models import GenerationModel, Kind, QueueSettings, User
from queue_app.rules import parameters as parameter_rules
from queue_app.rules import pricing
from queue_app.work import capacity, intake

__all__ = ["BULK", "Brief", "Plan", "PlanRefused", "PlannedCell", "Problem", "check_prompt", "finished", "make", "sketch"]

BULK = 20  # cells; above it a campaign takes the queue's bulk priority


class PlanRefused(Exception):
    """The fields make no campaign yet; every problem says what to do."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in self.problems))


@dataclass(frozen=True)
class PlannedCell:
    cell: Cell
    prompt: str
    verdict: compliance.Verdict
    excluded: bool = False
    parameters: Mapping[str, Any] | None = None
    """Of its job, where they are not the campaign's."""

    @property
    def blocked(self) -> bool:
        return self.verdict.level == "block"


@dataclass(frozen=True)
class Plan:
    """A campaign that could be launched. ``cells`` are those not excluded; blocked ones are among them and are never bought."""

    brief: Brief
    model: GenerationModel
    parameters: dict[str, Any]
    priority: int
    priority_reasons: Sequence[str]
    choices: list[Choice]
    cells: list[PlannedCell]
    total: int

    @cached_property
    def to_buy(self) -> list[PlannedCell]:
        return [planned for planned in self.cells if not planned.blocked]

    @cached_property
    def blocked(self) -> list[PlannedCell]:
        return [planned for planned in self.cells if planned.blocked]

    @property
    def tickets_each(self) -> int:
        return pricing.tickets(self.model.unit, self.model.tickets_per_unit, self.parameters)

    @property
    def tickets(self) -> int:
        model = self.model
        return sum(pricing.tickets(model.unit, model.tickets_per_unit, self.parameters_of(one)) for one in self.to_buy)

    @property
    def usd(self) -> Decimal:
        unit, price = self.model.unit, Decimal(self.model.usd_per_unit)
        return sum((pricing.usd(unit, price, self.parameters_of(one)) for one in self.to_buy), Decimal(0))

    def parameters_of(self, planned: PlannedCell) -> Mapping[str, Any]:
        return self.parameters if planned.parameters is None else planned.parameters

    @property
    def labels(self) -> dict[str, Any]:
        """The words of the chosen dimensions and values, to be kept with the campaign."""
        return {choice.key: {"label": choice.label, "values": dict(choice.values)} for choice in self.choices}

    def drafts(self) -> list[intake.Draft]:
        return [
            intake.Draft(
                model=self.model.key,
                prompt=planned.prompt,
                parameters=self.parameters_of(planned),
                priority=self.priority,
                priority_reasons=self.priority_reasons,
                metadata={"combination": planned.cell.key},
            )
            for planned in self.to_buy
        ]


@dataclass(frozen=True)
class Sketch:
    """
    What can be said of fields that may not be finished: every problem; every cell, excluded ones too, once values are chosen; and
    the plan at its price, once there is a model as well. ``sample`` is one prompt to look at; ``too_many``
    says how to get under the limit of cells, when there are more. Only a sketch without problems may be launched.
    """

    problems: list[Problem]
    choices: list[Choice]
    cells: list[PlannedCell]
    sample: str
    too_many: str
    plan: Plan | None
    unavailable: intake.ModelNotAvailable | None
    checker: compliance.Checker
    offered: list[Dimension]

    @property
    def total(self) -> int:
        return matrix.count(self.choices)


def make(brief: Brief, owner: User) -> Plan:
    """
    Check the fields and build the matrix.

    :raises PlanRefused: something is wrong; every problem is listed, by field.
    :raises ModelNotAvailable: nobody offers the model now.
    :raises KindRestricted: what the model makes needs a right that the owner lacks.
    """
    found = finished(Reader(brief, owner, capacity.available_models()).sketch())
    if words := intake.restriction(Kind.objects.get(pk=found.model.medium), owner):
        raise intake.KindRestricted([intake.Problem(None, "model", words)])
    return found


def problems_of(brief: Brief, owner: User) -> list[Problem]:
    """Everything that is wrong with the fields of a brief that will be refused anyway."""
    return Reader(brief, owner, capacity.available_models()).sketch().problems


def sketch(brief: Brief, owner: User, offered: Mapping[str, GenerationModel]) -> Sketch:
    """
    Read fields that may not be finished, as a form has them while it is filled in: its exclusions come and go with the values
    that they name. ``offered`` are the models that can be bought now, by key.
    """
    return Reader(brief, owner, offered, forgiving=True).sketch()


def finished(sketch: Sketch) -> Plan:
    """The plan of a sketch. Raises as :func:`make`."""
    if sketch.unavailable is not None and len(sketch.problems) == 1:  # it is a problem, too: with others all are named
        raise sketch.unavailable
    if sketch.problems or sketch.plan is None:
        raise PlanRefused(sketch.problems)
    return sketch.plan


def check_prompt(brand: Brand, text: str) -> compliance.Verdict:
    """Hold one prompt against the rules of all and of its brand."""
    return compliance.compile(_rules(), brand=brand.name).check(text)


class Reader:
    """Reads a brief against the catalogue, every row of it at most once."""

    def __init__(self, brief: Brief, owner: User, models: Mapping[str, GenerationModel], *, forgiving: bool = False):
        self.brief, self.owner, self.models, self.forgiving = brief, owner, models, forgiving
        self.problems: list[Problem] = []
        self.unavailable: intake.ModelNotAvailable | None = None
        self.too_many = ""

    def sketch(self) -> Sketch:
        self.problems += problems(self.brief, self.owner)
        model = self._model()
        settled = self.parameters(model) if model else {}
        choices = self.choices()
        if self.forgiving:
            self.brief = replace(self.brief, exclude=matrix.still_apply(choices, self.brief.exclude))
        builder = self.builder(choices)
        cells = self._judged(builder, *self._cells(choices))
        planned = None
        if model is not None and cells:
            kept = [one for one in cells if not one.excluded]
            level, why = self._level(model, sum(not one.blocked for one in kept))
            planned = Plan(self.brief, model, settled, level, why, choices, kept, len(cells))
        sample = self._sample(builder, cells)
        return Sketch(
            self.problems, choices, cells, sample, self.too_many, planned, self.unavailable, self.checker, self.dimensions
        )

    def choices(self) -> list[Choice]:
        """The chosen values with their words, in staff's order; what is unknown or retired is a problem."""
        offered = {dimension.key: dimension for dimension in self.dimensions}
        chosen = []
        unknown = [key for key, wanted in self.brief.dimensions.items() if key not in offered and wanted]
        labels = dict(Dimension.objects.values_list("key", "label")) if unknown else {}
        for key in unknown[: parameter_rules.PROBLEMS_MOST]:
            self._say(f"dimensions.{key}", _no_dimension(key, labels, offered))
        for dimension in self.dimensions:
            wanted = self.brief.dimensions.get(dimension.key, ())
            values = {value.key: value.label for value in dimension.values.all() if not value.retired}
            for value in [value for value in wanted if value not in values][: parameter_rules.PROBLEMS_MOST]:
                self._say(f"dimensions.{dimension.key}", _not_offered(dimension, str(value), values))
            taken = tuple((value, values[value]) for value in values if value in wanted)
            if taken:
                chosen.append(Choice(dimension.key, dimension.label, taken))
        return chosen

    @cached_property
    def dimensions(self) -> list[Dimension]:
        in_order = Prefetch("values", DimensionValue.objects.order_by("position", "id"))
        return list(Dimension.objects.offered().prefetch_related(in_order))

    @cached_property
    def checker(self) -> compliance.Checker:
        return compliance.compile(_rules(), brand=self.brief.brand.strip())

    def builder(self, choices: Iterable[Choice]) -> prompt.PromptBuilder:
        words = {dimension.key: dimension.prompt_label for dimension in self.dimensions if dimension.prompt_label}
        brand = Brand.objects.named(self.brief.brand.strip())
        return prompt.PromptBuilder(
            prompt.Brief(
                brand=self.brief.brand,
                brand_voice=brand.voice if brand else "",
                product_category=self.brief.product_category,
                big_idea=self.brief.big_idea,
                visual_messaging=self.brief.visual_messaging,
                audio_messaging=self.brief.audio_messaging,
            ),
            choices,
            words,
        )

    def parameters(self, model: GenerationModel) -> dict[str, Any]:
        """The model's parameters with the defaults filled in; a parameter that the model lacks may only be left at nothing."""
        given = {name: getattr(self.brief, name) for name in PRODUCTION}
        asked = {name: value for name, value in given.items() if value is not None and not (value is False and name == "loop")}
        settled, wrong = parameter_rules.settle(model.key, model.parameters, asked)
        for name, message in wrong.items():
            self._say(name, message)
        return settled

    def _cells(self, choices: list[Choice]) -> tuple[list[Cell], set[int]]:
        """Every cell, and the numbers of those that are not excluded."""
        try:
            every = matrix.cells(choices)
            kept = matrix.cells(choices, self.brief.exclude) if self.brief.exclude else every
        except matrix.MatrixError as refusal:
            self._say(refusal.field, str(refusal))
            self.too_many = str(refusal) if isinstance(refusal, matrix.TooManyCells) else ""
            return [], set()
        if not kept:
            self._say("exclude", "All combinations are excluded. Include at least one.")
        return every, {cell.index for cell in kept}

    def _judged(self, builder: prompt.PromptBuilder, cells: list[Cell], kept: set[int]) -> list[PlannedCell]:
        try:
            prompts = [(cell, builder.build(cell.values)) for cell in cells]
        except prompt.PromptTooLong as refusal:
            self._say(refusal.field, str(refusal))
            return []
        return [PlannedCell(cell, text, self.checker.check(text), cell.index not in kept) for cell, text in prompts]

    def _sample(self, builder: prompt.PromptBuilder, cells: list[PlannedCell]) -> str:
        """The prompt of the first cell that is not excluded; of the brief alone while there is none."""
        first = next((one for one in cells if not one.excluded), None)
        if first is not None:
            return first.prompt
        try:
            return builder.build({})
        except prompt.PromptTooLong:
            return ""  # a problem of its own says which text is too long

    def _model(self) -> GenerationModel | None:
        if not self.brief.model:
            self._say("model", "Choose a model.")
            return None
        if self.brief.model in self.models:
            return self.models[self.brief.model]
        if GenerationModel.objects.filter(pk=self.brief.model).exists():
            self.unavailable = intake.ModelNotAvailable(self.brief.model)
            self._say("model", str(self.unavailable))
            return None
        self._say("model", f"Unknown model “{self.brief.model[:60]}”. Available: {', '.join(sorted(self.models))}.")
        return None

    def _level(self, model: GenerationModel, cells: int) -> tuple[int, Sequence[str]]:
        """The priority of its jobs, and the rules that set it; none where it was asked for."""
        if self.brief.priority is not None:
            return self.brief.priority, ()
        if cells > BULK:
            level = QueueSettings.objects.current().bulk_priority
            return intake.computed_priority(self.owner, level, [f"campaign over {BULK} videos"])
        return intake.default_priority(Kind.objects.get(pk=model.medium), self.owner)

    def _say(self, name: str, message: str) -> None:
        self.problems.append(Problem(name, message))


def _rules() -> list[compliance.Rule]:
    return [rule.as_rule() for rule in ComplianceRule.objects.filter(active=True).select_related("brand").order_by("id")]


def _no_dimension(key: str, labels: Mapping[str, str], offered: Iterable[str]) -> str:
    """Say what is wrong with a dimension of which values were chosen."""
    if key in labels:
        return f"{labels[key]} is no longer available. Remove its values."
    return f"Unknown dimension “{key[:60]}”. Available: {', '.join(offered)}."


def _not_offered(dimension: Dimension, key: str, offered: Iterable[str]) -> str:
    """Say what is wrong with a value that was chosen, and what to choose."""
    retired = {value.key: value.label for value in dimension.values.all()}
    if key in retired:
        return f"“{retired[key]}” ({dimension.label}) is no longer available. Remove it or choose another value."
    return f"Unknown value “{key[:60]}” for {dimension.label}. Available: {', '.join(offered)}."
