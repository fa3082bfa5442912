"""The job list: what it shows and costs, its filters and views, and the rows that renew themselves."""

import re
from datetime import timedelta
from html import unescape
from typing import cast
from urllib.parse import urlencode

import pytest
from django.contrib.admin import site
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse, QueryDict
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from queue_app import clock, lifecycle
from queue_app.admin import filters
from queue_app.admin.jobs import JobAdmin
from queue_app.models import BulkAction, Job, ModelConcurrencyLimit, ProviderAccount, QueueSettings, State
from queue_app.ui import paging
from queue_app.work import policy, reorder
from tests.admin.conftest import StaffWith
from tests.factories import NOON, BatchFactory, UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
LIST = "/admin/queue_app/job/"
PLAIN = {"ended": "24h", "status": "failed"}  # a tab
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)">' {{ 7|add:7 }}"""


def paused(model: str, reason: str) -> None:
    limit = ModelConcurrencyLimit.objects.get(pk=model)
    policy.change(limit, at=NOON, actor=None, paused=True, paused_reason=reason)


class TestList:
    def test_shows_what_it_is_then_batch_model_and_number_and_its_state_place_owner_and_tickets(self, admin: Client) -> None:
        job = make_job(prompt="A heron lands on a frozen lake", batch=BatchFactory(name="Winter"), priority=10, tickets=8)
        page = unescape(admin.get(LIST).content.decode())
        for words in ("A heron lands", f"Winter · sora-2 · {job.pk:,}", "Queued", "position 1", "High", ">8<"):
            assert words in page, words

    def test_a_job_is_called_by_its_combination_and_without_one_by_its_prompt(self, admin: Client) -> None:
        make_job(prompt="Style: UGC. Mood: calm.", label="UGC · Calm", batch=BatchFactory(name="Winter"))
        make_job(prompt="A heron lands")
        names = re.findall(r'<th class="field-job"><a[^>]*><span class="gq-clip" title="([^"]+)">', html_of(admin.get(LIST)))
        assert names == ["A heron lands", "UGC · Calm"]

    def test_says_when_a_job_was_queued_started_and_finished(self, admin: Client) -> None:
        at = clock.now() - timedelta(hours=1)
        job = make_job(State.COMPLETED, at=at)
        page = html_of(admin.get(LIST))
        for name, moment in (("queued", job.queued_at), ("started", job.started_at), ("ended", job.ended_at)):
            assert f'<td class="field-{name}_time"><time datetime="{moment.isoformat()}"' in page

    def test_a_row_names_the_verbs_that_can_change_it(self, admin: Client) -> None:
        wanted = {
            make_job().pk: "cancel set_priority force_fail",  # the first of its queue is not moved further
            make_job().pk: "cancel set_priority move_to_front force_fail",
            make_job(State.STORING).pk: "force_fail",
            make_job(State.FAILED).pk: "retry clear_completed",
            make_job(State.COMPLETED).pk: "clear_completed refund",
        }
        acts = {row["pk"]: row["acts"] for row in admin.get(LIST).context["cl"].rows}
        assert acts == wanted

    def test_says_in_numbers_what_holds_a_queued_job(self, admin: Client) -> None:
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=1)
        make_job(State.RUNNING)
        make_job()
        assert "sora-2 1 of 1" in admin.get(LIST, {"status": "queued"}).content.decode()

    def test_a_moment_of_another_day_has_its_date(self, admin: Client) -> None:
        until = clock.now() + timedelta(days=2)
        make_job(not_before=until)
        assert f"starts at {timezone.localtime(until):%d %b, %H:%M} or later" in admin.get(LIST).content.decode()

    def test_a_pause_is_told_with_its_reason(self, admin: Client) -> None:
        paused("sora-2", "quality check")
        make_job()
        page = html_of(admin.get(LIST))
        assert "On hold</span>" in page and "sora-2: quality check" in page

    def test_jobs_on_hold_are_those_of_paused_models_and_batches(self, admin: Client) -> None:
        paused("sora-2", "quality check")
        batch = BatchFactory()
        on_hold = [make_job(), make_job(model_id="kling-1.6", batch=batch)]
        make_job(model_id="kling-1.6")
        make_job(State.RUNNING)
        policy.pause_batch(batch, at=NOON, actor=None)
        listed = admin.get(LIST, {"status": "on_hold"})
        assert list(listed.context["cl"].result_list) == on_hold[::-1]
        assert [tab["count"] for tab in listed.context["tabs"] if tab["current"]] == [2]
        policy.change(QueueSettings.objects.current(), at=NOON, actor=None, paused=True)
        assert admin.get(LIST, {"status": "on_hold"}).context["cl"].result_count == 3

    def test_an_account_that_cools_down_holds_no_job_back_for_good(self, admin: Client) -> None:
        ProviderAccount.objects.update(cooldown_until=clock.now() + timedelta(minutes=5))
        make_job()
        page = admin.get(LIST, {"status": "on_hold"})
        assert page.context["cl"].result_count == 0

    def test_asks_the_same_number_of_queries_for_3_jobs_and_for_30(self, admin: Client) -> None:
        def queries() -> int:
            cache.clear()  # nobody has asked for the counts in the last second
            with CaptureQueriesContext(connection) as asked:
                assert admin.get(LIST).status_code == 200
            return len(asked)

        def fill(times: int) -> None:
            for _ in range(times):
                for one in (State.QUEUED, State.RUNNING, State.UNKNOWN):
                    make_job(one, batch=BatchFactory())

        fill(1)
        few = queries()
        fill(9)
        assert queries() == few <= 45

    @pytest.mark.parametrize(
        ("asked", "found"),
        [
            ({"status": "processing"}, State.RUNNING),
            ({"status": "failed"}, State.FAILED),
            ({"review": "open"}, State.UNKNOWN),
            ({"q": "heron"}, State.QUEUED),
            ({"priority": "urgent"}, State.COMPLETED),
            ({"state": "storing"}, State.STORING),
            ({"model": "kling-1.6"}, State.QUEUED),
            ({"kind": "image"}, State.QUEUED),
            ({"user": "bo"}, State.QUEUED),
            ({"error": "provider_failed"}, State.FAILED),
            ({"age": "over-1h"}, State.CANCELLED),
            ({"cleared": "only"}, State.COMPLETED),
        ],
    )
    def test_filters_and_finds(self, admin: Client, asked: dict[str, str], found: State) -> None:
        """One job that every filter finds, and one that none does."""
        at = clock.now() - timedelta(hours=2 if "age" in asked else 0)
        fields = {"prompt": "A heron on the ice", "owner": UserFactory(username="bo"), "priority": 20}
        fields |= {"model_id": asked["model"]} if "model" in asked else {}
        fields |= {"model_id": "nano-banana", "kind_id": "image", "parameters": {}} if "kind" in asked else {}
        job = make_job(found, at=at, **fields)
        make_job(State.COMPLETED, at=clock.now())
        if "cleared" in asked:
            reorder.clear([Job.objects.get(pk=job.pk)], at=NOON, actor="ana")
            assert job not in admin.get(LIST).context["cl"].result_list
        rows = admin.get(LIST, asked).context["cl"].result_list
        assert list(rows) == [job]
        assert filters.words(asked).startswith("all jobs with ")

    def test_of_one_campaign(self, admin: Client) -> None:
        job = make_job(batch=BatchFactory(name="Winter"))
        make_job()
        page = admin.get(LIST, {"campaign": str(job.batch_id)})
        assert list(page.context["cl"].result_list) == [job]
        assert "Campaign: <b>Winter</b>" in html_of(page)

    @pytest.mark.parametrize(
        "asked",
        [{one.parameter_name: value} for one in filters.FILTERS for value in ("no-such", "9" * 30, "a\tb", "٣")],
        ids=str,
    )
    def test_a_value_that_it_does_not_know_lists_nothing_and_is_said(self, admin: Client, asked: dict[str, str]) -> None:
        make_job()
        page = admin.get(LIST, asked)
        assert page.status_code == 200
        assert list(page.context["cl"].result_list) == []
        assert "<b>Unknown " in page.content.decode() and "No jobs are shown." in page.content.decode()

    def test_a_search_that_cannot_be_read_lists_nothing(self, rf: RequestFactory) -> None:
        make_job()
        request = rf.get(LIST)
        request.user = UserFactory(admin=True)
        SessionMiddleware(lambda _: HttpResponse()).process_request(request)
        MessageMiddleware(lambda _: HttpResponse()).process_request(request)
        found = []
        for search in ("", "a\x00b"):
            request.GET = QueryDict(urlencode({"q": search}))
            found.append(site._registry[Job].get_changelist_instance(request).get_queryset(request).count())
        assert found == [1, 0]

    def test_a_filter_that_it_does_not_have_is_said(self, admin: Client) -> None:
        page = admin.get(LIST, {"colour": "blue"}, follow=True)
        assert "Unknown filter in the link." in page.content.decode()

    @pytest.mark.parametrize(("page", "shown"), [("9", 2), ("0", 1), ("-3", 1), ("9" * 30, 2), ("x", 1)])
    def test_a_page_beyond_either_end_is_the_nearest_with_the_filters_kept(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch, page: str, shown: int
    ) -> None:
        monkeypatch.setattr(JobAdmin, "list_per_page", 2)
        jobs = [make_job(), make_job(), make_job()]
        make_job(State.FAILED)
        found = admin.get(LIST, {"status": "queued", "p": page})
        assert found.status_code == 200
        listed = found.context["cl"]
        assert (listed.page_num, list(listed.result_list)) == (shown, jobs[:1] if shown == 2 else jobs[:0:-1])

    def test_says_about_where_it_counts_by_estimate(self, admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(paging, "EXACT_UP_TO", 2)
        for _ in range(3):
            make_job()
        page = unescape(html_of(admin.get(LIST)))
        assert re.search(r"about [\d,]+ jobs", page)

    def test_finds_a_job_by_its_number(self, admin: Client) -> None:
        make_job(prompt="7 dwarfs")
        job = make_job()
        assert list(admin.get(LIST, {"q": str(job.pk)}).context["cl"].result_list) == [job]

    def test_a_tab_counts_the_jobs_that_it_lists(self, admin: Client) -> None:
        for one in (State.QUEUED, State.QUEUED, State.RUNNING, State.UNKNOWN):
            make_job(one)
        paused("sora-2", "quality check")
        counted = {tab["name"]: tab["count"] for tab in admin.get(LIST).context["tabs"]}
        assert counted["Unfinished"] == 4 and counted["On hold"] == 2
        for tab in admin.get(LIST).context["tabs"]:
            listed = admin.get(f"{LIST}?{tab['query']}")
            assert tab["count"] in (None, listed.context["cl"].result_count), tab
            assert [one["name"] for one in listed.context["tabs"] if one["current"]] == [tab["name"]]

    def test_a_tab_keeps_the_other_filters_and_counts_nothing_that_it_would_not_list(self, admin: Client) -> None:
        make_job(State.FAILED)
        tabs = admin.get(LIST, {"model": "sora-2", "q": "tram", "status": "failed", "p": "2"}).context["tabs"]
        failed = next(tab for tab in tabs if tab["name"] == "Processing")
        assert failed["query"] == "model=sora-2&q=tram&status=processing"
        assert {tab["count"] for tab in tabs} == {None}

    def test_has_four_filters_beside_the_search_and_the_others_in_a_form_that_keeps_them(self, admin: Client) -> None:
        make_job(State.FAILED)
        page = admin.get(LIST, {"model": "sora-2", "priority": "normal", "q": "tram"})
        listed = page.context["cl"]
        assert [one.title for one in listed.pills] == ["model", "campaign", "owner", "age"]
        assert [one.title for one in listed.more] == ["job type", "exact state", "error", "priority", "finished", "cleared"]
        assert listed.kept_by_more == [("model", "sora-2"), ("q", "tram")]
        for asked, words in ((PLAIN, "More</summary>"), ({**PLAIN, "error": "x"}, "More: <b>1</b>")):
            assert words in html_of(admin.get(LIST, asked))
        assert listed.is_narrowed and not admin.get(LIST, PLAIN).context["cl"].is_narrowed
        assert "More: <b>1</b>" in html_of(page) and '<option value="normal" selected>' in html_of(page)

    @pytest.mark.parametrize(
        ("asked", "word", "states"),
        [
            ({}, "finished", {State.COMPLETED, State.FAILED, State.CANCELLED}),
            ({"status": "failed"}, "failed", {State.FAILED}),
            ({"status": "queued", "model": "sora-2", "p": "1"}, "finished", {State.COMPLETED, State.FAILED, State.CANCELLED}),
            ({"model": "kling-1.6"}, "finished", set()),
        ],
    )
    def test_clears_any_finished_job_of_the_list(
        self, admin: Client, asked: dict[str, str], word: str, states: set[State]
    ) -> None:
        jobs = {make_job(state).pk: state for state in State}
        button = admin.get(LIST, asked).context["clears"]
        assert button["word"] == word
        fields = {"verb": "clear_completed", "query": button["query"], "jobs": urlencode(asked)}
        admin.post(f"{LIST}bulk/", fields)
        drafted = BulkAction.objects.first()
        assert {jobs[pk] for pk in drafted.job_ids} == states if drafted else not states

    def test_a_hostile_prompt_is_text(self, admin: Client) -> None:
        make_job(State.FAILED, prompt=HOSTILE, batch=BatchFactory(name=HOSTILE))
        text = admin.get(LIST).content.decode()
        assert "&lt;script&gt;alert(1)" in text and "7|add:7" in text
        assert "<script>alert" not in text and "<img src=x" not in text


class TestRows:
    """What htmx asks for: the rows that are on the screen, as they are now."""

    def test_are_named_by_their_job(self, admin: Client) -> None:
        job = make_job()
        assert f'<tr id="job-{job.pk}" data-version="' in admin.get(LIST).content.decode()

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_nothing_changed_is_204(self, admin: Client) -> None:
        screen = Screen(admin)
        make_job()
        screen.open()
        screen.look()
        assert screen.look().status_code == 204

    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_only_what_changed_comes_even_if_it_matches_no_more(self, admin: Client) -> None:
        first, second = make_job(), make_job()
        screen = Screen(admin, {"status": "queued"})
        screen.open()
        screen.look()
        lifecycle.cancel([first.pk], at=NOON, actor="bo")
        cache.clear()
        page = screen.look().content.decode()
        assert f'id="job-{first.pk}"' in page and "Cancelled" in page
        assert f'id="job-{second.pk}"' in page  # it moved up by a place
        assert screen.look().status_code == 204

    def test_new_ones_are_counted_and_not_pushed_in(self, admin: Client) -> None:
        make_job(State.FAILED)
        screen = Screen(admin, {"status": "failed"})
        screen.open()
        make_job(State.FAILED)
        new = make_job(State.FAILED)
        make_job()
        page = screen.look().content.decode()
        assert "Show 2 new jobs" in page and f'id="job-{new.pk}"' not in page
        assert 'href="?status=failed"' in page

    def test_counts_of_the_tabs_come_along(self, admin: Client) -> None:
        screen = Screen(admin)
        screen.open()
        make_job()
        cache.clear()
        assert 'Queued <span class="gq-count">1</span>' in html_of(screen.look())

    def test_bring_the_verbs_that_can_change_them_now(self, admin: Client) -> None:
        job = make_job()
        screen = Screen(admin)
        screen.open()
        lifecycle.cancel([job.pk], at=NOON, actor="bo")
        assert 'data-acts="retry clear_completed"' in html_of(screen.look())

    @pytest.mark.parametrize("shown", ["", "x:y", "9" * 40 + ":a", "1", ",,:", "٣:a"])
    def test_whatever_the_browser_says_it_shows(self, admin: Client, shown: str) -> None:
        make_job()
        assert admin.get(LIST, {"shown": shown, "seen": "?"}, headers={"HX-Request": "true"}).status_code == 200

    def test_cost_the_same_number_of_queries_for_3_rows_and_for_30(self, admin: Client) -> None:
        def queries() -> int:
            screen = Screen(admin)
            screen.open()
            cache.clear()
            with CaptureQueriesContext(connection) as asked:
                assert screen.look().status_code == 200
            return len(asked)

        for one in (State.QUEUED, State.RUNNING, State.FAILED):
            make_job(one, batch=BatchFactory())
        few = queries()
        for _ in range(9):
            for one in (State.QUEUED, State.RUNNING, State.FAILED):
                make_job(one, batch=BatchFactory())
        assert queries() == few <= 45

    def test_are_for_those_who_may_see_jobs(self, staff_with: StaffWith) -> None:
        _, clerk = staff_with("view_wallet")
        assert clerk.get(LIST, headers={"HX-Request": "true"}).status_code == 403


class Screen:
    """A browser that has the list open."""

    def __init__(self, client: Client, asked: dict[str, str] | None = None):
        self.client, self.asked = client, asked or {}
        self.versions: dict[str, str] = {}
        self.seen = ""

    def open(self) -> None:
        self._read(html_of(self.client.get(LIST, self.asked)))

    def look(self) -> HttpResponse:
        shown = ",".join(f"{pk}:{version}" for pk, version in self.versions.items())
        fields = {**self.asked, "shown": shown, "seen": self.seen}
        answer = self.client.get(LIST, fields, headers={"HX-Request": "true"})
        self._read(html_of(answer))
        return cast(HttpResponse, answer)

    def _read(self, page: str) -> None:
        self.versions |= dict(re.findall(r'<tr id="job-(\d+)" data-version="(\w+)"', page))
        if found := re.search(r'name="seen" value="(\w+)"', page):
            self.seen = found[1]
