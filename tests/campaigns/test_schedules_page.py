"""/schedules/: what runs when, the form with its calendar, and campaigns that repeat. It works without a script."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns import drafts, notices
from campaigns.models import Campaign
from queue_app.models import Job, Notice, OutboxMessage, Schedule, User
from queue_app.work import schedules, ticket_budgets
from tests.campaigns.support import make_campaign
from tests.campaigns.test_page import HTMX, text_of
from tests.factories import NOON, UserFactory, make_schedule
from tests.markup import html_of

pytestmark = pytest.mark.django_db
URL = "/schedules/"
FORM = {
    "key": "a",
    "name": "The news",
    "cron": "0 9 * * 1-5",
    "time_zone": "Europe/Madrid",
    "model": "sora-2",
    "prompt": "The news desk at dawn.",
    "duration": "8",
    "aspect_ratio": "16:9",
}
QUERIES_MOST = 30


@pytest.fixture
def owner() -> User:
    return UserFactory.create()


@pytest.fixture
def web(client_for: Callable[[User], Client], owner: User) -> Client:
    return client_for(owner)


def kinds_in(html: str) -> list[str]:
    found = re.search(r'<select id="kind".*?</select>', html, re.DOTALL)
    return re.findall(r'value="(\w+)"', found[0]) if found else []


class TestTheForm:
    def test_saves_once_and_comes_back_as_it_was_typed(self, web: Client, owner: User) -> None:
        first, second = web.post(f"{URL}new/", FORM), web.post(f"{URL}new/", FORM)

        schedule = Schedule.objects.get(owner=owner)
        assert first.status_code == 302 and first["Location"] == second["Location"] == f"{URL}{schedule.pk}/"
        assert (schedule.name, schedule.cron, schedule.time_zone) == ("The news", "0 9 * * 1-5", "Europe/Madrid")
        assert schedule.request["parameters"] == {"duration": 8, "aspect_ratio": "16:9"}
        html = html_of(web.get(first["Location"]))
        assert "The news desk at dawn." in html and 'value="0 9 * * 1-5"' in html and 'value="8" selected' in html

    def test_says_what_is_wrong_at_the_fields_and_loses_nothing(self, web: Client) -> None:
        wrong = {"name": " ", "cron": "* * * * *", "time_zone": "Mars", "duration": "x", "prompt": " "}
        refused = web.post(f"{URL}new/", FORM | wrong)

        said = text_of(html_of(refused))
        assert refused.status_code == 422 and not Schedule.objects.exists()
        for words in ("Enter a name", "more often than every 5 minutes", "Enter a time zone", "Enter a prompt", "duration"):
            assert words in said
        assert 'value="* * * * *"' in html_of(refused) and 'value="Mars"' in html_of(refused)

    def test_shows_the_next_runs_while_the_calendar_is_typed(self, web: Client) -> None:
        good = text_of(html_of(web.get(f"{URL}calendar/", {"cron": "0 9 * * *", "time_zone": "Asia/Tokyo"}, **HTMX)))
        assert "At 09:00 every day" in good and good.count("00:00") == 5 and good.count("09:00 there") == 5
        assert "five fields" in text_of(html_of(web.get(f"{URL}calendar/", {"cron": "9", "time_zone": "UTC"}, **HTMX)))
        preset = html_of(web.get(f"{URL}calendar/", {"preset": "0 9 * * 1", "time_zone": "UTC"}, **HTMX))
        assert 'value="0 9 * * 1"' in preset and "on Monday" in preset

    def test_takes_a_preset_without_a_script(self, web: Client) -> None:
        html = html_of(web.post(f"{URL}new/", FORM | {"preset": "0 * * * *"}))

        assert 'value="0 * * * *"' in html and "The news desk at dawn." in html and not Schedule.objects.exists()

    def test_offers_only_job_types_that_the_user_may_use(self, web: Client, owner: User, client_for: Any) -> None:
        assert "daily_ca" not in html_of(web.get(f"{URL}new/?model=sora-2"))
        trusted = client_for(UserFactory.create(rights=["submit_restricted_kinds"]))
        offered = kinds_in(html_of(trusted.get(f"{URL}choices/?model=sora-2")))
        assert offered[:4] == ["video", "daily_ca", "doubt", "topic_short"]

        refused = web.post(f"{URL}new/", FORM | {"kind": "daily_ca"})
        assert refused.status_code == 422 and "have permission" in html_of(refused)
        trusted.post(f"{URL}new/", FORM | {"kind": "daily_ca"})
        assert Schedule.objects.get().request["kind"] == "daily_ca"

    def test_keeps_what_only_the_api_sets(self, web: Client, owner: User) -> None:
        request = {"model": "sora-2", "prompt": "It.", "parameters": {"duration": 4}, "metadata": {"order": 1}}
        schedule = make_schedule(owner, request=request)

        web.post(f"{URL}{schedule.pk}/", FORM)

        schedule.refresh_from_db()
        assert schedule.request["metadata"] == {"order": 1} and schedule.request["prompt"] == FORM["prompt"]


class TestACampaign:
    def test_is_repeated_from_its_page(self, web: Client, owner: User) -> None:
        campaign = make_campaign(owner, name="Parcels")
        assert f"{URL}new/?campaign={campaign.pk}" in html_of(web.get(f"/campaigns/{campaign.pk}/"))
        shown = text_of(html_of(web.get(f"{URL}new/?campaign={campaign.pk}")))
        assert "Maison Alder, 4 combinations" in shown and "16 tickets per run" in shown
        asked = {"key": "a", "name": "Parcels daily", "cron": "0 9 * * *", "time_zone": "UTC", "campaign": campaign.pk}
        web.post(f"{URL}new/", asked)

        schedule = Schedule.objects.get()
        schedules.run_due(schedule.pk, at=schedule.next_run_at)  # type: ignore[arg-type]

        made = Campaign.objects.exclude(pk=campaign.pk).get()
        assert (made.dimensions, made.parameters, made.brand) == (campaign.dimensions, campaign.parameters, campaign.brand)
        assert made.name in html_of(web.get(URL)) and made.name.startswith("Parcels daily, ")
        web.post(f"{URL}{schedule.pk}/", asked | {"name": "Parcels weekly", "cron": "0 9 * * 1"})
        schedule.refresh_from_db()
        assert (schedule.name, schedule.cron, schedule.makes) == ("Parcels weekly", "0 9 * * 1", "campaign")

    def test_is_repeated_with_its_start_and_its_budget(self, web: Client, owner: User) -> None:
        stills = {"start": "storyboard", "model": "kling-v3", "duration": 5, "still_model": "nano-banana"}
        campaign = make_campaign(owner, budget_tickets=9, **stills)  # type: ignore[arg-type]
        shown = text_of(html_of(web.get(f"{URL}new/?campaign={campaign.pk}")))
        assert "Start Stills first, by nano-banana" in shown and "Budget 9 tickets per run" in shown
        asked = {"key": "a", "name": "Daily", "cron": "0 9 * * *", "time_zone": "UTC", "campaign": campaign.pk}
        web.post(f"{URL}new/", asked)
        schedule = Schedule.objects.get()
        schedules.run_due(schedule.pk, at=schedule.next_run_at)  # type: ignore[arg-type]

        made = Campaign.objects.exclude(pk=campaign.pk).get()
        assert (made.start, made.still_model_id, ticket_budgets.tickets_of(made.batch)) == ("storyboard", "nano-banana", 9)
        assert drafts.from_campaign(made)["budget_tickets"] == "9"
        assert "Budget 9 tickets per run" in text_of(html_of(web.get(f"{URL}{schedule.pk}/")))

    def test_of_others_is_not_there(self, web: Client) -> None:
        campaign = make_campaign(UserFactory.create())

        assert web.get(f"{URL}new/?campaign={campaign.pk}").status_code == 404


class TestASchedule:
    def test_runs_now_once_per_form_and_leads_to_what_it_made(self, web: Client, owner: User) -> None:
        schedule = make_schedule(owner)

        sent = [web.post(f"{URL}{schedule.pk}/run/", {"key": "a"}) for _ in range(2)]

        job = Job.objects.get()
        assert [answer["Location"] for answer in sent] == [f"/jobs/{job.pk}/"] * 2

    def test_that_is_refused_now_says_why(self, client_for: Any) -> None:
        poor = UserFactory.create(tickets=0)
        schedule = make_schedule(poor)

        said = html_of(client_for(poor).post(f"{URL}{schedule.pk}/run/", {"key": "a"}, follow=True))

        assert "Nothing was started" in said and "tickets" in said and not schedule.runs.exists()

    def test_is_paused_with_a_reason_resumed_and_deleted(self, web: Client, owner: User) -> None:
        schedule = make_schedule(owner)
        at = f"{URL}{schedule.pk}/"
        web.post(f"{at}pause/", {"reason": "summer <b>"})
        assert "summer &lt;b&gt;" in html_of(web.get(at)) and "summer &lt;b&gt;" in html_of(web.get(URL))
        assert web.post(f"{at}resume/", {"next": "list"})["Location"] == URL
        schedule.refresh_from_db()
        assert not schedule.paused and schedule.next_run_at is not None
        web.post(f"{at}delete/")
        assert "No schedules yet" in html_of(web.get(URL))

    def test_whose_reason_for_a_pause_is_too_long_shows_it_with_what_is_wrong(self, web: Client, owner: User) -> None:
        schedule = make_schedule(owner)
        answer = web.post(f"{URL}{schedule.pk}/pause/", {"reason": "r" * 201})
        html = html_of(answer)
        assert answer.status_code == 422 and f'value="{"r" * 201}"' in html
        assert "Not paused. Too long: 201 of 200 characters." in html
        assert f'action="{URL}{schedule.pk}/"' in html  # saving from there saves the schedule
        assert not Schedule.objects.get().paused

    def test_beyond_the_last_one_is_said_to_need_the_place_of_another(
        self, web: Client, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_schedule(owner)
        assert "do-new" in html_of(web.get(URL))
        monkeypatch.setattr(schedules, "SCHEDULES_MOST", 1)
        html = html_of(web.get(URL))
        assert "You have 50 schedules. Delete one first." in html and "do-new" not in html

    def test_of_others_is_not_there(self, web: Client) -> None:
        at = f"{URL}{make_schedule(UserFactory.create()).pk}/"

        assert web.get(at).status_code == web.post(at, FORM).status_code == 404
        assert {web.post(f"{at}{verb}/").status_code for verb in ("run", "pause", "resume", "delete")} == {404}
        assert Schedule.objects.count() == 1


def test_the_list_shows_results_in_a_constant_number_of_queries(web: Client, owner: User) -> None:
    for number in range(3):
        schedule = make_schedule(owner, name=f"Daily {number}", at=NOON)
        schedules.run_due(schedule.pk, at=schedule.next_run_at)  # type: ignore[arg-type]
    with CaptureQueriesContext(connection) as queries:
        html = html_of(web.get(URL))

    assert html.count("/jobs/") >= 3 and "At 09:00 every day" in html
    assert len(queries) <= QUERIES_MOST


def test_missed_runs_are_one_notice_and_one_email(web: Client, owner: User) -> None:
    schedule = make_schedule(owner, name="The news")
    schedules.run_due(schedule.pk, at=NOON + timedelta(days=2))
    for message in OutboxMessage.objects.filter(channel="notices"):
        notices.deliver(message.pk)

    notice = Notice.objects.get(user=owner)
    assert notice.url == f"{URL}{schedule.pk}/"
    assert notice.text.startswith("“The news” missed 2 runs, the last that of ") and "not running" in notice.text
    assert OutboxMessage.objects.get(channel="emails").payload["subject"] == "Schedule missed: The news"


def test_a_refused_run_says_why_in_the_notice() -> None:
    poor = UserFactory.create(tickets=0)
    schedule = make_schedule(poor)
    schedules.run_due(schedule.pk, at=schedule.next_run_at)  # type: ignore[arg-type]
    notices.deliver(OutboxMessage.objects.get(channel="notices").pk)

    assert "“Daily” did not run at" in Notice.objects.get().text and "tickets" in Notice.objects.get().text
