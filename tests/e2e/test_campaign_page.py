"""
The page of a campaign in a real browser, on a whole installation: it reaches 100 % by itself, one click plays a result, and keys
review it; what plays goes on while the page renews itself.
"""

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Locator, Page, expect

from campaigns.models import Campaign, Combination
from tests.e2e.browser import MADE_IN, beside, enter, halfway, log_in
from tests.e2e.test_admin_pages import grave
from tests.processes import Site

pytestmark = pytest.mark.e2e


def plays(film: Locator) -> None:
    expect(film).to_be_visible()
    expect(film).to_have_js_property("paused", False)


def test_it_reaches_100_percent_by_itself_and_one_click_plays_a_result(site: Site, campaign: Campaign, window: Page) -> None:
    log_in(window, site)
    window.add_init_script(path=AXE_FILE_PATH)
    window.goto(f"{site.url}/campaigns/{campaign.pk}/")
    progress, matrix = window.locator("#progress"), window.locator("#heat")
    expect(progress).to_contain_text("0 of 4 videos")
    expect(matrix.locator(".gq-cell.is-queued")).to_have_count(4)
    window.evaluate("""() => {
        window.neverReloaded = true;
        window.shifted = 0;
        new PerformanceObserver((list) => {
            for (const one of list.getEntries())
                if (one.sources.some((source) => source.node?.closest?.("#heat"))) shifted += one.value;
        }).observe({ type: "layout-shift" });
    }""")
    window.focus("#at-3")

    assert site.studio is not None
    site.studio.queue_faults(create=["latency:6"] * 4)  # long enough to be seen on its way, however slow the page is
    site.start_worker()

    expect(window.locator("#running")).to_contain_text("%", timeout=MADE_IN)
    expect(progress).to_contain_text("4 of 4 videos", timeout=MADE_IN)
    expect(progress).to_contain_text("All completed")
    expect(matrix.locator("a.gq-th img")).to_have_count(4)
    expect(window.locator("#side")).to_contain_text("Charged, 4 videos 16")
    expect(window.locator("#do-cancel")).to_have_count(0)
    assert window.evaluate("window.neverReloaded && document.activeElement.id") == "at-3"
    assert grave(window) == []

    # the frames of the video follow the pointer
    window.hover("#at-2")
    expect(window.locator("#at-2 img.sheet")).to_be_visible()
    expect(window.locator("#peek")).to_be_visible()
    window.mouse.move(5, 5)
    expect(window.locator("#peek")).to_be_hidden()

    window.click("#at-1")
    film = window.locator("#player-film")
    plays(film)
    assert halfway(window) == pytest.approx(0.5, abs=0.1)
    assert grave(window) == []

    # a key reviews it, the next one comes up, and the cell behind shows it; undone, it is there again
    name = window.locator("#player-name")
    expect(name).to_have_text("UGC, Energetic")
    window.keyboard.press("a")
    expect(name).to_have_text("UGC, Calm")
    expect(window.locator("#at-1")).to_have_class("gq-th is-approved")
    window.keyboard.press("u")
    expect(name).to_have_text("UGC, Energetic")
    window.keyboard.press("w")
    expect(name).to_have_text("UGC, Calm")
    window.keyboard.press("ArrowRight")
    expect(name).to_have_text("Cinematic, Energetic")
    window.keyboard.press("Escape")
    expect(window.locator("#at-3")).to_be_focused()
    expect(progress).to_contain_text("1 winner")
    assert beside(site, lambda: Combination.objects.get(campaign=campaign, index=1).review) == "winner"

    # arrows move in the matrix, a chip dims what it is not about
    window.keyboard.press("ArrowUp")
    expect(window.locator("#at-1")).to_be_focused()
    window.click("#count-winner")
    expect(window.locator("#at-2")).to_have_class("gq-th is-new is-dim")
    expect(window.locator("#at-1")).to_have_class("gq-th is-winner")
    assert window.evaluate("window.shifted") < 0.01


def test_a_result_of_the_home_page_plays_on_while_the_page_renews_itself(site: Site, campaign: Campaign, window: Page) -> None:
    site.start_worker()
    enter(window, site)
    window.goto(site.url)
    expect(window.locator("#my-campaigns")).to_contain_text("4 of 4", timeout=MADE_IN)
    window.locator("#results a.gq-th").first.click()
    film = window.locator("#player-film")
    plays(film)
    window.evaluate("() => { window.film = document.querySelector('#player-film'); film.muted = film.loop = true; }")
    with window.expect_response(lambda answer: "seen=" in answer.url and answer.status == 200):
        window.evaluate("document.querySelector('#seen').value = ''; htmx.trigger(document.body, 'gq:changed')")
    window.wait_for_timeout(300)
    assert window.evaluate("film.isConnected && !film.paused")
    window.keyboard.press("Escape")
    expect(film).to_have_count(0)
