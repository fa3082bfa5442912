"""The fields of the campaign form as the page shows them: options, which of them are chosen, errors and warnings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from campaigns import starts
from campaigns.brief import MOST, TEXTS
from campaigns.drafts import Body
from campaigns.models import Brand, Dimension
from campaigns.plan import Plan, Sketch
from campaigns.rules.compliance import Hit
from queue_app.models import GenerationModel, User
from queue_app.models.catalog import Medium
from queue_app.rules import priority
from queue_app.rules.numbers import counted

FIRST_CHOICE = "sora-2"
CAMPAIGN_MEDIA = (Medium.VIDEO, Medium.IMAGE)  # that a campaign shows side by side
SHOWN_AT_FIRST = 6  # dimensions; the others are folded until one of them is used
NEEDED = {"brand": "a brand", "big_idea": "a big idea", "model": "a model", "dimensions": "at least one dimension value"}


@dataclass(frozen=True)
class Option:
    """An option of a field. ``gone``: it is chosen, but no longer offered, and has to be removed."""

    key: str
    label: str
    chosen: bool
    gone: bool = False


@dataclass(frozen=True)
class Choosing:
    """A dimension or a parameter with its options, errors and warnings. ``gone`` as for `Option`."""

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
        """Return in words how many values of a dimension are chosen."""
        if self.gone:
            return "no longer available"
        return f"{self.chosen} of {len(self.options)}" if self.chosen else "not used"


@dataclass
class Notes:
    """Errors and warnings by field name, and the required fields that are still empty."""

    errors: dict[str, list[str]] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    needed: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    """Advice on words that span several fields of the prompt, and on rules that can't be used."""
    gone: list[str] = field(default_factory=list)
    """Messages about chosen values that are no longer offered. They have to be removed before a launch."""

    def error(self, name: str, message: str) -> None:
        self.errors.setdefault(name, []).append(message)


def notes(sketch: Sketch, body: Body, *, strict: bool) -> Notes:
    """
    Return the problems of a sketch by field. Empty required fields are only listed in ``needed``, because the user is still
    typing; with ``strict``, after a launch was requested, they are errors as well.
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
    Add the advice of each rule to the field that contains the words. Matches that only the whole prompt has, and rules that can't
    be used, go to ``elsewhere``.
    """
    said: set[int] = set()
    apart: list[Hit] = []
    texts = {name: body[name] for name in TEXTS}
    for choice in sketch.choices:
        texts[f"dimensions.{choice.key}"] = ". ".join(label for _, label in choice.values)
    for name, text in texts.items():
        if len(text) > MOST.get(name, len(text)):
            continue  # its length is an error already
        for hit in once(sketch.checker.check(text).hits):
            if not hit.matched:
                apart.append(hit)
                continue
            said.add(hit.rule.id)
            at = found.errors if hit.rule.severity == "block" else found.warnings
            at.setdefault(name, []).append(hit.advice)
    apart += (hit for one in sketch.cells for hit in one.verdict.hits if hit.rule.id not in said)
    found.elsewhere = [hit.advice for hit in once(apart)]


def once(hits: Iterable[Hit]) -> list[Hit]:
    """Return one hit per rule and matched words."""
    return list({(hit.rule.id, hit.matched.casefold()): hit for hit in hits}.values())


def dimensions(sketch: Sketch, body: Body, notes: Notes) -> list[Choosing]:
    """Return all offered dimensions, and those in the body that are no longer offered."""
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
    """Return the dimensions to show immediately, and those to fold."""
    first = found[:SHOWN_AT_FIRST] + [one for one in found[SHOWN_AT_FIRST:] if one.gone]
    return first, [one for one in found if one not in first]


def _values(dimension: Dimension, chosen: Sequence[str]) -> list[Option]:
    """Return the offered values, and chosen ones that are retired or deleted."""
    rows = list(dimension.values.all())
    known = {row.key for row in rows}
    options = [Option(row.key, row.label, row.key in chosen, row.retired) for row in rows if not row.retired or row.key in chosen]
    return options + [Option(value, value, chosen=True, gone=True) for value in chosen if value not in known]


def _with_notes(one: Choosing, name: str, notes: Notes) -> Choosing:
    return replace(one, errors=notes.errors.get(name, ()), warnings=notes.warnings.get(name, ()))


def models(body: Body, offered: Mapping[str, GenerationModel]) -> list[Option]:
    """Return the models for campaigns, and the chosen one if it is not available."""
    rows = sorted(offered.values(), key=lambda model: (model.medium != Medium.VIDEO, model.key))
    options = [Option(row.key, row.label, row.key == body["model"]) for row in rows if row.medium in CAMPAIGN_MEDIA]
    if body["model"] and not any(option.chosen for option in options):
        options.append(Option(body["model"], f"{body['model']} (not available)", chosen=True, gone=True))
    return options


def default_model(offered: Mapping[str, GenerationModel]) -> str:
    """Return the model that a new form starts with; empty if no model is available."""
    keys = sorted(model.key for model in offered.values() if model.medium == Medium.VIDEO)
    return FIRST_CHOICE if FIRST_CHOICE in keys else next(iter(keys), "")


def priorities(body: Body, owner: User) -> list[Option]:
    """Return the priorities that this user may request. The empty one leaves the choice to the queue."""
    typed = body["priority"]
    offered = [level for level in priority.NAMES if level <= priority.NORMAL or owner.is_staff]
    options = [Option("", "Automatic", not typed), *(Option(str(one), priority.name(one), str(one) == typed) for one in offered)]
    if typed and typed not in {option.key for option in options}:
        options.append(Option(typed, f"{typed} (not available)", chosen=True, gone=True))
    return options


@dataclass(frozen=True)
class StartOption:
    """A way to start, with what it means for the campaign as it is. ``off``: the model can't; the hint says why."""

    key: str
    label: str
    hint: str
    chosen: bool
    off: bool = False


def start_options(
    body: Body, plan: Plan | None, model: GenerationModel | None, offered: Mapping[str, GenerationModel]
) -> list[StartOption]:
    """Return the ways to start, told with the numbers of the plan once there is one. A chosen one is not off: it is refused."""
    typed, medium = body["start"] or starts.ALL, model.medium if model else Medium.VIDEO
    cannot = starts.never_starts_from_stills(model, offered) if model else ""
    told = {
        starts.ALL: f"All {medium}s join the queue at launch.",
        starts.CANARY: _canary_hint(plan, medium),
        starts.STORYBOARD: cannot
        or "A still of each video. Approve a still, and its video is generated from it. Without your approval you pay only the "
        "still.",
    }
    return [
        StartOption(key, starts.NAMES[key], hint, key == typed, off=key == starts.STORYBOARD != typed and bool(cannot))
        for key, hint in told.items()
    ]


def _canary_hint(plan: Plan | None, medium: str) -> str:
    if plan is None or not plan.to_buy:
        return f"A few {medium}s that show every value. The others wait on hold until you release them."
    count, first = len(plan.to_buy), len(plan.canary)
    if first == count:
        return f"Every {medium} is needed to show each value, so none would wait."
    now = f"{first:,} of {counted(count, medium)} now"
    return f"{now}. The other {count - first:,} wait on hold, tickets reserved, until you release them."


def still_models(body: Body, offered: Mapping[str, GenerationModel]) -> list[Option]:
    """Return the image models for stills with their prices, and the chosen one if it is not available."""
    typed, found = body["still_model"], starts.still_models(offered)
    chosen = typed or next((model.key for model in found), "")
    options = [
        Option(one.key, f"{one.label} ({counted(starts.still_of(one, '').tickets, 'ticket')} each)", one.key == chosen)
        for one in found
    ]
    if typed and not any(option.chosen for option in options):
        options.append(Option(typed, f"{typed} (not available)", chosen=True, gone=True))
    return options


def brands() -> list[str]:
    """Return suggestions for the brand field, which also takes new brands."""
    return list(Brand.objects.order_by("name").values_list("name", flat=True)[:500])
