"""
The plan of a campaign: its fields are checked, its matrix is built, priced and checked for compliance. Writes nothing. The form,
the preview, the API's dry run and the launch share it, so that users launch exactly what they were shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db.models import Prefetch

from campaigns import cells as cell_reads
from campaigns import starts
from campaigns.brief import PRODUCTION, Brief, Problem, problems
from campaigns.models import Brand, ComplianceRule, Dimension, DimensionValue
from campaigns.rules import canary, compliance, matrix, prompt
from campaigns.rules.matrix import Cell, Choice
from campaigns.starts import Still
from queue_app.models import GenerationModel, Kind, ModelRoute, QueueSettings, User
from queue_app.rules import parameters as parameter_rules
from queue_app.work import capacity, fetching, intake, pipeline, routes, uploads

__all__ = [
    "BULK",
    "Brief",
    "Plan",
    "PlanRefused",
    "PlannedCell",
    "Problem",
    "check_prompt",
    "finished",
    "make",
    "priority_of",
    "sketch",
    "with_uploads",
]

BULK = 20  # cells; a larger campaign gets the queue's bulk priority


class PlanRefused(Exception):
    """The fields make no campaign yet. Every problem says what to do."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in self.problems))


@dataclass(frozen=True)
class PlannedCell:
    """A cell of the matrix with its prompt and the verdict of the compliance rules."""

    cell: Cell
    prompt: str
    verdict: compliance.Verdict
    excluded: bool = False
    parameters: Mapping[str, Any] | None = None
    """Those of its job; ``None`` if they are the plan's."""

    @property
    def blocked(self) -> bool:
        return self.verdict.level == "block"


@dataclass(frozen=True)
class Plan:
    """
    A campaign that can be launched. ``cells`` are all that are not excluded, with blocked ones; ``total`` counts all cells.
    ``still``: how the stills of a storyboard are made, ``None`` without.
    """

    brief: Brief
    model: GenerationModel
    parameters: dict[str, Any]
    priority: int
    priority_reasons: Sequence[str]
    choices: list[Choice]
    cells: list[PlannedCell]
    total: int
    still: Still | None = None

    @cached_property
    def to_buy(self) -> list[PlannedCell]:
        return [planned for planned in self.cells if not planned.blocked]

    @cached_property
    def blocked(self) -> list[PlannedCell]:
        return [planned for planned in self.cells if planned.blocked]

    @cached_property
    def first(self) -> list[PlannedCell]:
        """Return the cells whose videos are not on hold at launch: of a storyboard none."""
        if self.still is not None:
            return []
        return self.canary if self.brief.start == starts.CANARY else self.to_buy

    @cached_property
    def canary(self) -> list[PlannedCell]:
        """Return the cells that show each value once, whether they are to run first or not."""
        chosen = {*canary.first({one.cell.index: one.cell.values for one in self.to_buy})}
        return [one for one in self.to_buy if one.cell.index in chosen]

    @property
    def on_hold(self) -> int:
        """Return how many videos wait on hold from the launch on."""
        return len(self.to_buy) - len(self.first)

    @property
    def stills(self) -> int:
        return len(self.to_buy) if self.still else 0

    @property
    def tickets_of_video(self) -> int:
        return self.model.pricing.tickets_of(self.parameters)

    @property
    def tickets_each(self) -> int:
        """Return the price of a combination: its video, and its still if it has one."""
        return self.tickets_of_video + (self.still.tickets if self.still else 0)

    @property
    def tickets_of_videos(self) -> int:
        return sum(self.model.pricing.tickets_of(self.parameters_of(one)) for one in self.to_buy)

    @property
    def tickets_of_stills(self) -> int:
        return self.stills * self.still.tickets if self.still else 0

    @property
    def tickets(self) -> int:
        return self.tickets_of_videos + self.tickets_of_stills

    @property
    def usd(self) -> Decimal:
        videos = sum((self.model.pricing.usd_of(self.parameters_of(one)) for one in self.to_buy), Decimal(0))
        return videos + (self.stills * self.still.usd if self.still else 0)

    def parameters_of(self, planned: PlannedCell) -> Mapping[str, Any]:
        return self.parameters if planned.parameters is None else planned.parameters

    def drafts(self) -> list[intake.Draft]:
        """Return the videos, in matrix order."""
        held_for, first = starts.HELD_FOR[self.brief.start], {one.cell.index for one in self.first}
        return [
            intake.Draft(
                model=self.model.key,
                prompt=planned.prompt,
                parameters=self.parameters_of(planned),
                priority=self.priority,
                priority_reasons=self.priority_reasons,
                metadata={"combination": planned.cell.key},
                label=self._label(planned),
                held_for="" if planned.cell.index in first else held_for,
            )
            for planned in self.to_buy
        ]

    def drafts_of_stills(self) -> list[intake.Draft]:
        """Return the stills of a storyboard, in the same order."""
        if self.still is None:
            return []
        return [
            intake.Draft(
                model=self.still.model.key,
                prompt=planned.prompt,
                parameters=self.still.parameters,
                priority=self.priority,
                priority_reasons=self.priority_reasons,
                metadata={"combination": planned.cell.key, "still": True},
                label=cell_reads.still_label(self._label(planned)),
            )
            for planned in self.to_buy
        ]

    @cached_property
    def labels(self) -> dict[str, Any]:
        """Return the labels of the chosen dimensions and values, to be stored with the campaign."""
        return {choice.key: {"label": choice.label, "values": dict(choice.values)} for choice in self.choices}

    @cached_property
    def dimensions(self) -> dict[str, list[str]]:
        return {choice.key: [value for value, _ in choice.values] for choice in self.choices}

    def _label(self, planned: PlannedCell) -> str:
        return cell_reads.job_label(planned.cell.values, self.dimensions, self.labels)


@dataclass(frozen=True)
class Sketch:
    """
    The state of a form that may be incomplete: all problems; all cells, excluded ones too, once values are chosen; and the plan,
    once there is also a model. ``sample`` is the prompt of one cell. ``too_many`` says how to get below the limit of cells, if
    there are more. Only a sketch without problems can be launched.
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

    :raises PlanRefused: with all problems, by field.
    :raises ModelNotAvailable: no provider offers the model right now.
    :raises KindRestricted: the owner has no permission for the model's job type.
    """
    found = finished(_sketch(brief, owner))
    used = [("model", found.model), *([("still_model", found.still.model)] if found.still else [])]
    for name, model in used:
        if words := intake.restriction(Kind.objects.get(pk=model.medium), owner):
            raise intake.KindRestricted([intake.Problem(None, name, words)])
    return found


def with_uploads(brief: Brief, owner: User, *, at: datetime) -> Brief:
    """
    Return the brief with an upload in place of each URL of an image; for one that is refused anyway nothing is fetched. Call it
    before a transaction: it calls the network. Raises as :func:`make`.
    """
    if not fetching.urls_in(brief.images):
        return brief
    make(brief, owner)
    fetcher = fetching.Fetcher(owner, at=at)
    try:
        return replace(brief, images=fetcher.replaced(brief.images))
    except fetching.ImagesRefused as refusal:
        raise PlanRefused([Problem("images", message) for message in refusal.messages]) from None


def problems_of(brief: Brief, owner: User) -> list[Problem]:
    """Return the problems of a brief. For requests that are refused for other reasons, so that one answer names everything."""
    return _sketch(brief, owner).problems


def _sketch(brief: Brief, owner: User) -> Sketch:
    ways = capacity.usable_routes()
    return Reader(brief, owner, capacity.available_models(ways), ways).sketch()


def sketch(brief: Brief, owner: User, offered: Mapping[str, GenerationModel], ways: Mapping[str, list[ModelRoute]]) -> Sketch:
    """
    Read a brief that may be incomplete, such as a form in progress: exclusions of values that are not chosen are ignored.
    ``offered`` are the available models, by key, and ``ways`` their usable routes.
    """
    return Reader(brief, owner, offered, ways, forgiving=True).sketch()


def finished(sketch: Sketch) -> Plan:
    """Return the plan of a sketch. Raises as :func:`make`."""
    if sketch.unavailable is not None and len(sketch.problems) == 1:  # among several problems, it is named as one of them
        raise sketch.unavailable
    if sketch.problems or sketch.plan is None:
        raise PlanRefused(sketch.problems)
    return sketch.plan


def priority_of(model: GenerationModel, owner: User, *, cells: int) -> tuple[int, Sequence[str]]:
    """Return the priority for the jobs of a campaign that requests none, with its reasons. Large ones get bulk priority."""
    if cells > BULK:
        level = QueueSettings.objects.current().bulk_priority
        return intake.computed_priority(owner, level, [f"campaign over {BULK} {model.medium}s"])
    return intake.default_priority(Kind.objects.get(pk=model.medium), owner)


def check_prompt(brand: Brand, text: str) -> compliance.Verdict:
    """Check one prompt against the rules for all brands and for this one."""
    return checker_of(brand.name).check(text)


def checker_of(brand: str) -> compliance.Checker:
    """Return the rules for all brands and for the brand with this name."""
    return compliance.compile(_rules(), brand=brand.strip())


class Reader:
    """Checks a brief against the catalogue and reads each of its rows at most once."""

    def __init__(
        self,
        brief: Brief,
        owner: User,
        models: Mapping[str, GenerationModel],
        ways: Mapping[str, list[ModelRoute]],
        *,
        forgiving: bool = False,
    ):
        self.brief, self.owner, self.models, self.ways, self.forgiving = brief, owner, models, ways, forgiving
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
            self._check_routes(planned)
            planned = replace(planned, still=self._still(planned))
        sample = self._sample(builder, cells)
        return Sketch(
            self.problems, choices, cells, sample, self.too_many, planned, self.unavailable, self.checker, self.dimensions
        )

    def choices(self) -> list[Choice]:
        """Return the chosen values with their labels, in the order set by staff. Unknown and retired ones become problems."""
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
        return checker_of(self.brief.brand)

    def builder(self, choices: Iterable[Choice]) -> prompt.PromptBuilder:
        words = {dimension.key: dimension.prompt_label for dimension in self.dimensions if dimension.prompt_label}
        brand = Brand.objects.named(self.brief.brand.strip())
        return prompt.PromptBuilder(
            prompt.BriefTexts(
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
        """Return the model's parameters, with defaults filled in. A value for a parameter that the model lacks is a problem."""
        given = {name: getattr(self.brief, name) for name in PRODUCTION}
        asked = {name: value for name, value in given.items() if value is not None}
        settled, wrong = parameter_rules.settle(model.key, model.parameters, asked)
        for name, message in wrong.items():
            self._say(name, message)
        ids = {*filter(parameter_rules.is_upload, parameter_rules.images_in(settled.get("images")))}
        if ids - uploads.owned(self.owner, ids).keys():
            self._say("images", intake.NO_UPLOAD)
        return settled

    def _check_routes(self, planned: Plan) -> None:
        """Check that a provider of the model has words for the jobs of the plan."""
        if not planned.to_buy or {problem.field for problem in self.problems} & {"model", *PRODUCTION}:
            return
        found = self.ways[planned.model.key]
        in_reach = routes.with_images_in_reach(found, planned.parameters)
        longest = max(len(one.prompt) for one in planned.to_buy)
        if not in_reach:
            self._say("images", intake.OUT_OF_REACH)
        elif refusal := routes.refusal(in_reach, planned.parameters, characters=longest):
            if refusal.parameter == "prompt":
                words = f"{planned.model.key}: {refusal.message} Shorten the brief, or choose another model."
                self._say("model", words)
            else:
                self._say(refusal.parameter, refusal.message)

    def _still(self, planned: Plan) -> Still | None:
        """Return how the stills of a storyboard are made; ``None`` without, or if that is a problem."""
        start, asked = self.brief.start, self.brief.still_model
        if start not in starts.STARTS:
            self._say("start", f"start must be {parameter_rules.listed(starts.STARTS)}.")
        elif asked and start != starts.STORYBOARD:
            self._say(
                "still_model", f"Stills need the start “{starts.STORYBOARD}”. Choose it, or remove the model of the stills."
            )
        if start != starts.STORYBOARD:
            return None
        longest = max((len(one.prompt) for one in planned.to_buy), default=1)
        if words := starts.no_stills_for(planned.model, self.ways[planned.model.key], planned.parameters, longest, self.models):
            self._say("start", words)
            return None
        models = starts.still_models(self.models)
        model = next((one for one in models if asked in ("", one.key)), None)
        if model is None:
            available = ", ".join(one.key for one in models) or "none"
            self._say("still_model", f"“{asked[:60]}” is no image model that is available. Available: {available}.")
            return None
        still = starts.still_of(model, planned.parameters.get("aspect_ratio"))
        if refusal := routes.refusal(self.ways[model.key], still.parameters, characters=longest):
            self._say("still_model", f"{model.key}: {refusal.message}")
        return still

    def _cells(self, choices: list[Choice]) -> tuple[list[Cell], set[int]]:
        """Return all cells, and the numbers of those that are not excluded."""
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
        """Return the prompt of the first cell that is not excluded; without cells, the prompt of the brief alone."""
        first = next((one for one in cells if not one.excluded), None)
        if first is not None:
            return first.prompt
        try:
            return builder.build({})
        except prompt.PromptTooLong:
            return ""  # reported as a problem at the text that is too long

    def _model(self) -> GenerationModel | None:
        if not self.brief.model:
            self._say("model", "Choose a model.")
            return None
        if found := self.models.get(self.brief.model):
            if not pipeline.of(found.medium):
                return found
            self._say("model", f"{found.key} makes {found.medium}s, which need data of their own. Choose another model.")
            return None
        if GenerationModel.objects.filter(pk=self.brief.model).exists():
            self.unavailable = intake.ModelNotAvailable(self.brief.model)
            self._say("model", str(self.unavailable))
            return None
        self._say("model", f"Unknown model “{self.brief.model[:60]}”. Available: {', '.join(sorted(self.models))}.")
        return None

    def _level(self, model: GenerationModel, cells: int) -> tuple[int, Sequence[str]]:
        """Return the priority of the jobs, and the rules that set it; no rules if it was requested."""
        if self.brief.priority is not None:
            return self.brief.priority, ()
        return priority_of(model, self.owner, cells=cells)

    def _say(self, name: str, message: str) -> None:
        self.problems.append(Problem(name, message))


def _rules() -> list[compliance.Rule]:
    return [rule.as_rule() for rule in ComplianceRule.objects.filter(active=True).select_related("brand").order_by("id")]


def _no_dimension(key: str, labels: Mapping[str, str], offered: Iterable[str]) -> str:
    """Return the message about a chosen dimension that is not offered."""
    if key in labels:
        return f"{labels[key]} is no longer available. Remove its values."
    return f"Unknown dimension “{key[:60]}”. Available: {', '.join(offered)}."


def _not_offered(dimension: Dimension, key: str, offered: Iterable[str]) -> str:
    """Return the message about a chosen value that is not offered."""
    retired = {value.key: value.label for value in dimension.values.all()}
    if key in retired:
        return f"“{retired[key]}” ({dimension.label}) is no longer available. Remove it or choose another value."
    return f"Unknown value “{key[:60]}” for {dimension.label}. Available: {', '.join(offered)}."
