"""Middleware: fragments are never cached as pages, changes are visible at once, and unreadable requests are refused."""

from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.test import AsyncClient, Client
from django.urls import reverse

from campaigns.models import Campaign
from queue_app import lifecycle
from queue_app.admin.dashboard import facts
from queue_app.insight import counts
from queue_app.models import Job, User
from queue_app.ui import fragments
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory

HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    return UserFactory(admin=True, tickets=100)


@pytest.fixture
def admin(ana: User, client_for: Callable[[User], Client]) -> Client:
    return client_for(ana)


@pytest.fixture
def admin_campaign(ana: User) -> Campaign:
    made = make_campaign(ana)
    bring(jobs_of(made)[0], "completed")
    return made


class TestPagesAndFragments:
    """The browser's Back shows the cached answer of a URL, which must be the page."""

    NAMES = ("home", "new", "list", "page", "cells", "review", "cell")

    @pytest.fixture
    def addresses(self, admin_campaign: Campaign) -> list[str]:
        pk, job = admin_campaign.pk, Job.objects.filter(batch=admin_campaign.pk).earliest("pk")
        numbers = {"cell": [pk, 1], "new": [], "list": [], "home": []}
        mine = [reverse(f"campaigns:{name}", args=numbers.get(name, [pk])) for name in self.NAMES]
        staff = ["/admin/", "/admin/queue_app/job/", f"/admin/queue_app/job/{job.pk}/change/", "/admin/queue_app/reviewitem/"]
        return [*mine, reverse("campaigns:job", args=[job.pk]), *staff]

    def test_never_share_an_answer_that_may_be_stored(self, admin: Client, addresses: list[str]) -> None:
        for address in addresses:
            page, fragment = admin.get(address), admin.get(address, headers=HTMX)
            restored = admin.get(address, headers={**HTMX, "HX-History-Restore-Request": "true"})
            for answer in (page, fragment, restored):
                assert answer.status_code == 200, address
                assert {"HX-Request", "HX-History-Restore-Request"} <= set(answer["Vary"].split(", ")), address
            assert fragment["Cache-Control"] == "no-store", address
            assert b"</html>" in page.content and b"</html>" in restored.content, address

    def test_of_an_async_server_too(self, async_client: AsyncClient) -> None:
        answer = async_to_sync(async_client.get)("/login/", headers=HTMX)
        assert (answer["Cache-Control"], "HX-Request" in answer["Vary"]) == ("no-store", True)

    def test_files_and_answers_of_the_api_hang_on_no_header_of_htmx(self, client: Client) -> None:
        for address in ("/healthz", "/api/v1/models/"):
            assert "HX-Request" not in client.get(address).get("Vary", "")


class TestWhoChangesSomething:
    """Staff see the queue as it is after their change on any page; others share slightly older counts."""

    @pytest.fixture(autouse=True)
    def looks_last(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cache.clear()
        monkeypatch.setattr(facts, "FRESH", 1_000)
        monkeypatch.setattr(counts, "WORTH", 0)  # nothing else expires
        monkeypatch.setattr(counts, "FRESH", 0)

    @staticmethod
    def waiting(client: Client) -> int:
        return int(client.get("/admin/").context["priorities"]["waiting"])

    def test_on_the_pages_of_campaigns_and_jobs(self, admin: Client, ana: User, client_for: Callable[[User], Client]) -> None:
        campaign, other = make_campaign(ana), client_for(UserFactory(admin=True))
        first, *_ = jobs_of(campaign)
        found = [self.waiting(admin), self.waiting(other)]
        for address in (reverse("campaigns:job-cancel", args=[first.pk]), reverse("campaigns:cancel", args=[campaign.pk])):
            before = campaign.batch.jobs.with_status("queued").count()
            assert admin.post(address, {"confirmed": "1"}).status_code == 302
            assert campaign.batch.jobs.with_status("queued").count() < before
            found += [self.waiting(admin)]

        assert found == [4, 4, 3, 0]

    def test_on_the_pages_of_the_admin(self, admin: Client, ana: User) -> None:
        job, *_ = jobs_of(make_campaign(ana))
        assert self.waiting(admin) == 4
        admin.post("/admin/queue_app/job/bulk/", {"verb": "cancel", "ids": str(job.pk)})
        lifecycle.cancel([job.pk], at=NOON, actor="tests")
        assert self.waiting(admin) == 3

    def test_of_an_async_server_too(self, ana: User, async_client: AsyncClient) -> None:
        async_client.force_login(ana)
        job, *_ = jobs_of(make_campaign(ana))
        answer = async_to_sync(async_client.post)(reverse("campaigns:job-cancel", args=[job.pk]), {"confirmed": "1"})
        assert (answer.status_code, fragments.ACT in async_client.session) == (302, True)

    def test_who_is_no_staff_or_comes_with_a_key_has_nothing_noted(
        self, client_for: Callable[[User], Client], api_for: Callable[..., Client], ana: User
    ) -> None:
        owner = UserFactory(tickets=100)
        job, other, *_ = jobs_of(make_campaign(owner))
        client, keyed = client_for(owner), api_for(ana, "read", "submit", "manage")
        client.post(reverse("campaigns:job-cancel", args=[job.pk]), {"confirmed": "1"})
        assert keyed.post(f"/api/v1/jobs/{other.pk}/cancel/").status_code == 200
        assert fragments.ACT not in client.session and not keyed.cookies


class TestWhatCannotBeRead:
    """It is refused, naming the part of the request: as a problem document to programs, on a page to people."""

    REFUSED = [
        ("/{at}%00/", {}, "The address contains a NUL character"),
        ("/{at}", {"HTTP_USER_AGENT": "a\x00b"}, "A header contains a NUL character"),
        ("/{at}", {"HTTP_COOKIE": 'a="\\000"'}, "A cookie contains a NUL character"),
        ("/{at}", {"CONTENT_TYPE": "text/html; charset=rot13"}, "Send UTF-8"),
    ]

    @pytest.mark.parametrize(("address", "headers", "words"), REFUSED)
    def test_below_the_api_is_a_problem(self, client: Client, address: str, headers: dict[str, str], words: str) -> None:
        answer = client.get(address.format(at="api/v1/jobs/"), **headers)

        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
        assert (answer.json()["code"], int(answer["Content-Length"])) == ("malformed_request", len(answer.content))
        assert words in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("address", "headers", "words"), [*REFUSED, ("/{at}?next=%00", {}, "The query contains a NUL character")]
    )
    def test_elsewhere_is_a_page(self, client: Client, address: str, headers: dict[str, str], words: str) -> None:
        answer = client.get(address.format(at="login/"), **headers)

        assert (answer.status_code, answer["Content-Type"]) == (400, "text/html; charset=utf-8")
        assert words in answer.text and "</html>" in answer.text

    @pytest.mark.parametrize(("address", "body"), [("/login/", {"username": "a\x00b"}), ("/api/v1/jobs/%00", {})])
    def test_of_an_async_server_too(self, async_client: AsyncClient, address: str, body: dict[str, str]) -> None:
        answer = async_to_sync(async_client.post)(address, body)

        assert answer.status_code == 400
        assert "contains a NUL character or an unpaired surrogate. Remove it." in answer.text

    def test_and_what_django_refuses_itself_is_such_a_page_too(self, client: Client) -> None:
        page, problem = (client.get(address, HTTP_HOST="elsewhere.example") for address in ("/login/", "/api/v1/jobs/"))

        assert (page.status_code, "Check the address and try again." in page.text) == (400, True)
        assert problem.json()["detail"] == "This request can't be read. Check its address, headers and body."


class TestToldWhenLoggedOut:
    @pytest.mark.parametrize("page", ["/", "/quick/choices/", "/campaigns/new/", "/campaigns/1/review/", "/jobs/1/", "/admin/"])
    def test_htmx_gets_401_and_nothing_to_show(self, client: Client, page: str) -> None:
        answer = client.get(page, headers=HTMX)
        assert (answer.status_code, answer.content) == (401, b"")

    @pytest.mark.parametrize("page", ["/campaigns/new/preview/", "/campaigns/1/review/1/judge/"])
    def test_and_when_it_changes_something(self, client: Client, page: str) -> None:
        assert client.post(page, headers=HTMX).status_code == 401

    @pytest.mark.parametrize(("page", "log_in"), [("/", "/login/?next=/"), ("/admin/", "/admin/login/?next=/admin/")])
    def test_a_browser_is_sent_to_the_log_in(self, client: Client, page: str, log_in: str) -> None:
        assert client.get(page)["Location"] == log_in
        restored = client.get(page, headers={**HTMX, "HX-History-Restore-Request": "true"})
        assert restored["Location"] == log_in  # this request is for a whole page

    def test_an_async_server_too(self, async_client: AsyncClient) -> None:
        assert async_to_sync(async_client.get)("/", headers=HTMX).status_code == 401
