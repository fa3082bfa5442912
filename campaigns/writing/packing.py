"""Downloads of a batch of pages: their files as a ZIP that is streamed, and what they are and how they were checked as CSV."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from django.db.models import QuerySet
from django.utils.text import slugify

from campaigns.exports import Packed, Row
from campaigns.models import Approval, Page
from campaigns.pages.pipeline import QUALITY
from queue_app.models import Asset, Batch, JobStage, State
from queue_app.models.job import STATUS_OF_STATE
from queue_app.rules import spreadsheet

KINDS = (Asset.Kind.PAGE, Asset.Kind.MARKDOWN, Asset.Kind.JSON_LD)
SLUG_MOST = 60  # characters
_FILE_ENDING = re.compile(r"\.(csv|tsv|txt)$", re.I)
CHUNK = 200  # rows read at a time
Checks = Sequence[Mapping[str, str]]
_HEADS = (
    *("page", "url", "type", "language", "version", "title", "status", "review", "reviewed by", "note"),
    *("score", "tickets charged", "USD", "checks failed"),
)


def file_name(batch: Batch, ending: str) -> str:
    """Return a name such as ``pages-12-spring-shoes.csv``, without the ending of the file that the batch came from."""
    name = _FILE_ENDING.sub("", batch.name)
    return f"pages-{batch.pk}-{slugify(name)[:SLUG_MOST]}".rstrip("-") + ending


def files(pages: QuerySet[Page]) -> list[Packed]:
    """Return the latest files of completed pages, named by the order and the titles of the pages."""
    listed = list(pages.filter(job__state=State.COMPLETED).order_by("pk").values_list("pk", "title"))
    latest = latest_files(pk for pk, _ in listed)
    digits = len(str(len(listed)))
    return [
        Packed(f"{number:0{digits}}-{_slug(title)}{PurePosixPath(asset.name).suffix}", asset)
        for number, (pk, title) in enumerate(listed, 1)
        for asset in latest[pk].values()
    ]


def latest_files(jobs: Iterable[int]) -> dict[int, dict[str, Asset]]:
    """Return the files of pages that have not been deleted, of the latest delivery, by job and kind. One query."""
    found: dict[int, dict[str, Asset]] = defaultdict(dict)
    kept = Asset.objects.kept().filter(job__in=list(jobs), kind__in=KINDS).order_by("version")
    for asset in kept:
        found[asset.job_id][asset.kind] = asset
    return defaultdict(dict, {job: {kind: of[kind] for kind in KINDS if kind in of} for job, of in found.items()})


def csv_lines(pages: QuerySet[Page]) -> Iterator[str]:
    """
    Return pages as lines of CSV, each with its checks: one that some page had is two columns, its outcome and its figure. All is
    read before the first line.
    """
    checks = _checks(pages)
    names = list(dict.fromkeys(one["name"] for of_page in checks.values() for one in of_page))
    rows = [(page.pk, _of_page(page)) for page in pages.select_related("job", "decided_by").order_by("pk").iterator(CHUNK)]
    return _lines(rows, names, checks)


def _lines(rows: Sequence[tuple[int, Row]], names: Sequence[str], checks: Mapping[int, Checks]) -> Iterator[str]:
    yield spreadsheet.BOM + spreadsheet.line([*_HEADS, *(head for name in names for head in (name, f"{name}: figure"))])
    for pk, row in rows:
        had = {one["name"]: (one["outcome"], one["figure"]) for one in checks.get(pk, ())}
        yield spreadsheet.line([*row, *(cell for name in names for cell in had.get(name, ("", "")))])


def _of_page(page: Page) -> Row:
    job = page.job
    is_completed = job.state == State.COMPLETED
    usd = job.usd_actual if job.usd_actual is not None else job.usd_estimate if is_completed else 0
    return (
        *(page.pk, page.target_url, page.page_type, page.language, page.version, page.title),
        str(STATUS_OF_STATE[State(job.state)]),
        *(Approval(page.standing).label if is_completed else "", page.decided_by.username if page.decided_by else "", page.note),
        *(job.score, job.tickets if is_completed else 0, usd, page.checks_failed),
    )


def _checks(pages: QuerySet[Page]) -> dict[int, Checks]:
    rows = JobStage.objects.filter(job__in=pages.values("pk"), name=QUALITY, step="", ended_at__isnull=False)
    return {job: checks or () for job, checks in rows.values_list("job", "result__report__checks")}


def _slug(title: str) -> str:
    """Return a title in letters of any language, for the name of a file."""
    return slugify(title, allow_unicode=True)[:SLUG_MOST].strip("-") or "page"
