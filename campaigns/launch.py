"""
Launching a campaign: campaign, cells, jobs, reservations and events in one transaction, all or nothing. It happens once per key:
the id of a draft, or the idempotency key of an API call.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from django.db import transaction

from campaigns import cells as cell_reads
from campaigns import versions
from campaigns.brief import MOST, Brief
from campaigns.models import Brand, Campaign, Combination, Draft, Version
from campaigns.plan import Plan, PlannedCell, check_prompt, priority_of
from campaigns.rules import compliance
from queue_app import turns
from queue_app.models import ApiKey, Batch, Job, User
from queue_app.tickets import NotEnoughTickets
from queue_app.work import intake, policy, ticket_budgets


class LaunchRefused(Exception):
    """The campaign or the version can't be launched as it is. Nothing was written."""


class NotEnoughForAll(NotEnoughTickets):
    """The wallet does not cover all cells. Nothing was written. ``fits`` is the number of cells that it covers."""

    def __init__(self, plan: Plan, *, available: int):
        super().__init__(needed=plan.tickets, available=available)
        self.cells, self.fits = len(plan.to_buy), available // plan.tickets_each

    def __str__(self) -> str:
        return f"{super().__str__()} Your wallet covers {self.fits:,} of {self.cells:,} combinations."

    @property
    def facts(self) -> dict[str, int]:
        return {**super().facts, "fits": self.fits}


@transaction.atomic
def launch(plan: Plan, *, owner: User, at: datetime, actor: str, key: ApiKey | None = None) -> Campaign:
    """
    Create the campaign and queue a job for every cell of the plan that is not blocked.

    :param key: the API key that launches it, if one does.
    :raises LaunchRefused: every cell is blocked.
    :raises NotEnoughForAll: the wallet does not cover all jobs.
    """
    if not plan.to_buy:
        raise LaunchRefused(f"All combinations are blocked by compliance rules. {blocked_words(plan.blocked[0].verdict)}")
    brief, name = plan.brief, _name(plan.brief, owner)
    batch, jobs, stills = _enqueue(plan, name, owner, at=at, actor=actor, key=key)
    campaign = Campaign.objects.create(
        batch=batch,
        name=name,
        brand=_brand(brief.brand.strip()),
        product_category=brief.product_category,
        big_idea=brief.big_idea,
        visual_messaging=brief.visual_messaging,
        audio_messaging=brief.audio_messaging,
        dimensions={choice.key: [value for value, _ in choice.values] for choice in plan.choices},
        labels=plan.labels,
        exclude=[dict(one) for one in brief.exclude],
        model=plan.model,
        parameters=plan.parameters,
        priority=plan.priority,
        start=brief.start,
        still_model=plan.still.model if plan.still else None,
        created_at=at,
    )
    _make_cells(campaign, plan, jobs, stills)
    after = {"jobs": len(jobs) + len(stills), "tickets": plan.tickets, "model": plan.model.key}
    if brief.budget_tickets is not None:
        ticket_budgets.add(batch, brief.budget_tickets, at=at)
        after["budget"] = brief.budget_tickets
    policy.audit("launch campaign", campaign.name, at=at, actor=owner, after=after, of=campaign)
    return campaign


@transaction.atomic
def launch_draft(draft: Draft, plan: Plan, *, at: datetime, actor: str) -> tuple[Campaign, bool]:
    """
    Launch a draft once. Return the campaign, and whether it is new: after a double click, a reload or a repeated POST it is the
    campaign of the first launch. Raises as :func:`launch`.
    """
    # no join: after waiting for the lock, a joined row would be stale
    locked = Draft.objects.select_for_update().get(pk=draft.pk)
    if locked.campaign is not None:
        return locked.campaign, False
    campaign = launch(plan, owner=User.objects.get(pk=locked.owner_id), at=at, actor=actor)
    locked.campaign = campaign
    locked.save(update_fields=["campaign"])
    return campaign, True


@transaction.atomic
def make_again(combination: Combination, text: str, *, at: datetime, by: User, number: int | None = None) -> tuple[Version, bool]:
    """
    Queue a new version of a cell, with an edited prompt. It counts from now on and is not reviewed; earlier versions keep their
    reviews and notes. Return the version, and whether it is new.

    :param number: the number of the version that the form named. If that version exists, it is returned and nothing is queued.
    :raises LaunchRefused: a rule blocks the prompt, a version is not finished, or ``number`` is not the next one.
    :raises IntakeRefused: the prompt is empty or too long.
    :raises NotEnoughTickets: the wallet does not cover its price.
    """
    if problem := intake.prompt_problem(text):  # before any rule reads it
        raise intake.IntakeRefused([intake.Problem(0, "prompt", problem)])
    cell = Combination.objects.select_for_update().get(pk=combination.pk)  # no join, as above: its job may be new
    following = cell.versions.count() + 1
    if number not in (None, following):
        made = cell.versions.filter(number=number).first()
        if made is None:
            raise LaunchRefused(f"The next version is {following}. Check the prompt and press again.")
        return made, False
    if versions.is_open(cell):
        raise LaunchRefused("A version is still generating. Wait for it or cancel it first.")
    campaign = cell.campaign
    verdict = check_prompt(campaign.brand, text)
    if verdict.level == "block":
        raise LaunchRefused(blocked_words(verdict))
    draft = intake.Draft(
        model=campaign.model_id,
        prompt=text,
        parameters=parameters_of(cell, campaign),
        metadata={"combination": cell.key},
        **own_priority(campaign),
        label=cell_reads.job_label(cell.values, campaign.dimensions, campaign.labels, version=following),
    )
    batch = Batch.objects.select_for_update().get(pk=campaign.pk)
    owner = User.objects.get(pk=batch.owner_id)
    _, jobs = intake.enqueue(owner, [draft], at=at, actor=by.username, batch=batch)
    Batch.objects.filter(pk=batch.pk).update(ended_at=None)
    versions.put_aside(cell)
    version = Version.objects.create(combination=cell, number=following, job=jobs[0], prompt=text)
    if cell.job_id:  # the note of a blocked cell has no version to stay with
        cell.note = ""
    cell.job, cell.prompt, cell.blocked = jobs[0], text, False
    cell.review, cell.reviewed_by, cell.reviewed_at = "", None, None
    cell.compliance = as_json(verdict)
    cell.save()
    after = {"version": following, "job": jobs[0].pk, "tickets": jobs[0].tickets}
    policy.audit_others(owner.pk, "generate version", str(cell), at=at, actor=by, after=after, of=cell)
    return version, True


def reword(job: int, changed: Mapping[str, Any]) -> None:
    """
    Let the version made by a job follow another prompt of it, in the caller's transaction. A job of no combination has none.

    :raises IntakeRefused: a compliance rule blocks the prompt.
    """
    version, text = Version.objects.filter(job=job).first(), changed["prompt"]
    if version is None or intake.prompt_problem(text):  # which the queue refuses in its own words
        return
    cell = Combination.objects.select_for_update().get(pk=version.combination_id)
    verdict = check_prompt(cell.campaign.brand, text)
    if verdict.level == "block":
        raise intake.IntakeRefused([intake.Problem(0, "prompt", blocked_words(verdict))])
    version.prompt, version.compliance = text, as_json(verdict)
    version.save(update_fields=["prompt", "compliance"])
    if cell.job_id == job:
        cell.prompt, cell.compliance = version.prompt, version.compliance
        cell.save(update_fields=["prompt", "compliance"])


def parameters_of(cell: Combination, campaign: Campaign) -> dict[str, Any]:
    """Return the parameters of a cell's next version: those of the version that counts, or of the launch if there is none."""
    return dict(cell.job.parameters if cell.job is not None else campaign.parameters)


def own_priority(campaign: Campaign) -> dict[str, Any]:
    """Return the priority that somebody chose for the campaign; none if it has that of its size, which one job does not get."""
    owner, cells = campaign.batch.owner, campaign.combinations.filter(blocked=False).count()
    if campaign.priority == priority_of(campaign.model, owner, cells=cells)[0]:
        return {}
    return {"priority": campaign.priority, "priority_reasons": ["priority of the campaign"]}


def blocked_words(verdict: compliance.Verdict) -> str:
    """Return in one line the reason why a prompt is blocked and the suggested fix."""
    return next(hit.advice for hit in verdict.hits if hit.rule.severity == "block")


def as_json(verdict: compliance.Verdict) -> dict[str, object]:
    """Return a verdict as JSON: stored with the cell and returned by the API."""
    return {
        "level": verdict.level,
        "hits": [
            {
                "rule": hit.rule.name,
                "severity": hit.rule.severity,
                "matched": hit.matched,
                "start": hit.start,
                "end": hit.end,
                "reason": hit.rule.reason,
                "instead": hit.rule.instead,
            }
            for hit in verdict.hits
        ],
    }


def _enqueue(
    plan: Plan, name: str, owner: User, *, at: datetime, actor: str, key: ApiKey | None
) -> tuple[Batch, list[Job], list[Job]]:
    """Queue the videos and then the stills, in one batch. Return it and both."""
    brief, reserved, stills = plan.brief, 0, list[Job]()
    if plan.still:  # the turns of both, before the wallet
        turns.lock_lanes((model.key, plan.priority, owner.pk) for model in (plan.model, plan.still.model))
    try:
        batch, jobs = intake.enqueue(
            owner,
            plan.drafts(),
            at=at,
            actor=actor,
            batch_name=name,
            max_concurrent=brief.max_concurrent,
            callback_url=brief.callback_url,
            origin="campaign",
            key=key,
        )
        assert batch is not None
        reserved = sum(job.tickets for job in jobs)
        if drafts := plan.drafts_of_stills():  # by themselves: both together may be more than one call takes
            _, stills = intake.enqueue(owner, drafts, at=at, actor=actor, batch=batch, key=key)
    except NotEnoughTickets as refusal:
        raise NotEnoughForAll(plan, available=refusal.available + reserved) from None
    return batch, jobs, stills


def _make_cells(campaign: Campaign, plan: Plan, jobs: Sequence[Job], stills: Sequence[Job]) -> None:
    bought, drawn = iter(jobs), iter(stills)
    cells = Combination.objects.bulk_create(_cell(campaign, planned, bought, drawn) for planned in plan.cells)
    Version.objects.bulk_create(
        Version(combination=cell, number=1, job=cell.job, prompt=cell.prompt) for cell in cells if cell.job is not None
    )


def _cell(campaign: Campaign, planned: PlannedCell, bought: Iterator[Job], drawn: Iterator[Job]) -> Combination:
    return Combination(
        campaign=campaign,
        index=planned.cell.index,
        key=planned.cell.key,
        values=planned.cell.values,
        prompt=planned.prompt,
        compliance=as_json(planned.verdict),
        blocked=planned.blocked,
        job=None if planned.blocked else next(bought),
        still=None if planned.blocked else next(drawn, None),
    )


def _name(brief: Brief, owner: User) -> str:
    """Return the name that was typed; or one of ours, with a number if another campaign of the owner has it already."""
    if brief.name.strip():
        return brief.title
    title = brief.title[: MOST["name"] - 5]
    taken = set(Campaign.objects.filter(batch__owner=owner, name__startswith=title).values_list("name", flat=True))
    return next(name for number in count(1) if (name := f"{title} {number}" if number > 1 else title) not in taken)


def _brand(name: str) -> Brand:
    """Return the brand with this name, created if it is new. A concurrent launch with the same new brand shares it."""
    return Brand.objects.named(name) or Brand.objects.make(name)
