"""All pages of one user, as a list: running ones first, then the newest, by tab, search and filters."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, CharField, Count, F, Q, Value, When

from campaigns import holds
from campaigns.models import Approval, Page
from campaigns.models.page import PageQuerySet
from campaigns.rules import paging
from campaigns.rules.paging import ListPage
from queue_app.models import JobStage, State, User
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES
from queue_app.rules import numbers

WORDS_MOST = 6  # of a search
OPEN, REVIEW, APPROVED, REJECTED, FAILED, CANCELLED = "open", "review", "approved", "rejected", "failed", "cancelled"
TABS = (OPEN, REVIEW, APPROVED, REJECTED, FAILED, CANCELLED)
_TAB_OF = Case(
    When(job__state__in=OPEN_STATES, then=Value(OPEN)),
    When(job__state=State.CANCELLED, then=Value(CANCELLED)),
    When(~Q(job__state=State.COMPLETED), then=Value(FAILED)),
    When(review=Approval.APPROVE, then=Value(APPROVED)),
    When(review=Approval.REJECT, then=Value(REJECTED)),
    default=Value(REVIEW),  # also a page whose quality was not checked
    output_field=CharField(),
)


@dataclass(frozen=True)
class PageFilters:
    """What somebody picked; empty for all."""

    tab: str = ""
    search: str = ""
    page_type: str = ""
    language: str = ""


@dataclass(frozen=True)
class PageLine:
    """A page of the list. ``stage`` is what a running one is doing now, ``hold`` why a queued one waits for a pause."""

    page: Page
    stage: str
    hold: str


def look(user: User, picked: PageFilters, *, number: int, at: datetime) -> ListPage[PageLine]:
    """Read a page of the user's pages."""
    found = _filtered(user, picked).with_review()
    counts: Counter[str] = Counter(dict(found.order_by().annotate(tab=_TAB_OF).values_list("tab").annotate(pages=Count("*"))))
    total = counts[picked.tab] if picked.tab else sum(counts.values())
    number = paging.nearest(number, total)
    of_tab = found.alias(tab=_TAB_OF).filter(tab=picked.tab) if picked.tab else found
    in_order = of_tab.order_by(Case(When(job__state__in=IN_FLIGHT_STATES, then=0), default=1), "-job_id")
    shown = in_order.select_related("job__model", "job__batch", "decided_by")[paging.skipped(number) :][: paging.A_PAGE]
    return ListPage(_lines(list(shown), at=at), {tab: counts[tab] for tab in TABS}, number, total)


def languages_of(user: User) -> list[str]:
    """Return the languages that the user's pages have, to filter by."""
    return list(Page.objects.filter(owner=user).order_by("language").values_list("language", flat=True).distinct())


def _filtered(user: User, picked: PageFilters) -> PageQuerySet:
    pages = Page.objects.filter(owner=user)
    if picked.page_type:
        pages = pages.filter(page_type=picked.page_type)
    if picked.language:
        pages = pages.filter(language=picked.language)
    if row := numbers.of_row(picked.search):
        return pages.filter(job=row)
    for word in picked.search.split()[:WORDS_MOST]:
        pages = pages.filter(Q(title__icontains=word) | Q(target_url__icontains=word) | Q(job__batch__name__icontains=word))
    return pages


def _lines(pages: Sequence[Page], *, at: datetime) -> list[PageLine]:
    stages = _stages(page.pk for page in pages if page.job.state in IN_FLIGHT_STATES)
    stopped = holds.of_jobs([page.job for page in pages], at=at)
    return [PageLine(page, stages.get(page.pk, ""), stopped.get(page.pk, "")) for page in pages]


def _stages(jobs: Iterable[int]) -> dict[int, str]:
    """Return the stages that jobs are in; of those between two stages, the last one."""
    rows = JobStage.objects.filter(job__in=list(jobs), step="").order_by("job", F("ended_at").desc(nulls_first=True), "-id")
    return dict(rows.distinct("job").values_list("job", "name"))
