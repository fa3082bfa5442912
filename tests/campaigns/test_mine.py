"""My jobs: all jobs of a user, where each stands, and what to do about it."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns.rules import paging
from queue_app import clock, lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import HeldFor, Job, ModelConcurrencyLimit, State, User
from queue_app.work import holds
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.campaigns.test_page import HTMX, look, text_of, with_pictures
from tests.factories import NOON, UserFactory, make_job
from tests.markup import html_of

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
JOBS = "/jobs/"
QUERIES_MOST = 26


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=10_000)


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


def rows(html: str) -> list[str]:
    """What each row says."""
    return [text_of(row) for row in re.findall(r'<tr id="mine-.*?</tr>', html, re.DOTALL)]


class TestWhatItSays:
    def test_each_job_has_its_standing_and_one_thing_to_do(self, web: Client, owner: User) -> None:
        campaign = make_campaign(
            owner, {"aesthetic": ["ugc", "cinematic", "minimalist"], "mood": ["energetic", "calm"]}, name="Door"
        )
        running, done, failed, cancelled, unknown, _ = jobs_of(campaign)
        bring(running, State.RUNNING)
        Job.objects.filter(pk=running.pk).update(progress=0.92)
        with_pictures(done)
        bring(failed, State.RUNNING)
        refused(failed)
        lifecycle.cancel([cancelled.pk], at=NOON, actor="operator", reason="moved")
        bring(unknown, State.UNKNOWN)
        said = rows(look(web, JOBS))
        assert len(said) == 6
        assert re.match(r"UGC · Energetic Door · sora-2 · [\d,]+ Running 92% 92%, .* left .* Cancel…$", said[0])
        assert re.match(
            r"Minimalist · Energetic Door .* Outcome unknown not confirmed yet charged only if delivered .* Details$", said[1]
        )
        assert re.match(r"Minimalist · Calm Door .* Queued position 1 about .* left 4 .* Cancel…$", said[2])
        assert re.match(r"Cinematic · Calm .* Cancelled by operator 4 tickets returned 0 .* Run again…$", said[3])
        assert re.match(
            r"Cinematic · Energetic .* Failed It shows a real person. Edit the prompt and generate again\. .* Edit and retry…$",
            said[4],
        )
        assert re.match(r"UGC · Calm .* Completed took 30s not reviewed 4 .* Watch$", said[5])

    def test_a_quick_job_is_called_by_its_prompt_and_retried_as_it_is(self, web: Client, owner: User) -> None:
        job = make_job(State.FAILED, owner=owner, prompt="A kite over the sea.")
        html = look(web, JOBS)
        (said,) = rows(html)
        assert re.match(
            r"A kite over the sea\. Quick · sora-2 · .* Failed It broke\. Temporary problem\. Retry it\. .* Retry…$", said
        )
        assert f'href="/jobs/{job.pk}/retry/"' in html

    def test_what_a_pause_stops_is_on_hold_and_comes_after_what_may_start(self, web: Client, owner: User) -> None:
        held, free = make_job(owner=owner, priority=9), make_job(owner=owner, model_id="sora-2-pro")
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(paused=True)
        html = look(web, JOBS)
        assert re.findall(r'<tr id="mine-(\d+)"', html) == [str(free.pk), str(held.pk)]
        assert "On hold sora-2 paused keeps position 1" in rows(html)[1]
        assert re.search(r"All 2 Running 0 Queued 1 On hold 1 Completed 0", text_of(html))
        assert rows(look(web, f"{JOBS}?tab=on_hold"))[0] == rows(html)[1]

    def test_jobs_of_others_are_not_there_even_for_staff(self, client_for: Login, owner: User) -> None:
        make_job(owner=owner, prompt="My own fox.")
        assert "No jobs yet" in text_of(look(client_for(UserFactory(staff=True)), JOBS))


class TestFinding:
    def test_by_combination_campaign_prompt_or_number(self, web: Client, owner: User) -> None:
        make_campaign(owner, name="Winter door")
        fox = make_job(owner=owner, prompt="My own fox runs.")
        for words, found in (
            ("ugc", 2),
            ("ugc calm", 1),
            ("winter cinematic", 2),
            ("Winter", 4),
            ("fox", 1),
            (f"{fox.pk:,}", 1),
            ("heron", 0),
        ):
            html = look(web, f"{JOBS}?search={words}")
            assert len(rows(html)) == found, words
        assert "No jobs match" in html

    def test_the_filters_go_together_and_tabs_count_under_them(self, web: Client, owner: User) -> None:
        first, second = make_campaign(owner, name="First"), make_campaign(owner, name="Second")
        bring(jobs_of(first)[0], State.COMPLETED)
        make_job(State.COMPLETED, owner=owner, model_id="sora-2-pro")
        assert len(rows(look(web, f"{JOBS}?campaign={first.pk}&tab=completed"))) == 1
        assert len(rows(look(web, f"{JOBS}?model=sora-2-pro"))) == 1
        said = text_of(look(web, f"{JOBS}?campaign={second.pk}"))
        assert "All 4 Running 0 Queued 4" in said and "Campaign: Second" in said
        Job.objects.filter(batch=first.pk).update(queued_at=clock.now() - timedelta(days=3))
        Job.objects.filter(batch=second.pk).update(queued_at=clock.now())
        assert len(rows(look(web, f"{JOBS}?since=day"))) == 4
        assert len(rows(look(web, f"{JOBS}?tab=nonsense&since=ever&campaign=x"))) == 9

    def test_comes_in_pages_with_each_job_once(self, web: Client, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(paging, "A_PAGE", 4)
        campaign = make_campaign(
            owner, {"aesthetic": ["ugc", "cinematic", "minimalist"], "mood": ["energetic", "calm", "wholesome"]}
        )
        jobs = jobs_of(campaign)
        for job in jobs[:6]:
            bring(job, State.COMPLETED)
        bring(jobs[8], State.RUNNING)
        pages = [re.findall(r'<tr id="mine-(\d+)"', look(web, f"{JOBS}?page={number}")) for number in (1, 2, 3)]
        wanted = [jobs[8], jobs[6], jobs[7], *reversed(jobs[:6])]
        assert [pk for page in pages for pk in page] == [str(job.pk) for job in wanted]
        assert list(map(len, pages)) == [4, 4, 1]


class TestRenewal:
    @pytest.mark.usefixtures("time_stands_still")  # what is seen names spans of seconds
    def test_htmx_gets_what_changed_under_the_same_filters(self, web: Client, owner: User) -> None:
        job = make_job(owner=owner)
        address = f"{JOBS}?tab=queued"
        assert f'hx-get="{JOBS}?tab=queued"' in look(web, address)
        fragment = html_of(web.get(address, headers=HTMX))
        assert "<html" not in fragment and fragment.count('hx-swap-oob="true"') == 3
        found = re.search(r'name="seen" value="(\w+)"', fragment)
        assert found
        assert web.get(address, {"tab": "queued", "seen": found[1]}, headers=HTMX).status_code == 204
        lifecycle.cancel([job.pk], at=NOON, actor="user")
        assert web.get(address, {"tab": "queued", "seen": found[1]}, headers=HTMX).status_code == 200

    def test_more_jobs_take_no_more_queries(self, web: Client, owner: User) -> None:
        counts = []
        for _ in range(2):
            campaign = make_campaign(owner)
            for job, state in zip(jobs_of(campaign), (State.COMPLETED, State.RUNNING, State.FAILED), strict=False):
                bring(job, state)
            lifecycle.cancel([make_job(owner=owner).pk], at=NOON, actor="user")
            look(web, JOBS)
            with CaptureQueriesContext(connection) as queries:
                look(web, JOBS)
            counts.append(len(queries))
        assert counts[0] == counts[1] <= QUERIES_MOST


@transaction.atomic
def refused(job: Job) -> None:
    """The provider rejects the prompt of a running job."""
    locked = Job.objects.select_related("model", "kind", "batch").get(pk=job.pk)
    lifecycle.fail(locked, at=NOON, actor="poller", trouble=Trouble("rejected", "It shows a real person."))


class TestOrder:
    def test_a_row_offers_to_move_before_ones_others_where_one_is_ahead(self, web: Client, owner: User) -> None:
        first, second = make_job(owner=owner), make_job(owner=owner)
        make_job(owner=UserFactory())
        html = look(web, JOBS)
        assert f'formaction="/jobs/{second.pk}/order/"' in html
        assert f'formaction="/jobs/{first.pk}/order/"' not in html
        answer = web.post(f"/jobs/{second.pk}/order/", {"to": "first", "next": "/jobs/?tab=queued"})
        assert answer.headers["Location"] == "/jobs/?tab=queued"
        assert f'formaction="/jobs/{first.pk}/order/"' in look(web, JOBS)

    def test_the_page_of_a_job_moves_it_up_down_and_first(self, web: Client, owner: User) -> None:
        jobs = [make_job(owner=owner) for _ in range(3)]
        page = f"/jobs/{jobs[1].pk}/"
        said = text_of(look(web, page))
        assert "2 of 3 waiting sora-2 jobs of yours" in said
        assert re.search(r"First Up Down Normal priority Set to low", said)
        for to, place in (("down", 3), ("up", 2), ("first", 1), ("sideways", 1)):
            web.post(f"{page}order/", {"to": to})
            assert f"{place} of 3 waiting" in text_of(look(web, page))

    @pytest.mark.parametrize(
        ("state", "to", "said"),
        [
            ("queued", "first", "Not moved. It is already first."),
            ("queued", "up", "Not moved. It is already first."),
            ("queued", "down", "Not moved. It is already last."),
            ("queued", "bogus", "Not moved. Choose first, up or down."),
            ("completed", "down", "Not moved. It is no longer waiting."),
        ],
    )
    def test_what_does_not_move_says_why(self, web: Client, owner: User, state: str, to: str, said: str) -> None:
        job = make_job(state, owner=owner)
        answer = html_of(web.post(f"/jobs/{job.pk}/order/", {"to": to}, follow=True))
        assert said in answer and f"Job {job.pk:,} moved." not in answer

    def test_the_priority_is_lowered_and_taken_back_and_not_raised(self, web: Client, owner: User) -> None:
        job = make_job(owner=owner)
        page = f"/jobs/{job.pk}/"
        answer = web.post(f"{page}priority/", {"priority": "-10"}, follow=True)
        assert f"Job {job.pk:,} has low priority." in html_of(answer)
        assert "Low priority Set to normal" in text_of(answer.content.decode())
        for level, said in (
            ("10", "You can only lower the priority of a job."),
            ("-1000", "Not changed. Enter a whole number from -100 to 100."),
            ("-40000", "Not changed. Enter a whole number from -100 to 100."),
            ("x", "Choose a priority."),
        ):
            assert said in html_of(web.post(f"{page}priority/", {"priority": level}, follow=True))
        assert Job.objects.get().base_priority == -10

    def test_the_page_says_how_often_waiting_raised_a_job_and_how_a_page_scored(self, web: Client, owner: User) -> None:
        reasons = ["1,500 SKUs: +30", "content missing: +20", "72 points: high"]
        job = make_job(owner=owner, model_id="page-writer", priority=-20, priority_reasons=reasons, score=72)
        Job.objects.filter(pk=job.pk).update(priority=0, raised=2)
        said = text_of(look(web, f"/jobs/{job.pk}/"))
        assert "-20, raised twice by waiting, now normal 1,500 SKUs: +30 content missing: +20 72 points: high" in said

    def test_of_another_user_s_job_is_not_found(self, web: Client) -> None:
        job = make_job()
        assert web.post(f"/jobs/{job.pk}/order/", {"to": "first"}).status_code == 404
        assert web.post(f"/jobs/{job.pk}/priority/", {"priority": "-10"}).status_code == 404

    def test_a_job_on_hold_says_what_for(self, web: Client, owner: User) -> None:
        job = make_job(owner=owner)
        holds.hold([job.pk], HeldFor.STORYBOARD, at=NOON, actor="ana", reason="waits for its still")
        assert "waits for a still" in text_of(look(web, JOBS))
        said = text_of(look(web, f"/jobs/{job.pk}/"))
        assert "Waits for the approval of its still. It keeps its place, position 1" in said
        assert "Set to low" not in said
