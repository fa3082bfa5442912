"""Intake: check new jobs, price and score them, reserve their tickets and queue them. All or nothing."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db import transaction

from queue_app import lifecycle
from queue_app.lifecycle import MoveRefused
from queue_app.models import ApiKey, Batch, GenerationModel, Job, Kind, ModelRoute, User
from queue_app.models.job import LABEL_MOST
from queue_app.rules import nesting, priority
from queue_app.rules import parameters as parameter_rules
from queue_app.work import capacity, followers, pipeline, routes, uploads
from queue_app.work.endpoints import address_problem
from queue_app.work.pipeline import Pipeline
from queue_app.work.roles import Right

PROMPT_MOST = 32_000
METADATA_MOST, DATA_MOST = 16_000, 64_000  # characters as JSON; the second one of jobs that are made from it (`pipeline`)
JOBS_MOST = 1_000
BATCH_NAME_MOST, BATCH_LIMIT_MOST = 200, 50
TOLD_MOST = 5  # most problems in one message
OUT_OF_REACH = "Providers can't load images from this site: it has no public https address. Ask staff to set PUBLIC_URL."
NO_UPLOAD = "This image is no longer available. Upload it again."
NEW_VERSION = "Make a new version of the page instead."
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # a NUL in JSON, but not an escaped backslash followed by u0000


@dataclass(frozen=True)
class Draft:
    """
    A request for one job. The queue chooses ``kind`` and ``priority`` if they are not given, and of a kind that only one model
    makes, such as pages, an empty ``model``. ``priority_reasons`` are the rules
    behind a priority that the owner did not request. ``callback_url`` is called at its end, empty: none. ``label`` distinguishes
    the job in its batch; a long one is cut. ``notify``: the owner gets a notice of its end, as nothing else tells of it.
    ``held_for``: it enters on hold (`work.holds`). ``prompt`` may be empty if its kind has a pipeline, which then says it.
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
    callback_url: str = ""
    label: str = ""
    notify: bool = False
    held_for: str = ""


@dataclass(frozen=True)
class Problem:
    """An error in a draft: its index in the request (from 0; ``None`` for the whole request), the field and the message."""

    index: int | None
    field: str
    message: str


class IntakeRefused(Exception):
    """The input is invalid; nothing was written or reserved. The message joins the first ``TOLD_MOST`` problems."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        super().__init__(" ".join(problem.message for problem in self.problems[:TOLD_MOST]))


class ModelNotAvailable(Exception):
    """The model is known but not available now. ``problems`` names every draft with such a model."""

    def __init__(self, model: str, problems: Sequence[Problem] = ()):
        self.model = model
        words = problems[0].message if problems else not_offered(model, capacity.available_models())
        self.problems = list(problems) or [Problem(0, "model", words)]
        super().__init__(words)


def not_offered(model: str, offered: Iterable[str]) -> str:
    return f"{model} is not available right now. Available models: {', '.join(sorted(offered)) or 'none'}."


class PlanRefused(IntakeRefused):
    """The input is valid, but its data can't carry what these drafts ask for; nothing was written or reserved."""


class KindRestricted(Exception):
    """A kind needs a permission that the owner lacks; nothing was written. ``problems`` names every draft of such a kind."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = list(problems)
        super().__init__(problems[0].message)


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
    callback_url: str = "",
    origin: str = "batch",
    key: ApiKey | None = None,
) -> tuple[Batch | None, list[Job]]:
    """
    Queue all drafts or none (T1). They join ``batch``, or a new batch if ``batch_name`` is not ``None``. Return batch and jobs.

    :param callback_url: of a new batch, called at its end. :param origin: what a new batch is part of: `Batch.origin`.
    :param key: the API key that submits them, if one does.
    :raises IntakeRefused: a draft or the batch is invalid; lists all problems, up to the most that one answer names.
    :raises PlanRefused: the data of drafts can't carry what they ask for, and nothing else is wrong.
    :raises ModelNotAvailable: a model is known but not available now.
    :raises KindRestricted: a kind needs a permission that the owner lacks.
    :raises NotEnoughTickets: the owner's wallet has less available than the sum.
    """
    if batch is None and batch_name is not None and (wrong := batch_problems(batch_name, max_concurrent, callback_url)):
        raise IntakeRefused([*wrong, *problems(owner, drafts, at=at)])
    jobs = price(owner, drafts, at=at)
    _keep_images(owner, jobs, at=at)
    if batch is None and batch_name is not None:
        own = {"name": batch_name, "max_concurrent": max_concurrent, "callback_url": callback_url, "origin": origin}
        batch = Batch.objects.create(owner=owner, **own, created_at=at)
    for job in jobs:
        job.batch, job.submitted_with = batch, key
    lifecycle.enter(jobs, at=at, actor=actor)
    for kind in {job.kind_id for job in jobs}:
        if piped := pipeline.of(kind):
            piped.entered([job for job in jobs if job.kind_id == kind])
    return batch, jobs


def _keep_images(owner: User, jobs: Sequence[Job], *, at: datetime) -> None:
    """:raises IntakeRefused: an image is a URL still, which `fetching.with_uploads` replaces, or has just been deleted."""
    images = [[*parameter_rules.images_in(job.parameters.get("images"))] for job in jobs]
    late = [index for index, found in enumerate(images) if not all(map(parameter_rules.is_upload, found))]
    ids = {one for found in images for one in found}
    if late:
        raise IntakeRefused([Problem(index, "parameters.images", "Upload the images first.") for index in late])
    if ids and not uploads.mark_used(owner, ids, at=at):
        raise IntakeRefused([Problem(None, "parameters.images", NO_UPLOAD)])


def price(owner: User, drafts: Sequence[Draft], *, at: datetime) -> list[Job]:
    """
    Check, price and score drafts; return unsaved jobs.

    :raises IntakeRefused: a draft is invalid; lists all problems, up to the most that one answer names.
    :raises PlanRefused: the data of drafts can't carry what they ask for, and nothing else is wrong.
    :raises ModelNotAvailable: a model is known but not available now.
    :raises KindRestricted: a kind needs a permission that the owner lacks.
    """
    if not 1 <= len(drafts) <= JOBS_MOST:
        raise IntakeRefused([Problem(None, "jobs", f"Send 1 to {JOBS_MOST:,} jobs per request, not {len(drafts):,}.")])
    reader = _Reader(owner, drafts, at)
    jobs = list(reader.jobs())
    if reader.problems and reader.problems == reader.not_offered:
        raise ModelNotAvailable(reader.drafts[reader.problems[0].index or 0].model, reader.problems)
    if reader.problems and reader.problems == reader.restricted:
        raise KindRestricted(reader.problems)
    if reader.problems and reader.problems == reader.unplanned:
        raise PlanRefused(reader.problems)
    if reader.problems:
        raise IntakeRefused(reader.problems)
    return jobs


def problems(owner: User, drafts: Sequence[Draft], *, at: datetime) -> list[Problem]:
    """Return the problems of drafts that will be refused anyway, up to the most that one answer names."""
    reader = _Reader(owner, drafts, at)
    list(reader.jobs())
    return reader.problems


def draft_like(job: Job, *, prompt: str | None = None, parameters: Mapping[str, Any] | None = None) -> Draft:
    """Return a draft of this job with another prompt or other parameters; ``None``: as they are."""
    return Draft(
        model=job.model_id,
        prompt=job.prompt if prompt is None else prompt,
        kind=job.kind_id,
        parameters=job.parameters if parameters is None else parameters,
        metadata=job.metadata,
    )


def retry(jobs: Sequence[Job], *, at: datetime, actor: str, change: Draft | None = None, key: ApiKey | None = None) -> None:
    """
    Queue failed and cancelled jobs again at the current price (T21). Those that were never released from a hold enter on hold, if
    an application says so (`followers.hold_again`). The caller holds the row locks.

    :param change: what the one job is from now on (`draft_like`), checked like a new one. Its history keeps what it was.
    :param key: the owner's API key that asks for it, if one does: they count in its budgets from now on.
    :raises IntakeRefused: the change is invalid. :raises KindRestricted: the owner may no longer submit jobs of its type.
    :raises MoveRefused: a job is neither failed nor cancelled, its deadline has passed, or no route can express it now.
    :raises ModelNotAvailable: a job's model is not available now.
    :raises NotEnoughTickets: a wallet can't pay; nothing is written.
    """
    before = {job.pk: _change(job, change, at=at) for job in jobs} if change else {}
    ways = capacity.usable_routes()
    offered = capacity.available_models(ways)
    for job in jobs:
        if job.model_id not in offered:
            raise ModelNotAvailable(job.model_id)
        if refusal := not_said_now(job, ways[job.model_id]):
            raise refusal
        set_price(job, offered[job.model_id])
        if key is not None and key.user_id == job.owner_id:
            job.submitted_with = key
    followers.hold_again(jobs)
    lifecycle.queue_again(jobs, at=at, actor=actor, before=before)


def _change(job: Job, change: Draft, *, at: datetime) -> dict[str, Any]:
    """Give a job the draft's prompt and parameters. Return what these were, if they are others now."""
    if refusal := lifecycle.not_for_retry(job, at=at):
        raise refusal
    return become(job.owner, {job: change}, at=at)[job.pk]


def become(owner: User, drafts: Mapping[Job, Draft], *, at: datetime) -> dict[int, dict[str, Any]]:
    """
    Give jobs of an owner the prompts and parameters of these drafts, without saving them. Return what these were, by job, as far
    as they are others now. Raises as `price`.

    A job with a pipeline keeps its prompt, because its finished stages are not done again.
    """
    if any(pipeline.of(job.kind_id) and draft.prompt != job.prompt for job, draft in drafts.items()):
        raise IntakeRefused([Problem(0, "prompt", NEW_VERSION)])
    found = price(owner, [*drafts.values()], at=at)
    _keep_images(owner, found, at=at)
    before: dict[int, dict[str, Any]] = {}
    for job, new in zip(drafts, found, strict=True):
        names = [name for name in ("prompt", "parameters") if getattr(job, name) != getattr(new, name)]
        before[job.pk] = {name: getattr(job, name) for name in names}
        for name in names:
            setattr(job, name, getattr(new, name))
    return before


def not_said_now(job: Job, ways: Iterable[ModelRoute]) -> MoveRefused | None:
    """Return why none of these routes can make what a job asks for; ``None`` if one can."""
    found = routes.refusal(ways, job.parameters, characters=len(job.prompt))
    return MoveRefused(f"{job} can't be retried as it is: {found.message}") if found else None


def restriction(kind: Kind, owner: User) -> str:
    """Return the reason why this user may not submit jobs of a kind, or an empty string if they may (I41)."""
    if not kind.restricted or owner.has_perm(Right.SUBMIT_RESTRICTED):
        return ""
    return f"You don't have permission for the job type “{kind.key}”. Choose another one, or ask staff for access."


def default_priority(kind: Kind, owner: User) -> tuple[int, list[str]]:
    """Return the priority for a job of this kind that requests none, with its reasons."""
    return computed_priority(owner, kind.default_priority, [f"default for {kind.key}"])


def computed_priority(owner: User, level: int, reasons: Sequence[str]) -> tuple[int, list[str]]:
    """Return a priority computed by a rule, with its reasons; lower it to normal without the permission for more (I41)."""
    if level <= priority.NORMAL or owner.is_staff or owner.has_perm(Right.EXCEED_NORMAL):
        return level, [*reasons]
    lowered = f"lowered from {priority.name(level).lower()} to {priority.name(priority.NORMAL).lower()}"
    return priority.NORMAL, [*reasons, f"{lowered}: above normal needs permission"]


def text_problem(value: str) -> str | None:
    """Return the problem with a text that PostgreSQL can't store (NUL, unpaired surrogates), or ``None``."""
    if "\x00" in value:
        return "Remove the NUL character."
    try:
        value.encode()
    except UnicodeEncodeError:
        return "Contains an unpaired surrogate. Send valid Unicode."
    return None


def prompt_problem(prompt: str) -> str | None:
    """Return the problem with a prompt, or ``None``. Checks the length first, so that a long text is not scanned."""
    if len(prompt) > PROMPT_MOST:
        return f"The prompt is {len(prompt):,} characters; the limit is {PROMPT_MOST:,}."
    if not prompt.strip():
        return "Enter a prompt."
    return text_problem(prompt)


def priority_problem(level: int, user: User, *, computed: bool = False) -> str | None:
    """Return the problem with a priority that this user requests, or that a rule computed for them; or ``None``."""
    if not priority.LOWEST <= level <= priority.HIGHEST:
        return priority.SPAN_MESSAGE
    if level > priority.NORMAL and not (computed or user.is_staff):
        return f"Only staff can set a priority above {priority.NORMAL} (normal)."
    return None


def _metadata_problem(metadata: Mapping[str, Any], most: int) -> str | None:
    if nesting.is_deeper(metadata, nesting.KEPT_MOST):
        return f"metadata is nested more than {nesting.KEPT_MOST} levels deep. Flatten it."
    try:
        packed = json.dumps(metadata, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):
        return "metadata must be plain JSON: strings, finite numbers, lists and objects."
    if len(packed) > most:
        return f"metadata is {len(packed):,} characters as JSON; the limit is {most:,}."
    if _ESCAPED_NUL.search(packed) or text_problem(packed):
        return "metadata contains a NUL character or an unpaired surrogate. Remove it."
    return None


def batch_problems(name: str, max_concurrent: int | None, callback_url: str = "") -> list[Problem]:
    """Return what is wrong with the fields of a new batch."""
    found = []
    if problem := text_problem(name):
        found.append(Problem(None, "name", problem))
    elif len(name) > BATCH_NAME_MOST:
        found.append(Problem(None, "name", f"The name is {len(name):,} characters; the limit is {BATCH_NAME_MOST}."))
    if max_concurrent is not None and not 1 <= max_concurrent <= BATCH_LIMIT_MOST:
        words = f"max_concurrent must be a whole number from 1 to {BATCH_LIMIT_MOST}, not {max_concurrent}. Omit it for no limit."
        found.append(Problem(None, "max_concurrent", words))
    if callback_url and (problem := address_problem(callback_url)):
        found.append(Problem(None, "callback_url", problem))
    return found


class _Reader:
    """Checks drafts against the catalogue, read once at the start."""

    def __init__(self, owner: User, drafts: Sequence[Draft], at: datetime):
        self.owner, self.at = owner, at
        self.kinds = Kind.objects.in_bulk()
        self.drafts = [draft if draft.model else replace(draft, model=self._only_model(draft.kind)) for draft in drafts]
        self.models = GenerationModel.objects.in_bulk([draft.model for draft in self.drafts if not text_problem(draft.model)])
        self.offered = capacity.usable_routes(self.models)
        self.uploads = uploads.owned(owner, self._image_ids(drafts))
        self.problems: list[Problem] = []
        self.restricted: list[Problem] = []
        self.not_offered: list[Problem] = []
        self.unplanned: list[Problem] = []

    def jobs(self) -> Iterator[Job]:
        """Yield unsaved jobs for the valid drafts. Stops once there are more problems than one answer names."""
        for index, draft in enumerate(self.drafts):
            if len(self.problems) > parameter_rules.PROBLEMS_MOST:
                return
            if job := self._job(index, draft):
                yield job

    def _job(self, index: int, draft: Draft) -> Job | None:
        before = len(self.problems)
        model = self.models.get(draft.model)
        if model is None:
            words = f"Unknown model “{draft.model[:60]}”." if draft.model else "Choose a model."
            self._add_problem(index, "model", f"{words} Available: {self.known}.")
        elif not self.offered.get(model.key):
            self._add_problem(index, "model", not_offered(model.key, self.available))
            self.not_offered.append(self.problems[-1])
        kind = self._kind(index, draft, model)
        piped = pipeline.of(kind.key) if kind else None
        fits = len(self.problems) == before
        settled = self._settled(index, draft, model)
        prompt = self._prompt(index, draft, piped)
        self._check_metadata(index, draft, prompt, piped if fits else None)
        self._check_extras(index, draft)
        if len(self.problems) == before and model is not None:
            prompt = prompt or (piped.prompt(draft.metadata) if piped else "")
            self._check_routes(index, prompt, self.offered[model.key], settled)
        if len(self.problems) > before or model is None or kind is None:
            return None
        level, reasons, score = self._priority(draft, kind)
        route = self.offered[model.key][0]
        job = Job(
            owner=self.owner,
            kind=kind,
            model=model,
            label=draft.label[:LABEL_MOST],
            prompt=prompt,
            parameters=settled,
            metadata=dict(draft.metadata),
            deadline=draft.deadline,
            priority=level,
            base_priority=level,
            priority_reasons=reasons,
            score=score,
            held_for=draft.held_for,
            client_not_before=draft.not_before,
            notify=draft.notify,
            callback_url=draft.callback_url,
            not_before=draft.not_before if draft.not_before and draft.not_before > self.at else None,
            preview=route.account.is_preview,
        )
        set_price(job, model)
        return job

    def _only_model(self, kind: str | None) -> str:
        """Return the model that makes a kind; empty if none or several do."""
        medium = self.kinds[kind].medium if kind in self.kinds else ""
        found = self._of_media.get(medium, [])
        return found[0] if len(found) == 1 else ""

    @cached_property
    def _of_media(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, medium in GenerationModel.objects.filter(active=True).values_list("key", "medium"):
            found.setdefault(medium, []).append(key)
        return found

    @cached_property
    def known(self) -> str:
        return ", ".join(GenerationModel.objects.filter(active=True).order_by("key").values_list("key", flat=True))

    @cached_property
    def available(self) -> list[str]:
        return sorted(capacity.available_models())

    def _settled(self, index: int, draft: Draft, model: GenerationModel | None) -> dict[str, Any]:
        """Return the draft's parameters with the model's defaults; empty for an unknown model."""
        if model is None:
            return {}
        settled, wrong = parameter_rules.settle(model.key, model.parameters, parameter_rules.by_our_names(draft.parameters))
        for name, message in wrong.items():
            self._add_problem(index, f"parameters.{name}", message)
        named = filter(parameter_rules.is_upload, parameter_rules.images_in(settled.get("images")))
        if any(one not in self.uploads for one in named):
            self._add_problem(index, "parameters.images", NO_UPLOAD)
        return settled

    @staticmethod
    def _image_ids(drafts: Sequence[Draft]) -> list[str]:
        found = (parameter_rules.by_our_names(draft.parameters).get("images") for draft in drafts)
        return [one for images in found for one in parameter_rules.images_in(images)]

    def _kind(self, index: int, draft: Draft, model: GenerationModel | None) -> Kind | None:
        key = draft.kind or (model.medium if model else "")
        kind = self.kinds.get(key)
        if kind is None:
            if key:
                self._add_problem(index, "kind", f"Unknown kind “{key[:60]}”. Available: {', '.join(sorted(self.kinds))}.")
        elif model is not None and kind.medium != model.medium:
            of_it = (one for one in self.kinds.values() if one.medium == model.medium)
            fitting = ", ".join(sorted(one.key for one in of_it if not restriction(one, self.owner)))
            words = f"“{key}” is for {kind.medium}s; {model.key} generates {model.medium}s. Choose one of: {fitting}."
            self._add_problem(index, "kind", words)
        elif words := restriction(kind, self.owner):
            self._add_problem(index, "kind", words)
            self.restricted.append(self.problems[-1])
        return kind

    def _prompt(self, index: int, draft: Draft, piped: Pipeline | None) -> str:
        """Return the draft's prompt, checked; empty if the pipeline has to say it."""
        if piped and not draft.prompt.strip():
            return ""
        if problem := prompt_problem(draft.prompt):
            self._add_problem(index, "prompt", problem)
        return draft.prompt

    def _check_metadata(self, index: int, draft: Draft, prompt: str, piped: Pipeline | None) -> None:
        if problem := _metadata_problem(draft.metadata, DATA_MOST if piped else METADATA_MOST):
            self._add_problem(index, "metadata", problem)
            return
        for one in piped.objections(draft.metadata, prompt, owner_id=self.owner.pk) if piped else ():
            self._add_problem(index, one.field, one.message)
            if one.plan:
                self.unplanned.append(self.problems[-1])

    def _check_routes(self, index: int, prompt: str, offered: Sequence[ModelRoute], settled: Mapping[str, Any]) -> None:
        """Check that a provider of the model can express the job; some can't combine certain parameters."""
        in_reach = routes.with_images_in_reach(offered, settled)
        if not in_reach:
            self._add_problem(index, "parameters.images", OUT_OF_REACH)
        elif refusal := routes.refusal(in_reach, settled, characters=len(prompt)):
            name = refusal.parameter if refusal.parameter in ("prompt", "model") else f"parameters.{refusal.parameter}"
            self._add_problem(index, name, refusal.message)

    def _check_extras(self, index: int, draft: Draft) -> None:
        level, computed = draft.priority, bool(draft.priority_reasons)
        if level is not None and (problem := priority_problem(level, self.owner, computed=computed)):
            self._add_problem(index, "priority", problem)
        if draft.not_before and draft.not_before > self.at + timedelta(days=366):
            self._add_problem(index, "not_before", "not_before can be at most one year ahead.")
        if draft.deadline and draft.deadline <= self.at:
            self._add_problem(index, "deadline", "The deadline has passed. Choose a later time, or leave it out.")
        elif draft.deadline and draft.not_before and draft.deadline <= draft.not_before:
            self._add_problem(index, "deadline", "The deadline must be later than not_before. Choose a later time.")
        if draft.callback_url and (problem := address_problem(draft.callback_url)):
            self._add_problem(index, "callback_url", problem)

    def _priority(self, draft: Draft, kind: Kind) -> tuple[int, list[str], int | None]:
        """Return the priority, its reasons, and the score of a page: it also decides the order within the priority."""
        scored = priority.score(draft.metadata, draft.deadline, at=self.at) if kind.key == "page" else None
        points = scored.points if scored else None
        if draft.priority is not None and not draft.priority_reasons:
            return draft.priority, ["requested"], points
        if draft.priority is not None:
            return *computed_priority(self.owner, draft.priority, draft.priority_reasons), points
        if scored:
            return *computed_priority(self.owner, scored.level, scored.reasons), points
        return *default_priority(kind, self.owner), None

    def _add_problem(self, index: int, name: str, message: str) -> None:
        self.problems.append(Problem(index, name, message))


def set_price(job: Job, model: GenerationModel) -> None:
    """Set a job's price in tickets and its estimated cost in USD from the current catalogue."""
    job.tickets = model.pricing.tickets_of(job.parameters)
    job.usd_estimate = model.pricing.usd_of(job.parameters)
