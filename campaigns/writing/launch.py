"""
Pages: their price, time and priority; and the verbs that queue one, many, or a new version of one.

A page is a job of the kind `page`. Its metadata says what is wanted, its prompt is the brief in the words of who wants it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from campaigns import actions
from campaigns.actions import NotAsShown, Offer
from campaigns.models import Page, PageDraft
from campaigns.writing.drafts import Body, mark_made
from queue_app import tickets
from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.models import Batch, GenerationModel, Job, User
from queue_app.models.catalog import Medium
from queue_app.rules import priority
from queue_app.rules.words import one_line
from queue_app.work import capacity, intake, policy

KIND = "page"


@dataclass(frozen=True)
class Wanted:
    """A page to write: the metadata of its job, the brief, and the time by which it is wanted."""

    metadata: Mapping[str, Any]
    brief: str = ""
    deadline: datetime | None = None

    @property
    def name(self) -> str:
        """Return its main keyword, or else its address: what its job is called."""
        keywords = self.metadata.get("keywords") or [""]
        return one_line(str(keywords[0])) or one_line(str(self.metadata.get("target_url", "")))


class WritingRefused(Exception):
    """Pages can't be queued now. Nothing was written or reserved."""


@dataclass(frozen=True)
class Ranked:
    """The priority of a page, its points, and what gives them: “140 SKUs: +20”. ``lowered`` says why it is not higher."""

    level: int
    points: int
    reasons: Sequence[str]
    lowered: str = ""

    @property
    def name(self) -> str:
        return priority.name(self.level).lower()


@dataclass(frozen=True)
class Cost:
    """Price and time of ``count`` pages, if they were queued now: tickets, US dollars, and the time until the last is done."""

    count: int
    each: int
    usd: Decimal
    available: int
    left: Estimate

    @property
    def tickets(self) -> int:
        return self.count * self.each

    @property
    def after(self) -> int:
        """Return the tickets left in the wallet; negative if there are not enough."""
        return self.available - self.tickets

    @property
    def missing(self) -> int:
        return max(0, -self.after)

    @property
    def fits(self) -> int:
        """Return how many of the pages the wallet covers."""
        return self.available // self.each if self.each else self.count

    @property
    def offer(self) -> Offer:
        return Offer(self.count, self.tickets)


def writer() -> GenerationModel | None:
    """Return the model that writes pages: the cheapest one that is available; ``None`` if there is none."""
    pages = [model for model in capacity.available_models().values() if model.medium == Medium.PAGE]
    return min(pages, key=lambda model: (model.pricing.tickets_of({}), model.key), default=None)


def cost(owner: User, levels: Sequence[int], *, at: datetime) -> Cost | None:
    """Return price and time of pages with these priorities; ``None`` if no model is available."""
    model = writer()
    if model is None:
        return None
    left = estimates.for_new(model.key, len(levels) or 1, min(levels, default=priority.NORMAL), owner, None, KIND, at=at)
    each, usd = model.pricing.tickets_of({}), model.pricing.usd_of({})
    return Cost(len(levels), each, usd * len(levels), tickets.balances(owner)["available"], left)


def rank(owner: User, wanted: Wanted, *, at: datetime) -> Ranked:
    """Return the priority that a page would have, by the same rules as at intake."""
    scored = priority.score(wanted.metadata, wanted.deadline, at=at)
    level, reasons = intake.computed_priority(owner, scored.level, scored.reasons)
    gives = scored.reasons[:-1]  # the last one is their sum
    return Ranked(level, scored.points, gives, next(iter(reasons[len(scored.reasons) :]), ""))


@transaction.atomic
def write(
    owner: User, wanted: Sequence[Wanted], *, at: datetime, actor: str, batch_name: str | None = None
) -> tuple[Batch | None, list[Job]]:
    """
    Queue all of these pages or none: in a batch with this name, or without one.

    :raises WritingRefused: no model for pages is available.
    :raises IntakeRefused: a page is refused; its problems name it by its index.
    :raises NotEnoughTickets: the wallet does not cover all of them.
    """
    model = writer()
    if model is None:
        raise WritingRefused("No model for pages is available right now. Try again later, or ask staff.")
    drafts = [
        intake.Draft(
            model=model.key,
            prompt=one.brief,
            kind=KIND,
            metadata=one.metadata,
            deadline=one.deadline,
            label=one.name,
            notify=batch_name is None,
        )
        for one in wanted
    ]
    return intake.enqueue(owner, drafts, at=at, actor=actor, batch_name=batch_name)


@transaction.atomic(durable=True)
def write_draft(
    draft: PageDraft,
    wanted: Sequence[Wanted],
    *,
    shown: Offer,
    at: datetime,
    actor: str,
    batch_name: str | None = None,
    rest: Body | None = None,
) -> tuple[int, bool]:
    """
    Queue the pages of a draft once. Return the number of the job, or of the batch if they have one, and whether it is new: after
    a double click, a reload or a repeated POST it is what the first one made. Raises as `write`, and:

    :param rest: what stays, as a draft of its own.
    :raises NotAsShown: the number of pages or their price differs from ``shown``.
    """
    locked = PageDraft.objects.select_for_update().get(pk=draft.pk)
    if locked.made is not None:
        return locked.made, False
    owner = User.objects.get(pk=locked.owner_id)
    batch, jobs = write(owner, wanted, at=at, actor=actor, batch_name=batch_name)
    _check(jobs, shown)
    made = batch.pk if batch else jobs[0].pk
    mark_made(locked, made, rest, at=at)
    return made, True


@transaction.atomic(durable=True)
def new_version(page: Page, *, brief: str, voice: str, key: str, shown: Offer, at: datetime, by: User) -> tuple[Job, bool]:
    """
    Queue a page with the same data as this one, with another brief and voice, once per ``key`` (that of the form) and words.
    Return its job, and whether it is new. Its owner pays. Raises as `write`, and:

    :raises NotAsShown: its price differs from ``shown``.
    """
    owner = User.objects.get(pk=page.owner_id)
    record = actions.record_of(owner, "page version", key, [page.pk, brief, voice], at=at)
    if record.made is not None:
        return Job.objects.get(pk=record.made["job"]), False
    metadata = {name: value for name, value in page.metadata.items() if name != "brand_voice"}
    wanted = Wanted({**metadata, **({"brand_voice": voice} if voice.strip() else {})}, brief)
    _, (job,) = write(owner, [wanted], at=at, actor=by.username)
    _check([job], shown)
    actions.record_made(record, job=job.pk)
    after = {"job": job.pk, "tickets": job.tickets}
    policy.audit_others(owner.pk, "generate version", str(page), at=at, actor=by, after=after, of=page)
    return job, True


def _check(jobs: Sequence[Job], shown: Offer) -> None:
    if shown != Offer(len(jobs), sum(job.tickets for job in jobs)):
        raise NotAsShown
