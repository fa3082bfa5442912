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
from campaigns.plan import Plan, PlannedCell, PlanRefused, check_prompt, priority_of
from campaigns.rules import matrix
from campaigns.rules.matrix import Choice
from queue_app.models import Batch, User
from queue_app.rules import parameters as parameter_rules
from queue_app.ui.parameters import Choices
from queue_app.work import capacity, intake, policy

RATIO, TAKE = "ratio", "take"  # the dimensions in which the new results differ
TAKES_MOST = 8  # of each ratio


@dataclass(frozen=True)
class Takes:
    """A request for more: the ratios, none if there is no choice, and the number of takes of each."""

    ratios: Sequence[str]
    number: int


class Variety:
    """
    What further takes of a result can differ in, with the model and the providers of today: the ``ratios``, or ``fixed``, why
    there is no choice; a seed, or ``seedless``, why there is none. ``same`` are the parameters that stay as they are.
    """

    def __init__(self, cell: Combination):
        """:raises ModelNotAvailable: no provider offers the model right now."""
        key = cell.campaign.model_id
        ways = capacity.usable_routes([key])
        model = capacity.available_models(ways).get(key)
        if model is None:
            raise intake.ModelNotAvailable(key)
        base = parameters_of(cell, cell.campaign)
        choices = Choices(model, ways[key], [role for role, images in (base.get("images") or {}).items() if images])
        self.cell, self.model = cell, model
        self.fixed, self.seedless = choices.reason("aspect_ratio"), choices.reason("seed")
        self.ratios = [] if self.fixed else list(map(str, choices.values("aspect_ratio")))
        self.same = {name: value for name, value in base.items() if name in model.parameters and name != "seed"}

    def settled(self, values: Mapping[str, str], key: str) -> dict[str, Any]:
        """
        Return the parameters of the take with these values.

        :raises PlanRefused: the model no longer takes one of those that stay as they are.
        """
        given = dict(self.same)
        if RATIO in values:
            given["aspect_ratio"] = values[RATIO]
        if not self.seedless:
            given["seed"] = _seed(self.model.parameters["seed"], f"{key} {values.get(RATIO, '')} {values[TAKE]}")
        settled, wrong = parameter_rules.settle(self.model.key, self.model.parameters, given)
        if wrong:
            raise PlanRefused([Problem(name, message) for name, message in wrong.items()])
        return settled


def owner_of(cell: Combination) -> User:
    """Return the user who pays: the owner of the campaign, also if staff launch."""
    return Batch.objects.select_related("owner").get(pk=cell.campaign_id).owner


def plan_of(variety: Variety, takes: Takes, *, key: str, at: datetime) -> Plan:
    """
    Plan the new results: prompt and parameters of the version that counts, except for seed and ratio. Writes nothing.

    :param key: that of the form. The same form has the same seeds.
    :raises PlanRefused: a ratio is not offered, the number of takes is out of range, or a parameter is no longer taken.
    :raises IntakeRefused: the queue refuses such jobs, for example because their images are gone.
    :raises KindRestricted: the owner has no permission for the model's job type.
    """
    cell, campaign, owner = variety.cell, variety.cell.campaign, owner_of(variety.cell)
    if problems := list(_problems(variety, takes)):
        raise PlanRefused(problems)
    choices = _choices(campaign, cell, takes)
    verdict = check_prompt(campaign.brand, cell.prompt)
    cells = [PlannedCell(one, cell.prompt, verdict, parameters=variety.settled(one.values, key)) for one in matrix.cells(choices)]
    level, why = priority_of(variety.model, owner, cells=len(cells))
    plan = Plan(_brief(campaign, cell), variety.model, _shared(cells), level, why, choices, cells, len(cells))
    if plan.to_buy:
        intake.price(owner, plan.drafts(), at=at)
    return plan


@transaction.atomic(durable=True)
def launch_once(cell: Combination, takes: Takes, *, key: str, shown: Offer, at: datetime, by: User) -> tuple[Campaign, bool]:
    """
    Launch the new results, once per form and request. Return the campaign, and whether it is new. Raises as `Variety`,
    :func:`plan_of` and `launch.launch`, and:

    :raises NotAsShown: the number of jobs or their price differs from ``shown``.
    """
    owner = owner_of(cell)
    record = actions.record_of(owner, "more", key, [cell.pk, sorted(takes.ratios), takes.number], at=at)
    if record.made is not None:
        return Campaign.objects.get(pk=record.made["campaign"]), False
    plan = plan_of(Variety(cell), takes, key=key, at=at)
    if plan.to_buy and shown != Offer(len(plan.to_buy), plan.tickets):
        raise NotAsShown
    campaign = launch(plan, owner=owner, at=at, actor=by.username)
    actions.record_made(record, campaign=campaign.pk)
    after = {"campaign": campaign.pk, "jobs": len(plan.to_buy), "tickets": plan.tickets}
    policy.audit_others(owner.pk, "generate more", str(cell), at=at, actor=by, after=after, of=cell)
    return campaign, True


def _problems(variety: Variety, takes: Takes) -> Iterator[Problem]:
    if not 1 <= takes.number <= TAKES_MOST:
        yield Problem("takes", f"Enter a whole number from 1 to {TAKES_MOST}.")
    if variety.ratios and not takes.ratios:
        yield Problem("ratio", "Choose at least one ratio.")
    for ratio in takes.ratios:
        if ratio not in variety.ratios:
            offered = ", ".join(variety.ratios) or "none"
            yield Problem("ratio", f"{variety.model.key} has no ratio “{ratio[:20]}”. Available: {offered}.")


def _choices(campaign: Campaign, cell: Combination, takes: Takes) -> list[Choice]:
    """Return the values of the varied cell, one of each dimension; then ratios and takes."""
    varied = {
        RATIO: ("Ratio", [(ratio, ratio) for ratio in takes.ratios]),
        TAKE: ("Take", [(str(number), f"Take {number}") for number in range(1, takes.number + 1)]),
    }
    same = [
        Choice(
            key,
            str(campaign.labels.get(key, {}).get("label", key)),
            ((cell.values[key], label_of(campaign.labels, key, cell.values[key])),),
        )
        for key in campaign.dimensions
        if key in cell.values and key not in varied
    ]
    return [*same, *(Choice(key, label, tuple(values)) for key, (label, values) in varied.items() if values)]


def _seed(rule: Mapping[str, Any], text: str) -> int:
    """Return a number in the model's range that looks random; the same one for the same text."""
    low, high = int(rule["low"]), int(rule["high"])
    return low + int.from_bytes(hashlib.sha256(text.encode(errors="replace")).digest()[:8]) % (high - low + 1)


def _shared(cells: Sequence[PlannedCell]) -> dict[str, Any]:
    """Return the parameters that are the same for all cells."""
    first, *others = [planned.parameters or {} for planned in cells]
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}


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
