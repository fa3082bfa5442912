"""Taking jobs in: check everything, price it, score it, reserve the tickets, queue it. All or nothing."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from queue_app import lifecycle
from queue_app.models import Batch, GenerationModel, Job, Kind, User
from queue_app.rules import parameters as parameter_rules
from queue_app.rules import pricing, priority
from queue_app.work import room
from queue_app.work.roles import Right

PROMPT_MOST = 32_000
METADATA_MOST = 16_000
JOBS_MOST = 1_000
BATCH_NAME_MOST, BATCH_LIMIT_MOST = 200, 50
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # in JSON; not a backslash before the letters u0000


@dataclass(frozen=True)
class Draft:
    """
    What one job is asked to be. ``priority`` and ``kind`` are the queue's choice when not given; ``priority_reasons`` name the
    rules of a priority that its owner did not ask for.
    """

    model: str
    prompt: str
    kind: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None
    priority_reasons: Sequence[str] = ()
    deadline: datetime | None = None
    not_before: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """What is wrong with a draft: its place in what was sent (from 0), the field, and what to do."""

    index: int
    field: str
    message: str


class IntakeRefused(Exception):
    """The input is invalid; nothing was written, nothing reserved."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in self.problems))


class ModelNotAvailable(Exception):
    """The model is known, and nobody offers it now."""

    def __init__(self, model: str, index: int = 0):
        self.model, self.index = model, index
        others = ", ".join(sorted(room.available_models())) or "none"
        super().__init__(f"{model} cannot be bought now: no provider offers it. Available now: {others}.")


class KindRestricted(Exception):
    """The kind needs a right that the owner lacks; nothing was written."""

    def __init__(self, kind: str, index: int = 0):
        self.kind, self.index = kind, index
        super().__init__(f"“{kind}” is restricted. Choose another kind, or ask staff for permission to submit it.")


@transaction.atomic
def enqueue(
    owner: User,
    drafts: Sequence[Draft],
    *,
    at: datetime,
    actor: str,
    batch: Batch | None = None,
    batch_name: str | None = None,
    max_concurrent: int | None = None,
) -> tuple[Batch | None, list[Job]]:
    """
    Queue all drafts or none (T1). They join ``batch``, or a new one when ``batch_name`` is not ``None``.

    :raises IntakeRefused: something in them is wrong; every problem is listed.
    :raises ModelNotAvailable: a model is known and nobody offers it now.
    :raises KindRestricted: a kind needs a right that the owner lacks.
    :raises NotEnoughTickets: the owner's wallet holds less than the sum.
    """
    if batch is None and batch_name is not None and (problems := _batch_problems(batch_name, max_concurrent)):
        raise IntakeRefused(problems)
    jobs = price(owner, drafts, at=at)
    if batch is None and batch_name is not None:
        batch = Batch.objects.create(owner=owner, name=batch_name, max_concurrent=max_concurrent, created_at=at)
    for job in jobs:
        job.batch = batch
    lifecycle.enter(jobs, at=at, actor=actor)
    return batch, jobs


def price(owner: User, drafts: Sequence[Draft], *, at: datetime) -> list[Job]:
    """
    Check, price and score drafts without writing: unsaved jobs.

    :raises IntakeRefused: something in them is wrong; every problem is listed.
    :raises ModelNotAvailable: a model is known and nobody offers it now.
    :raises KindRestricted: a kind needs a right that the owner lacks.
    """
    if not 1 <= len(drafts) <= JOBS_MOST:
        raise IntakeRefused([Problem(0, "jobs", f"Send 1 to {JOBS_MOST} jobs at once, not {len(drafts)}.")])
    reader = _Reader(owner, drafts, at)
    jobs = [job for index, draft in enumerate(drafts) if (job := reader.job(index, draft))]
    if reader.problems:
        raise IntakeRefused(reader.problems)
    if reader.restricted:
        raise reader.restricted[0]
    return jobs


def retry(jobs: Sequence[Job], *, at: datetime, actor: str) -> None:
    """
    Queue failed and cancelled jobs again at today's price (T21). The rows are locked by the caller.

    :raises MoveRefused: one of them is neither failed nor cancelled, or its deadline has passed.
    :raises ModelNotAvailable: nobody offers its model now.
    :raises NotEnoughTickets: nothing is written.
    """
    offered = room.available_models()
    for job in jobs:
        if job.model_id not in offered:
            raise ModelNotAvailable(job.model_id)
        set_price(job, offered[job.model_id])
    lifecycle.queue_again(jobs, at=at, actor=actor)


def restriction(kind: Kind, owner: User, index: int = 0) -> KindRestricted | None:
    """Return why this user may not submit jobs of a kind; ``None`` if they may (I41)."""
    return KindRestricted(kind.key, index) if kind.restricted and not owner.has_perm(Right.SUBMIT_RESTRICTED) else None


def default_priority(kind: Kind, owner: User) -> tuple[int, list[str]]:
    """The priority of a job of this kind that asks for none, with its reasons."""
    return computed_priority(owner, kind.default_priority, [f"default of {kind.key}"])


def computed_priority(owner: User, level: int, reasons: Sequence[str]) -> tuple[int, list[str]]:
    """A priority that a rule came to, as its owner may have it: above normal it takes a right (I41)."""
    if level <= priority.NORMAL or owner.is_staff or owner.has_perm(Right.EXCEED_NORMAL):
        return level, [*reasons]
    return priority.NORMAL, [*reasons, f"lowered from {level} to {priority.NORMAL}: above normal needs permission"]


def text_problem(value: str) -> str | None:
    """What PostgreSQL cannot keep: NUL characters and halves of surrogate pairs."""
    if "\x00" in value:
        return "It holds a NUL character; take it out."
    try:
        value.encode()
    except UnicodeEncodeError:
        return "It holds half of a surrogate pair, which is no character; send valid Unicode."
    return None


def _metadata_problem(metadata: Mapping[str, Any]) -> str | None:
    try:
        packed = json.dumps(metadata, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "metadata must be plain JSON: texts, finite numbers, lists and objects, not nested too deep."
    if len(packed) > METADATA_MOST:
        return f"metadata has {len(packed)} characters as JSON; at most {METADATA_MOST} are kept."
    if _ESCAPED_NUL.search(packed) or text_problem(packed):
        return "metadata holds a character that cannot be kept (NUL or half a surrogate pair)."
    return None


def _batch_problems(name: str, max_concurrent: int | None) -> list[Problem]:
    found = []
    if problem := text_problem(name):
        found.append(Problem(0, "name", problem))
    elif len(name) > BATCH_NAME_MOST:
        found.append(Problem(0, "name", f"The name has {len(name)} characters; at most {BATCH_NAME_MOST} are kept."))
    if max_concurrent is not None and not 1 <= max_concurrent <= BATCH_LIMIT_MOST:
        words = f"A batch's limit is a whole number from 1 to {BATCH_LIMIT_MOST}, not {max_concurrent}; leave it out for none."
        found.append(Problem(0, "max_concurrent", words))
    return found


class _Reader:
    """Checks drafts against the catalogue, which it reads once."""

    def __init__(self, owner: User, drafts: Sequence[Draft], at: datetime):
        self.owner, self.at = owner, at
        self.models = GenerationModel.objects.in_bulk([draft.model for draft in drafts if not text_problem(draft.model)])
        self.offered = room.usable_routes(self.models)
        self.kinds = Kind.objects.in_bulk()
        self.problems: list[Problem] = []
        self.restricted: list[KindRestricted] = []

    def job(self, index: int, draft: Draft) -> Job | None:
        before = len(self.problems)
        model = self.models.get(draft.model)
        if model is None:
            known = ", ".join(GenerationModel.objects.filter(active=True).order_by("key").values_list("key", flat=True))
            self._say(index, "model", f"There is no model “{draft.model[:60]}”. Models: {known}.")
            return None
        if not self.offered.get(model.key):
            raise ModelNotAvailable(model.key, index)
        kind = self._kind(index, draft, model)
        settled, wrong = parameter_rules.settle(model.key, model.parameters, draft.parameters)
        for name, message in wrong.items():
            self._say(index, f"parameters.{name}", message)
        self._check_prompt(index, draft.prompt)
        self._check_extras(index, draft)
        if len(self.problems) > before or kind is None:
            return None
        level, reasons = self._priority(draft, kind)
        route = self.offered[model.key][0]
        job = Job(
            owner=self.owner,
            kind=kind,
            model=model,
            prompt=draft.prompt,
            parameters=settled,
            metadata=dict(draft.metadata),
            deadline=draft.deadline,
            priority=level,
            priority_reasons=reasons,
            client_not_before=draft.not_before,
            not_before=draft.not_before if draft.not_before and draft.not_before > self.at else None,
            preview=route.account.is_preview,
        )
        set_price(job, model)
        return job

    def _kind(self, index: int, draft: Draft, model: GenerationModel) -> Kind | None:
        key = draft.kind or model.medium
        kind = self.kinds.get(key)
        if kind is None:
            self._say(index, "kind", f"There is no kind “{key[:60]}”. Kinds: {', '.join(sorted(self.kinds))}.")
            return None
        if kind.medium != model.medium:
            of_it = (one for one in self.kinds.values() if one.medium == model.medium)
            fitting = ", ".join(sorted(one.key for one in of_it if not restriction(one, self.owner)))
            words = f"“{key}” is for {kind.medium}s; {model.key} generates {model.medium}s. Choose one of: {fitting}."
            self._say(index, "kind", words)
        elif refusal := restriction(kind, self.owner, index):
            self.restricted.append(refusal)
        return kind

    def _check_prompt(self, index: int, prompt: str) -> None:
        if not prompt.strip():
            self._say(index, "prompt", "The prompt is empty; say what to make.")
        elif len(prompt) > PROMPT_MOST:
            self._say(index, "prompt", f"The prompt has {len(prompt)} characters; at most {PROMPT_MOST} are taken.")
        elif problem := text_problem(prompt):
            self._say(index, "prompt", problem)

    def _check_extras(self, index: int, draft: Draft) -> None:
        if problem := _metadata_problem(draft.metadata):
            self._say(index, "metadata", problem)
        if draft.priority is not None and not priority.LOWEST <= draft.priority <= priority.HIGHEST:
            self._say(index, "priority", f"priority is a whole number from {priority.LOWEST} to {priority.HIGHEST}.")
        elif (
            draft.priority is not None
            and draft.priority > priority.NORMAL
            and not (draft.priority_reasons or self.owner.is_staff)
        ):
            self._say(
                index, "priority", f"Only staff may ask for more than normal ({priority.NORMAL}); send {priority.NORMAL} or less."
            )
        if draft.not_before and draft.not_before > self.at + timedelta(days=366):
            self._say(index, "not_before", "not_before lies more than a year ahead; choose a nearer time.")
        if draft.deadline and draft.deadline <= self.at:
            self._say(index, "deadline", "The deadline has passed. Choose a later time, or leave it out.")
        elif draft.deadline and draft.not_before and draft.deadline <= draft.not_before:
            self._say(index, "deadline", "The deadline must be later than not_before. Choose a later time.")

    def _priority(self, draft: Draft, kind: Kind) -> tuple[int, list[str]]:
        if draft.priority is not None and not draft.priority_reasons:
            return draft.priority, ["asked for"]
        if draft.priority is not None:
            return computed_priority(self.owner, draft.priority, draft.priority_reasons)
        if kind.key == "page":
            return computed_priority(self.owner, *priority.score(draft.metadata, draft.deadline, at=self.at))
        return default_priority(kind, self.owner)

    def _say(self, index: int, name: str, message: str) -> None:
        self.problems.append(Problem(index, name, message))


def set_price(job: Job, model: GenerationModel) -> None:
    """Put today's price of one try on a job."""
    job.tickets = pricing.tickets(model.unit, model.tickets_per_unit, job.parameters)
    job.usd_estimate = pricing.usd(model.unit, Decimal(model.usd_per_unit), job.parameters)
