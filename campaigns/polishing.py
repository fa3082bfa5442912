"""
Polishing of the big idea: a text job that a button of the campaign form queues, and the creative's choice between its wording
and their own. A draft remembers its latest polishing.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from campaigns import actions, drafts
from campaigns.brief import MOST, text_problem
from campaigns.drafts import POLISHING, Body
from campaigns.launch import blocked_words
from campaigns.models import Draft
from campaigns.rules import compliance
from campaigns.rules import polishing as rules
from queue_app.models import Asset, GenerationModel, Job, Kind, State, User
from queue_app.models.catalog import Medium
from queue_app.rules import parameters as parameter_rules
from queue_app.rules.numbers import counted
from queue_app.rules.words import storable
from queue_app.ui import job_facts
from queue_app.work import intake

FIELD = "big_idea"
LONGEST = MOST[FIELD]


class PolishingRefused(Exception):
    """The text is not polished as it is. Nothing was reserved."""


@dataclass(frozen=True)
class Polishing:
    """
    What a draft remembers: the job, the text that it was asked to polish, and its answer once that is read. ``choice`` is
    “polished” or “mine” once the creative has chosen. ``mine`` is the wording that a polished one replaced: the way back.
    """

    job: int
    sent: str
    polished: str = ""
    choice: str = ""
    mine: str | None = None
    preview: bool = False

    @classmethod
    def of(cls, body: Body) -> "Polishing | None":
        found: dict[str, Any] | None = body.get(POLISHING)
        return None if found is None else cls(**found)

    def into(self, body: Body, **fields: str) -> Body:
        """Return the body with this polishing, and with other ``fields``."""
        return {**body, **fields, POLISHING: asdict(self)}


def writer(offered: Mapping[str, GenerationModel], owner: User) -> GenerationModel | None:
    """
    Return the model that polishes: the cheapest available one for texts. ``None`` if there is none, or if the owner has no
    permission for its job type: then polishing is not offered.
    """
    texts = [model for model in offered.values() if model.medium == Medium.TEXT]
    if not texts or intake.restriction(Kind.objects.get(pk=Medium.TEXT), owner):
        return None
    return min(texts, key=lambda model: (price(model), model.key))


def price(model: GenerationModel) -> int:
    """Return today's price of one polishing, in tickets."""
    settled, _ = parameter_rules.settle(model.key, model.parameters, {})
    return model.pricing.tickets_of(settled)


def start(
    draft: Draft, owner: User, model: GenerationModel | None, checker: compliance.Checker, *, told: int, seen: int, at: datetime
) -> Draft:
    """
    Queue a job that polishes the big idea of the draft, once per draft and text: a double click, a reload, a second tab and a
    return to an earlier text lead to the job that was queued first. Return the updated draft.

    :param told: the tickets that the button named.
    :param seen: the failed job that the page showed. Only then is its text polished again.
    :raises PolishingRefused: there is no model, the text can't be polished, or the price has changed.
    :raises NotEnoughTickets: the wallet does not cover the price. Other refusals of `intake.enqueue` are raised as they are.
    """
    text: str = draft.body[FIELD]
    before = Polishing.of(draft.body)
    if before is not None and before.sent == text and (before.polished or not _is_spent(_job(before), seen)):
        return drafts.change(draft, lambda body: replace(before, choice="").into(body), at=at)
    if model is None:
        raise PolishingRefused("No model for texts is available right now.")
    if problem := _problem(text, checker):
        raise PolishingRefused(problem)
    if told != price(model):
        raise PolishingRefused(f"The price is now {counted(price(model), 'ticket')}. Check it and press again.")
    metadata = {"polishes": str(draft.pk)}
    request = intake.Draft(model=model.key, prompt=rules.prompt(text, most=LONGEST), metadata=metadata)
    job, last = None, 0
    while job is None or _is_spent(job, seen):
        last = job.pk if job else 0
        job, _ = actions.generate_once(owner, request, key=f"polish:{draft.pk}:{last}", at=at, actor=owner.username)
    new, mine = job.pk, before.mine if before else None
    return drafts.change(draft, lambda body: Polishing(new, text, mine=mine).into(body), at=at)


def read(draft: Draft, job: Job, *, at: datetime) -> Draft:
    """Remember the wording of a completed job: its file may be deleted before the draft is. Return the updated draft."""
    wording = _wording(job)

    def known(body: Body) -> Body:
        now = Polishing.of(body)
        if now is None or now.job != job.pk or now.polished:
            return body
        return replace(now, polished=wording, preview=job.preview).into(body)

    return drafts.change(draft, known, at=at) if wording else draft


def use(body: Body) -> Body:
    """Put the polished wording into the field."""
    now = Polishing.of(body)
    if now is None or not now.polished or now.choice:
        return body
    mine = body[FIELD] if now.mine is None else now.mine
    return replace(now, choice="polished", mine=mine).into(body, **{FIELD: now.polished})


def keep(body: Body) -> Body:
    """Put the polished wording away."""
    now = Polishing.of(body)
    return replace(now, choice="mine").into(body) if now and now.polished and not now.choice else body


def go_back(body: Body) -> Body:
    """Restore the creative's own wording. The polished one, with the creative's edits, is offered again."""
    now = Polishing.of(body)
    if now is None or now.mine is None:
        return body
    edited = now.choice == "polished" and body[FIELD] != now.mine
    polished = body[FIELD] if edited else now.polished
    return replace(now, polished=polished, choice="", mine=None).into(body, **{FIELD: now.mine})


# what a button of the form asks for → what it makes of the draft's body
CHOICES: Mapping[str, Callable[[Body], Body]] = {"polish-use": use, "polish-keep": keep, "polish-back": go_back}


def _problem(text: str, checker: compliance.Checker) -> str | None:
    if not text.strip():
        return "Enter the big idea first."
    if problem := text_problem(FIELD, text):
        return problem
    verdict = checker.check(text)
    return blocked_words(verdict) if verdict.level == "block" else None


def _job(polishing: Polishing) -> Job:
    return Job.objects.get(pk=polishing.job)


def _is_spent(job: Job, seen: int) -> bool:
    """Whether a job has ended without a wording, and the page that shows this was seen."""
    return job.pk <= seen and not job.is_open and not _wording(job)


def _wording(job: Job) -> str:
    """Return the text that a job has written; empty if there is none, or no longer."""
    if job.state != State.COMPLETED:
        return ""
    files = job.assets.kept().filter(kind=Asset.Kind.TEXT)
    return rules.text_of(storable(job_facts.excerpt(files.order_by("-version", "number").first())))
