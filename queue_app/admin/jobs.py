"""The job list: filters, search, saved views, rows that renew themselves, and the verbs over what is chosen in it."""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.templatetags.admin_list import result_headers
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import path
from django.utils.functional import cached_property
from django.utils.safestring import SafeString

from queue_app import clock
from queue_app.admin import bulk as bulk_pages
from queue_app.admin import filters, job_page
from queue_app.insight import counts, waiting
from queue_app.models import BulkAction, Job, ReviewItem, State, User
from queue_app.rules import numbers
from queue_app.ui import addresses, display, fragments
from queue_app.ui.model_admin import DressedList, FoundPaginator, ReadOnlyAdmin
from queue_app.work import bulk
from queue_app.work.bulk.base import BulkVerb
from queue_app.work.bulk.verbs import VERBS

ROWS_MOST = 100  # of one page that renews itself
NEW_MOST = 100  # above it the number of new jobs is not counted on
FAR = 2_000  # in a lane: the list counts places so far, so that its newest jobs cost no walk through a million
FRAGMENT = "admin/queue_app/job/_live.html"
# name, filters, the count of `counts.by_status` that shows the same jobs, and whether it calls for somebody
SAVED_VIEWS: tuple[tuple[str, dict[str, str], str, bool], ...] = (
    ("All", {}, "", False),
    ("Queued", {"status": "queued"}, "queued", False),
    ("Processing", {"status": "processing"}, "processing", False),
    ("Failed, 24h", {"ended": "24h", "status": "failed"}, "failed", True),
    ("Needs attention", {"cleared": "with", "review": "open"}, "review", True),
    ("Completed, 24h", {"ended": "24h", "status": "completed"}, "completed", False),
)
_STAGES = {
    State.SUBMITTING: "sending",
    State.RUNNING: "generating",
    State.UNKNOWN: "checking with the provider",
    State.CANCELLING: "waiting for the provider",
    State.STORING: "saving files",
}
Verb = BulkAction.Verb


class JobList(DressedList):
    """A page of jobs whose rows have names; for htmx only the rows that it shows already, by their numbers."""

    def get_results(self, request: HttpRequest) -> None:
        if not fragments.fragment_wanted(request):
            super().get_results(request)
            return
        self.result_count, self.full_result_count, self.result_list = 0, 0, Job.objects.none()
        self.can_show_all, self.multi_page = False, False
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)

    @cached_property
    def headers(self) -> list[dict[str, Any]]:
        return list(result_headers(self))

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        return self.rows_of(self.result_list)

    def rows_of(self, jobs: Iterable[Job]) -> list[dict[str, Any]]:
        """The cells of each job, and a mark that changes with them all but the age, which the browser counts on by itself."""
        back = f"?{self.preserved_filters}" if self.preserved_filters else ""
        columns = {name: getattr(self.model_admin, name) for name in map(str, self.list_display)}
        rows = []
        for job in jobs:
            shown = {name: column(job) for name, column in columns.items()}
            shown["job"] = display.link(f"{self.url_for_result(job)}{back}", shown["job"])
            *parts, _ = values = list(shown.values())
            rows.append({"pk": job.pk, "cells": display.cells(list(shown), values), "version": _mark(parts)})
        return rows

    @property
    def problems(self) -> list[str]:
        """What the address asks for that the filters do not know."""
        return [one.problem for one in self.filter_specs if isinstance(one, filters.JobFilter) and one.problem]


def _action(verb: BulkVerb) -> Callable[..., HttpResponse]:
    """The list's action for a verb: draft it for what is chosen, and show what it will do."""

    @admin.action(description=verb.words)
    def act(model_admin: "JobAdmin", request: HttpRequest, jobs: QuerySet[Job]) -> HttpResponse:
        across = request.POST.get("select_across") == "1"
        chosen = filters.words(request.GET.dict()) if across else "by hand"
        query = request.GET.urlencode()
        return bulk_pages.drafted(request, verb.key, jobs, chosen=chosen, options=request.POST.dict(), query=query)

    act.__name__ = verb.key.value
    return act


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    title = "Jobs"
    list_display = ("job", "prompt_line", "status_line", "progress_line", "attempts", "owner_name", "tickets_held", "age")
    list_display_links = ("job",)
    list_filter = filters.FILTERS
    list_select_related = ("owner", "batch")
    search_fields = ("prompt",)
    search_help_text = "Search prompts or a job number"
    ordering = ("-id",)
    actions = tuple(map(_action, VERBS.values()))

    # --- the list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[JobList]:
        return JobList

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        assert isinstance(request.user, User)
        return {name: one for name, one in super().get_actions(request).items() if bulk.may(request.user, name)}

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        words = search_term.strip()
        request.searched = (queryset, words) if words else None  # type: ignore[attr-defined]  # for the paginator
        return (queryset.search(words) if words else queryset), False

    def get_paginator(self, request: HttpRequest, queryset: Any, *args: Any, **options: Any) -> Any:
        if searched := getattr(request, "searched", None):
            jobs, words = searched
            return FoundPaginator(queryset, *args, jobs=jobs, words=words, **options)
        return super().get_paginator(request, queryset, *args, **options)

    def dress(self, rows: list[Job]) -> None:
        at = clock.now()
        looked = waiting.outlook(rows, at=at, far=FAR)
        for row in rows:
            row.at, row.outlook = at, looked  # type: ignore[attr-defined]

    def action_checkbox(self, job: Job) -> SafeString:
        return display.chooser(ACTION_CHECKBOX_NAME, job.pk, f"Select job {job.pk}")

    @admin.display(description="Job")
    def job(self, job: Job) -> str:
        return display.with_sub(display.number(job.pk), display.level(job.priority))

    @admin.display(description="Prompt")
    def prompt_line(self, job: Job) -> str:
        return display.clipped(job.prompt, f"{job.model_id} · {job.batch or job.kind_id}")

    @admin.display(description="Status")
    def status_line(self, job: Job) -> str:
        reason = ""
        if job.state == State.QUEUED:
            blockers = job.outlook.waiting_on(job)  # type: ignore[attr-defined]
            reason = next(filter(None, (display.held_by(one, job.at) for one in blockers)), "")  # type: ignore[attr-defined]
        elif job.state == State.FAILED:
            reason = job.error_code
        elif job.state == State.UNKNOWN:
            reason = "tickets reserved, not charged"
        return display.with_sub(display.badge(job.state), reason, whole=True)

    @admin.display(description="Progress")
    def progress_line(self, job: Job) -> str:
        if job.state == State.RUNNING and job.progress is not None:
            return display.progress(job.progress)
        place = job.outlook.position(job)  # type: ignore[attr-defined]
        if place is None:
            made = f"took {display.duration(job.ran_seconds)}" if job.ran_seconds and not job.is_open else "–"
            return _STAGES.get(State(job.state), made)
        eta = job.outlook.eta(job)  # type: ignore[attr-defined]
        about = f"about {display.rough(eta.p50_seconds)}" if eta and eta.p50_seconds is not None else ""
        return display.with_sub(f"position {display.number(place)}" if place <= FAR else f"beyond {display.number(FAR)}", about)

    @admin.display(description="Attempts")
    def attempts(self, job: Job) -> str:
        return display.number(job.attempt_number) if job.attempt_number else "–"

    @admin.display(description="Owner")
    def owner_name(self, job: Job) -> str:
        return display.link(f"?{urlencode({'user': job.owner.username})}", job.owner.username)

    @admin.display(description="Tickets")
    def tickets_held(self, job: Job) -> str:
        return display.number(job.tickets)

    @admin.display(description="Age")
    def age(self, job: Job) -> str:
        return display.age(job.queued_at, job.at)  # type: ignore[attr-defined]

    # --- its page

    def get_urls(self) -> list[Any]:
        mine = [path("bulk/", self.admin_site.admin_view(self.bulk), name="queue_app_job_bulk")]
        return [*mine, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        assert isinstance(request.user, User)
        if fragments.fragment_wanted(request) and self.has_view_permission(request):
            return self._renewed(request)
        at, back = clock.now(), request.get_full_path()
        shown = {
            "views": self._views(request),
            "verbs": bulk_pages.buttons(request.user),
            "may_clear": bulk.may(request.user, Verb.CLEAR),
            "bulk_notes": bulk_pages.notes(request.user, at=at),
            "unknown": request.GET.get("e") == "1",
            "at": at,
            "back": back,
            "list_query": request.GET.urlencode(),
        }
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    def bulk(self, request: HttpRequest) -> HttpResponse:
        """Draft a bulk action over jobs by number (``ids``) or over all that a list's address (``query``) matches."""
        fields, query = request.POST, request.POST.get("jobs", "")
        if request.method != "POST" or fields.get("verb") not in Verb.values:
            return bulk_pages.back_to_the_list(request, "Select jobs in the list, then choose an action.", query)
        ids = [pk for one in fields.get("ids", "").split(",") if (pk := numbers.of_row(one))]
        if "ids" in fields or "query" not in fields:
            return bulk_pages.drafted(request, Verb(fields["verb"]), ids, chosen="by hand", options=fields.dict(), query=query)
        asked = addresses.asked(fields["query"].lstrip("?"))
        found = Job.objects.none() if asked is None else self._matching(request, asked)
        chosen = filters.words(asked.dict()) if asked is not None else ""
        return bulk_pages.drafted(request, Verb(fields["verb"]), found, chosen=chosen, options=fields.dict(), query=query)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Job | None:
        return job_page.find(object_id)

    def page(self, request: HttpRequest, row: Job) -> HttpResponse:
        return job_page.view(self, request, row)

    def _matching(self, request: HttpRequest, asked: QueryDict) -> QuerySet[Job]:
        """All jobs of the list with this address; none where it asks for what the list does not know."""
        was, request.GET = request.GET, asked  # type: ignore[assignment]
        try:
            found: QuerySet[Job] = self.get_changelist_instance(request).get_queryset(request)
        except (IncorrectLookupParameters, SuspiciousOperation):
            found = Job.objects.none()
        finally:
            request.GET = was
        return found

    def _views(self, request: HttpRequest) -> list[dict[str, Any]]:
        assert isinstance(request.user, User)
        to_look_at = ReviewItem.objects.filter(closed_at=None).values("job").distinct()
        found = counts.by_status(at=clock.now()) | {"review": to_look_at.count()}
        mine = ("Submitted by you", {"user": request.user.username}, "", False)
        return [
            {
                "name": name,
                "query": urlencode(query),
                "count": found.get(key),
                "alert": alert,
                "current": request.GET.dict() == query,
            }
            for name, query, key, alert in (*SAVED_VIEWS, mine)
        ]

    def _renewed(self, request: HttpRequest) -> HttpResponse:
        """The rows on the screen that changed, the counts, and how many new jobs match; 204 when all is as it was."""
        asked = request.GET.copy()
        seen, shown = "".join(asked.pop("seen", [])), _shown("".join(asked.pop("shown", [])))
        request.GET = asked  # type: ignore[assignment]
        listed = cast(JobList, self.get_changelist_instance(request))
        jobs = list(Job.objects.select_related(*self.list_select_related).filter(pk__in=shown))
        self.dress(jobs)
        changed = [row for row in listed.rows_of(jobs) if row["version"] != shown[row["pk"]]]
        first_page = asked.get("p", "1") == "1"
        new = listed.queryset.filter(pk__gt=max(shown, default=0))[:NEW_MOST].count() if first_page else 0
        assert isinstance(request.user, User)
        rest = {"views": self._views(request), "bulk_notes": bulk_pages.notes(request.user, at=clock.now()), "new": new}
        token = _mark([repr(rest)])
        if not changed and seen == token:
            return HttpResponse(status=204)
        shown_now = {"rows": changed, "token": token, "new_most": NEW_MOST, "address": f"?{asked.urlencode()}"}
        return render(request, FRAGMENT, {**rest, **shown_now, "list_query": asked.urlencode()})


def _mark(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _shown(said: str) -> dict[int, str]:
    """The rows on the screen as the browser names them, “12:mark,13:mark”; what is none is passed over."""
    pairs = (one.partition(":") for one in said.split(",")[:ROWS_MOST])
    return {pk: mark for number, _, mark in pairs if (pk := numbers.of_row(number))}
