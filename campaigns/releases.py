"""
Verbs for combinations on hold: release, drop, rewrite. Canary, storyboard and circuit breaker share them. Each verb is one
transaction: a process that dies in between has changed nothing, and a second click finds nothing left to do.

Locks are taken in this order: combinations, batch, jobs, wallets.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from campaigns import cells as cell_reads
from campaigns import starts
from campaigns.launch import as_json, blocked_words, own_priority
from campaigns.models import Campaign, Combination, Trip, Version
from campaigns.plan import checker_of
from campaigns.rules import compliance
from campaigns.stages import OURS, STAGED, CellStage
from queue_app import lifecycle, turns
from queue_app.lifecycle import CancelVerdict
from queue_app.models import Asset, Batch, HeldFor, Job, State, User
from queue_app.models.job import OPEN_STATES
from queue_app.rules.numbers import counted
from queue_app.work import holds, intake, policy, rewrites, uploads


class RewriteRefused(Exception):
    """The prompts can't be changed like this. Nothing was written. The message is for the user."""


class RewriteChanged(Exception):
    """Other prompts would change, or other stills would be made, than the user was shown. Nothing was written."""


@dataclass(frozen=True)
class Chosen:
    """The combinations that a person means: those with these numbers, those with all these values, or all."""

    numbers: Collection[int] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    everything: bool = False

    def has(self, row: CellStage) -> bool:
        if self.values:
            return self.values.items() <= row.values.items()
        return self.everything or row.number in self.numbers


@dataclass(frozen=True)
class Released:
    """What a release did: ``videos`` that may start now, ``stills`` likewise, and how many combinations wait for a still."""

    videos: int
    stills: int
    without_still: int


@dataclass(frozen=True)
class Dropped:
    """The number of combinations whose videos were cancelled, and the tickets that were returned at once."""

    videos: int
    tickets: int


@dataclass(frozen=True)
class Rewording:
    """A combination on hold with the prompt that it would get. ``needs_still``: a new still is made of it."""

    row: CellStage
    before: str
    after: str
    verdict: compliance.Verdict
    needs_still: bool

    @property
    def is_blocked(self) -> bool:
        return self.verdict.level == "block"

    @property
    def blocked_words(self) -> str:
        return blocked_words(self.verdict)


@dataclass(frozen=True)
class Foreseen:
    """
    What a rewrite would do. ``left_out`` combinations stay as they are: their stills are being made, or they were sent before.
    ``tickets`` is the price of the new stills.
    """

    changes: list[Rewording]
    left_out: int
    tickets: int

    @property
    def stills(self) -> int:
        return sum(one.needs_still for one in self.changes)

    @property
    def digest(self) -> str:
        """Return what stands for the numbers and new prompts of all changes."""
        return hashlib.sha256(json.dumps([(one.row.number, one.after) for one in self.changes]).encode()).hexdigest()

    @property
    def shown(self) -> tuple[str, int]:
        """Return what a user who confirms has seen: the new prompts, as digest, and the tickets."""
        return self.digest, self.tickets

    @property
    def blocked(self) -> list[Rewording]:
        return [one for one in self.changes if one.is_blocked]


def waiting(campaign: Campaign, chosen: Chosen | None = None) -> list[CellStage]:
    """Return the combinations on hold until a person releases them, in matrix order. One query."""
    held = Combination.objects.filter(campaign=campaign, job__state=State.QUEUED)
    rows = [CellStage(*row) for row in held.order_by("index").values_list(*STAGED)]
    return [row for row in rows if row.held_for in OURS and (chosen is None or chosen.has(row))]


def on_hold(rows: Sequence[CellStage]) -> dict[str, int]:
    """Return how many of these combinations are on hold, by what they are on hold for."""
    counts = Counter(row.held_for for row in rows)
    return {why.value: counts[why.value] for why in OURS}


@transaction.atomic
def release(campaign: Campaign, chosen: Chosen, *, at: datetime, by: User, via: str = "") -> Released:
    """
    Let combinations on hold run. A video that waits for its still starts from it; without a completed still it stays on hold.

    :raises IntakeRefused: a model no longer takes such an image, or nobody can load it; nothing is written.
    """
    rows, owner = _locked(campaign, chosen)
    approved = _approve(rows, owner, at=at, actor=policy.known_as(by, via))
    boards = [row for row in rows if row.is_board]
    stopped = [row.still for row in boards if row.still_held_for == HeldFor.BREAKER]
    others = [row.job for row in rows if not row.is_board]
    jobs = holds.release(
        filter(None, [*approved, *stopped, *others]),
        *OURS,
        at=at,
        actor=policy.known_as(by, via),
        reason="released",
    )
    found = {job.pk for job in jobs}
    done = Released(
        videos=len(found & {row.job for row in rows}),
        stills=len(found & {*stopped}),
        without_still=len(boards) - len(approved) - len(found & {*stopped}),
    )
    _settle(campaign, Trip.How.RELEASED, at=at, by=by)
    if jobs:
        after = {"videos": done.videos, "stills": done.stills}
        _audit("release videos", campaign, owner, at=at, by=by, via=via, after=after)
    return done


@transaction.atomic
def drop(campaign: Campaign, chosen: Chosen, *, at: datetime, by: User, via: str = "", reason: str = "") -> Dropped:
    """Cancel combinations on hold, and stills of theirs that are not finished. Reserved tickets are returned."""
    rows, owner = _locked(campaign, chosen)
    ids = [pk for row in rows for pk in cancelled_with(row)]
    prices = dict(Job.objects.filter(pk__in=ids).values_list("pk", "tickets"))
    verdicts = lifecycle.cancel(ids, at=at, actor=policy.known_as(by, via), reason=reason or "dropped while on hold")
    gone = {pk for pk, verdict in verdicts.items() if verdict == CancelVerdict.CANCELLED}
    done = Dropped(videos=len(gone & {row.job for row in rows}), tickets=sum(prices[pk] for pk in gone))
    _settle(campaign, Trip.How.DROPPED, at=at, by=by)
    if rows:
        after = {"videos": done.videos, "tickets": done.tickets}
        _audit("drop videos", campaign, owner, at=at, by=by, via=via, after=after, reason=reason)
    return done


def hold_again(jobs: Sequence[Job]) -> None:
    """Let videos of a storyboard that are queued again wait for their stills, unless one was approved or the video was sent."""
    new = {job.pk: job for job in jobs if not job.attempt_number and starts.FRAME not in (job.parameters.get("images") or {})}
    of_boards = Combination.objects.filter(job__in=new, campaign__start=starts.STORYBOARD, still__isnull=False)
    for pk in of_boards.values_list("job", flat=True):
        new[pk].held_for = HeldFor.STORYBOARD


def cancelled_with(row: CellStage) -> list[int]:
    """Return the jobs that a drop of this combination cancels: its video, and its still if that is not finished."""
    return [
        pk for pk, is_open in ((row.job, True), (row.still, row.is_board and row.still_state in OPEN_STATES)) if pk and is_open
    ]


def foresee(campaign: Campaign, chosen: Chosen, *, find: str = "", put: str = "", prompt: str | None = None) -> Foreseen:
    """
    Return what a rewrite would do, writing nothing: ``prompt`` is the whole new prompt; without it, ``find`` is replaced by
    ``put`` wherever it occurs, and prompts that don't contain it stay as they are.

    :raises RewriteRefused: a new prompt is empty or too long, or nothing to find was given.
    """
    if prompt is None and not find:
        raise RewriteRefused("Enter the words to replace.")
    rows = waiting(campaign, chosen)
    prompts = dict(Combination.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "prompt"))
    sent = set(Job.objects.filter(pk__in=[row.job for row in rows if row.job], attempt_number__gt=0).values_list("pk", flat=True))
    check = checker_of(campaign.brand.name).check
    changes, left_out = [], 0
    for row in rows:
        before = prompts[row.pk]
        after = before.replace(find, put) if prompt is None else prompt
        is_again = row.is_board and prompt is not None  # the same words may give another still
        if after == before and not is_again:
            continue
        if row.job in sent or (row.is_board and row.still_state in OPEN_STATES):
            left_out += 1
            continue
        if problem := intake.prompt_problem(after):
            raise RewriteRefused(f"#{row.number}: {problem}")
        changes.append(Rewording(row, before, after, check(after), needs_still=row.is_board))
    still, stills = _still(campaign), sum(one.needs_still for one in changes)
    return Foreseen(changes, left_out, stills * still.tickets if still else 0)


@transaction.atomic
def rewrite(
    campaign: Campaign,
    chosen: Chosen,
    *,
    shown: tuple[str, int],
    at: datetime,
    by: User,
    then_release: bool = False,
    find: str = "",
    put: str = "",
    prompt: str | None = None,
) -> Foreseen:
    """
    Change the prompts of combinations on hold (`foresee`), and queue a new still of each that waits for one. The others may be
    released with it. Return what was done.

    :param shown: that of the `Foreseen` that the user was shown.
    :raises RewriteChanged: there would be others.
    :raises RewriteRefused: as `foresee`, or a compliance rule blocks a new prompt.
    :raises IntakeRefused: the queue refuses a new prompt. :raises NotEnoughTickets: the wallet does not cover the new stills.
    """
    _, owner = _locked(campaign, chosen)
    found = foresee(campaign, chosen, find=find, put=put, prompt=prompt)
    if found.shown != shown:
        raise RewriteChanged
    if found.blocked:
        first = found.blocked[0]
        raise RewriteRefused(f"#{first.row.number} would be blocked. {first.blocked_words}")
    _reword(found.changes, owner, at=at, actor=by.username)
    ready = [one.row.job for one in found.changes if not one.needs_still and one.row.job and then_release]
    drawn = _drafts(campaign, [one for one in found.changes if one.needs_still])
    _lock_turns(ready, [*drawn.values()], owner, at=at)
    _draw(campaign, drawn, owner, at=at, actor=by.username)
    if ready:
        holds.release(ready, *OURS, at=at, actor=by.username, reason="rewritten and released")
        _settle(campaign, Trip.How.REWRITTEN, at=at, by=by)
    if found.changes:
        after = {"prompts": len(found.changes), "stills": found.stills, "tickets": found.tickets}
        _audit("rewrite prompts", campaign, owner, at=at, by=by, after=after)
    return found


def _locked(campaign: Campaign, chosen: Chosen) -> tuple[list[CellStage], User]:
    """Lock the combinations on hold that are meant, then their batch. Return them as they are then, and the owner."""
    wanted = [row.pk for row in waiting(campaign, chosen)]
    list(Combination.objects.filter(pk__in=wanted).order_by("pk").select_for_update().values_list("pk"))
    batch = Batch.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    still_so = [row for row in waiting(campaign, chosen) if row.pk in {*wanted}]
    return still_so, User.objects.get(pk=batch.owner_id)


def _approve(rows: Sequence[CellStage], owner: User, *, at: datetime, actor: str) -> list[int]:
    """Let videos start from their completed stills. Return the jobs of those that can."""
    ready = {row.still: row.job for row in rows if row.is_board and row.job and row.still_state == State.COMPLETED}
    # the first file of the latest delivery
    files = Asset.objects.kept().filter(job__in=[pk for pk in ready if pk], kind=Asset.Kind.IMAGE).order_by("version", "-number")
    pictures = {file.job_id: file for file in files}
    images = uploads.adopt(owner, pictures.values(), at=at)
    frames = {ready[still]: str(images[file.pk].pk) for still, file in pictures.items() if file.pk in images}
    jobs = Job.objects.in_bulk([*frames])
    drafts = {pk: intake.draft_like(job, parameters=starts.with_still(job.parameters, frames[pk])) for pk, job in jobs.items()}
    return [job.pk for job in rewrites.rewrite(owner, drafts, at=at, actor=actor, reason="still approved")]


def _reword(changes: Sequence[Rewording], owner: User, *, at: datetime, actor: str) -> None:
    """Give the combinations, their versions and their jobs the new prompts."""
    by_cell = {one.row.pk: one for one in changes}
    cells = list(Combination.objects.filter(pk__in=by_cell))
    versions = list(Version.objects.filter(job__in=[one.row.job for one in changes]))
    for cell in cells:
        one = by_cell[cell.pk]
        cell.prompt, cell.compliance = one.after, as_json(one.verdict)
    for version in versions:
        version.prompt = by_cell[version.combination_id].after
    Combination.objects.bulk_update(cells, ["prompt", "compliance"])
    Version.objects.bulk_update(versions, ["prompt"])
    prompts = {one.row.job: one.after for one in changes if one.row.job}
    jobs = Job.objects.in_bulk([*prompts])
    drafts = {pk: intake.draft_like(job, prompt=prompts[pk]) for pk, job in jobs.items()}
    rewrites.rewrite(owner, drafts, at=at, actor=actor, reason="prompt rewritten")


def _drafts(campaign: Campaign, changes: Sequence[Rewording]) -> dict[Combination, intake.Draft]:
    """Return the new stills of these combinations."""
    if not changes:
        return {}
    cells = {cell.pk: cell for cell in Combination.objects.filter(pk__in=[one.row.pk for one in changes])}
    still, order = _still(campaign), own_priority(campaign)
    assert still is not None  # a combination that waits for a still has one
    drafts = {}
    for one in changes:
        cell = cells[one.row.pk]
        label = cell_reads.job_label(cell.values, campaign.dimensions, campaign.labels)
        drafts[cell] = intake.Draft(
            model=still.model.key,
            prompt=one.after,
            parameters=still.parameters,
            metadata={"combination": cell.key, "still": True},
            label=cell_reads.still_label(label),
            **order,
        )
    return drafts


def _lock_turns(videos: Sequence[int], stills: Sequence[intake.Draft], owner: User, *, at: datetime) -> None:
    """Lock the turns of videos to be released and of stills to be queued, before the wallet. All stills have one lane."""
    lanes = set(Job.objects.filter(pk__in=videos).values_list("model", "priority", "owner"))
    if stills:
        lanes |= {(job.model_id, job.priority, owner.pk) for job in intake.price(owner, stills[:1], at=at)}
    turns.lock_lanes(lanes)


def _draw(campaign: Campaign, drafts: Mapping[Combination, intake.Draft], owner: User, *, at: datetime, actor: str) -> None:
    """Queue a new still for each of these combinations. The old ones stay in the history and stay paid."""
    if not drafts:
        return
    batch = Batch.objects.get(pk=campaign.pk)
    _, jobs = intake.enqueue(owner, [*drafts.values()], at=at, actor=actor, batch=batch)
    for cell, job in zip(drafts, jobs, strict=True):
        cell.still = job
    Combination.objects.bulk_update([*drafts], ["still"])


def _still(campaign: Campaign) -> starts.Still | None:
    """Return how a new still is made today; ``None`` without a storyboard."""
    model = campaign.still_model
    return starts.still_of(model, campaign.parameters.get("aspect_ratio")) if model else None


def _settle(campaign: Campaign, how: Trip.How, *, at: datetime, by: User) -> None:
    """Note how trips ended of which nothing is on hold any more."""
    trips = list(Trip.objects.filter(campaign=campaign, settled_at=None).select_for_update())
    if not trips:
        return
    held = [row.values for row in waiting(campaign) if row.held_for == HeldFor.BREAKER]
    for trip in trips:
        if not any(values.get(trip.dimension) == trip.value for values in held):
            trip.settled_at, trip.settled_by, trip.how = at, by, how
            trip.save(update_fields=["settled_at", "settled_by", "how"])


def _audit(action: str, campaign: Campaign, owner: User, *, at: datetime, by: User, via: str = "", **details: Any) -> None:
    policy.audit_others(owner.pk, action, campaign.name, at=at, actor=by, via=via, of=campaign, **details)


def said(done: Released, medium: str) -> str:
    """Return what a release did as a message for people."""
    told = [counted(number, noun) for number, noun in ((done.videos, medium), (done.stills, "still")) if number]
    words = f"{' and '.join(told)} released." if told else "Nothing was released."
    if done.without_still:
        words += f" {counted(done.without_still, medium)} still on hold: no still to start from yet."
    return words
