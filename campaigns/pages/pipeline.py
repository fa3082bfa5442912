"""
The life of a page: its seven stages in order, each a function from what is known to what it makes.

The queue runs them (`queue_app.work.pipeline`): it keeps each result, and makes and pays each call once. What the stages do is in
the modules beside this one; only here they meet the queue and the tables.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.conf import settings

from campaigns.models import Page
from campaigns.pages import assembly, components, context, fetching, finishing, inputs, plan, quality
from campaigns.pages.types import Check, Component, Context, Document, PageRequest, Planned, Report, as_json, from_json
from campaigns.pages.wording import line
from queue_app.models import Job
from queue_app.work.pipeline import Json, Objection, PipelineStage, Question, StageFailed, StageRun, Unusable

VALIDATION = "validation"
CONTEXT = "context building"
COMPONENTS = "component generation"
ASSEMBLY = "template assembly"
QUALITY = "quality validation"
POST_PROCESSING = "post-processing"
STORAGE = "storage"
FIRST = "first checks"  # the step that keeps the checks before components are written again
SECOND = "-2"  # ends the step in which a component is written again
MOST_LIKE = 20  # similar pages that a page is compared with
TITLE_MOST = Page._meta.get_field("title").max_length or 0


def validate(run: StageRun) -> Json:
    """Read what is asked for, once more as at intake: the job may be old."""
    try:
        asked = Page.objects.get(job=run.job_id).metadata
        request = inputs.read(asked, run.prompt, languages=settings.PAGE_LANGUAGES)
    except inputs.InputsRefused as refused:
        raise StageFailed("invalid_page", " ".join(one.message for one in refused.objections)) from refused
    if refusals := plan.objections(request):
        raise StageFailed("page_plan_refused", " ".join(one.message for one in refusals))
    return as_json(request)


def build_context(run: StageRun) -> Json:
    """Collect the facts that the page may state, and read the competitors' pages."""
    return as_json(context.build(from_json(PageRequest, run.results[VALIDATION]), fetch=fetching.fetcher()))


def generate(run: StageRun) -> Json:
    """Have each component written, one paid call each, and make the others from the data."""
    known, todo = _context(run), _planned(run)
    made: list[Component] = []
    for number, planned in enumerate(todo, 1):
        made.append(_written(run, planned, known) if planned.paid else components.from_data(planned, known))
        run.advance(number / len(todo))
    return {"components": [as_json(one) for one in made]}


def assemble(run: StageRun) -> Json:
    """Make one document of the components, and remember what its text is like."""
    document = assembly.assemble(_context(run), _components(run))
    signature, bands = quality.likeness.signature(quality.likeness.body_of(document))
    title = line(document.title)[:TITLE_MOST]
    Page.objects.filter(job=run.job_id).update(title=title, signature=signature, bands=bands)
    return as_json(document)


def check(run: StageRun) -> Json:
    """
    Check the page. Components that fail are written again, once, with the figures in the question; the better one of the two
    pages stays.
    """
    known, document = _context(run), from_json(Document, run.results[ASSEMBLY])
    others = _others(run)
    rewritten: tuple[str, ...] = ()
    # kept, so that after a crash the same components are written again, whatever other pages there are by then
    first = run.once(FIRST, lambda: [as_json(one) for one in quality.check(document, known, others=others)])
    checks = tuple(from_json(Check, one) for one in first)
    if failing := quality.failing(checks):
        again = {one.key: _written(run, one, known, checks) for one in _planned(run) if one.paid and one.key in failing}
        second = assembly.assemble(known, [again.get(one.key, one) for one in _components(run)])
        checks_now = quality.check(second, known, others=others)
        if quality.rank(checks_now) <= quality.rank(checks):
            document, checks, rewritten = second, checks_now, tuple(again)
    report = Report(tuple(checks), quality.verdict(checks), rewritten)
    Page.objects.filter(job=run.job_id).update(verdict=report.verdict, checks_failed=_failed(checks))
    return {"report": as_json(report), "document": as_json(document)}


def finish(run: StageRun) -> Json:
    """Make the files: the complete HTML page, its Markdown, and the JSON-LD by itself."""
    checked = run.results.get(QUALITY)
    document = from_json(Document, checked["document"] if checked else run.results[ASSEMBLY])
    return {"files": [as_json(one) for one in finishing.finish(document, _context(run))]}


class Pages:
    """Pages, as the queue knows them (`queue_app.work.pipeline.Pipeline`)."""

    stages: Sequence[PipelineStage] = (
        PipelineStage(VALIDATION, 0.02, validate),
        PipelineStage(CONTEXT, 0.08, build_context),
        PipelineStage(COMPONENTS, 0.60, generate),
        PipelineStage(ASSEMBLY, 0.05, assemble),
        PipelineStage(QUALITY, 0.15, check, is_skipped=lambda metadata: metadata.get("skip_quality_check") is True),
        PipelineStage(POST_PROCESSING, 0.05, finish, saves=True),
        PipelineStage(STORAGE, 0.05, None, saves=True),
    )

    def objections(self, metadata: Mapping[str, Any], prompt: str, *, owner_id: int) -> list[Objection]:
        try:
            request = inputs.read(metadata, prompt, languages=settings.PAGE_LANGUAGES)
        except inputs.InputsRefused as refused:
            return list(refused.objections)
        return plan.objections(request)

    def prompt(self, metadata: Mapping[str, Any]) -> str:
        return inputs.title(metadata)

    def entered(self, jobs: Sequence[Job]) -> None:
        found = [(job, inputs.read(job.metadata, job.prompt, languages=settings.PAGE_LANGUAGES)) for job in jobs]
        versions = _versions({(job.owner_id, request.target_url, request.language) for job, request in found})
        rows = []
        for job, request in found:
            same = (job.owner_id, request.target_url, request.language)
            versions[same] += 1
            rows.append(
                Page(
                    job=job,
                    owner_id=job.owner_id,
                    metadata=job.metadata,
                    page_type=request.page_type,
                    target_url=request.target_url,
                    language=request.language,
                    title=line(request.keywords[0])[:TITLE_MOST],
                    version=versions[same],
                )
            )
        Page.objects.bulk_create(rows)


PAGES = Pages()


def _context(run: StageRun) -> Context:
    return from_json(Context, run.results[CONTEXT])


def _planned(run: StageRun) -> tuple[Planned, ...]:
    return plan.planned(from_json(PageRequest, run.results[VALIDATION]))


def _components(run: StageRun) -> list[Component]:
    return [from_json(Component, one) for one in run.results[COMPONENTS]["components"]]


def _written(run: StageRun, planned: Planned, known: Context, failed: Sequence[Check] = ()) -> Component:
    """Return a component that a model writes; after failed checks it is written again, in a step of its own."""
    step = f"{planned.key}{SECOND}" if failed else planned.key
    figures = [one.sentence for one in failed if one.outcome == "fail" and planned.key in one.components]
    asked = partial(_asked, planned, known, figures)
    return Component(planned.key, run.ask(step, asked, partial(components.read, planned)))


def _asked(planned: Planned, known: Context, figures: Sequence[str], last: Unusable | None) -> Question:
    return components.question(planned, known, last=last, figures=figures)


def _failed(checks: Iterable[Check]) -> int:
    return sum(one.outcome == "fail" for one in checks)


def _others(run: StageRun) -> list[tuple[str, list[int]]]:
    """Return the names and signatures of the owner's pages with similar texts, without the versions of this one."""
    page = Page.objects.get(job=run.job_id)
    like = Page.objects.filter(owner=page.owner_id, bands__overlap=page.bands).exclude(job=page.job_id)
    others = like.exclude(target_url=page.target_url, language=page.language).order_by("-job")[:MOST_LIKE]
    return [(one.title or one.target_url, one.signature) for one in others]


def _versions(wanted: Iterable[tuple[int, str, str]]) -> "Counter[tuple[int, str, str]]":
    """Return how many pages there are of each owner, target URL and language."""
    owners, urls = {one[0] for one in wanted}, {one[1] for one in wanted}
    rows = Page.objects.filter(owner__in=owners).at(*urls).values_list("owner", "target_url", "language")
    return Counter(rows)
