"""The list of pages: what each is, how far it is, how it stands."""

import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from campaigns.rules import paging
from queue_app.models import Job, JobStage, ModelConcurrencyLimit, State, User
from tests.campaigns.test_page import HTMX, look, text_of
from tests.campaigns.written import make_page
from tests.factories import NOON, UserFactory

pytestmark = pytest.mark.django_db
Login = Callable[[User], Client]
PAGES = "/pages/"
QUERIES_MOST = 22


@pytest.fixture
def owner() -> User:
    return UserFactory(tickets=10_000)


@pytest.fixture
def web(client_for: Login, owner: User) -> Client:
    return client_for(owner)


def rows(html: str) -> list[str]:
    """What each row says."""
    return [text_of(row) for row in re.findall(r'<tr id="page-.*?</tr>', html, re.DOTALL)]


def numbers(html: str) -> list[int]:
    return [int(found) for found in re.findall(r'<tr id="page-(\d+)"', html)]


def test_each_page_has_its_stage_or_status_and_how_it_stands(web: Client, owner: User) -> None:
    approved = make_page(owner, title="Rain jackets", verdict="approve", page_type="category", version=2)
    make_page(owner, title="Lacing", verdict="review", checks_failed=2, language="de")
    make_page(owner, title="Gaiters", verdict="approve", decision="reject", decided_by=owner, decided_at=NOON)
    make_page(owner, title="Poles")
    running = make_page(owner, State.RUNNING, title="Wet rock")
    Job.objects.filter(pk=running.pk).update(progress=0.4)
    for name, ended in (("validation", NOON), ("component generation", None)):
        JobStage.objects.create(job=running.job, name=name, started_at=NOON, ended_at=ended, sha256="0" if ended else "")
    make_page(owner, State.FAILED, title="Broken")

    html = look(web, PAGES)

    said = rows(html)
    assert [line.split()[0] for line in said] == ["Wet", "Broken", "Poles", "Gaiters", "Lacing", "Rain"]
    assert "Failed It broke." in said[1]
    assert "40%, component generation" in said[0]
    assert "Completed Not checked 1" in said[2]
    assert "Rejected by you" in said[3]
    assert "Product de Completed Needs review 2 checks failed 1" in said[4]
    assert "https://nordfell.no/en/fell-1 Category en Completed Approved by checks 2" in said[5]
    assert f'href="/pages/{approved.pk}/"' in html
    assert "All 6 In progress 1 To review 2 Approved 1 Rejected 1 Failed 1 Cancelled 0" in text_of(html)


def test_tabs_search_and_filters_narrow_it(web: Client, owner: User) -> None:
    first = make_page(owner, title="Rain jackets", verdict="approve", target_url="https://nordfell.no/en/rain")
    second = make_page(owner, title="Regenjacken", verdict="review", language="de", page_type="category")

    assert numbers(look(web, f"{PAGES}?tab=review")) == [second.pk]
    assert numbers(look(web, f"{PAGES}?language=de")) == [second.pk]
    assert numbers(look(web, f"{PAGES}?page_type=product")) == [first.pk]
    assert numbers(look(web, f"{PAGES}?search=nordfell+rain")) == [first.pk]
    assert numbers(look(web, f"{PAGES}?search={second.pk}")) == [second.pk]
    assert "No pages match" in text_of(look(web, f"{PAGES}?search=nothing+like+it"))


def test_cancelled_pages_have_a_tab_of_their_own(web: Client, owner: User) -> None:
    make_page(owner, State.FAILED)
    cancelled = make_page(owner, State.CANCELLED)

    html = look(web, f"{PAGES}?tab=cancelled")

    assert numbers(html) == [cancelled.pk]
    assert "Failed 1 Cancelled 1" in text_of(html)


def test_a_page_of_a_paused_model_is_on_hold(web: Client, owner: User) -> None:
    make_page(owner, State.QUEUED)
    ModelConcurrencyLimit.objects.filter(pk="page-writer").update(paused=True)

    assert "On hold" in rows(look(web, PAGES))[0]


def test_pages_of_others_are_not_there_even_for_staff(client_for: Login, owner: User) -> None:
    make_page(owner)

    assert "No pages yet" in text_of(look(client_for(UserFactory(staff=True)), PAGES))


def test_many_pages_come_in_parts_at_the_same_cost(web: Client, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "A_PAGE", 2)
    for _ in range(5):
        make_page(owner, State.RUNNING)
    with CaptureQueriesContext(connection) as queries:
        html = look(web, f"{PAGES}?page=2")
    assert "3–4 of 5, running first, then the newest" in text_of(html) and "Previous" in html and "Next" in html
    assert "5–5 of 5" in text_of(look(web, f"{PAGES}?page=99"))
    assert len(queries) <= QUERIES_MOST


def test_htmx_gets_what_changed_or_nothing(web: Client, owner: User) -> None:
    make_page(owner)
    first = web.get(PAGES, headers=HTMX)
    seen = re.search(r'name="seen" value="(\w+)"', first.content.decode())
    assert seen
    assert b"<html" not in first.content
    assert web.get(f"{PAGES}?seen={seen[1]}", headers=HTMX).status_code == 204
