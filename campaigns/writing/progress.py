"""
What the rows of a page's stages say: how far it is, its components, its checks and its text, in a fixed number of queries.

A page job keeps what each stage made (`queue_app.models.JobStage`); the types behind are in `pages.types`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from campaigns.pages import components as makers
from campaigns.pages import languages, plan
from campaigns.pages.assembly import assemble
from campaigns.pages.pipeline import ASSEMBLY, COMPONENTS, CONTEXT, POST_PROCESSING, QUALITY, STORAGE, VALIDATION
from campaigns.pages.types import Component, Context, Document, PageRequest, Planned, Report, from_json
from queue_app.models import Job, JobStage, State
from queue_app.models.job import IN_FLIGHT_STATES
from queue_app.rules.numbers import counted

# stage → its name where there is little room
STAGES = {
    VALIDATION: "Validation",
    CONTEXT: "Context",
    COMPONENTS: "Components",
    ASSEMBLY: "Assembly",
    QUALITY: "Quality",
    POST_PROCESSING: "Post-processing",
    STORAGE: "Storage",
}
# kind of content → what a component is called, and what it is counted in if not in words
_NAMES: dict[str, tuple[str, str, str]] = {
    "meta": ("Title and description", "", ""),
    "hero": ("Introduction", "", ""),
    "body": ("Main text", "", ""),
    "faq": ("Questions and answers", "", ""),
    "specs": ("Specifications", "rows", "row"),
    "products": ("Product list", "items", "product"),
    "comparison": ("Comparison table", "rows", "row"),
}
_NOT_TEXT = {"url", "image"}  # keys of content that nobody reads
StageStatus = Literal["done", "now", "todo", "bad"]


@dataclass(frozen=True)
class PageStage:
    """One of the seven stages. ``seconds`` is its time so far; ``bad``: the page failed here."""

    name: str
    label: str
    status: StageStatus
    seconds: float | None = None
    skipped: bool = False
    started_at: datetime | None = None


@dataclass(frozen=True)
class PageComponent:
    """A component of a page, and its size in words: “212 words”, “12 products”; empty until it is written."""

    key: str
    label: str
    status: StageStatus
    size: str = ""
    twice: bool = False


@dataclass(frozen=True)
class PageFacts:
    """
    A page as its stages left it. ``document`` and ``report`` are ``None`` until there is one. ``rows`` are those of its stages,
    ``parts`` those of its components, by name.
    """

    job: Job
    stages: Sequence[PageStage]
    rows: Mapping[str, JobStage] = field(default_factory=dict)
    parts: Mapping[str, JobStage] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return sum(stage.status == "done" for stage in self.stages)

    @property
    def current(self) -> PageStage | None:
        """Return the stage that is at work, or that the page failed in."""
        return next((stage for stage in self.stages if stage.status in ("now", "bad")), None)

    @property
    def number(self) -> int:
        """Return the number of the current stage, from 1."""
        return min(self.done + 1, len(STAGES))

    @property
    def seconds(self) -> float:
        return sum(stage.seconds or 0.0 for stage in self.stages)

    @cached_property
    def request(self) -> PageRequest | None:
        found = self._result(VALIDATION)
        return from_json(PageRequest, found) if found else None

    @cached_property
    def context(self) -> Context | None:
        found = self._result(CONTEXT)
        return from_json(Context, found) if found else None

    @cached_property
    def report(self) -> Report | None:
        found = (self._result(QUALITY) or {}).get("report")
        return from_json(Report, found) if found else None

    @cached_property
    def document(self) -> Document | None:
        """Return the assembled page: after a rewrite, that with the new components."""
        found = (self._result(QUALITY) or {}).get("document") or self._result(ASSEMBLY)
        return from_json(Document, found) if found else None

    @cached_property
    def planned(self) -> Sequence[Planned]:
        return plan.planned(self.request) if self.request else ()

    @cached_property
    def written(self) -> Mapping[str, Component]:
        """Return the components that are there: those from data as soon as the context is, others once a model wrote them."""
        made = self._result(COMPONENTS)
        if made:
            return {one.key: one for one in (from_json(Component, found) for found in made["components"])}
        if self.context is None:
            return {}
        paid = {key: row.result for key, row in self.parts.items() if row.ended_at and row.result is not None}
        return {
            one.key: Component(one.key, paid[one.key]) if one.paid else makers.from_data(one, self.context)
            for one in self.planned
            if not one.paid or one.key in paid
        }

    @cached_property
    def components(self) -> list[PageComponent]:
        """Return the components in the order of the page, each with how it stands."""
        at_work = self.job.state in IN_FLIGHT_STATES and self.context is not None
        twice = self.report.rewritten if self.report else ()
        found, next_is_now = [], at_work
        for one in self.planned:
            there = self.written.get(one.key)
            status: StageStatus = "done" if there else "now" if next_is_now else "todo"
            next_is_now = next_is_now and there is not None
            size = _size(one, there, self.language) if there else ""
            found.append(PageComponent(one.key, _NAMES[one.kind][0], status, size, one.key in twice))
        return found

    @property
    def language(self) -> str:
        return self.request.language if self.request else ""

    @property
    def components_done(self) -> int:
        return sum(one.status == "done" for one in self.components)

    def draft(self) -> Document | None:
        """Return the page as far as it is written; ``None`` before the first component."""
        if self.document or self.context is None or not self.written:
            return self.document
        return assemble(self.context, tuple(self.written.values()))

    def _result(self, name: str) -> Any:
        row = self.rows.get(name)
        return row.result if row and row.ended_at else None


def of_job(job: Job, *, at: datetime) -> PageFacts:
    """Read the stages of a page and what they made. One query."""
    found = list(JobStage.objects.filter(job=job))
    rows = {row.name: row for row in found if not row.step}
    parts = {row.step: row for row in found if row.step and row.name == COMPONENTS}
    return PageFacts(job, _stages(job, rows, at=at), rows, parts)


def of_jobs(jobs: Iterable[Job], *, at: datetime) -> dict[int, PageFacts]:
    """Read how far pages are, without what their stages made. One query."""
    listed = list(jobs)
    rows: dict[int, dict[str, JobStage]] = defaultdict(dict)
    for row in JobStage.objects.filter(job__in=listed, step="").defer("result"):
        rows[row.job_id][row.name] = row
    return {job.pk: PageFacts(job, _stages(job, rows[job.pk], at=at)) for job in listed}


def _stages(job: Job, rows: Mapping[str, JobStage], *, at: datetime) -> list[PageStage]:
    found: list[PageStage] = []
    stopped: StageStatus | None = "now" if job.state in IN_FLIGHT_STATES else "bad" if job.state == State.FAILED else None
    for name, label in STAGES.items():
        row = rows.get(name)
        if row and row.ended_at:
            found.append(PageStage(name, label, "done", row.seconds, row.skipped, row.started_at))
            continue
        seconds = (at - row.started_at).total_seconds() if row and stopped == "now" else None
        found.append(PageStage(name, label, stopped or "todo", seconds, started_at=row.started_at if row else None))
        stopped = None
    return found


def _size(planned: Planned, component: Component, language: str) -> str:
    _, within, noun = _NAMES[planned.kind]
    if noun:
        return counted(len(component.content.get(within, ())), noun)
    return counted(languages.count_words(" ".join(_texts(component.content)), language), "word")


def _texts(content: Any) -> Iterable[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            if key not in _NOT_TEXT:
                yield from _texts(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _texts(value)
