"""The page of a campaign in a real browser, on a whole installation: it reaches 100 % by itself, and a result plays."""

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from tests.e2e.browser import MADE_IN, enter, halfway, log_in
from tests.processes import Site

pytestmark = pytest.mark.e2e


def test_it_reaches_100_percent_by_itself_and_what_was_made_plays(site: Site, campaign: Campaign, window: Page) -> None:
    log_in(window, site)
    window.goto(f"{site.url}/campaigns/{campaign.pk}/")
    progress = window.locator("#progress")
    expect(progress).to_contain_text("0 of 4 videos")
    expect(window.locator("#heat .gq-cell.is-queued")).to_have_count(4)
    window.evaluate("window.neverReloaded = true")
    window.focus("#at-3")

    assert site.studio is not None
    site.studio.queue_faults(create=["latency:6"] * 4)  # long enough to be seen on its way, however slow the page is
    site.start_worker()

    expect(window.locator("#ahead")).to_contain_text("attempt 1", timeout=MADE_IN)
    expect(progress).to_contain_text("4 of 4 videos", timeout=MADE_IN)
    expect(progress).to_contain_text("All completed")
    expect(window.locator("#heat .gq-cell.is-completed")).to_have_count(4)
    expect(window.locator("#side")).to_contain_text("16 tickets")
    expect(window.locator("#do-cancel")).to_have_count(0)
    assert window.evaluate("window.neverReloaded && document.activeElement.id") == "at-3"

    window.keyboard.press("Enter")
    expect(window.locator("h1")).to_contain_text("Job")
    assert halfway(window) == pytest.approx(0.5, abs=0.1)


def test_a_video_is_played_in_place_on_the_home_page_and_goes_on_while_the_page_renews_itself(
    site: Site, campaign: Campaign, window: Page
) -> None:
    site.start_worker()
    enter(window, site)
    window.goto(site.url)
    first = window.locator("#results video").first
    expect(first).to_be_visible(timeout=MADE_IN)
    expect(window.locator("#my-campaigns")).to_contain_text("4 of 4", timeout=MADE_IN)
    window.evaluate("""() => {
        window.film = document.querySelector("#results video");
        film.muted = film.loop = true;
    }""")
    play = window.locator("#results .play").first
    assert not window.evaluate("film.controls")  # they would cover the picture
    play.click()
    expect(play).to_be_hidden()
    expect(first).to_be_focused()
    with window.expect_response(lambda answer: "seen=" in answer.url and answer.status == 200):
        window.evaluate("document.querySelector('#seen').value = ''; htmx.trigger(document.body, 'gq:changed')")
    window.wait_for_timeout(300)
    assert window.evaluate("film.isConnected && !film.paused && film === document.querySelector('#results video')")
    assert window.evaluate("film.controls")
    expect(play).to_be_hidden()
