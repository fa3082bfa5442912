"""How a campaign starts: with all videos, with one of each value, or with stills that a person approves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from queue_app.models import GenerationModel, HeldFor, ModelRoute
from queue_app.models.catalog import Medium
from queue_app.rules import parameters as parameter_rules
from queue_app.work import intake, routes

ALL, CANARY, STORYBOARD = "all", "canary", "storyboard"
# how its videos wait at launch, those that don't start at once
HELD_FOR = {ALL: "", CANARY: HeldFor.CANARY.value, STORYBOARD: HeldFor.STORYBOARD.value}
STARTS = tuple(HELD_FOR)
NAMES = {ALL: "All at once", CANARY: "One of each value first", STORYBOARD: "Stills first"}
FIRST_CHOICE = "nano-banana"
FRAME = "first_frame"  # what a still is for its video
_AN_UPLOAD = str(UUID(int=0))  # stands for a still that is not made yet: what a route can express does not depend on the image


@dataclass(frozen=True)
class Still:
    """The stills of a storyboard: their model, and the parameters of each."""

    model: GenerationModel
    parameters: dict[str, Any]

    @property
    def tickets(self) -> int:
        return self.model.pricing.tickets_of(self.parameters)

    @property
    def usd(self) -> Decimal:
        return self.model.pricing.usd_of(self.parameters)


def with_still(parameters: Mapping[str, Any], image: str = _AN_UPLOAD) -> dict[str, Any]:
    """Return the parameters of a video that starts from this image, an upload's id. Its price is the same without: no rate
    depends on images."""
    return {**parameters, "images": {**(parameters.get("images") or {}), FRAME: image}}


def never_starts_from_stills(model: GenerationModel, offered: Mapping[str, GenerationModel]) -> str:
    """Return why a model can't start from stills, whatever the campaign, and which of those that are offered can; or nothing."""
    if _starts_from_image(model):
        return ""
    words = f"{model.key} can't start from an image."
    if model.medium != Medium.VIDEO:
        words = f"Stills first is for videos, and {model.key} makes {model.medium}s."
    able = sorted(one.key for one in offered.values() if _starts_from_image(one))
    choice = f"Choose {parameter_rules.listed(able)}, or start all at once." if able else "Start all at once."
    return f"{words} {choice}"


def _starts_from_image(model: GenerationModel) -> bool:
    return model.medium == Medium.VIDEO and FRAME in model.parameters.get("images", {}).get("roles", {})


def no_stills_for(
    model: GenerationModel,
    ways: Sequence[ModelRoute],
    parameters: Mapping[str, Any],
    characters: int,
    offered: Mapping[str, GenerationModel],
) -> str:
    """Return why videos of a model can't start from stills, with prompts of at most this length; empty if they can."""
    if words := never_starts_from_stills(model, offered):
        return words
    if (parameters.get("images") or {}).get(FRAME):
        return "With stills first, each still is the first frame. Remove the first frame, or start all at once."
    asked = with_still(parameters)
    if not (in_reach := routes.with_images_in_reach(ways, asked)):
        return intake.OUT_OF_REACH
    refusal = routes.refusal(in_reach, asked, characters=characters)
    return f"With a still, {model.key} refuses this: {refusal.message}" if refusal else ""


def still_models(offered: Mapping[str, GenerationModel]) -> list[GenerationModel]:
    """Return the image models among those that are offered, the cheapest first; of these our first choice."""
    images = [model for model in offered.values() if model.medium == Medium.IMAGE]
    return sorted(images, key=lambda model: (still_of(model, "").tickets, model.key != FIRST_CHOICE, model.key))


def still_of(model: GenerationModel, ratio: Any) -> Still:
    """Return stills by a model, in the ratio of the video if the model has it, else in its own."""
    known = model.parameters.get("aspect_ratio", {}).get("values", ())
    asked = {"aspect_ratio": ratio} if ratio in known else {}
    return Still(model, parameter_rules.settle(model.key, model.parameters, asked)[0])
