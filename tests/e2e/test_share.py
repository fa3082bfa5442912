"""A share link from its creation to its end, with a client's own browser that has no account."""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Page, ViewportSize, expect

from campaigns.models import Campaign, ClientReview
from queue_app import clock
from queue_app.models import State
from tests import browser
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.e2e.browser import beside, staff_tab
from tests.e2e.conftest import ana_of_staff, lay_films
from tests.e2e.test_admin_pages import DESK, PHONE
from tests.e2e.test_watch import at, look, plays
from tests.processes import Site

pytestmark = pytest.mark.e2e
HOSTILE = "<img src=x onerror=alert(1)>Maria"


@pytest.fixture(scope="module")
def stocked(shared_site: Site) -> tuple[Site, Campaign]:
    """Four videos that play, and a second campaign that no link is for."""
    staff, now = ana_of_staff(shared_site), clock.now()
    with shared_site.orm():
        campaign = make_campaign(staff, name="Autumn scent", at=now)
        for job in [*jobs_of(campaign), *jobs_of(make_campaign(staff, name="Secret", at=now))]:
            bring(job, State.COMPLETED, at=now)
        lay_films(shared_site)
    return shared_site, campaign


@pytest.fixture
def team(stocked: tuple[Site, Campaign]) -> Iterator[Page]:
    with staff_tab(stocked[0]) as tab:
        yield tab


def create(team: Page, site: Site, campaign: Campaign, *, answers: bool = True) -> str:
    """Create a link on the team's page; return its address."""
    team.goto(f"{site.url}/campaigns/{campaign.pk}/share/")
    team.fill("#label", "Alder")
    if answers:
        team.check("input[name=access][value=answer]")
    team.click("#do-create")
    return str(team.locator("#address").text_content())


def test_a_client_reviews_by_key_comments_and_is_shut_out_when_the_link_is_revoked(
    stocked: tuple[Site, Campaign], team: Page
) -> None:
    site, campaign = stocked
    address = create(team, site, campaign)
    asked: list[str] = []
    with browser.window() as client:
        client.on("request", lambda request: asked.append(request.url))
        client.emulate_media(reduced_motion="no-preference")
        client.goto(address)
        at(client, 1)
        plays(client)

        # the name once, then a key for each video
        client.fill("#name", HOSTILE)
        client.keyboard.press("Tab")
        client.keyboard.press("a")
        at(client, 2)
        expect(client.locator("#said")).to_contain_text("Approved: UGC · Energetic")
        expect(client.locator("#name")).to_have_value(HOSTILE)
        client.fill("#comment", "Too loud.")
        client.click("#do-reject")
        at(client, 3)
        expect(client.locator("#film-2")).to_have_class("gq-th is-rejected")
        client.keyboard.press("a")
        at(client, 4)
        client.keyboard.press("a")
        expect(client.locator(".gq-jend h2")).to_have_text("All 4 reviewed")
        client.click("#film-2")
        at(client, 2)
        expect(client.locator("#side")).to_contain_text("Too loud.")
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {site.url.split("/")[2]}
    said = beside(site, lambda: list(ClientReview.objects.order_by("id").values_list("name", "review", "comment")))
    assert said[:2] == [(HOSTILE, "approved", ""), (HOSTILE, "rejected", "Too loud.")] and len(said) == 4

    # the team sees it, as text
    team.goto(f"{site.url}/campaigns/{campaign.pk}/review/2/")
    expect(team.locator("#side")).to_contain_text(HOSTILE)
    expect(team.locator("#side")).to_contain_text("Too loud.")
    expect(team.locator("#side img[src=x]")).to_have_count(0)

    # revoked: neither page nor file is there any more, even of what this browser has seen
    team.goto(f"{site.url}/campaigns/{campaign.pk}/share/")
    expect(team.locator("main")).not_to_contain_text(address.rstrip("/").rpartition("/")[2])
    team.locator(".is-danger").first.click()
    expect(team.locator("main")).to_contain_text("Its address no longer works.")
    film = next(url for url in asked if url.endswith(".mp4"))
    with browser.tab() as late:
        for url in (address, film):
            answer = late.goto(url)
            assert answer is not None and answer.status == 404
            expect(late.locator("h1")).to_have_text("This link doesn't work")


def test_without_javascript_it_is_forms_and_links(stocked: tuple[Site, Campaign], team: Page) -> None:
    site, campaign = stocked
    address = create(team, site, campaign)
    with browser.window(java_script_enabled=False) as client:
        client.goto(address)
        at(client, 1)
        client.fill("#name", "Jon")
        client.click("#do-approve")
        at(client, 2)
        client.fill("#comment", "Who is this?")
        client.click("#do-comment")
        at(client, 2)
        expect(client.locator("#side")).to_contain_text("Who is this?")
        client.click("#film-1")
        at(client, 1)
        expect(client.locator("#do-approve")).to_have_attribute("aria-pressed", "true")


def test_for_watching_it_has_nothing_to_press(stocked: tuple[Site, Campaign], team: Page) -> None:
    site, campaign = stocked
    address = create(team, site, campaign, answers=False)
    with browser.window() as client:
        client.goto(address)
        at(client, 1)
        client.keyboard.press("a")
        client.keyboard.press("ArrowRight")
        at(client, 2)
        expect(client.locator("form")).to_have_count(0)


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_its_pages_are_accessible_and_fit(stocked: tuple[Site, Campaign], team: Page, size: ViewportSize) -> None:
    site, campaign = stocked
    address = create(team, site, campaign)
    faults = []
    with browser.tab() as client:
        client.context.add_init_script(path=AXE_FILE_PATH)
        client.set_viewport_size(size)
        for place in (address, re.sub(r"/s/\w+/", "/s/none/", address)):
            client.goto(place)
            faults += look(client, place)
    assert not faults, "\n".join(faults)
