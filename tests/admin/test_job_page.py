"""The page of one job: a button for every legal verb and none for others, all that is known, and nothing secret."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from queue_app import clock, lifecycle, tickets
from queue_app.admin import provider_data
from queue_app.lifecycle import MOVES
from queue_app.models import Attempt, Job, ModelConcurrencyLimit, ProviderAccount, QueueSettings, State, User
from queue_app.models.job import OPEN_STATES, TERMINAL_STATES
from queue_app.rules import nesting
from queue_app.work import policy
from tests.admin.conftest import StaffWith
from tests.factories import NOON, BatchFactory, UserFactory, advance, make_job
from tests.markup import html_of
from tests.pipelines import LEAFLET, NAMES, PIPELINES, call, finished

pytestmark = pytest.mark.django_db
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)">' {{ 7|add:7 }}"""
ALL_RIGHTS = ("view_job", "operate_queue", "force_fail_job", "move_tickets")


def address(job: Job) -> str:
    return f"/admin/queue_app/job/{job.pk}/change/"


def page(client: Client, job: Job, **asked: str) -> str:
    answer = client.get(address(job), asked)
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
        make_job()  # ahead of a queued one
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
        make_job()
        assert buttons(client, make_job()) == verbs

    def test_to_the_front_is_offered_only_where_it_moves_the_job(self, admin: Client) -> None:
        first, second, urgent = make_job(), make_job(), make_job(priority=20)
        make_job(model_id="kling-1.6")
        offered = {job: "move_to_front" in buttons(admin, job) for job in (first, second, urgent)}
        assert offered == {first: False, second: True, urgent: False}

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
        for words in ("Position 4", "Model sora-2", "a slot frees up", "Whole queue", "not blocking", "jobs ahead."):
            assert words in text, words
        around = admin.get(address(plain[2])).context["neighbours"]
        assert [(near["place"], near["job"]) for near in around] == list(enumerate(plain, 2))
        around = admin.get(address(plain[0])).context["neighbours"]
        assert [near["job"] for near in around] == [urgent, *plain[:3]]

    def test_is_called_by_its_combination_and_without_one_by_its_prompt(self, admin: Client) -> None:
        job = make_job(prompt="Style: UGC. Mood: calm.", label="UGC · Calm", batch=BatchFactory(name="Winter"))
        text = page(admin, job)
        assert "<h1><bdi>UGC · Calm</bdi></h1>" in text
        assert 'Style: <b class="gq-differs">UGC</b>. Mood: <b class="gq-differs">calm</b>.' in text
        text = page(admin, make_job(prompt=f"A heron\n{'lands ' * 40}"))
        assert re.search(r"<h1><bdi>A heron lands .{60,70}…</bdi></h1>", text) and "Bold:" not in text

    def test_a_way_to_a_neighbour_and_to_the_changes_keeps_the_lists_filters(self, admin: Client) -> None:
        job, other = make_job(), make_job()
        policy.audit("cancel jobs", str(job), at=NOON, actor=None, of=job)
        text = page(admin, job, _changelist_filters="status=queued&p=2")
        kept = "?_changelist_filters=status%3Dqueued%26p%3D2"
        assert f'href="/admin/queue_app/job/{other.pk}/change/{kept}"' in text
        assert f'href="/admin/queue_app/job/{job.pk}/history/{kept}"' in text
        history = html_of(admin.get(f"/admin/queue_app/job/{job.pk}/history/{kept}"))
        assert 'href="/admin/queue_app/job/?status=queued&amp;p=2"' in history

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


class TestWhatHoldsIt:
    def test_a_pause_names_who_when_why_and_what_happens_then(self, admin: Client) -> None:
        operator = UserFactory(staff=True, username="operator")
        pause("sora-2", by=operator, reason="client moved the shoot")
        make_job()
        text = page(admin, make_job())
        assert "On hold</span>" in text and "No estimate" not in text
        said = re.search(r'<p class="gq-lead"><b>(.+?)</b><bdi>(.+?)</bdi>', text)
        assert said and said[1] == "sora-2 is paused."
        assert said[2].startswith("operator paused it at ") and said[2].endswith(
            ": “client moved the shoot”. This job keeps position 2 of 2 and starts in its turn once sora-2 resumes."
        )

    @pytest.mark.parametrize("what", ["queue", "model", "account", "batch"])
    def test_a_pause_comes_first_leads_to_where_it_is_changed_and_is_ended_here(self, admin: Client, what: str) -> None:
        batch = BatchFactory(name="Winter")
        job = make_job(batch=batch)
        account, at = Attempt.objects.get(job=make_job(State.RUNNING)).account, clock.now()
        rows = {"queue": QueueSettings.objects.current(), "model": job.model.limit, "account": account}
        if what == "batch":
            policy.pause_batch(batch, at=at, actor=None, reason="wrong brand")
        else:
            policy.change(rows[what], at=at, actor=None, paused=True, paused_reason="wrong brand")
        key = {"queue": "", "model": "sora-2", "account": account.pk, "batch": str(batch.pk)}[what]
        shown = admin.get(address(job), {"_changelist_filters": "status=queued"})
        first = shown.context["holds"][0]
        assert (first.hold.key, first.hold.why) == ((what, key), "wrong brand")
        there = html_of(admin.get(first.url))
        assert 'action="/admin/resume/"' in there  # it is ended there too
        remedy, back = shown.context["way_out"], f"{address(job)}?_changelist_filters=status%3Dqueued"
        answer = admin.post(remedy.address, {"hold": remedy.hold, "next": back})
        assert (answer.status_code, answer.headers["Location"]) == (302, back)
        text = page(admin, job)
        assert "is paused" not in text and "Resume" not in text and " resumed. Waiting jobs kept their position." in text

    def test_a_cooldown_is_ended_here(self, admin: Client) -> None:
        ProviderAccount.objects.update(cooldown_until=clock.now() + timedelta(minutes=5))
        job = make_job()
        remedy = admin.get(address(job)).context["way_out"]
        assert remedy.words == "End cooldown"
        admin.post(remedy.address, {"hold": remedy.hold, "next": address(job)})
        assert admin.get(address(job)).context["way_out"] is None

    def test_without_the_rights_it_is_only_told(self, staff_with: StaffWith) -> None:
        pause("sora-2", by=None, reason="quality check")
        _, looker = staff_with("view_job")
        shown = looker.get(address(make_job()))
        assert shown.context["way_out"] is None and {(one.url, one.change) for one in shown.context["holds"]} == {("", "")}
        assert "quality check" in shown.content.decode()
        assert looker.post("/admin/resume/", {"hold": "model:sora-2"}).status_code == 403

    @pytest.mark.parametrize("hold", ["model:vhs-1", "batch:999999", "batch:x", "kind:video", "", "long:"])
    def test_what_is_not_there_is_not_resumed(self, admin: Client, hold: str) -> None:
        assert admin.post("/admin/resume/", {"hold": hold}).status_code == 404

    def test_the_way_back_leads_to_a_page_of_ours(self, admin: Client) -> None:
        pause("sora-2", by=None, reason="")
        answer = admin.post("/admin/resume/", {"hold": "model:sora-2", "next": "https://evil.example/"})
        assert answer.headers["Location"] == "/admin/"

    def test_a_full_limit_leads_to_its_page_and_has_no_button(self, admin: Client) -> None:
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=1)
        make_job(State.RUNNING)
        shown = admin.get(address(make_job()))
        first = shown.context["holds"][0]
        assert first.hold.is_cause and first.remedy is None and shown.context["way_out"] is None
        assert first.change == "/admin/queue_app/modelconcurrencylimit/sora-2/change/"


def pause(model: str, *, by: User | None, reason: str) -> None:
    limit = ModelConcurrencyLimit.objects.get(pk=model)
    policy.change(limit, at=clock.now(), actor=by, reason=reason, paused=True, paused_reason=reason)


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


class TestAJobInSteps:
    @pytest.fixture
    def job(self, settings) -> Job:
        settings.PIPELINES = PIPELINES
        job = make_job("running", model_id="page-writer", parameters={}, metadata=LEAFLET | {"skip_quality_check": True})
        finished(job, *NAMES[:2], seconds=1.25)
        call(job, "hero", 1, "abandoned", error_message="The connection broke.")
        call(job, "hero", 2, "delivered", cost=Decimal("0.0012"), at=NOON + timedelta(seconds=1))
        call(job, "body", 1, None, at=NOON + timedelta(seconds=2))
        return job

    def test_shows_its_stages(self, admin: Client, job: Job) -> None:
        shown = admin.get(address(job)).context["stages"]
        assert [one["name"] for one in shown][1:5] == ["Context", "Components", "Assembly", "Quality"]
        assert [one["class"] for one in shown] == ["done", "done", "now", *["todo"] * 4]
        assert (shown[0]["time"], shown[4]["time"]) == ("1.2s", "skipped")

    def test_shows_each_call_with_its_outcome_and_what_may_be_billed_without_a_result(self, admin: Client, job: Job) -> None:
        calls = admin.get(address(job)).context["calls"]
        told = [(one["step"], one["number"], one["may_be_billed"], one["cost"]) for one in calls]
        assert told == [("hero", 1, True, "–"), ("hero", 2, False, "$0.0012"), ("body", 1, False, "–")]
        text = page(admin, job)
        assert text.count("may be billed</span>") == 1 and "The connection broke." in text
        assert "Each of its calls is written from the stages before it." in text
        assert [one["number"] for one in admin.get(address(job)).context["attempts"]] == [1]

    def test_shows_its_stages_to_its_owner_too(self, client_for: Callable[[User], Client], job: Job) -> None:
        text = unescape(html_of(client_for(job.owner).get(f"/jobs/{job.pk}/")))
        assert "Components</b>" in text and "skipped" in text and "may be billed" not in text


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
