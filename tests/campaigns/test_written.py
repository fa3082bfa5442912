"""The page of a page: its stages while it is written, then preview, checks and versions; who sees it, and what they decide."""

import pytest
from django.test import Client

from campaigns.models import Page
from queue_app.models import User
from tests.campaigns.page_rows import staged_page
from tests.factories import UserFactory
from tests.markup import html_of, squeezed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


@pytest.fixture
def owner() -> User:
    return UserFactory()


def look(client: Client, page: Page, query: str = "") -> str:
    return squeezed(html_of(client.get(f"/pages/{page.pk}/{query}")))


class TestAFinishedPage:
    def test_shows_stages_checks_search_result_and_files(self, client_for, owner):
        page = staged_page(owner)
        html = look(client_for(owner), page)
        assert html.count('<li class="done">') == 7
