"""The review in a real browser, on videos that a whole installation has made."""

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from tests.e2e.browser import MADE_IN, enter, halfway
from tests.processes import Site

pytestmark = pytest.mark.e2e


def until_it_shows(window: Page) -> None:
    """Wait until the video has a picture to show; by asking, as the page's CSP lets no text be evaluated in it."""
    for _ in range(300):
        if window.evaluate("() => document.querySelector('video').readyState >= 2"):
            return
        window.wait_for_timeout(100)
    pytest.fail("The video shows nothing after 30 s.")


def test_results_are_played_sought_in_judged_by_key_and_taken_along(
    site: Site, campaign: Campaign, window: Page, tmp_path: Path
) -> None:
    site.start_worker()
    enter(window, site)
    window.goto(f"{site.url}/campaigns/{campaign.pk}/")
    expect(window.locator("#progress")).to_contain_text("4 of 4 videos", timeout=MADE_IN)
    window.get_by_role("link", name="Review all").click()
    expect(window.locator("article.gq-vid")).to_have_count(4)
    expect(window.get_by_role("button", name="ZIP")).to_be_disabled()

    # the scrubber: the spritesheet comes when it is wanted, and follows the pointer and the arrows
    expect(window.locator(".sheet")).to_have_count(0)
    shot = window.locator("#cell-1 a.gq-shot")
    shot.hover(position={"x": 200, "y": 60})
    expect(window.locator("#cell-1 .is-scrubbing .sheet")).to_be_visible()
    shot.focus()
    frame = int(shot.get_attribute("data-at") or 0)
    window.keyboard.press("ArrowRight")
    assert shot.get_attribute("data-at") == str(frame + 1)

    # playing in place, and seeking: the middle is reached, and there is a picture to show
    window.keyboard.press("Space")
    expect(window.locator("#cell-1 video")).to_be_visible()
    until_it_shows(window)
    assert halfway(window) == pytest.approx(0.5, abs=0.1)
    until_it_shows(window)

    # verdicts by key; what plays goes on playing
    window.keyboard.press("a")
    expect(window.locator("#yes-1")).to_have_attribute("aria-pressed", "true")
    expect(window.locator("#cell-1 video")).to_be_visible()
    window.keyboard.press("j")
    window.keyboard.press("r")
    expect(window.locator("#no-2")).to_have_attribute("aria-pressed", "true")
    window.keyboard.press("j")
    window.keyboard.press("w")
    expect(window.locator("#win-3")).to_have_attribute("aria-pressed", "true")
    # undo takes the verdict back and leaves the rest of its card: what is typed, and the place
    window.click("#remark-3 summary")
    window.fill("#remark-text-3", "Shorter, please.")
    window.focus("#cell-4 a.gq-shot")
    window.keyboard.press("u")
    expect(window.locator("#win-3")).to_have_attribute("aria-pressed", "false")
    expect(window.locator("#cell-3 a.gq-shot")).to_be_focused()
    expect(window.locator("#remark-text-3")).to_have_value("Shorter, please.")
    window.click("#remark-3 button")
    expect(window.locator("#remark-3 summary")).to_have_text("Note: Shorter, please.")
    expect(window.locator("#remark-3 summary")).to_be_focused()
    expect(window.locator("#review-judged")).to_contain_text("2 of 4 reviewed")
    expect(window.locator("#count-approved")).to_have_text("1")

    # single keys can be turned off, and stay so
    window.keyboard.press("?")
    window.uncheck("input[data-keys]")
    window.click("#dlg-keys [data-close]")
    window.reload()
    expect(window.locator("[aria-pressed=true]")).to_have_count(2)
    expect(window.locator("#yes-1[aria-pressed=true], #no-2[aria-pressed=true]")).to_have_count(2)
    window.focus("#cell-4 a.gq-shot")
    window.keyboard.press("a")
    window.keyboard.press("?")
    expect(window.locator("#dlg-keys")).not_to_be_visible()
    expect(window.locator("#yes-4")).to_have_attribute("aria-pressed", "false")

    with window.expect_download() as begun:
        window.click("#review-zip a")
    saved = tmp_path / "approved.zip"
    begun.value.save_as(saved)
    with zipfile.ZipFile(saved) as archive:
        assert archive.testzip() is None
        (name,) = archive.namelist()
        assert name.startswith("001-") and name.endswith(".mp4")
        assert archive.read(name)[4:8] == b"ftyp"
