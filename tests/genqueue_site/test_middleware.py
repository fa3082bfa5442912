"""Pages and fragments: what htmx is answered at a page's address is never taken for the page."""

from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from django.urls import reverse

from campaigns.models import Campaign
from queue_app.models import Job, User
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import UserFactory

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
    """Going back shows what the browser has stored of an address: it must be the page."""

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
        assert restored["Location"] == log_in  # that one asks for whole pages

    def test_an_async_server_too(self, async_client: AsyncClient) -> None:
        assert async_to_sync(async_client.get)("/", headers=HTMX).status_code == 401
