"""Who is logged out while a page is open: htmx is told so, and gets no log-in page to put into it."""

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

HTMX = {"HX-Request": "true"}

pytestmark = pytest.mark.django_db


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
