"""More like this: further takes of one result, with new seeds and in other ratios, launched as a campaign of their own."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from campaigns import actions
from campaigns.actions import NotAsShown, Offer
from campaigns.brief import Brief, Problem
from campaigns.cells import label_of
from campaigns.launch import launch, parameters_of
from campaigns.models import Campaign, Combination
from campaigns.plan import Plan, PlannedCell, PlanRefused, check_prompt
from campaigns.rules import matrix
from campaigns.rules.matrix import Choice
from queue_app.models import Batch, GenerationModel, Kind, User
from queue_app.rules import parameters as parameter_rules
from queue_app.work import capacity, intake, policy

RATIO, TAKE = "ratio", "take"  # the dimensions in which the new videos differ
TAKES_MOST = 8  # of each ratio


@dataclass(frozen=True)
class Wish:
    """How many takes of which ratios; the model's default ratio for a model that offers no choice."""

    ratios: Sequence[str]
    takes: int


def ratios_of(model: GenerationModel) -> list[str]:
    """The ratios that a model offers."""
    return list(map(str, model.parameters.get("aspect_ratio", {}).get("values", [])))


def owner_of(cell: Combination) -> User:
    """Return who pays: the campaign's owner, whoever asks."""
    return Batch.objects.select_related("owner").get(pk=cell.campaign_id).owner


def plan_of(cell: Combination, wish: Wish, *, key: str) -> Plan:
    """
    Plan the new videos: the prompt and the parameters of the version that counts, but for seed and ratio. Writes nothing.

    :param key: of the form; the same form has the same seeds.
    :raises PlanRefused: a ratio is not offered (any more), or there are too few or too many takes.
    :raises ModelNotAvailable: nobody offers the model now.
    """
    campaign, owner = cell.campaign, owner_of(cell)
    model = capacity.available_models().get(campaign.model_id)
    if model is None:
        raise intake.ModelNotAvailable(campaign.model_id)
    if problems := list(_problems(model, wish)):
        raise PlanRefused(problems)
    base, takes = parameters_of(cell, campaign), [str(number) for number in range(1, wish.takes + 1)]
    choices = _choices(campaign, cell, wish, takes)
    verdict = check_prompt(campaign.brand, cell.prompt)
    cells = [
        PlannedCell(one, cell.prompt, verdict, parameters=_settled(model, base, one.values, key)) for one in matrix.cells(choices)
    ]
    level, why = intake.default_priority(Kind.objects.get(pk=model.medium), owner)
    return Plan(_brief(campaign, cell), model, base, level, why, choices, cells, len(cells))


@transaction.atomic(durable=True)
def launch_once(cell: Combination, wish: Wish, *, key: str, shown: Offer, at: datetime, by: User) -> tuple[Campaign, bool]:
    """
    Launch the new videos, once for one form and wish. Return the campaign and whether it is new. Raises as :func:`plan_of` and
    `launch.launch`, and:

    :raises NotAsShown: the number of videos or the price is another one.
    """
    owner = owner_of(cell)
    record = actions.record_of(owner, "more", key, [cell.pk, sorted(wish.ratios), wish.takes], at=at)
    if record.made is not None:
        return Campaign.objects.get(pk=record.made["campaign"]), False
    plan = plan_of(cell, wish, key=key)
    if shown != Offer(len(plan.to_buy), plan.tickets):
        raise NotAsShown
    campaign = launch(plan, owner=owner, at=at, actor=by.username)
    actions.record_made(record, campaign=campaign.pk)
    after = {"campaign": campaign.pk, "jobs": len(plan.to_buy), "tickets": plan.tickets}
    policy.audit_others(owner.pk, "generate more", str(cell), at=at, actor=by, after=after, of=cell)
    return campaign, True


def _problems(model: GenerationModel, wish: Wish) -> Iterator[Problem]:
    offered = ratios_of(model)
    if not 1 <= wish.takes <= TAKES_MOST:
        yield Problem("takes", f"Enter a whole number from 1 to {TAKES_MOST}.")
    if offered and not wish.ratios:
        yield Problem("ratio", "Choose at least one ratio.")
    for ratio in wish.ratios:
        if ratio not in offered:
            yield Problem("ratio", f"{model.key} has no ratio “{ratio[:20]}”. Choose from: {', '.join(offered) or 'none'}.")


def _choices(campaign: Campaign, cell: Combination, wish: Wish, takes: Sequence[str]) -> list[Choice]:
    """The values of the cell that is to be varied, one of each dimension; then ratios and takes."""
    own = {
        RATIO: ("Ratio", [(ratio, ratio) for ratio in wish.ratios]),
        TAKE: ("Take", [(take, f"Take {take}") for take in takes]),
    }
    kept = [key for key in campaign.dimensions if key in cell.values and key not in own]
    same = [
        Choice(
            key,
            str(campaign.labels.get(key, {}).get("label", key)),
            ((cell.values[key], label_of(campaign.labels, key, cell.values[key])),),
        )
        for key in kept
    ]
    return [*same, *(Choice(key, label, tuple(values)) for key, (label, values) in own.items() if values)]


def _settled(model: GenerationModel, base: Mapping[str, Any], values: Mapping[str, str], key: str) -> dict[str, Any]:
    given = {name: value for name, value in base.items() if name in model.parameters}
    if RATIO in values:
        given["aspect_ratio"] = values[RATIO]
    if "seed" in model.parameters:
        given["seed"] = _seed(model.parameters["seed"], f"{key} {values.get(RATIO, '')} {values[TAKE]}")
    settled, wrong = parameter_rules.settle(model.key, model.parameters, given)
    if wrong:
        raise PlanRefused([Problem("ratio", message) for message in wrong.values()])
    return settled


def _seed(rule: Mapping[str, Any], text: str) -> int:
    """A number within the model's range that nobody can tell from a drawn one; the same for the same text."""
    low, high = int(rule["low"]), int(rule["high"])
    return low + int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8]) % (high - low + 1)


def _brief(campaign: Campaign, cell: Combination) -> Brief:
    return Brief(
        name=f"More like #{cell.index} of {campaign.name}"[:200],
        brand=campaign.brand.name,
        product_category=campaign.product_category,
        big_idea=campaign.big_idea,
        visual_messaging=campaign.visual_messaging,
        audio_messaging=campaign.audio_messaging,
        model=campaign.model_id,
    )
