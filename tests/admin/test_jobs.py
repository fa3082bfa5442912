"""The job list: what it shows, what it costs, and what its actions do after their preview."""

from html import unescape

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from queue_app.models import AuditEntry, Job, ModelConcurrencyLimit, State, Wallet
from queue_app.work import policy
from tests.admin.conftest import StaffWith
from tests.factories import NOON, BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
LIST = "/admin/queue_app/job/"
HOSTILE = """<script>alert(1)</script><img src=x onerror="alert(2)">' {{ 7|add:7 }}"""


def act(client: Client, action: str, *jobs: Job, **fields: str) -> str:
    """Choose jobs in the list and press an action's button; gives the page that follows."""
    asked = {"action": action, "_selected_action": [job.pk for job in jobs], **fields}
    return unescape(client.post(LIST, asked, follow=True).content.decode())


def confirm(client: Client, action: str, *jobs: Job, **fields: str) -> str:
    ids = ",".join(str(job.pk) for job in jobs)
    return act(client, action, jobs[0], ids=ids, confirm="1", **fields)


def state(job: Job) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


class TestList:
    def test_shows_number_prompt_model_state_place_owner_and_tickets(self, admin: Client) -> None:
        make_job(prompt="A heron lands on a frozen lake", batch=BatchFactory(name="Winter"), priority=10, tickets=8)
        page = unescape(admin.get(LIST).content.decode())
        for words in ("A heron lands", "sora-2 · Winter", "Queued", "no. 1", "High", ">8<"):
            assert words in page, words

    def test_says_in_numbers_what_holds_a_queued_job(self, admin: Client) -> None:
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=1)
        make_job(State.RUNNING)
        make_job()
        assert "sora-2 1 of 1" in admin.get(LIST, {"status": "queued"}).content.decode()

    def test_a_pause_is_told_with_its_reason(self, admin: Client) -> None:
        limit = ModelConcurrencyLimit.objects.get(pk="sora-2")
        policy.change(limit, at=NOON, actor=None, paused=True, paused_reason="quality check")
        make_job()
        assert "sora-2: quality check" in admin.get(LIST).content.decode()

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
            ({"level": "raised"}, State.COMPLETED),
        ],
    )
    def test_filters_and_finds(self, admin: Client, asked: dict[str, str], found: State) -> None:
        make_job(prompt="A heron on the ice")
        make_job(State.RUNNING)
        make_job(State.FAILED)
        make_job(State.COMPLETED, priority=20)
        if found == State.UNKNOWN:
            make_job(State.UNKNOWN)
        rows = admin.get(LIST, asked).context["cl"].result_list
        assert [row.state for row in rows] == [found]

    def test_finds_a_job_by_its_number(self, admin: Client) -> None:
        make_job(prompt="7 dwarfs")
        job = make_job()
        assert list(admin.get(LIST, {"q": str(job.pk)}).context["cl"].result_list) == [job]

    def test_a_saved_view_counts_the_jobs_that_it_lists(self, admin: Client) -> None:
        for one in (State.QUEUED, State.QUEUED, State.RUNNING, State.UNKNOWN):
            make_job(one)
        for view in admin.get(LIST).context["views"]:
            listed = admin.get(f"{LIST}?{view['query']}").context["cl"].result_count
            assert view["count"] in (None, listed), view

    def test_a_hostile_prompt_is_text(self, admin: Client) -> None:
        job = make_job(State.FAILED, prompt=HOSTILE, batch=BatchFactory(name=HOSTILE))
        preview = admin.post(LIST, {"action": "cancel", "_selected_action": [job.pk]})
        for page in (admin.get(LIST), admin.get(f"{LIST}{job.pk}/change/"), preview):
            text = page.content.decode()
            assert "&lt;script&gt;alert(1)" in text and "7|add:7" in text
            assert "<script>alert" not in text and "<img src=x" not in text


class TestCancel:
    def test_first_says_what_will_happen_and_changes_nothing(self, admin: Client) -> None:
        jobs = [make_job(one, tickets=4) for one in (State.QUEUED, State.QUEUED, State.RUNNING, State.UNKNOWN, State.COMPLETED)]
        page = act(admin, "cancel", *jobs)
        for words in (
            "Cancel 5 jobs?",
            "Nothing has happened yet",
            "8 tickets go back at once",
            "to 2 wallets",
            "up to 8 more",
            "USD 4.00",
            "Cancel 4 jobs",
            "0 are being stored, 0 asked before, 1 ended",
        ):
            assert words in page, words
        assert [state(job) for job in jobs] == ["queued", "queued", "running", "unknown", "completed"]

    def test_then_does_it_through_the_verb_and_reports_each_verdict(self, admin: Client) -> None:
        queued, running, done = make_job(tickets=4), make_job(State.RUNNING), make_job(State.COMPLETED)
        page = confirm(admin, "cancel", queued, running, done, reason="wrong brief")
        assert f"Job {queued.pk} cancelled." in page
        assert f"Job {running.pk} asked to stop at the provider." in page
        assert f"Job {done.pk} too late" in page
        assert [state(job) for job in (queued, running, done)] == ["cancelled", "cancelling", "completed"]
        event = Job.objects.get(pk=queued.pk).events.latest("seq")
        assert (event.actor, event.reason) == ("ana", "wrong brief")
        assert Wallet.objects.get(owner=queued.owner).reserved == 0

    def test_is_audited_with_its_reason(self, admin: Client) -> None:
        job = make_job()
        confirm(admin, "cancel", job, reason="wrong brief")
        entry = AuditEntry.objects.get()
        assert (entry.actor_name, entry.action, entry.reason) == ("ana", "cancel jobs", "wrong brief")
        assert entry.after == {"jobs": [job.pk]}

    def test_confirms_the_jobs_of_the_preview_however_many(self, admin: Client) -> None:
        """More than 1,000 fields would be refused by Django: the preview sends all numbers in one."""
        job = make_job()
        ids = ",".join(str(number) for number in [*range(job.pk + 1, job.pk + 3_000), job.pk])
        act(admin, "cancel", job, ids=ids, confirm="1")
        assert state(job) == "cancelled"

    def test_what_is_no_number_among_them_is_passed_over(self, admin: Client) -> None:
        job = make_job()
        act(admin, "cancel", job, ids=f"x,{'9' * 40},,-1,٣,{job.pk}", confirm="1", reason="a\x00b")
        assert state(job) == "cancelled"

    def test_needs_the_right_to_operate_the_queue(self, staff_with: StaffWith) -> None:
        job = make_job()
        _, looker = staff_with("view_job")
        confirm(looker, "cancel", job)
        assert state(job) == "queued"
        assert "Cancel…" not in looker.get(f"{LIST}{job.pk}/change/").content.decode()
        _, operator = staff_with("view_job", "operate_queue")
        assert "Cancel…" in operator.get(f"{LIST}{job.pk}/change/").content.decode()
        confirm(operator, "cancel", job)
        assert state(job) == "cancelled"


class TestRetry:
    def test_first_says_what_it_takes_at_todays_price(self, admin: Client) -> None:
        jobs = [make_job(State.FAILED, parameters={"duration": 8, "aspect_ratio": "16:9"}), make_job()]
        page = act(admin, "retry", *jobs)
        for words in ("Retry 2 jobs?", "8 tickets are reserved again</b> from 1 wallet", "Retry 1 job", "left as they are"):
            assert words in page, words
        assert state(jobs[0]) == "failed"

    def test_warns_of_a_wallet_that_does_not_hold_enough(self, admin: Client) -> None:
        owner = UserFactory(tickets=4, username="poor")
        job = make_job(State.FAILED, owner=owner, tickets=4, parameters={"duration": 8, "aspect_ratio": "16:9"})
        assert "poor has 4 of 8" in act(admin, "retry", job)

    def test_then_queues_again_and_reports_each_refusal(self, admin: Client) -> None:
        failed, queued = make_job(State.FAILED), make_job()
        page = confirm(admin, "retry", failed, queued)
        assert f"Job {failed.pk} queued again." in page
        assert f"Job {queued.pk} not retried" in page
        assert state(failed) == "queued"

    def test_without_tickets_is_refused_in_words(self, admin: Client) -> None:
        owner = UserFactory(tickets=4)
        job = make_job(State.FAILED, owner=owner, tickets=4, parameters={"duration": 8, "aspect_ratio": "16:9"})
        assert "tickets" in confirm(admin, "retry", job)
        assert state(job) == "failed"


class TestJobPage:
    @pytest.mark.parametrize("at", list(State))
    def test_opens_in_every_state(self, admin: Client, at: State) -> None:
        job = make_job(at, batch=BatchFactory())
        page = admin.get(f"{LIST}{job.pk}/change/")
        assert page.status_code == 200
        assert at.label.capitalize() in page.content.decode()

    def test_says_place_reason_and_every_limit(self, admin: Client) -> None:
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=1)
        make_job(State.RUNNING)
        make_job()
        page = unescape(admin.get(f"{LIST}{make_job().pk}/change/").content.decode())
        for words in ("Position 2", "Model sora-2", "a slot is free", "Whole queue", "does not hold it", "1 job is ahead"):
            assert words in page, words

    def test_tells_the_history_and_the_money(self, admin: Client) -> None:
        job = make_job(State.COMPLETED, tickets=8)
        page = admin.get(f"{LIST}{job.pk}/change/").content.decode()
        events = [event["what"] for event in admin.get(f"{LIST}{job.pk}/change/").context["events"]]
        assert [what.partition(",")[0] for what in events] == ["Completed", "Storing", "Running", "Submitting", "Queued"]
        assert "<dt>Captured</dt><dd>8 tickets</dd>" in page and "<dt>Reserved now</dt><dd>0 tickets</dd>" in page

    def test_asks_a_person_where_one_must_decide(self, admin: Client) -> None:
        page = admin.get(f"{LIST}{make_job(State.UNKNOWN).pk}/change/").content.decode()
        assert "Needs a person." in page and "ends by itself" in page

    def test_of_a_job_that_is_not_there_leads_back(self, admin: Client) -> None:
        for number in ("999999", "x", "9" * 30):
            assert admin.get(f"{LIST}{number}/change/").status_code in (302, 404)
