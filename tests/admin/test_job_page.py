"""The page of one job: a button for every legal verb and none for others, all that is known, and nothing secret."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from queue_app import lifecycle, tickets
from queue_app.admin import provider_data
from queue_app.lifecycle import MOVES
from queue_app.models import Attempt, Job, ModelConcurrencyLimit, State, User
from queue_app.models.job import OPEN_STATES, TERMINAL_STATES
from queue_app.rules import nesting
from tests.admin.conftest import StaffWith
from tests.factories import NOON, BatchFactory, UserFactory, advance, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)">' {{ 7|add:7 }}"""
ALL_RIGHTS = ("view_job", "operate_queue", "force_fail_job", "move_tickets")


def address(job: Job) -> str:
    return f"/admin/queue_app/job/{job.pk}/change/"


def page(client: Client, job: Job) -> str:
    answer = client.get(address(job))
    assert answer.status_code == 200
    return unescape(html_of(answer))


def buttons(client: Client, job: Job) -> set[str]:
    return {button.verb.value for button in client.get(address(job)).context["buttons"]}


def legal(state: State) -> set[str]:
    """By the table of moves alone: cancel leads to an end of the people's choice, a retry out of one, force to failed."""
    moves = MOVES[state]
    verbs = {
        "cancel": bool(moves & {State.CANCELLED, State.CANCELLING} - ({State.CANCELLED} if state == State.CANCELLING else set())),
        "retry": state in TERMINAL_STATES and State.QUEUED in moves,
        "force_fail": state in OPEN_STATES and State.FAILED in moves,
        "clear_completed": state in TERMINAL_STATES,
        "set_priority": state == State.QUEUED,
        "move_to_front": state == State.QUEUED,
        "refund": state == State.COMPLETED,
    }
    # T15: it is remembered until the outcome is known
    verbs["cancel"] = verbs["cancel"] or state in (State.SUBMITTING, State.UNKNOWN)
    return {verb for verb, allowed in verbs.items() if allowed}


class TestButtons:
    @pytest.mark.parametrize("state", list(State))
    def test_are_the_legal_verbs_of_the_state_and_no_others(self, admin: Client, state: State) -> None:
        job = make_job(state, batch=BatchFactory())
        assert buttons(admin, job) == legal(state)
        text = page(admin, job)
        assert state.label.capitalize() in text
        for verb in legal(state):
            assert f'name="verb" value="{verb}"' in text

    @pytest.mark.parametrize(
        ("rights", "verbs"),
        [
            ((), set()),
            (("operate_queue",), {"cancel", "set_priority", "move_to_front"}),
            (("force_fail_job",), {"force_fail"}),
            (("move_tickets",), set()),
        ],
    )
    def test_are_those_that_the_viewer_may_use(self, staff_with: StaffWith, rights: tuple[str, ...], verbs: set[str]) -> None:
        _, client = staff_with("view_job", *rights)
        assert buttons(client, make_job()) == verbs

    def test_refund_is_for_the_finance_right_while_something_is_left(self, staff_with: StaffWith) -> None:
        job = make_job(State.COMPLETED, tickets=4)
        _, finance = staff_with("view_job", "move_tickets")
        assert buttons(finance, job) == {"refund"}
        tickets.refund(job, at=NOON, actor="ana", reason="bad result", amount=3)
        assert buttons(finance, job) == {"refund"}
        tickets.refund(job, at=NOON, actor="ana", reason="bad result")
        assert buttons(finance, job) == set()

    def test_cancel_is_not_offered_twice(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        lifecycle.cancel([job.pk], at=NOON, actor="user")
        assert "cancel" not in buttons(admin, job)
        assert "Cancel requested at" in page(admin, job)

    def test_clear_is_not_offered_twice(self, admin: Client) -> None:
        job = make_job(State.COMPLETED)
        Job.objects.filter(pk=job.pk).update(archived_at=NOON)
        assert "clear_completed" not in buttons(admin, job)

    def test_lead_to_the_preview_of_this_job_by_post(self, admin: Client) -> None:
        job = make_job()
        answer = admin.post("/admin/queue_app/job/bulk/", {"verb": "cancel", "ids": str(job.pk)})
        assert answer.status_code == 302 and "/admin/queue_app/bulkaction/" in answer.headers["Location"]
        assert f'<input type="hidden" name="ids" value="{job.pk}">' in page(admin, job)
        assert Job.objects.get(pk=job.pk).state == State.QUEUED

    def test_an_unknown_job_leads_to_its_decision(self, admin: Client, staff_with: StaffWith) -> None:
        job = make_job(State.UNKNOWN)
        item = job.reviews.get()
        assert f'href="/admin/queue_app/reviewitem/{item.pk}/change/"' in page(admin, job)
        _, looker = staff_with("view_job")
        assert "reviewitem" not in page(looker, job)

    @pytest.mark.parametrize(
        ("right", "words"), [((), "Open item"), (("operate_queue",), "Decide…"), (("force_fail_job",), "Decide…")]
    )
    def test_a_decision_is_offered_to_who_may_make_it(self, staff_with: StaffWith, right: tuple[str, ...], words: str) -> None:
        job = make_job(State.UNKNOWN)
        _, client = staff_with("view_job", "view_reviewitem", *right)
        assert f'/admin/queue_app/reviewitem/{job.reviews.get().pk}/change/">{words}</a>' in page(client, job)


class TestWhatItShows:
    def test_place_reason_limits_and_neighbours(self, admin: Client) -> None:
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=1)
        make_job(State.RUNNING)
        urgent, *plain = make_job(priority=20), *(make_job() for _ in range(5))
        text = page(admin, plain[2])
        for words in ("Position 4", "Model sora-2", "a slot frees up", "Whole queue", "not blocking", "3 jobs ahead."):
            assert words in text, words
        around = admin.get(address(plain[2])).context["neighbours"]
        assert [(near["place"], near["job"]) for near in around] == list(enumerate(plain, 2))
        around = admin.get(address(plain[0])).context["neighbours"]
        assert [near["job"] for near in around] == [urgent, *plain[:3]]

    def test_a_pause_without_an_end_is_said_once(self, admin: Client) -> None:
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(paused=True)
        text = page(admin, make_job())
        assert " No estimate: paused." in text and text.count("No estimate") == 1

    def test_history_with_actors_reasons_and_evidence(self, admin: Client) -> None:
        job = make_job(State.COMPLETED, tickets=8)
        events = admin.get(address(job)).context["events"]
        assert [event["what"].partition(",")[0] for event in events] == [
            "Completed",
            "Saving",
            "Running",
            "Submitting",
            "Queued",
        ]
        assert "by dispatcher" in events[3]["detail"] and "model 1 of 50" in events[3]["detail"]

    def test_money_and_the_jobs_ledger(self, admin: Client, staff_with: StaffWith) -> None:
        job = make_job(State.COMPLETED, tickets=8, parameters={"duration": 8})
        tickets.refund(job, at=NOON, actor="ana", reason="bad result", amount=3)
        text = page(admin, job)
        for words in ("<dt>Charged</dt><dd>8 tickets</dd>", "<dt>Refunded</dt><dd>3 tickets</dd>", "1 ticket × 8s"):
            assert words in text, words
        assert [(one["row"].kind, one["tickets"]) for one in admin.get(address(job)).context["ledger"]] == [
            ("refund", 3),
            ("capture", 8),
            ("reserve", 8),
        ]
        _, looker = staff_with("view_job")
        assert "ledgertransaction" not in page(looker, job)

    def test_attempts_with_request_and_answer_facts(self, admin: Client) -> None:
        job = make_job(State.RUNNING, remote_id="video_77")
        attempt = Attempt.objects.get(job=job)
        text = page(admin, job)
        for words in (
            "video_77",
            attempt.account_id,
            attempt.endpoint_id,
            "accepted after",
            "up to $2.00",
            "Times out at",
        ):
            assert words in text, words

    @pytest.mark.parametrize("state", [State.STORING, State.COMPLETED])
    def test_an_attempt_ran_as_long_as_the_provider_took(self, admin: Client, state: State) -> None:
        job = make_job(state)  # delivered after 30 s
        Attempt.objects.filter(job=job, outcome="delivered").update(ended_at=NOON + timedelta(seconds=95))
        assert [one["ran"] for one in admin.get(address(job)).context["attempts"]] == ["30s"]

    def test_advice_by_the_kind_of_an_error_that_the_vendor_names_itself(self, admin: Client) -> None:
        job = make_job(State.FAILED)
        Job.objects.filter(pk=job.pk).update(error_code="E1234")
        Attempt.objects.filter(job=job).update(error_kind="invalid_request")
        assert "Permanently rejected. A plain retry will be rejected again." in page(admin, job)

    def test_files_play_in_place(self, admin: Client) -> None:
        job = make_job(State.COMPLETED)
        asset = job.assets.get()
        assert f'<video class="gq-player" id="video-{asset.pk}" hx-preserve' in page(admin, job)

    def test_the_same_call_by_the_api(self, admin: Client) -> None:
        job = make_job(prompt="A heron", priority=10)
        assert json.loads(admin.get(address(job)).context["call"]) == {
            "model": "sora-2",
            "kind": "video",
            "prompt": "A heron",
            "parameters": {"duration": 4, "aspect_ratio": "16:9"},
            "priority": 10,
        }

    def test_hostile_text_is_text(self, admin: Client) -> None:
        job = make_job(
            State.RUNNING, prompt=HOSTILE, batch=BatchFactory(name=HOSTILE), remote_id=HOSTILE, metadata={"a": HOSTILE}
        )
        advance_to_failed(job, HOSTILE)
        text = admin.get(address(job)).content.decode()
        assert "&lt;script&gt;alert(1)" in text and "7|add:7" in text
        assert "<script>alert" not in text and "<img src=x" not in text

    def test_asks_the_same_number_of_queries_whatever_it_went_through(self, admin: Client) -> None:
        def queries(job: Job) -> int:
            page(admin, job)  # what is asked once per process
            cache.clear()
            with CaptureQueriesContext(connection) as asked:
                page(admin, job)
            return len(asked)

        plain, worn = make_job(State.FAILED), make_job(State.FAILED)
        for _ in range(4):
            lifecycle.queue_again([Job.objects.lock().get(pk=worn.pk)], at=NOON, actor="ana")
            advance(Job.objects.get(pk=worn.pk), State.FAILED, at=NOON, remote_id=f"video_{worn.pk}_{_}")
        assert queries(worn) == queries(plain) <= 25
        lane, _ = make_job(), make_job()
        alone = queries(lane)
        for _ in range(5):
            make_job()
        assert queries(lane) == alone <= 40


def advance_to_failed(job: Job, message: str) -> None:
    trouble = lifecycle.Trouble("provider_failed", message)
    lifecycle.fail(Job.objects.lock().get(pk=job.pk), at=NOON, actor="poller", trouble=trouble)


class TestProviderData:
    @override_settings(PROVIDER_KEYS={"OPENAI_VIDEOS_API_KEY": "sk-very-secret", "FAL_KEY": ""})
    def test_is_for_those_with_the_right_and_holds_no_secret(self, admin: Client, staff_with: StaffWith) -> None:
        job = make_job(State.RUNNING)
        kept = {
            "remote_id": "video_1",
            "access_token": "at-123",
            "status_url": "https://u:pw@x.example/s?token=tt-1&id=2",
            "said": ["Bearer sk-very-secret"],
        }
        Attempt.objects.filter(job=job).update(remote=kept)
        text = page(admin, job)
        assert "Provider data" in text and '"size": "1280x720"' in text and "id=2" in text
        for secret in ("at-123", "tt-1", "sk-very-secret", "u:pw", Attempt.objects.get(job=job).token):
            assert secret not in text
        _, looker = staff_with("view_job")
        assert "Provider data" not in page(looker, job)
        _, seer = staff_with("view_job", "view_provider_data")
        assert "Provider data" in page(seer, job)


class TestWhoAndWhat:
    def test_needs_the_right_to_see_jobs(self, staff_with: StaffWith) -> None:
        _, client = staff_with("view_wallet")
        assert client.get(address(make_job())).status_code == 403

    def test_of_a_job_that_is_not_there_leads_back(self, admin: Client) -> None:
        for number in ("999999", "x", "9" * 30, "٣"):
            assert admin.get(f"/admin/queue_app/job/{number}/change/").status_code in (302, 404)

    def test_end_users_are_sent_to_the_log_in(self, client_for: Callable[[User], Client]) -> None:
        assert client_for(UserFactory()).get(address(make_job())).status_code == 302


class TestLive:
    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_answers_204_while_nothing_changed_and_the_board_once_it_did(self, admin: Client) -> None:
        job = make_job(State.COMPLETED)
        (seen,) = re.findall(r'name="seen" value="(\w+)"', page(admin, job))
        htmx = {"HTTP_HX_REQUEST": "true"}
        assert admin.get(address(job), {"seen": seen}, **htmx).status_code == 204
        tickets.refund(job, at=NOON, actor="ana", reason="bad result", amount=1)
        answer = admin.get(address(job), {"seen": seen}, **htmx)
        assert answer.status_code == 200
        text = answer.content.decode()
        assert text.startswith('<div id="board" hx-swap-oob="true">') and "csrfmiddlewaretoken" not in text


def test_its_links_lead_to_lists_that_know_them(admin: Client) -> None:
    job = make_job(State.COMPLETED, batch=BatchFactory())
    for link in set(re.findall(r'href="(/admin/queue_app/[^"#]+)"', page(admin, job))):
        assert admin.get(link).status_code == 200, link


def test_what_is_shown_of_provider_data_ends_at_a_depth():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]

    shown, levels = provider_data.masked(deep), 0
    while isinstance(shown, list):
        shown, levels = shown[0], levels + 1

    assert (shown, levels) == (provider_data.TOO_DEEP, nesting.KEPT_MOST)
