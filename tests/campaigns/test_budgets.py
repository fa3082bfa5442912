"""Ticket budgets on the pages of owners and staff, and by API."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from campaigns.models import Campaign
from queue_app import clock
from queue_app.models import ApiKey, AuditEntry, Job, TicketBudget, User
from queue_app.work import dispatch, keys, ticket_budgets
from queue_app.work.keys import NewKey
from tests.campaigns.support import jobs_of, make_campaign
from tests.campaigns.test_api import BODY
from tests.campaigns.test_form import Tab, four
from tests.factories import JobFactory, UserFactory, make_job, make_schedule
from tests.markup import html_of

pytestmark = pytest.mark.django_db
CAMPAIGNS, KEYS, JOBS, USAGE = (f"/api/v1/{name}/" for name in ("campaigns", "keys", "jobs", "usage"))
JOB = {"model": "sora-2", "prompt": "A heron.", "parameters": {"duration": 4}}


@pytest.fixture
def owner() -> User:
    return UserFactory.create(username="ana")


@pytest.fixture
def browser(client_for: Callable[[User], Client], owner: User) -> Client:
    return client_for(owner)


@pytest.fixture
def api(api_for: Callable[[User], APIClient], owner: User) -> APIClient:
    return api_for(owner)


def with_key(owner: User, *scopes: str, **fields: Any) -> tuple[ApiKey, APIClient]:
    row, key = keys.make(owner, NewKey("farm", scopes or ("read", "submit"), **fields), at=clock.now(), actor=None)
    caller = APIClient()
    caller.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return row, caller


def claim() -> None:
    dispatch.claim_due_jobs(at=clock.now())
    ticket_budgets.look(at=clock.now())


class TestACampaign:
    def test_is_launched_with_a_budget_by_api_and_shows_it(self, api: APIClient) -> None:
        pk = api.post(CAMPAIGNS, BODY | {"budget_tickets": 10}).json()["id"]
        assert api.get(f"{CAMPAIGNS}{pk}/").json()["budget_tickets"] == 10
        claim()
        last = Job.objects.filter(batch=pk).order_by("-pk")[0].pk
        (blocker,) = api.get(f"{JOBS}{last}/").json()["waiting_on"]
        assert blocker == {
            "limit": "budget",
            "key": "campaign",
            "used": 8,
            "max": 10,
            "until": None,
            "reason": "budget used up",
            "link": f"http://testserver/api/v1/batches/{pk}/",
        }
        (line,) = api.get(USAGE).json()["budgets"]
        known = {"scope": "campaign", "id": pk, "period": "total", "tickets": 10, "used": 8, "resets_at": None}
        assert line == known | {"name": line["name"]}
        assert api.patch(f"{CAMPAIGNS}{pk}/", {"budget_tickets": 16}).json()["budget_tickets"] == 16
        claim()
        assert not Job.objects.filter(batch=pk, state="queued").exists()
        assert api.patch(blocker["link"], {"budget_tickets": None}).json()["budget_tickets"] is None

    @pytest.mark.parametrize("wrong", [0, -1, 1.5, "10", True, 1_000_000_001])
    def test_takes_whole_numbers_only(self, api: APIClient, wrong: Any) -> None:
        answer = api.post(CAMPAIGNS, BODY | {"budget_tickets": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "budget_tickets")
        assert not TicketBudget.objects.exists()

    def test_is_launched_with_a_budget_by_the_form(self, browser: Client) -> None:
        tab = Tab(browser)
        tab.post("launch", **four(budget_tickets="none"))
        assert "Enter a whole number from 1" in tab.text and not TicketBudget.objects.exists()
        tab.post("launch", budget_tickets="12")
        row = TicketBudget.objects.get()
        assert (row.tickets, row.period, row.batch) == (12, "total", Campaign.objects.get().batch)

    def test_shows_what_is_used_and_its_owner_changes_it(self, browser: Client, owner: User) -> None:
        campaign = make_campaign(owner, at=clock.now(), budget_tickets=10)
        claim()
        page, change = (reverse(f"campaigns:{name}", args=[campaign.pk]) for name in ("page", "budget"))
        shown = html_of(browser.get(page))
        assert "Budget: 8 of 10 used. Other videos wait until it is raised." in " ".join(shown.split())
        assert "8 tickets used." in html_of(browser.get(change))
        refused = browser.post(change, {"budget_tickets": "many"})
        assert (refused.status_code, "Enter a whole number from 1" in html_of(refused)) == (422, True)
        assert "8 tickets used." in html_of(refused)
        assert "Budget set to 12 tickets." in html_of(browser.post(change, {"budget_tickets": "12"}, follow=True))
        assert len([job for job in jobs_of(campaign) if job.held]) == 1
        assert "Budget removed." in html_of(browser.post(change, {"budget_tickets": ""}, follow=True))
        assert not Job.objects.filter(held=True).exists()
        entries = AuditEntry.objects.filter(action__contains="ticket budget").order_by("pk")
        assert [entry.action for entry in entries] == ["change ticket budget", "delete ticket budget"]

    def test_of_another_user_is_404(self, browser: Client, api: APIClient) -> None:
        theirs: Campaign = make_campaign(UserFactory.create(), at=clock.now())
        assert browser.post(reverse("campaigns:budget", args=[theirs.pk]), {"budget_tickets": "9"}).status_code == 404
        assert api.patch(f"{CAMPAIGNS}{theirs.pk}/", {"budget_tickets": 9}).status_code == 404
        assert not TicketBudget.objects.exists()


class TestAKey:
    def test_is_made_with_a_daily_budget_that_its_jobs_count_in(self, api: APIClient, owner: User) -> None:
        made = api.post(KEYS, {"name": "farm", "budget_tickets_per_day": 5}).json()
        caller = APIClient()
        caller.credentials(HTTP_AUTHORIZATION=f"Bearer {made['key']}")
        ids = [caller.post(JOBS, JOB).json()["id"] for _ in range(2)]
        caller.post(f"{JOBS}batch/", {"jobs": [JOB]})
        other = api.post(JOBS, JOB).json()["id"]
        assert list(Job.objects.order_by("pk").values_list("submitted_with", flat=True))[:3] == [made["id"]] * 3
        assert Job.objects.get(pk=other).submitted_with_id not in (None, made["id"])
        claim()
        (blocker,) = caller.get(f"{JOBS}{ids[1]}/").json()["waiting_on"]
        assert (blocker["key"], blocker["used"], blocker["link"][-8:]) == ("key", 4, f"/keys/{made['id']}/"[-8:])
        assert Job.objects.filter(held=True).count() == 2
        changed = api.patch(blocker["link"], {"budget_tickets_per_day": 100}).json()
        assert changed["budget_tickets_per_day"] == 100 and not Job.objects.filter(held=True).exists()
        assert [one["budget_tickets_per_day"] for one in api.get(KEYS).json()["results"]] == [100, None]

    def test_with_a_budget_can_neither_make_keys_nor_change_budgets(self, owner: User) -> None:
        row, caller = with_key(owner, "read", "submit", budget=5)
        for answer in (
            caller.post(KEYS, {"name": "another"}),
            caller.patch(f"{KEYS}{row.pk}/", {"budget_tickets_per_day": 500}),
            caller.patch(f"{KEYS}{row.pk}/", {"budget_tickets_per_day": None}),
            caller.post("/api/v1/schedules/", {"name": "news", "cron": "0 9 * * *", "job": JOB}),
        ):
            assert (answer.status_code, "has a ticket budget" in answer.json()["detail"]) == (400, True)
        assert (ApiKey.objects.count(), ticket_budgets.tickets_of(row)) == (1, 5)
        assert caller.patch(f"{KEYS}{row.pk}/", {"name": "renamed"}).status_code == 200

    def test_with_a_budget_starts_no_jobs_that_do_not_count_in_it(self, owner: User) -> None:
        row, caller = with_key(owner, "read", "submit", budget=5)
        campaign = make_campaign(owner, at=clock.now(), start="canary", budget_tickets=8)
        job = make_job("cancelled", owner=owner, at=clock.now())
        for answer in (
            caller.post("/api/v1/bulk-actions/", {"action": "retry", "filter": {"status": "cancelled"}}),
            caller.post(f"{CAMPAIGNS}{campaign.pk}/release/", {"all": True}),
            caller.post(f"{CAMPAIGNS}{campaign.pk}/resume/"),
            caller.post(f"/api/v1/batches/{campaign.pk}/resume/"),
            caller.patch(f"{CAMPAIGNS}{campaign.pk}/", {"budget_tickets": 500}),
            caller.patch(f"/api/v1/batches/{campaign.pk}/", {"budget_tickets": None}),
            caller.post(f"/api/v1/schedules/{make_schedule(owner).pk}/resume/"),
        ):
            assert (answer.status_code, "has a ticket budget" in answer.json()["detail"]) == (400, True)
        assert (Job.objects.get(pk=job.pk).state, ticket_budgets.tickets_of(campaign.batch)) == ("cancelled", 8)
        assert Job.objects.filter(batch=campaign.pk, held_for="canary").exists()
        Job.objects.filter(batch=campaign.pk).update(submitted_with=row)
        assert caller.post(f"{CAMPAIGNS}{campaign.pk}/release/", {"all": True}).status_code == 200
        assert not Job.objects.filter(held=True).exists()

    def test_counts_the_jobs_that_it_retries(self, owner: User) -> None:
        row, caller = with_key(owner, budget=5)
        job = make_job("failed", owner=owner, at=clock.now())
        assert caller.post(f"{JOBS}{job.pk}/retry/").status_code == 200
        assert Job.objects.get(pk=job.pk).submitted_with == row

    def test_shows_its_budget_on_the_page_where_its_owner_sets_it(self, browser: Client, owner: User) -> None:
        form = {"name": "farm", "scopes": ["read", "submit"], "ends": "90", "budget": "x"}
        assert "Enter a whole number from 1" in html_of(browser.post("/keys/", form))
        assert not ApiKey.objects.exists()
        assert browser.post("/keys/", form | {"budget": "6"}).status_code == 201
        key = ApiKey.objects.get()
        JobFactory.create_batch(2, owner=owner, submitted_with=key, at=clock.now())
        claim()
        assert "4 of 6" in " ".join(html_of(browser.get("/keys/")).split())
        assert 'value="6"' in html_of(browser.get(f"/keys/{key.pk}/"))
        browser.post(f"/keys/{key.pk}/", {"name": "farm", "ends": "as-it-is", "budget": "8"})
        assert (ticket_budgets.tickets_of(key), Job.objects.filter(held=True).count()) == (8, 0)
        browser.post(f"/keys/{key.pk}/", {"name": "farm", "ends": "as-it-is", "budget": ""})
        assert ticket_budgets.tickets_of(key) is None


class TestTheAdmin:
    def test_adds_changes_and_removes_a_budget_with_a_reason(self, client_for: Callable[[User], Client], owner: User) -> None:
        desk = client_for(UserFactory.create(admin=True))
        add, listed = (reverse(f"admin:queue_app_ticketbudget_{name}") for name in ("add", "changelist"))
        fields = {"tickets": "5", "period": "day", "resets_at": "00:00", "why": "trial"}
        assert "Choose exactly one of user, campaign and API key." in html_of(desk.post(add, fields))
        desk.post(add, fields | {"user": owner.pk})
        row = TicketBudget.objects.get()
        JobFactory.create_batch(3, owner=owner, at=clock.now())
        claim()
        shown = " ".join(html_of(desk.get(listed)).split())
        assert "user ana" in shown and "4 of 5" in shown and "2 jobs" in shown
        change = reverse("admin:queue_app_ticketbudget_change", args=[row.pk])
        page = desk.get(change).context["adminform"].form
        desk.post(change, fields | {"tickets": "8", "showed": page["showed"].value()})
        assert Job.objects.filter(held=True).count() == 1
        desk.post(reverse("admin:queue_app_ticketbudget_delete", args=[row.pk]), {"post": "yes"})
        assert not TicketBudget.objects.exists() and not Job.objects.filter(held=True).exists()
        entries = AuditEntry.objects.filter(action__contains="ticket budget").order_by("pk")
        assert [(entry.action, entry.reason) for entry in entries] == [
            ("add ticket budget", "trial"),
            ("change ticket budget", "trial"),
            ("delete ticket budget", ""),
        ]
