"""The page of a campaign in a real browser, on a whole installation: it reaches 100 % by itself, and a result plays."""

import shutil
from collections.abc import Iterator

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Page, expect, sync_playwright

from campaigns.models import Campaign
from queue_app import clock, tickets
from queue_app.models import User
from tests.campaigns.support import make_campaign
from tests.processes import Site

pytestmark = [pytest.mark.e2e, pytest.mark.processes]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
MADE_IN = 120_000  # ms, for four videos on a busy machine


@pytest.fixture
def site(django_db_blocker: object) -> Iterator[Site]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        site = Site(STUDIO_SECONDS_PER_JOB="1", WORKERS="3")
        try:
            site.prepare()
            site.manage("seed_catalogue")
            site.start_studio(seconds_per_job=1)
            site.start_web()
            yield site
        finally:
            site.close()


@pytest.fixture
def campaign(site: Site) -> Campaign:
    """Four videos of Ana's, launched and not begun."""
    with site.orm():
        # as the product's settings hash it; those of the tests know a quicker way only
        ana = User.objects.create(username="ana", first_name="Ana", password=PBKDF2PasswordHasher().encode("password", "salt"))
        tickets.grant(ana, 100, at=clock.now(), actor="tests", reason="to spend")
        return make_campaign(ana, name="Autumn scent", at=clock.now())


@pytest.fixture
def window(campaign: Campaign) -> Iterator[Page]:  # after the rows are made: Django refuses them where an event loop runs
    """A browser window; a word on its console that tells of a fault fails the test."""
    faults: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        tab = chromium.new_page(viewport={"width": 1280, "height": 900})
        tab.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        tab.on("pageerror", lambda fault: faults.append(str(fault)))
        yield tab
        chromium.close()
    assert faults == []


def test_it_reaches_100_percent_by_itself_and_what_was_made_plays(site: Site, campaign: Campaign, window: Page) -> None:
    log_in(window, site)
    window.goto(f"{site.url}/campaigns/{campaign.pk}/")
    progress = window.locator("#progress")
    expect(progress).to_contain_text("0 of 4 videos")
    expect(window.locator("#heat .gq-cell.is-queued")).to_have_count(4)
    window.evaluate("window.neverReloaded = true")
    window.focus("#at-3")

    site.start_worker()

    expect(window.locator("#ahead")).to_contain_text("attempt 1", timeout=MADE_IN)
    expect(progress).to_contain_text("4 of 4 videos", timeout=MADE_IN)
    expect(progress).to_contain_text("All stored")
    expect(window.locator("#heat .gq-cell.is-completed")).to_have_count(4)
    expect(window.locator("#side")).to_contain_text("16 tickets")
    expect(window.locator("#do-cancel")).to_have_count(0)
    assert window.evaluate("window.neverReloaded && document.activeElement.id") == "at-3"

    window.keyboard.press("Enter")
    expect(window.locator("h1")).to_contain_text("Job")
    assert halfway(window) == pytest.approx(0.5, abs=0.1)


def test_a_video_that_plays_on_the_home_page_goes_on_while_the_page_renews_itself(
    site: Site, campaign: Campaign, window: Page
) -> None:
    site.start_worker()
    log_in(window, site)
    first = window.locator("#results video").first
    expect(first).to_be_visible(timeout=MADE_IN)
    expect(window.locator("#my-campaigns")).to_contain_text("4 of 4", timeout=MADE_IN)
    window.evaluate("""async () => {
        window.film = document.querySelector("#results video");
        film.muted = film.loop = true;
        await film.play();
        document.querySelector("#seen").value = "";
    }""")
    with window.expect_response(lambda answer: "seen=" in answer.url and answer.status == 200):
        window.evaluate("htmx.trigger(document.body, 'gq:changed')")
    window.wait_for_timeout(300)
    assert window.evaluate("film.isConnected && !film.paused && film === document.querySelector('#results video')")


def log_in(window: Page, site: Site) -> None:
    window.goto(f"{site.url}/login/")
    window.fill("#id_username", "ana")
    window.fill("#id_password", "password")
    window.click("form:has(#id_password) button")
    expect(window.locator("h1")).to_contain_text("Ana")


def halfway(window: Page) -> float:
    """Seek the video on the page to its middle; gives where it is then, as a part of the whole."""
    where: float = window.evaluate("""() => new Promise((done) => {
        const film = document.querySelector("video");
        film.onseeked = () => done(film.currentTime / film.duration);
        const seek = () => { film.currentTime = film.duration / 2; };
        film.readyState ? seek() : film.addEventListener("loadedmetadata", seek, { once: true });
    })""")
    return where
