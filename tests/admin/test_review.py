"""Needs attention: the list, the page of one item, and the decisions with their rights, reasons and refusals."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from queue_app import clock, lifecycle
from queue_app.admin import review
from queue_app.lifecycle import Trouble
from queue_app.models import Attempt, AuditEntry, Job, Outcome, ProviderAccount, ReviewItem, State, Wallet
from tests.admin.conftest import StaffWith
from tests.factories import NOON, advance, make_job
from tests.markup import html_of
from tests.providers import wire

pytestmark = pytest.mark.django_db
LIST = "/admin/queue_app/reviewitem/"
A_LOOK = {
    "at": NOON.isoformat(),
    "sure": [],
    "took": None,
    "maybe": [{"id": "video_77", "made": NOON.timestamp() + 5, "prompt": "A <b>heron</b> on the ice", "model": "sora-2"}],
    "none": False,
    "why_not": ["1 of its tasks could be this one."],
    "proof": {"controls": [], "trusted": False, "pages": 2, "rows": 30, "skew": 1800.0},
}
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)">'"""


@pytest.fixture
def vendor(settings) -> Iterator[wire.WireServer]:
    """A vendor that knows every task it is asked for."""
    known = wire.answer(200, {"object": "video", "status": "in_progress"})
    with wire.WireServer(replies=[known]) as server:
        settings.STUDIO_URL = server.url
        settings.TRUSTED_ORIGINS = [server.url]
        yield server


def item_of(job: Job) -> ReviewItem:
    return ReviewItem.objects.get(job=job, closed_at=None)


def page(client: Client, item: ReviewItem) -> str:
    answer = client.get(f"{LIST}{item.pk}/change/")
    assert answer.status_code == 200
    return unescape(html_of(answer))


def decide(client: Client, item: ReviewItem, decision: str, **typed: str) -> str:
    answer = client.post(f"{LIST}{item.pk}/decide/", {"decision": decision, "reason": "they said so", **typed}, follow=True)
    assert answer.status_code == 200
    return unescape(html_of(answer))


def state(job: Job) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


def paid_for_nothing(**fields: Any) -> Job:
    job = make_job(State.STORING, **fields)
    trouble = Trouble("not_delivered", "HTTP 404")
    stored = Job.objects.lock().get(pk=job.pk)
    lifecycle.fail(stored, at=NOON, actor="worker", trouble=trouble, outcome=Outcome.LOST, review="Paid, nothing delivered.")
    return job


class TestList:
    def test_shows_what_is_open_the_longest_wait_first(self, admin: Client) -> None:
        now = clock.now()
        young, old = make_job(State.UNKNOWN, at=now), make_job(State.UNKNOWN, at=now - timedelta(hours=5), tickets=8)
        settled = make_job(State.UNKNOWN, at=now)
        decide(admin, item_of(settled), "again")
        rows = admin.get(LIST).context["cl"].result_list
        assert [row.job_id for row in rows] == [old.pk, young.pk]
        assert [row.job_id for row in admin.get(LIST, {"show": "closed"}).context["cl"].result_list] == [settled.pk]
        assert len(admin.get(LIST, {"show": "all"}).context["cl"].result_list) == 3

    def test_shows_only_what_is_to_be_decided_or_only_what_is_to_be_checked(self, admin: Client) -> None:
        unknown, paid = make_job(State.UNKNOWN), paid_for_nothing()
        for show, found in (("unknown", [unknown]), ("check", [paid]), ("", [unknown, paid])):
            shown = admin.get(LIST, {"show": show} if show else {}).context["cl"].result_list
            assert {row.job_id for row in shown} == {job.pk for job in found}, show

    def test_tells_what_was_sent_when_what_look_ups_found_and_until_when(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN, at=clock.now() - timedelta(hours=5, minutes=1, seconds=30), tickets=8)
        ProviderAccount.objects.update(can_look_up=True)
        Attempt.objects.filter(job=job).update(lookups=[A_LOOK])
        text = unescape(admin.get(LIST).content.decode())
        account = Attempt.objects.get(job=job).account_id
        for words in ("5h 1m ago", f"{account} · ", "checked, no clear match", "in 18h 58m", ">8<"):
            assert words in text, words
        ProviderAccount.objects.update(can_look_up=False)
        assert "this account can't look up tasks" in unescape(admin.get(LIST).content.decode())

    def test_tells_its_jobs_apart(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN, prompt="A heron lands on a frozen lake")
        text = unescape(admin.get(LIST).content.decode())
        assert "A heron lands on a frozen lake" in text and f"sora-2 · {job.owner.username}" in text
        assert 'title="The connection broke after the request was sent."' in text

    def test_shows_what_a_look_up_saw_and_why_it_proves_nothing(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        ProviderAccount.objects.update(can_look_up=True)
        Attempt.objects.filter(job=job).update(lookups=[A_LOOK])
        for text in (page(admin, item_of(job)), unescape(admin.get(f"/admin/queue_app/job/{job.pk}/change/").content.decode())):
            said = (
                "No clear match",
                "30 entries on 2 pages, provider clock 30m ahead",
                "could be this one.",
                "video_77",
                "created 20 Nov, 12:00:05",
            )
            for words in (*said, "A &lt;b&gt;heron" if "&lt;b&gt;heron" in text else "A <b>heron</b> on the ice"):
                assert words in text, words

    def test_says_of_a_task_that_was_found_that_it_was_found_whatever_earlier_look_ups_said(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        looks = [{**A_LOOK, "maybe": [], "why_not": [], "none": True}, {**A_LOOK, "took": "video_77", "maybe": [], "why_not": []}]
        Attempt.objects.filter(job=job).update(lookups=looks, lookups_none=1)
        text = unescape(admin.get(f"/admin/queue_app/job/{job.pk}/change/").content.decode())
        assert "found in the task list" in text and "Found: video_77" in text
        assert "no clear match" not in text and "not found" not in text

    def test_a_look_up_keeps_its_id_when_older_ones_are_dropped(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        looks = [{**A_LOOK, "at": (NOON + timedelta(minutes=minute)).isoformat()} for minute in range(3)]

        def ids(kept: list[dict[str, object]]) -> list[str]:
            Attempt.objects.filter(job=job).update(lookups=kept)
            return re.findall(r'id="(look-[^"]+)"', admin.get(f"/admin/queue_app/job/{job.pk}/change/").content.decode())

        assert len(set(ids(looks))) == 3
        assert ids(looks[1:]) == ids(looks)[:2]

    def test_only_an_unknown_outcome_is_to_be_decided(self, admin: Client) -> None:
        paid_for_nothing()
        text = unescape(admin.get(LIST).content.decode())
        assert "Check…</a>" in text and "Decide…" not in text
        make_job(State.UNKNOWN)
        assert "Decide…</a>" in unescape(admin.get(LIST).content.decode())

    def test_asks_the_same_number_of_queries_however_many(self, admin: Client) -> None:
        def queries() -> int:
            admin.get(LIST)
            with CaptureQueriesContext(connection) as asked:
                admin.get(LIST)
            return len(asked)

        make_job(State.UNKNOWN)
        few = queries()
        for _ in range(5):
            make_job(State.UNKNOWN)
        assert queries() == few <= 15


class TestPage:
    def test_tells_what_is_known_and_three_decisions_with_their_consequences(self, admin: Client) -> None:
        ProviderAccount.objects.update(can_look_up=False)
        job = make_job(State.UNKNOWN, at=clock.now(), tickets=8, prompt="A heron")
        text = page(admin, item_of(job))
        for words in (
            "The connection broke after the request was sent.",
            "A heron",
            "This account can't look up tasks. Check the provider's dashboard.",
            "Use this task",
            "Nothing is sent twice",
            "for attempt 2 of 4. Its 8 tickets stay reserved",
            "It uses a slot until",
            "8 tickets are returned to",
            "up to $2.00",
        ):
            assert words in text, words

    def test_shows_each_look_up_once_at_what_is_known_or_with_the_rest_of_what_was_answered(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        Attempt.objects.filter(job=job).update(lookups=[A_LOOK])
        for can_look_up in (True, False):
            ProviderAccount.objects.update(can_look_up=can_look_up)
            text = page(admin, item_of(job))
            assert text.count("30 entries on 2 pages") == 1, can_look_up
            ids = re.findall(r' id="([^"]+)"', text)
            assert sorted(ids) == sorted(set(ids)), can_look_up

    def test_says_when_another_try_is_not_left(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        job.kind.max_attempts = 1
        job.kind.save()
        text = page(admin, item_of(job))
        assert "It fails: attempt 1 of 1 was the last" in text.replace("<b>", "").replace("</b>", "")
        assert "Requeue job" not in text

    def test_of_an_item_to_look_at_offers_no_decision_and_the_job_page_leads_to_the_one_that_does(self, admin: Client) -> None:
        job = paid_for_nothing()
        looked_at = item_of(job)
        with transaction.atomic():
            lifecycle.queue_again([Job.objects.lock().get(pk=job.pk)], at=NOON, actor="user")
        advance(Job.objects.get(pk=job.pk), State.UNKNOWN, at=clock.now())
        decided = ReviewItem.objects.get(job=job, decide_by__isnull=False)

        assert "Mark as resolved" in page(admin, looked_at) and "Use this task" not in page(admin, looked_at)
        assert "Use this task" in page(admin, decided)
        assert f"{LIST}{decided.pk}/change/" in admin.get(f"/admin/queue_app/job/{job.pk}/change/").content.decode()

    def test_says_when_a_cancel_was_asked(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        lifecycle.cancel([job.pk], at=NOON, actor="user")
        assert "It is cancelled" in page(admin, item_of(job))

    def test_each_decision_is_offered_by_its_own_right(self, staff_with: StaffWith) -> None:
        item = item_of(make_job(State.UNKNOWN))
        operate, force = ("Use this task", "Requeue job"), ("Fail job and return tickets",)
        for rights, there, absent in (
            ((), (), operate + force),
            (("operate_queue",), operate, force),
            (("force_fail_job",), force, operate),
        ):
            _, client = staff_with("view_reviewitem", *rights)
            text = page(client, item)
            assert all(words in text for words in there) and not any(words in text for words in absent), rights

    def test_hostile_text_is_text(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN, prompt=HOSTILE)
        Attempt.objects.filter(job=job).update(error_message=HOSTILE)
        item = item_of(job)
        refused = admin.post(f"{LIST}{item.pk}/decide/", {"decision": "found", "task": HOSTILE, "reason": HOSTILE})
        for answer in (admin.get(f"{LIST}{item.pk}/change/"), refused, admin.get(LIST)):
            assert "<script>alert" not in answer.content.decode() and "<img src=x" not in answer.content.decode()

    def test_request_is_for_those_who_may_see_provider_data(self, staff_with: StaffWith) -> None:
        item = item_of(make_job(State.UNKNOWN))
        _, looker = staff_with("view_reviewitem")
        assert "Provider data" not in page(looker, item)
        _, seer = staff_with("view_reviewitem", "view_provider_data")
        assert '"size": "1280x720"' in page(seer, item)

    def test_of_what_is_not_there(self, admin: Client) -> None:
        for number in ("999999", "x", "9" * 30, "٣"):
            assert admin.get(f"{LIST}{number}/change/").status_code in (302, 404)
        assert admin.post(f"{LIST}999999/decide/", {"decision": "again", "reason": "x"}).status_code == 404


class TestDecisions:
    @pytest.mark.usefixtures("vendor")
    def test_found_takes_the_task_up(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        text = decide(admin, item_of(job), "found", task="video_found")
        assert "continues with task video_found" in text and state(job) == "running"
        assert AuditEntry.objects.get().action == "link provider task"

    def test_again_queues_it(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        assert "back in the queue for another attempt" in decide(admin, item_of(job), "again")
        assert state(job) == "queued"

    def test_giving_up_fails_it_with_tickets_back(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        assert "failed, tickets returned" in decide(admin, item_of(job), "give_up")
        assert state(job) == "failed" and Wallet.objects.get(owner=job.owner).reserved == 0
        assert job.events.latest("seq").actor == "ana"

    def test_refused_keeps_what_was_typed(self, admin: Client) -> None:
        make_job(State.RUNNING, remote_id="video_taken")
        job = make_job(State.UNKNOWN)
        text = decide(admin, item_of(job), "found", task="video_taken", reason="same prompt")
        assert "Not saved." in text and "already belongs to job" in text
        assert 'value="video_taken"' in text and 'value="same prompt"' in text
        assert state(job) == "unknown" and not AuditEntry.objects.exists()

    def test_without_a_reason_is_refused(self, admin: Client) -> None:
        for decision in ("found", "again", "give_up"):
            job = make_job(State.UNKNOWN)
            text = decide(admin, item_of(job), decision, task="video_9", reason="  ")
            assert "Enter a reason" in text and 'value="video_9"' in text and state(job) == "unknown"

    @pytest.mark.parametrize("decision", ["found", "again", "give_up", "close"])
    @pytest.mark.usefixtures("vendor")
    def test_of_what_was_settled_meanwhile_is_refused(self, admin: Client, decision: str) -> None:
        job = make_job(State.UNKNOWN)
        item = item_of(job)
        decide(admin, item, "found", task="video_found")
        text = decide(admin, item, decision, task="video_2")
        assert f"ana already resolved this. Job {job.pk} is now running" in text
        assert state(job) == "running" and AuditEntry.objects.count() == 1

    def test_an_unknown_outcome_of_a_later_attempt_is_another_item(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        first = item_of(job)
        decide(admin, first, "again")
        advance(Job.objects.get(pk=job.pk), State.UNKNOWN, at=NOON)
        assert "already resolved this" in decide(admin, first, "give_up") and state(job) == "unknown"

    @pytest.mark.parametrize(
        ("decision", "right"),
        [("found", "force_fail_job"), ("again", "force_fail_job"), ("close", "force_fail_job"), ("give_up", "operate_queue")],
    )
    def test_need_their_own_right(self, staff_with: StaffWith, decision: str, right: str) -> None:
        job = make_job(State.UNKNOWN)
        _, client = staff_with("view_reviewitem", right)
        asked = {"decision": decision, "reason": "x", "task": "video_1"}
        assert client.post(f"{LIST}{item_of(job).pk}/decide/", asked).status_code == 403
        assert state(job) == "unknown"

    def test_come_by_post_alone_and_with_a_token(self, admin: Client) -> None:
        item = item_of(make_job(State.UNKNOWN))
        assert admin.get(f"{LIST}{item.pk}/decide/", {"decision": "again", "reason": "x"}).status_code == 405
        strict = Client(enforce_csrf_checks=True)
        strict.cookies = admin.cookies
        assert strict.post(f"{LIST}{item.pk}/decide/", {"decision": "again", "reason": "x"}).status_code == 403

    def test_of_no_name_is_refused(self, admin: Client) -> None:
        item = item_of(make_job(State.UNKNOWN))
        assert admin.post(f"{LIST}{item.pk}/decide/", {"decision": "nothing", "reason": "x"}).status_code == 403


class TestPaidForNothing:
    def test_is_closed_with_a_reason_and_offers_a_retry(self, admin: Client) -> None:
        job = paid_for_nothing()
        item = item_of(job)
        text = page(admin, item)
        assert "Paid, nothing delivered." in text and "Mark as resolved" in text and "Use this task" not in text
        assert 'name="verb" value="retry"' in text and 'value="refund"' not in text
        assert "is unchanged" in decide(admin, item, "close", reason="credited")
        assert state(job) == "failed" and not ReviewItem.objects.filter(closed_at=None).exists()
        assert job.events.latest("seq").reason == "Checked: credited"

    def test_an_unknown_outcome_cannot_be_closed_like_that(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        assert "Decide on it first" in decide(admin, item_of(job), "close") and item_of(job)


class TestSelection:
    SETTLE = f"{LIST}settle/"

    def choose(self, client: Client, action: str, *items: ReviewItem, **fields: str) -> str:
        """Choose items in the list and press a button of the bar; gives the page that follows."""
        asked = {"action": action, "_selected_action": [item.pk for item in items], **fields}
        return unescape(html_of(client.post(LIST, asked, follow=True)))

    def settle(
        self, client: Client, decision: str, *items: ReviewItem, reason: str = "not in their console", query: str = ""
    ) -> Any:
        chosen = ",".join(str(item.pk) for item in items)
        return client.post(self.SETTLE, {"decision": decision, "items": chosen, "reason": reason, "query": query}, follow=True)

    def test_first_says_what_it_leads_to_and_asks_for_one_reason(self, admin: Client) -> None:
        jobs = [make_job(State.UNKNOWN, tickets=8), make_job(State.UNKNOWN, tickets=8)]
        items = [*map(item_of, jobs), item_of(paid_for_nothing())]
        text = self.choose(admin, "queue_again", *items)
        for words in (
            "Requeue 2 jobs?",
            "The provider never accepted these jobs. Nothing changes until you confirm.",
            "back in the queue for another attempt",
            "openai_videos 2",
            "16 tickets",
            "unchanged",
            "$4.00",
            f'name="items" value="{",".join(str(item.pk) for item in items)}"',
        ):
            assert words in text, words
        assert "Stop waiting for the provider." in self.choose(admin, "give_up", *items)
        assert {state(job) for job in jobs} == {"unknown"}

    @pytest.mark.parametrize(("decision", "comes_to"), [("queue_again", "queued"), ("give_up", "failed")])
    def test_then_does_it_with_an_audit_entry_each(self, admin: Client, decision: str, comes_to: str) -> None:
        jobs = [make_job(State.UNKNOWN), make_job(State.UNKNOWN)]
        answer = self.settle(admin, decision, *map(item_of, jobs), query="show=unknown")
        assert answer.redirect_chain == [(f"{LIST}?show=unknown", 302)]
        assert "2 jobs" in answer.content.decode() and {state(job) for job in jobs} == {comes_to}
        assert [entry.reason for entry in AuditEntry.objects.all()] == ["not in their console"] * 2
        assert Wallet.objects.get(owner=jobs[0].owner).reserved == (4 if comes_to == "queued" else 0)

    def test_without_a_reason_nothing_changes_and_the_page_asks_again(self, admin: Client) -> None:
        job = make_job(State.UNKNOWN)
        text = unescape(html_of(self.settle(admin, "give_up", item_of(job), reason="  ")))
        assert "Fail 1 job?" in text and 'role="alert">Enter a reason' in text
        assert state(job) == "unknown" and not AuditEntry.objects.exists()

    def test_what_was_settled_meanwhile_is_left_and_said(self, admin: Client) -> None:
        jobs = [make_job(State.UNKNOWN), make_job(State.UNKNOWN)]
        items = list(map(item_of, jobs))
        decide(admin, items[0], "again")
        advance(Job.objects.get(pk=jobs[0].pk), State.UNKNOWN, at=clock.now())  # unknown again, by another attempt and item
        text = unescape(self.settle(admin, "give_up", *items).content.decode())
        assert "1 job failed, tickets returned." in text and "They were not changed." in text
        assert [state(job) for job in jobs] == ["unknown", "failed"]

    def test_all_that_match_are_chosen_with_one_click_and_only_those(
        self, admin: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(review.ReviewItemAdmin, "list_per_page", 2)
        jobs = [make_job(State.UNKNOWN) for _ in range(3)]
        paid_for_nothing()
        shown = f"{LIST}?show=unknown"
        assert "Select all 3 matching items" in admin.get(shown).content.decode()
        asked = {"action": "queue_again", "_selected_action": [item_of(jobs[0]).pk], "select_across": "1"}
        text = unescape(html_of(admin.post(shown, asked)))
        items = ",".join(str(item_of(job).pk) for job in jobs)
        for words in ("Requeue 3 jobs?", f'name="items" value="{items}"', 'name="query" value="show=unknown"'):
            assert words in text, words
        monkeypatch.setattr(review, "MOST", 2)
        assert "The first 2 only." in html_of(admin.post(shown, asked))

    def test_needs_the_right_of_the_decision(self, staff_with: StaffWith) -> None:
        job = make_job(State.UNKNOWN)
        for decision, right in (("queue_again", "force_fail_job"), ("give_up", "operate_queue"), ("nothing", "operate_queue")):
            _, client = staff_with("view_reviewitem", right)
            self.choose(client, decision, item_of(job))
            assert self.settle(client, decision, item_of(job)).status_code == 403
            assert state(job) == "unknown"
        assert client.get(self.SETTLE).status_code == 405
