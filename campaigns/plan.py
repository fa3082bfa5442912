"""
What a campaign would be: its fields read and checked, its matrix built, priced and held against the rules. Writes nothing; the
form, the preview, the API's dry run and the launch all ask here, so that what is shown is what is bought.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from campaigns.models import Brand, ComplianceRule, Dimension
from campaigns.rules import compliance, matrix, prompt
from campaigns.rules.matrix import Cell, Choice
from queue_app.models import GenerationModel, QueueSettings, User
from queue_app.rules import parameters as parameter_rules
from queue_app.rules import pricing, priority
from queue_app.work import intake, room

TEXT_MOST = 2_000  # characters of each field of the brief
BULK = 20  # cells; above it a campaign takes the queue's bulk priority
TEXTS = ("brand", "product_category", "big_idea", "visual_messaging", "audio_messaging")
PRODUCTION = ("duration", "aspect_ratio", "loop")


@dataclass(frozen=True)
class Brief:
    """The fields of a campaign, as the API's body and the form give them."""

    name: str = ""
    brand: str = ""
    product_category: str = ""
    big_idea: str = ""
    visual_messaging: str = ""
    audio_messaging: str = ""
    dimensions: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exclude: Sequence[Mapping[str, str]] = ()
    model: str = ""
    duration: int | None = None
    aspect_ratio: str | None = None
    loop: bool | None = None
    priority: int | None = None
    max_concurrent: int | None = None


@dataclass(frozen=True)
class Problem:
    field: str
    message: str


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
        return self.tickets_each * len(self.to_buy)

    @property
    def usd(self) -> Decimal:
        return pricing.usd(self.model.unit, Decimal(self.model.usd_per_unit), self.parameters) * len(self.to_buy)

    @property
    def labels(self) -> dict[str, Any]:
        """The words of the chosen dimensions and values, to be kept with the campaign."""
        return {choice.key: {"label": choice.label, "values": dict(choice.values)} for choice in self.choices}

    def drafts(self) -> list[intake.Draft]:
        return [
            intake.Draft(
                model=self.model.key,
                prompt=planned.prompt,
                parameters=self.parameters,
                priority=self.priority,
                metadata={"combination": planned.cell.key},
            )
            for planned in self.to_buy
        ]


def make(brief: Brief, owner: User) -> Plan:
    """
    Check the fields and build the matrix.

    :raises PlanRefused: something is wrong; every problem is listed, by field.
    :raises ModelNotAvailable: nobody offers the model now.
    """
    return Reader(brief, owner).plan()


def check_prompt(brand: Brand, text: str) -> compliance.Verdict:
    """Hold one prompt against the rules of all and of its brand."""
    return compliance.compile(_rules(), brand=brand.name).check(text)


class Reader:
    """Reads a brief against the catalogue; also the parts of it, for a form that is not finished yet."""

    def __init__(self, brief: Brief, owner: User):
        self.brief, self.owner = brief, owner
        self.problems: list[Problem] = []

    def plan(self) -> Plan:
        self._check_texts()
        model = self._model()
        settled = self.parameters(model) if model else {}
        self._check_numbers()
        choices = self.choices()
        cells = self._cells(choices)
        if self.problems or model is None:
            raise PlanRefused(self.problems)
        planned = self._judged(choices, cells)
        if self.problems:
            raise PlanRefused(self.problems)
        level = self._level(model, sum(not one.blocked for one in planned))
        return Plan(self.brief, model, settled, level, choices, planned, matrix.count(choices))

    def choices(self) -> list[Choice]:
        """The chosen values with their words, in staff's order; what is unknown or retired is a problem."""
        offered = {dimension.key: dimension for dimension in self.dimensions}
        chosen = []
        for key in self.brief.dimensions:
            if key not in offered and self.brief.dimensions[key]:
                known = ", ".join(offered)
                self._say(f"dimensions.{key}", f"“{key[:60]}” is no dimension that is offered now. Dimensions: {known}.")
        for dimension in self.dimensions:
            wanted = self.brief.dimensions.get(dimension.key, ())
            values = {value.key: value.label for value in dimension.values.all() if not value.retired}
            for value in wanted:
                if value not in values:
                    words = f"“{str(value)[:60]}” of {dimension.label} is no longer offered; choose among {', '.join(values)}."
                    self._say(f"dimensions.{dimension.key}", words)
            taken = tuple((value, values[value]) for value in values if value in wanted)
            if taken:
                chosen.append(Choice(dimension.key, dimension.label, taken))
        return chosen

    @cached_property
    def dimensions(self) -> list[Dimension]:
        return list(Dimension.objects.offered().prefetch_related("values"))

    def builder(self, choices: Iterable[Choice]) -> prompt.PromptBuilder:
        words = {dimension.key: dimension.prompt_label for dimension in self.dimensions if dimension.prompt_label}
        brand = Brand.objects.filter(name__iexact=self.brief.brand.strip()).first()
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

    def _cells(self, choices: list[Choice]) -> list[Cell]:
        try:
            cells = matrix.cells(choices, self.brief.exclude)
        except matrix.MatrixError as refusal:
            self._say(refusal.field, str(refusal))
            return []
        if not cells:
            self._say("exclude", "Every combination is excluded. Include at least one again.")
        return cells

    def _judged(self, choices: list[Choice], cells: list[Cell]) -> list[PlannedCell]:
        builder = self.builder(choices)
        checker = compliance.compile(_rules(), brand=self.brief.brand.strip())
        try:
            prompts = [(cell, builder.build(cell.values)) for cell in cells]
        except prompt.PromptTooLong as refusal:
            self._say(refusal.field, str(refusal))
            return []
        return [PlannedCell(cell, text, checker.check(text)) for cell, text in prompts]

    def _check_texts(self) -> None:
        if not self.brief.brand.strip():
            self._say("brand", "Say whose campaign this is: choose a brand or type a new one.")
        elif len(self.brief.brand) > 100:
            self._say("brand", f"A brand's name has at most 100 characters; this one has {len(self.brief.brand)}.")
        if not self.brief.big_idea.strip():
            self._say("big_idea", "Write the big idea: what every video should show.")
        if len(self.brief.name) > 200:
            self._say("name", f"A name has at most 200 characters; this one has {len(self.brief.name)}.")
        for name in (*TEXTS, "name"):
            text = getattr(self.brief, name)
            most = 200 if name == "product_category" else TEXT_MOST
            if name not in {"brand", "name"} and len(text) > most:
                self._say(name, f"At most {most} characters fit here; this has {len(text)}. Shorten it by {len(text) - most}.")
            elif problem := intake.text_problem(text):
                self._say(name, problem)

    def _model(self) -> GenerationModel | None:
        if not self.brief.model:
            self._say("model", "Choose a model.")
            return None
        offered = room.available_models()
        model = offered.get(self.brief.model)
        if model is not None:
            return model
        if GenerationModel.objects.filter(pk=self.brief.model).exists():
            raise intake.ModelNotAvailable(self.brief.model)
        self._say("model", f"There is no model “{self.brief.model[:60]}”. Models: {', '.join(sorted(offered))}.")
        return None

    def _check_numbers(self) -> None:
        asked, at_once = self.brief.priority, self.brief.max_concurrent
        if asked is not None and not priority.LOWEST <= asked <= priority.HIGHEST:
            self._say("priority", f"priority is a whole number from {priority.LOWEST} to {priority.HIGHEST}.")
        elif asked is not None and asked > priority.NORMAL and not self.owner.is_staff:
            self._say("priority", "Only staff may ask for more than normal priority; choose normal or low.")
        if at_once is not None and not 1 <= at_once <= 50:
            self._say("max_concurrent", "At once is a whole number from 1 to 50; leave it empty for no limit of its own.")

    def _level(self, model: GenerationModel, cells: int) -> int:
        if self.brief.priority is not None:
            return self.brief.priority
        if cells > BULK:
            return QueueSettings.objects.current().bulk_priority
        return intake.default_priority(model)

    def _say(self, name: str, message: str) -> None:
        self.problems.append(Problem(name, message))


def _rules() -> list[compliance.Rule]:
    return [rule.as_rule() for rule in ComplianceRule.objects.filter(active=True).select_related("brand").order_by("id")]
