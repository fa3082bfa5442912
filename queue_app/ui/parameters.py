"""
The parameters of a model as fields of a form: what stands in each, what it may be, and why it can't be set.

What is typed into a field that the chosen model lacks is kept beside the others, and back in its place with a model that has it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from queue_app.models import GenerationModel, ModelRoute, Upload, User
from queue_app.models.catalog import Medium
from queue_app.rules import codec_offers
from queue_app.rules import parameters as rules
from queue_app.rules.codec import ROLES
from queue_app.rules.words import storable
from queue_app.work import routes as ways
from queue_app.work import uploads

# parameter → its label and what it lacks, said of a model that lacks it; in the order of the forms
NAMES: Mapping[str, tuple[str, str]] = {
    "duration": ("Duration", "{model} has no choice of duration."),
    "aspect_ratio": ("Aspect ratio", "{model} has no choice of aspect ratio."),
    "resolution": ("Resolution", "{model} has one resolution."),
    "quality": ("Quality", "{model} has one quality."),
    "audio": ("Sound", "{model} can't switch sound."),
    "count": ("Number of images", "{model} makes one {medium} per job."),
    "loop": ("Loop", "{model} can't loop."),
    "seed": ("Seed", "{model} takes no seed."),
    "negative_prompt": ("Negative prompt", "{model} takes no negative prompt."),
}
IMAGES: Mapping[str, tuple[str, str]] = {
    "first_frame": ("First frame", "{model} takes no first frame."),
    "last_frame": ("Last frame", "{model} takes no last frame."),
    "references": ("Reference images", "{model} takes no reference images."),
}
PICTURES = (Medium.VIDEO, Medium.IMAGE)
OF_VIDEOS = {"duration": "Images have no duration.", "audio": "Images have no sound.", "loop": "Images don't loop."}
OF_VIDEOS |= {"first_frame": "For videos only.", "last_frame": "For videos only."}
SWITCHES, WHOLE = {"audio", "loop"}, {"duration", "count", "seed"}
KEPT, URL, FILE = "kept.", "url.", "file."  # how the names of inputs begin: typed for another model; an image to fetch, to upload
Errors = Mapping[str, Sequence[str]]
MAIN = 3  # fields that stand in the first row; the others are folded
IMAGES_MOST = 20  # of one role, as posted
_DIGITS = re.compile(r"[-−]?[0-9]{1,19}")


@dataclass
class Typed:
    """
    What was typed, by parameter: texts; ids of uploads by role; both ``kept`` for models that have the parameter; and ``urls`` of
    images, by role, that are not fetched yet.
    """

    texts: dict[str, str] = field(default_factory=dict)
    images: dict[str, list[str]] = field(default_factory=dict)
    kept: dict[str, list[str]] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "Typed":
        """Read the members of a saved form; those that it lacks are empty."""
        texts = {name: _typed(name, body[name]) for name in NAMES if body.get(name)}
        images, kept, urls = ({**body.get(name, {})} for name in ("images", "kept", "urls"))
        return cls(texts, images, kept, urls)

    @property
    def body(self) -> dict[str, Any]:
        """Return it as the members of a saved form."""
        texts = {name: self.texts.get(name, "") for name in NAMES}
        return texts | {"images": self.images, "kept": self.kept, "urls": self.urls}

    @property
    def inputs(self) -> list[tuple[str, str]]:
        """Return all of it as names and values of hidden inputs, for a page that shows no fields."""
        found = [*self.texts.items(), *((URL + role, url) for role, url in self.urls.items())]
        for prefix, lists in (("", self.images), (KEPT, self.kept)):
            found += [(prefix + name, one) for name, several in lists.items() for one in several]
        return [(name, text) for name, text in found if text]

    @property
    def parameters(self) -> dict[str, Any]:
        """Return what is requested; what can't be read is left to `parameters.settle`, which names it."""
        found = {name: value(name, text) for name, text in self.texts.items() if text.strip()}
        images = {role: ids if role == "references" else ids[-1] for role, ids in self.images.items() if ids}
        return found | ({"images": images} if images else {})


@dataclass(frozen=True)
class ParameterOption:
    key: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class Field:
    """
    One parameter. It is chosen from ``options``, or typed: a number, or a text of at most ``most`` characters. ``reason`` says
    why it can't be set; what was typed for another model is then in ``typed``.
    """

    name: str
    label: str
    typed: str = ""
    options: Sequence[ParameterOption] = ()
    most: int | None = None
    hint: str = ""
    reason: str = ""
    errors: Sequence[str] = ()

    @property
    def shown(self) -> str:
        """Return what was typed as an option would say it."""
        return label_of(self.name, value(self.name, self.typed)) if self.typed else ""


@dataclass(frozen=True)
class ImageField:
    """Images in one role: those that are there, how many there may be, and a URL that is not fetched yet."""

    name: str
    label: str
    most: int
    images: Sequence[Upload]
    url: str = ""
    reason: str = ""
    errors: Sequence[str] = ()

    @property
    def is_list(self) -> bool:
        return self.name == "references"


class Choices:
    """What a model and its usable routes let one choose, beside images in these roles."""

    def __init__(self, model: GenerationModel, routes: Iterable[ModelRoute], roles: Iterable[str] = ()) -> None:
        self.model, self.roles = model, {*roles}
        self.routes = list(routes)
        self._offers = [codec_offers.offers(route.codec) for route in self.routes]
        self._beside = [codec_offers.with_images(route.codec, self.roles) for route in self.routes]

    def reason(self, name: str) -> str:
        """Return why a parameter, or images in a role, can't be set; empty if they can."""
        role, rule = ("images" if name in ROLES else name), self.model.parameters.get("images" if name in ROLES else name)
        if rule is None or (name in ROLES and name not in rule["roles"]):
            return self._lacks(name)
        if not any(self._has(name, offer) for offer in self._offers):
            return f"{rules.listed([*dict.fromkeys(route.account_id for route in self.routes)])} can't set this."
        if role == "images":
            return "" if ways.with_images_in_reach(self.routes, {"images": {name: "x"}}) else "This site has no public address."
        values = self.values(name)
        if "values" in rule and len(values) < 2:
            return self._lacks(name) if values in ([], [False]) else f"Always {said(name, values[0])}."
        if all(name in follows for follows, _ in self._beside):
            return "Follows the image."
        if all(name in lacking for _, lacking in self._beside):
            return "Can't be set together with these images."
        return ""

    def values(self, name: str) -> list[Any]:
        """Return the values that may be chosen: those of the model that a route has words for."""
        rule = self.model.parameters.get(name, {})
        if name == "count":
            return list(range(rule.get("low", 1), rule.get("high", 1) + 1))
        offered = [value for offer in self._offers for value in offer.get(name, {}).get("values", ())]
        return [value for value in rule.get("values", ()) if value in offered]

    def most_of(self, role: str) -> int:
        return int(self.model.parameters.get("images", {}).get("roles", {}).get(role, 0))

    def default(self, name: str) -> str:
        """Return the text of what is used where nothing is chosen."""
        return text_of(self.model.parameters.get(name, {}).get("default"))

    def _lacks(self, name: str) -> str:
        if self.model.medium == Medium.IMAGE and name in OF_VIDEOS:
            return OF_VIDEOS[name]
        return {**NAMES, **IMAGES}[name][1].format(model=self.model.key, medium=self.model.medium)

    @staticmethod
    def _has(name: str, offer: codec_offers.Specification) -> bool:
        return name in offer.get("images", {}).get("roles", {}) if name in ROLES else name in offer


def read(post: QueryDict) -> Typed:
    """Read what a form posts."""
    texts = {name: _typed(name, _text(post, name)) for name in NAMES if name in post}
    images = {role: ids for role in IMAGES if (ids := _ids(post, role))}
    kept = {name: [_text(post, KEPT + name)] for name in NAMES if _text(post, KEPT + name) and not texts.get(name)}
    kept |= {role: ids for role in IMAGES if (ids := _ids(post, KEPT + role)) and role not in images}
    urls = {role: text for role in IMAGES if (text := _text(post, URL + role).strip()[: rules.LONGEST_URL])}
    return Typed(texts, images, kept, urls)


def as_typed(parameters: Mapping[str, Any]) -> Typed:
    """Return a job's parameters as if they were typed into a form."""
    found = (parameters.get("images") or {}).items()
    images = {role: list(value) if role == "references" else [value] for role, value in found if value}
    return Typed({name: text_of(parameters.get(name)) for name in NAMES}, images)


def follow(typed: Typed, choices: Choices) -> list[str]:
    """
    Adapt what was typed to a model that was just chosen: what it lacks is kept for later, what it had before comes back, and a
    value that it does not offer gives way to its default. Return a sentence for each change that the fields do not show.
    """
    told = []
    for name, (label, _) in NAMES.items():
        text = typed.texts.get(name, "")
        if not _is_possible(choices, name):
            if text:
                typed.kept[name], typed.texts[name] = [text], ""
            continue
        if not text and name in typed.kept:
            text = typed.texts[name] = typed.kept.pop(name)[0]
        offered = [text_of(one) for one in choices.values(name)]
        if text and offered and text not in offered:
            typed.texts[name] = choices.default(name)
            asked = label.lower() + ("" if name in SWITCHES else f" {text}")
            changed = "" if name in SWITCHES or not typed.texts[name] else f" Changed to {typed.texts[name]}."
            told.append(f"{choices.model.key} does not support {asked}.{changed}")
    for role in IMAGES:
        if choices.reason(role):
            if role in typed.images:
                typed.kept[role] = typed.images.pop(role)
        elif role not in typed.images and role in typed.kept:
            typed.images[role] = typed.kept.pop(role)
    return told


def fields(choices: Choices, typed: Typed, errors: Errors) -> list[Field]:
    """
    Return the fields of a model: those that can be set, then the others. Of a model that writes text: only what it takes.

    A field with an error can be set, so that what is wrong can be corrected.
    """
    found = [_field(choices, name, typed, errors.get(name, ())) for name in NAMES]
    greyed = [one for one in found if one.reason and choices.model.medium in PICTURES]
    return [*(one for one in found if not one.reason), *greyed]


def image_fields(choices: Choices, typed: Typed, owner: User, errors: Errors) -> list[ImageField]:
    """Return the fields of images; none of a model that writes text."""
    if choices.model.medium not in PICTURES:
        return []
    known = uploads.owned(owner, [one for role in IMAGES for one in (*typed.images.get(role, ()), *typed.kept.get(role, ()))])
    found = []
    for role, (label, _) in IMAGES.items():
        reason = choices.reason(role)
        ids = typed.kept.get(role, ()) if reason else typed.images.get(role, ())
        images = [known[one] for one in ids if one in known]
        url, wrong = typed.urls.get(role, ""), errors.get(role, ())
        found.append(ImageField(role, label, choices.most_of(role), images, url, reason, wrong))
    return found


def folded(found: Sequence[Field]) -> tuple[list[Field], list[Field]]:
    """Return the fields of the first row, and those that are folded away."""
    main = [one for one in found if not one.reason and not one.most][:MAIN]
    return main, [one for one in found if one not in main]


def is_more_open(more: Sequence[Field], images: Sequence[ImageField], choices: Choices, errors: Errors) -> bool:
    """Whether something that is folded away is set or wrong."""
    is_set = any(one.typed not in ("", choices.default(one.name)) for one in more if not one.reason)
    is_wrong = any(errors.get(name) for name in ("images", *(one.name for one in more), *(one.name for one in images)))
    return is_set or is_wrong or any(one.images or one.url for one in images if not one.reason)


def value(name: str, text: str) -> Any:
    """Return the value that a text stands for; the text itself if it stands for none."""
    text = text if name == "negative_prompt" else text.strip()
    if name in SWITCHES:
        return {"true": True, "on": True, "false": False, "off": False}.get(text, text)
    if name in WHOLE and _DIGITS.fullmatch(text):
        return int(text.replace("−", "-"))
    return text


def text_of(value: Any) -> str:
    """Return the text that stands for a value in a form; empty for none."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def label_of(name: str, value: Any) -> str:
    """Return a value as its option says it: “8s”, “On”, “16:9”."""
    return ("On" if value else "Off") if isinstance(value, bool) else said(name, value)


def said(name: str, value: Any) -> str:
    """Return a value as a sentence says it: “8s”, “on”, “16:9”."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value}s" if name == "duration" else str(value)


def _field(choices: Choices, name: str, typed: Typed, errors: Sequence[str]) -> Field:
    label, reason, rule = NAMES[name][0], choices.reason(name), choices.model.parameters.get(name, {})
    text = typed.texts.get(name, "")
    if reason and errors:
        return Field(name, label, text, errors=errors)
    if reason:
        kept = text or next(iter(typed.kept.get(name, ())), "")
        return Field(name, label, kept, reason=reason)
    if values := choices.values(name):
        chosen = text or choices.default(name)
        options = [ParameterOption(text_of(one), label_of(name, one), text_of(one) == chosen) for one in values]
        if chosen and not any(option.chosen for option in options):
            options.append(ParameterOption(chosen, f"{chosen} (not available)", chosen=True))
        return Field(name, label, text, options, errors=errors)
    if "most" in rule:
        return Field(name, label, text, most=rule["most"], hint=f"up to {rule['most']:,} characters", errors=errors)
    return Field(name, label, text, hint=f"{rule['low']:,} to {rule['high']:,}", errors=errors)


def _is_possible(choices: Choices, name: str) -> bool:
    """Whether a parameter can be typed: set, or fixed by images that may go again."""
    return not choices.reason(name) or (bool(choices.roles) and not Choices(choices.model, choices.routes).reason(name))


def _typed(name: str, text: str) -> str:
    return {"on": "true", "off": "false"}.get(text, text) if name in SWITCHES else text


def _ids(post: QueryDict, name: str) -> list[str]:
    return [one for one in dict.fromkeys(post.getlist(name)) if rules.is_upload(one)][:IMAGES_MOST]


def _text(post: QueryDict, name: str) -> str:
    return storable(post.get(name) or "").replace("\r\n", "\n")
