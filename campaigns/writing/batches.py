"""A batch of pages: its pages by tab, filter and order, each with its stages, and what is left to do with it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Count, F, Q, QuerySet, Value, When

from campaigns.cells import held_words
from campaigns.holds import Hold
from campaigns.mine import TABS
from campaigns.models import Approval, Page
from campaigns.models.page import PageQuerySet
from campaigns.rules import paging
from campaigns.rules.paging import ListPage
from campaigns.standing import Counts
from campaigns.writing import progress
from campaigns.writing.progress import PageFacts
from queue_app.insight import pauses
from queue_app.models import Batch, Job, State
from queue_app.models.job import IN_FLIGHT_STATES
from queue_app.rules import numbers

WORDS_MOST = 6  # of a search
RUNNING, QUEUED, ON_HOLD, COMPLETED, FAILED, CANCELLED = TABS
BY_SCORE, BY_TITLE, BY_END = "score", "title", "end"
ORDERS = {
    BY_SCORE: (F("job__priority").desc(), F("job__score").desc(nulls_last=True), "job__order_key", "pk"),
    BY_TITLE: ("title", "pk"),
    BY_END: (F("job__ended_at").desc(nulls_last=True), "pk"),
}


@dataclass(frozen=True)
class PagesPicked:
    """What somebody picked; empty for all. ``review`` is an `Approval`, ``order`` a key of `ORDERS`."""

    tab: str = ""
    review: str = ""
    search: str = ""
    order: str = BY_SCORE


@dataclass(frozen=True)
class BatchLine:
    """A page of a batch with its stages; ``hold`` says what stops it while it is queued: “page-writer paused”."""

    page: Page
    facts: PageFacts
    hold: str

    @property
    def percent(self) -> int:
        """Return how much of the page is done, from 0 to 100."""
        return 100 if self.page.job.state == State.COMPLETED else int(100 * (self.page.job.progress or 0.0))


@dataclass(frozen=True)
class BatchLook(ListPage[BatchLine]):
    """
    One page of the table. ``counts`` are all pages of the batch by status, ``by_review`` the completed ones by review, ``holds``
    the pauses that they wait for.
    """

    counts: Counts
    by_review: dict[str, int]
    holds: Sequence[Hold]


def pages_of(batch: Batch) -> PageQuerySet:
    return Page.objects.filter(job__batch=batch)


def look(batch: Batch, picked: PagesPicked, *, number: int, at: datetime) -> BatchLook:
    """Read a page of the table and the progress of the whole batch, with a fixed number of queries."""
    by_state = list(_jobs(batch).values_list("state", "held", "model").annotate(jobs=Count("*")))
    paused = pauses.of_models({model for state, _, model, _ in by_state if state == State.QUEUED}, at=at)
    own = pauses.of_batches([batch])
    found = _filtered(pages_of(batch), picked).annotate(tab=_tab(list(paused)))
    tabs: Counter[str] = Counter(dict(found.order_by().values_list("tab").annotate(pages=Count("*"))))
    total = tabs[picked.tab] if picked.tab else sum(tabs.values())
    number = paging.nearest(number, total)
    shown = found.filter(tab=picked.tab) if picked.tab else found
    in_order = shown.select_related("job", "decided_by").order_by(*ORDERS[picked.order])
    rows = list(in_order[paging.skipped(number) :][: paging.A_PAGE])
    facts = progress.of_jobs((page.job for page in rows), at=at)
    by_model = {model: f"{Hold(pause).words}" for model, pause in paused.items()}
    lines = [BatchLine(page, facts[page.pk], _hold(page.job, by_model)) for page in rows]
    holds = [Hold(pause, "batch") for pause in (*own.values(), *dict.fromkeys(paused.values()))]
    by_tab, counts = {tab: tabs[tab] for tab in TABS}, _counts(by_state, paused)
    return BatchLook(lines, by_tab, number, total, counts, _by_review(batch), holds)


def _jobs(batch: Batch) -> QuerySet[Job]:
    return Job.objects.filter(page__isnull=False, batch=batch).order_by()


def _counts(by_state: Iterable[tuple[str, bool, str, int]], paused: Collection[str]) -> Counts:
    jobs: Counter[tuple[str, bool]] = Counter()
    for state, is_held, model, number in by_state:
        jobs[state, is_held or model in paused] += number
    return Counts.of(jobs, is_paused=False, is_stopped=bool(paused))


def _by_review(batch: Batch) -> dict[str, int]:
    rows = pages_of(batch).filter(job__state=State.COMPLETED).with_review().order_by().values_list(F("review"))
    found = Counter(dict(rows.annotate(pages=Count("*"))))
    return {str(one): found[str(one)] for one in Approval}


def _hold(job: Job, by_model: Mapping[str, str]) -> str:
    """Return what stops a queued job; empty if nothing does."""
    if job.state != State.QUEUED:
        return ""
    if job.held:
        return held_words(job.held_for) or "batch paused"
    return by_model.get(job.model_id, "")


def _tab(paused: Sequence[str]) -> Case:
    """Return in which tab a page is, as SQL. ``paused``: the models that wait for a pause."""
    return Case(
        When(job__state__in=IN_FLIGHT_STATES, then=Value(RUNNING)),
        When(Q(job__state=State.QUEUED) & (Q(job__held=True) | Q(job__model__in=paused)), then=Value(ON_HOLD)),
        When(job__state=State.QUEUED, then=Value(QUEUED)),
        default=F("job__state"),
    )


def _filtered(pages: PageQuerySet, picked: PagesPicked) -> PageQuerySet:
    if picked.review:
        pages = pages.reviewed(picked.review)
    if row := numbers.of_row(picked.search):
        return pages.filter(pk=row)
    for word in picked.search.split()[:WORDS_MOST]:
        pages = pages.filter(Q(title__icontains=word) | Q(target_url__icontains=word))
    return pages
