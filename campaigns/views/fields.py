"""The fields of the campaign form as the page shows them: choices with what is chosen, and what is to be said at each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from campaigns.brief import MOST, TEXTS
from campaigns.drafts import Body
from campaigns.models import Brand, Dimension
from campaigns.plan import Sketch
from campaigns.rules.compliance import Hit
from queue_app.models import GenerationModel, User
from queue_app.models.catalog import Medium
from queue_app.rules import priority

FIRST_CHOICE = "sora-2"
CAMPAIGN_MEDIA = (Medium.VIDEO, Medium.IMAGE)  # that a campaign shows side by side
SHOWN_AT_FIRST = 6  # dimensions; the rest is folded away until something in it is chosen
NEEDED = {"brand": "a brand", "big_idea": "a big idea", "model": "a model", "dimensions": "at least one dimension value"}
PARAMETERS = {
    "duration": "Duration",
    "aspect_ratio": "Aspect ratio",
    "loop": "Loop",
}


@dataclass(frozen=True)
class Option:
    """One thing to choose. ``gone``: it was offered once, is still chosen, and has to be taken out."""

    key: str
    label: str
    chosen: bool
    gone: bool = False


@dataclass(frozen=True)
class Choosing:
    """A dimension with its values, or a parameter with its, and what stands at it. ``gone`` as of an option."""

    key: str
    label: str
    options: list[Option]
    gone: bool = False
    errors: Sequence[str] = ()
    warnings: Sequence[str] = ()

    @property
    def chosen(self) -> int:
        return sum(option.chosen for option in self.options)

    @property
    def count(self) -> str:
        """How many of a dimension's values are chosen, in words."""
        if self.gone:
            return "no longer available"
        return f"{self.chosen} of {len(self.options)}" if self.chosen else "not used"


@dataclass
class Notes:
    """What stands at the fields: errors and warnings by field name, and the fields that are still needed."""

    errors: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    needed: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Advice on words of prompts that no single field holds, and rules that can't be used."""
    gone: list[str] = field(default_factory=list)
    """What was chosen and is not offered any more: nothing can be launched until it is taken out."""

    def error(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)


def notes(sketch: Sketch, body: Body, *, strict: bool) -> Notes:
    """
    Sort what is wrong by field. While somebody is typing, what is merely missing is listed apart, quietly; ``strict``, after a
    launch was asked for, it stands at its field too.
    """
    found = Notes()
    for problem in sketch.problems:
        missing = problem.field == "dimensions" or (problem.field in NEEDED and not body[problem.field].strip())
        if missing:
            found.needed.append((problem.field, NEEDED[problem.field]))
        if strict or not missing:
            found.error(problem.field, problem.message)
    found.gone = [problem.message for problem in sketch.problems if problem.field.startswith("dimensions.")]
    _add_advice(found, sketch, body)
    return found


def _add_advice(found: Notes, sketch: Sketch, body: Body) -> None:
    """
    Put each rule's advice at the field whose words it is about. What only the whole prompt shows stands apart, and so does a rule
    that can't be used: it is about no words.
    """
    said: set[int] = set()
    apart: list[Hit] = []
    texts = {name: body[name] for name in TEXTS}
    for choice in sketch.choices:
        texts[f"dimensions.{choice.key}"] = ". ".join(label for _, label in choice.values)
    for name, text in texts.items():
        if len(text) > MOST.get(name, len(text)):
            continue  # too long is said already
        for hit in _once(sketch.checker.check(text).hits):
            if not hit.matched:
                apart.append(hit)
                continue
            said.add(hit.rule.id)
            at = found.errors if hit.rule.severity == "block" else found.warnings
            at.setdefault(name, []).append(hit.advice)
    apart += (hit for one in sketch.cells for hit in one.verdict.hits if hit.rule.id not in said)
    found.elsewhere = [hit.advice for hit in _once(apart)]


def _once(hits: Iterable[Hit]) -> list[Hit]:
    """One hit of each rule and word."""
    return list({(hit.rule.id, hit.matched.casefold()): hit for hit in hits}.values())


def dimensions(sketch: Sketch, body: Body, notes: Notes) -> list[Choosing]:
    """All dimensions that are offered, and those of the body that are not any more."""
    chosen: Mapping[str, Sequence[str]] = body["dimensions"]
    offered = {one.key for one in sketch.offered}
    gone = {key: values for key, values in chosen.items() if values and key not in offered}
    rows = Dimension.objects.filter(retired=True).prefetch_related("values") if gone else ()
    labels = {row.key: (row.label, {value.key: value.label for value in row.values.all()}) for row in rows}
    found = [Choosing(one.key, one.label, _values(one, chosen.get(one.key, ()))) for one in sketch.offered]
    for key, values in gone.items():
        label, words = labels.get(key, (key, {}))
        options = [Option(value, words.get(value, value), chosen=True, gone=True) for value in values]
        found.append(Choosing(key, label, options, gone=True))
    return [_with_notes(one, f"dimensions.{one.key}", notes) for one in found]


def folded(found: list[Choosing]) -> tuple[list[Choosing], list[Choosing]]:
    """The dimensions to show at once, and those to fold away."""
    first = found[:SHOWN_AT_FIRST] + [one for one in found[SHOWN_AT_FIRST:] if one.gone]
    return first, [one for one in found if one not in first]


def _values(dimension: Dimension, chosen: Sequence[str]) -> list[Option]:
    """What is offered, and what is chosen still though it is retired or deleted."""
    rows = list(dimension.values.all())
    known = {row.key for row in rows}
    options = [Option(row.key, row.label, row.key in chosen, row.retired) for row in rows if not row.retired or row.key in chosen]
    return options + [Option(value, value, chosen=True, gone=True) for value in chosen if value not in known]


def _with_notes(one: Choosing, name: str, notes: Notes) -> Choosing:
    return replace(one, errors=notes.errors.get(name, ()), warnings=notes.warnings.get(name, ()))


def models(body: Body, offered: Mapping[str, GenerationModel]) -> list[Option]:
    """The models of which a campaign can be made, and the chosen one if it is none of them (any more)."""
    rows = sorted(offered.values(), key=lambda model: (model.medium != Medium.VIDEO, model.key))
    options = [Option(row.key, row.label, row.key == body["model"]) for row in rows if row.medium in CAMPAIGN_MEDIA]
    if body["model"] and not any(option.chosen for option in options):
        options.append(Option(body["model"], f"{body['model']} (not available)", chosen=True, gone=True))
    return options


def default_model(offered: Mapping[str, GenerationModel]) -> str:
    """The model of a new form; empty when nothing can be bought."""
    keys = sorted(model.key for model in offered.values() if model.medium == Medium.VIDEO)
    return FIRST_CHOICE if FIRST_CHOICE in keys else next(iter(keys), "")


def follow(body: Body, model: GenerationModel) -> list[str]:
    """
    Make the parameters follow a model that was just chosen: what it does not offer gives way to its default, in the body. Gives
    a sentence for each that did.
    """
    said = []
    for name in PARAMETERS:
        offered = [_said(value) for value in model.parameters.get(name, {}).get("values", [])]
        typed = body[name]
        if typed and typed not in offered:
            body[name] = _said(model.parameters.get(name, {}).get("default"))
            asked = PARAMETERS[name].lower() + (f" {typed}" if name != "loop" else "")
            said.append(f"{model.key} does not support {asked}." + (f" Changed to {body[name]}." if body[name] else ""))
    return said


def production(body: Body, model: GenerationModel | None, notes: Notes) -> list[Choosing]:
    """Duration and aspect ratio, as far as the model offers them."""
    found = (_parameter(name, body[name], model) for name in ("duration", "aspect_ratio"))
    return [_with_notes(one, one.key, notes) for one in found if one is not None]


def can_loop(model: GenerationModel | None) -> bool:
    return model is not None and True in model.parameters.get("loop", {}).get("values", [])


def _parameter(name: str, typed: str, model: GenerationModel | None) -> Choosing | None:
    rule: dict[str, Any] = model.parameters.get(name, {}) if model else {}
    values = [_said(value) for value in rule.get("values", [])]
    if not values and not typed:
        return None
    unit = rule.get("unit", "")
    chosen = typed or _said(rule.get("default"))
    options = [Option(value, f"{value}{unit}", value == chosen) for value in values]
    if typed and typed not in values:
        options.append(Option(typed, f"{typed} (not available)", chosen=True, gone=True))
    return Choosing(name, PARAMETERS[name], options)


def priorities(body: Body, owner: User) -> list[Option]:
    """The priorities that this account may ask for; empty leaves it to the queue."""
    typed = body["priority"]
    offered = [level for level in priority.NAMES if level <= priority.NORMAL or owner.is_staff]
    options = [Option("", "Automatic", not typed), *(Option(str(one), priority.name(one), str(one) == typed) for one in offered)]
    if typed and typed not in {option.key for option in options}:
        options.append(Option(typed, f"{typed} (not available)", chosen=True, gone=True))
    return options


def brands() -> list[str]:
    """What the brand's field suggests; a new one may be typed."""
    return list(Brand.objects.order_by("name").values_list("name", flat=True)[:500])


def _said(value: Any) -> str:
    return "on" if value is True else "" if value is None or value is False else str(value)
