"""The job list: search, filters, tabs, rows that renew themselves, and the verbs for selected jobs."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_list import result_headers
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import SuspiciousOperation
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.functional import cached_property
from django.utils.safestring import SafeString

from queue_app import clock
from queue_app.admin import bulk as bulk_pages
from queue_app.admin import filters, job_page
from queue_app.caching import at_most_every
from queue_app.insight import counts, waiting
from queue_app.insight.waiting import Outlook
from queue_app.models import BulkAction, Job, ReviewItem, State, Status
from queue_app.models.job import TERMINAL_STATES, JobQuerySet
from queue_app.rules import numbers
from queue_app.rules.words import one_line
from queue_app.ui import addresses, display, fragments, pending
from queue_app.ui.access import staff
from queue_app.ui.model_admin import ReadOnlyAdmin, column
from queue_app.ui.paging import FoundPaginator, PageList
from queue_app.work import bulk
from queue_app.work.bulk.base import BulkVerb
from queue_app.work.bulk.verbs import VERBS

ROWS_MOST = 100  # of one page that renews itself
NEW_MOST = 100  # above it the number of new jobs is not counted on
FAR = 2_000  # positions that the list counts to: its newest jobs cost no walk through a million
HOLDS_KEPT = 1.0  # seconds for which all viewers share which models are on hold, for the count of that tab
FRAGMENT = "admin/queue_app/job/_live.html"
# name, filters, the count of `_counts` of the same jobs, and whether it calls for attention
TABS: tuple[tuple[str, dict[str, str], str, bool], ...] = (
    ("All", {}, "", False),
    ("Unfinished", {"status": "unfinished"}, "unfinished", False),
    ("Queued", {"status": "queued"}, "queued", False),
    ("On hold", {"status": filters.ON_HOLD}, filters.ON_HOLD, False),
    ("Processing", {"status": "processing"}, "processing", False),
    ("Needs attention", {"cleared": "with", "review": "open"}, "review", True),
    ("Failed, 24h", {"ended": "24h", "status": "failed"}, "failed", True),
    ("Completed, 24h", {"ended": "24h", "status": "completed"}, "completed", False),
)
SET_BY_TABS = {name for _, query, _, _ in TABS for name in query}
FINISHED = "finished"
_STAGES = {
    State.SUBMITTING: "sending",
    State.RUNNING: "generating",
    State.UNKNOWN: "checking with the provider",
    State.CANCELLING: "waiting for the provider",
    State.STORING: "saving files",
}
Verb = BulkAction.Verb


@dataclass(frozen=True)
class JobRow:
    """A job in the list, with the outlook of all jobs of the page: positions, estimates, blockers. Methods are columns."""

    of: Job
    outlook: Outlook

    @column("Job")
    def job(self) -> SafeString:
        """Return what distinguishes it, and under it where it belongs; the list makes the first line a link."""
        return display.with_sub(self.name, self.belongs)

    @property
    def name(self) -> SafeString:
        """Its combination; the prompt of a job without one."""
        return display.clipped(self.of.label or self.of.prompt)

    @property
    def belongs(self) -> SafeString:
        job = self.of
        group = one_line(str(job.batch)) if job.batch else job.kind_id
        return display.joined([display.level(job.priority), group, job.model_id, display.number(job.pk)])

    @property
    def acts(self) -> str:
        """The verbs that can change it, as the browser offers them for a selection."""
        place = self.outlook.position(self.of)
        legal = (verb.key for verb in VERBS.values() if self.of.state in verb.states)
        return " ".join(key for key in legal if key != Verb.FRONT or place != 1)

    @column("Status")
    def status_line(self) -> SafeString:
        job, badge, reason = self.of, display.badge(self.of.state), ""
        if pause := self.outlook.pause(job):
            badge, reason = display.badge("warn", "On hold", "pause"), display.held_by(pause, self.outlook.at)
        elif job.state == State.QUEUED:
            blockers = self.outlook.waiting_on(job)
            reason = next(filter(None, (display.held_by(one, self.outlook.at) for one in blockers)), "")
        elif job.state == State.FAILED:
            reason = job.error_code
        elif job.state == State.UNKNOWN:
            reason = "tickets reserved, not charged"
        elif job.is_open and job.attempt_number > 1:
            reason = f"attempt {display.number(job.attempt_number)}"
        return display.with_sub(badge, reason, whole=True)

    @column("Progress or position")
    def progress_line(self) -> str:
        job, eta = self.of, self.outlook.eta(self.of)
        left = display.rough(eta.p50_seconds) if eta and eta.p50_seconds else ""
        if job.state == State.RUNNING and job.progress is not None:
            return display.progress(job.progress, left)
        place = self.outlook.position(job)
        if place is None:
            made = f"took {display.duration(job.ran_seconds)}" if job.ran_seconds and not job.is_open else "–"
            return display.with_sub(_STAGES.get(State(job.state), made), f"about {left} left" if left else "")
        position = f"position {display.number(place)}" if place <= FAR else f"beyond {display.number(FAR)}"
        return display.with_sub(position, f"about {left}" if left else "")

    @column("Owner")
    def owner_name(self) -> str:
        return self.of.owner.username

    @column("Tickets")
    def tickets_held(self) -> str:
        return display.number(self.of.tickets)

    @column("Queued")
    def queued_time(self) -> SafeString:
        return self._time(self.of.queued_at)

    @column("Started")
    def started_time(self) -> SafeString:
        return self._time(self.of.started_at)

    @column("Finished")
    def ended_time(self) -> SafeString:
        return self._time(self.of.ended_at)

    @column("Age")
    def age(self) -> SafeString:
        return display.age(self.of.queued_at, self.outlook.at)

    def _time(self, moment: datetime | None) -> SafeString:
        return display.clock_time(moment, self.outlook.at) if moment else SafeString("–")


COLUMNS = (
    *(JobRow.job, JobRow.status_line, JobRow.progress_line, JobRow.owner_name, JobRow.tickets_held),
    *(JobRow.queued_time, JobRow.started_time, JobRow.ended_time, JobRow.age),
)


class JobList(PageList):
    """A page of jobs whose rows have names. Htmx asks only for rows that it shows already, by their numbers."""

    queryset: JobQuerySet
    unsearched: JobQuerySet

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> JobQuerySet:
        """Apply the filters before the search: the paginator searches among the jobs that they leave."""
        self.unsearched = cast(JobQuerySet, super().get_queryset(request, exclude_parameters))
        return self.unsearched.search(self.query.strip()) if self.query.strip() else self.unsearched

    def pages(self, request: HttpRequest) -> Paginator[Any]:
        words = self.query.strip()
        if not words:
            return super().pages(request)
        return FoundPaginator(self.queryset, self.list_per_page, jobs=self.unsearched, words=words)

    def get_results(self, request: HttpRequest) -> None:
        if fragments.fragment_wanted(request):
            self.result_list = Job.objects.none()
        else:
            super().get_results(request)

    @cached_property
    def headers(self) -> list[dict[str, Any]]:
        return list(result_headers(self))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return self.drawn(self.shown)

    def drawn(self, rows: Iterable[JobRow]) -> list[dict[str, Any]]:
        """Return the cells of each job, and a version of all cells but its age, which the browser updates."""
        back = f"?{self.preserved_filters}" if self.preserved_filters else ""
        chooses = "action_checkbox" in self.list_display
        drawn = []
        for row in rows:
            cells: dict[str, str] = {"action_checkbox": self.model_admin.action_checkbox(row.of)} if chooses else {}
            cells |= {made.__name__: made(row) for made in COLUMNS}
            cells["job"] = display.with_sub(display.link(f"{self.url_for_result(row.of)}{back}", row.name), row.belongs)
            cells["owner_name"] = display.link(self.get_query_string({"user": cells["owner_name"]}), cells["owner_name"])
            *parts, _ = values = list(cells.values())
            shown = {"pk": row.of.pk, "acts": row.acts, "version": _mark(parts)}
            drawn.append(shown | {"cells": display.cells(list(cells), values)})
        return drawn

    def at_place(self, place: str) -> list[filters.JobFilter]:
        """Return the filters that are set at this place of the page."""
        return [one for one in self.filter_specs if isinstance(one, filters.JobFilter) and one.place == place]

    @property
    def pills(self) -> list[filters.JobFilter]:
        return self.at_place(filters.PILL)

    @property
    def more(self) -> list[filters.JobFilter]:
        return self.at_place(filters.MORE)

    @property
    def more_in_use(self) -> int:
        """How many filters of that menu are set, beside those of the tab."""
        return sum(bool(one.value()) for one in self.more if one.parameter_name not in _tab(self.params))

    @property
    def is_narrowed(self) -> bool:
        """Whether more is asked for than a tab."""
        return any(value for name, value in self.params.items() if name not in _tab(self.params))

    @property
    def kept_by_more(self) -> list[tuple[str, str]]:
        """Return what the address asks for beside the filters in the menu of all others, for its form to keep."""
        own = {one.parameter_name for one in self.more}
        return [(name, value) for name, value in self.params.items() if name not in own]

    @property
    def problems(self) -> list[str]:
        """Filter values in the address that the list does not know, in words."""
        return [one.problem for one in self.filter_specs if isinstance(one, filters.JobFilter) and one.problem]


def _action(verb: BulkVerb) -> Callable[..., HttpResponse]:
    """Return the list's action of a verb: it drafts the verb for the selection and shows its preview."""

    @admin.action(description=verb.words)
    def act(model_admin: "JobAdmin", request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        chosen = filters.words(request.GET.dict()) if across else "by hand"
        query = request.GET.urlencode()
        return bulk_pages.drafted(request, verb.key, jobs, chosen=chosen, options=request.POST.dict(), query=query)

    act.__name__ = verb.key.value
    return act


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin[Job]):
    title = "Jobs"
    list_display = COLUMNS
    list_filter = filters.FILTERS
    list_select_related = ("owner", "batch")
    search_fields = ("prompt",)  # searched by `JobList`
    search_help_text = "Combination, campaign, prompt or number"
    ordering = ("-id",)
    actions = tuple(map(_action, VERBS.values()))

    def rows(self, found: Sequence[Job]) -> list[JobRow]:
        outlook = waiting.outlook(found, at=clock.now(), far=FAR)
        return [JobRow(job, outlook) for job in found]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobList]:
        return JobList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {name: one for name, one in super().get_actions(request).items() if bulk.may(staff(request), name)}

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Job], bool]:
        return queryset, False

    def action_checkbox(self, obj: Job) -> SafeString:
        return display.chooser(ACTION_CHECKBOX_NAME, obj.pk, f"Select job {obj.pk}")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Job | None:
        return job_page.find(object_id)

    def get_urls(self) -> list[URLPattern]:
        drafts = path("bulk/", self.admin_site.admin_view(self.bulk), name="queue_app_job_bulk")
        return [drafts, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if fragments.fragment_wanted(request) and self.has_view_permission(request):
            return self._renewed(request)
        user, at, back = staff(request), clock.now(), request.get_full_path()
        shown = {
            "tabs": self._tabs(request),
            "verbs": bulk_pages.buttons(user),
            "clears": _clears(request) if bulk.may(user, Verb.CLEAR) else None,
            "unknown": request.GET.get("e") == "1",
            "at": at,
            "back": back,
            "list_query": request.GET.urlencode(),
        }
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def bulk(self, request: HttpRequest) -> HttpResponse:
        """Draft a bulk action on jobs by number (``ids``), or on all jobs that the query string of a list (``query``) matches."""
        fields, query = request.POST, request.POST.get("jobs", "")
        if request.method != "POST" or fields.get("verb") not in Verb.values:
            return bulk_pages.back_to_the_list(request, "Select jobs in the list, then choose an action.", query)
        ids = [pk for one in fields.get("ids", "").split(",") if (pk := numbers.of_row(one))]
        if "ids" in fields or "query" not in fields:
            return bulk_pages.drafted(request, Verb(fields["verb"]), ids, chosen="by hand", options=fields.dict(), query=query)
        asked = addresses.asked(fields["query"].lstrip("?"))
        found = Job.objects.none() if asked is None else self._matching(request, asked.urlencode())
        chosen = filters.words(asked.dict()) if asked is not None else ""
        return bulk_pages.drafted(request, Verb(fields["verb"]), found, chosen=chosen, options=fields.dict(), query=query)

    def _matching(self, request: HttpRequest, query: str) -> QuerySet[Job]:
        """Return all jobs of the list with this query string; none if it can't be read."""
        was, request.GET = request.GET, QueryDict(query)
        try:
            return cast(JobList, self.get_changelist_instance(request)).queryset
        except (IncorrectLookupParameters, SuspiciousOperation):
            return Job.objects.none()
        finally:
            request.GET = was

    def _tabs(self, request: HttpRequest) -> list[dict[str, Any]]:
        """Return the tabs. They keep all other filters; their counts are of all jobs, so they are shown without other filters."""
        asked = {name: value for name, value in request.GET.dict().items() if value and name != PAGE_VAR}
        others = {name: value for name, value in asked.items() if name not in SET_BY_TABS}
        own, found = _set_by_tabs(asked), {} if others else _counts()
        return [
            {
                "name": name,
                "query": urlencode({**others, **query}),
                "count": found.get(key),
                "alert": alert,
                "current": own == query,
            }
            for name, query, key, alert in TABS
        ]

    def _renewed(self, request: HttpRequest) -> HttpResponse:
        """Return the rows on the screen that changed, the counts, and how many new jobs match; 204 if nothing changed."""
        asked = request.GET.copy()
        seen, shown = "".join(asked.pop("seen", [])), _shown("".join(asked.pop("shown", [])))
        request.GET = QueryDict(asked.urlencode())
        listed = cast(JobList, self.get_changelist_instance(request))
        jobs = list(Job.objects.select_related(*self.list_select_related).filter(pk__in=shown))
        changed = [row for row in listed.drawn(self.rows(jobs)) if row["version"] != shown[row["pk"]]]
        first_page = asked.get("p", "1") == "1"
        new = listed.queryset.filter(pk__gt=max(shown, default=0))[:NEW_MOST].count() if first_page else 0
        strip = pending.strip(request, at=clock.now())
        rest = {"tabs": self._tabs(request), "new": new}
        token = _mark([repr(rest), strip.token])
        if not changed and seen == token:
            return HttpResponse(status=204)
        shown_now = {"rows": changed, "token": token, "new_most": NEW_MOST, "address": f"?{asked.urlencode()}"}
        return render(request, FRAGMENT, {**rest, **shown_now, "pending": strip, "list_query": asked.urlencode()})


def _set_by_tabs(asked: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value and name in SET_BY_TABS}


def _tab(asked: Mapping[str, str]) -> dict[str, str]:
    """Return the filters of the tab that the address asks for; none if they are not a tab's."""
    own = _set_by_tabs(asked)
    return next((query for _, query, _, _ in TABS if query == own), {})


def _counts() -> dict[str, int]:
    """Return the jobs of each tab that has a count."""
    at = clock.now()
    found = {str(status): number for status, number in counts.by_status(at=at).items()}
    to_look_at = ReviewItem.objects.filter(closed_at=None).values("job").distinct()
    held = at_most_every(HOLDS_KEPT, "jobs:models_on_hold", lambda: waiting.models_on_hold(at=at))
    on_hold = counts.on_hold(held)
    unfinished = found[Status.QUEUED] + found[Status.PROCESSING]
    return {**found, "unfinished": unfinished, filters.ON_HOLD: on_hold, "review": to_look_at.count()}


def _clears(request: HttpRequest) -> dict[str, str]:
    """Return the button that clears the finished jobs of the list: its word, and the query string of the jobs."""
    asked = {name: value for name, value in request.GET.dict().items() if value and name != PAGE_VAR}
    status = asked.get("status", "")
    word = status if status in {state.value for state in TERMINAL_STATES} else FINISHED
    return {"word": word, "query": urlencode({**asked, "status": word})}


def _mark(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _shown(said: str) -> dict[int, str]:
    """Return the versions of the rows on the screen, by job, from the browser's “12:version,13:version”; skip what is none."""
    pairs = (one.partition(":") for one in said.split(",")[:ROWS_MOST])
    return {pk: mark for number, _, mark in pairs if (pk := numbers.of_row(number))}
