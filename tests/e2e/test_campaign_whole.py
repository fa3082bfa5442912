"""A campaign from the first word to the ZIP, in one browser, on a whole installation of real processes."""

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from tests.e2e.browser import MADE_IN, halfway, log_in
from tests.processes import Site

pytestmark = [pytest.mark.e2e, pytest.mark.processes]


def test_a_brief_becomes_videos_that_are_judged_and_taken_along(
    site: Site, campaign: Campaign, window: Page, tmp_path: Path
) -> None:
    log_in(window, site)
    window.get_by_role("link", name="New campaign").first.click()
    summary, launch = window.locator("#summary"), window.locator("#launch")
    expect(launch).to_be_disabled()

    # the brief and the matrix: count and cost follow
    window.fill("#f-brand", "Maison Alder")
    window.fill("#f-big_idea", "A scent is a small holiday")
    for value in ("ugc", "cinematic", "minimalist"):
        window.check(f"[name='dim.aesthetic'][value={value}]")
    expect(summary).to_contain_text("3 combinations")
    for value in ("wholesome", "calm"):
        window.check(f"[name='dim.mood'][value={value}]")
    expect(summary).to_contain_text("3 × 2 = 6 combinations")
    expect(summary).to_contain_text("48 tickets")
    window.select_option("#f-duration", "4")
    expect(summary).to_contain_text("24 tickets")

    # three cells out; a reload loses nothing
    for cell in (2, 4, 6):
        window.uncheck(f"#in-{cell}")
        expect(summary).to_contain_text(f"{cell // 2} excluded")
    expect(summary).to_contain_text("12 tickets")
    expect(launch).to_contain_text("Launch 3 videos")
    window.reload()
    expect(window.locator("#f-big_idea")).to_have_value("A scent is a small holiday")
    expect(launch).to_contain_text("Launch 3 videos")

    # launched, and watched until all are made
    launch.click()
    expect(window.locator("#progress")).to_contain_text("0 of 3 videos")
    site.start_worker()
    expect(window.locator("#progress")).to_contain_text("3 of 3 videos", timeout=MADE_IN)

    # reviewed: one plays from its middle, one is approved, one rejected; the ZIP holds the approved one
    window.get_by_role("link", name="Review all").click()
    window.locator("#cell-1 a.gq-shot").focus()
    window.keyboard.press("Space")
    expect(window.locator("#cell-1 video")).to_be_visible()
    assert halfway(window) == pytest.approx(0.5, abs=0.1)
    window.click("#yes-1")
    expect(window.locator("#yes-1")).to_have_attribute("aria-pressed", "true")
    window.click("#no-3")
    expect(window.locator("#review-judged")).to_contain_text("2 of 3 reviewed")
    with window.expect_download() as coming:
        window.get_by_role("link", name="Download 1 approved").click()
    taken = tmp_path / "approved.zip"
    coming.value.save_as(taken)
    with zipfile.ZipFile(taken) as archive:
        assert archive.testzip() is None
        assert len([name for name in archive.namelist() if name.endswith(".mp4")]) == 1
