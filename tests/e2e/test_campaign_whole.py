"""Campaigns from the first word to the ZIP, in one browser, on a whole installation of real processes."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from queue_app.models import Job
from tests.e2e.browser import MADE_IN, beside, enter, halfway, log_in
from tests.e2e.conftest import anas_campaign, installed
from tests.processes import Site

pytestmark = [pytest.mark.e2e, pytest.mark.processes]


@pytest.fixture(scope="module")
def site(django_db_blocker: Any) -> Iterator[Site]:
    """One for both tests: each launches campaigns of its own."""
    with django_db_blocker.unblock(), installed() as site:
        yield site


@pytest.fixture(scope="module")
def campaign(site: Site) -> Campaign:
    return anas_campaign(site)


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
    expect(window.locator("#progress")).to_contain_text("of 3 videos")
    work(site)
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


def test_one_of_each_value_runs_first_and_an_approved_still_becomes_a_video(site: Site, campaign: Campaign, window: Page) -> None:
    enter(window, site)
    fill(window, site, "A scent is a small holiday", "sora-2")
    expect(window.locator("#start-canary")).to_contain_text("2 of 4 videos now")
    window.check("[name=start][value=canary]")
    expect(window.locator("#summary")).to_contain_text("2 start now, 2 wait until you release them")
    window.click("#launch")
    expect(window.locator("#waits")).to_contain_text("2 videos wait until you release them")
    work(site)

    # the contact sheet: what ran is shown as it comes; a value is released with one click, the rest is dropped
    window.click("#do-sheet")
    expect(window.locator(".gq-frame img")).to_have_count(2, timeout=MADE_IN)
    expect(window.locator("#pile-ugc")).to_contain_text("1 completed, 1 on hold")
    window.locator("#pile-ugc").get_by_role("button", name="Release 1").click()
    expect(window.locator("main")).to_contain_text("1 video released")
    window.click("#drop-all")
    window.get_by_role("button", name="Drop 1 video").click()
    expect(window.locator("#progress")).to_contain_text("3 of 4 videos", timeout=MADE_IN)

    # stills first: one is approved by its tick, and its video is made from it
    fill(window, site, "A parcel opens", "kling-v3")
    window.check("[name=start][value=storyboard]")
    expect(window.locator("#summary")).to_contain_text("Stills (1 ticket each)")
    window.click("#launch")
    window.click("#do-sheet")
    expect(window.locator("#holds-head")).to_contain_text("4 of 4 stills ready to approve", timeout=MADE_IN)
    window.locator("[name=n][value='1']").check()
    window.locator(".gq-pickbar").get_by_role("button", name="Approve").click()
    expect(window.locator("#holds-head")).to_contain_text("3 of 3 stills ready to approve")
    expect(window.locator("#pile-ugc")).to_contain_text("1 completed", timeout=MADE_IN)
    assert beside(site, lambda: [*Job.objects.get(model="kling-v3", state="completed").parameters["images"]]) == ["first_frame"]


def fill(tab: Page, site: Site, idea: str, model: str) -> None:
    """Fill the form for four videos of four seconds, or of the shortest that the model has."""
    tab.goto(f"{site.url}/campaigns/new/")
    tab.fill("#f-brand", "Maison Alder")
    tab.fill("#f-big_idea", idea)
    tab.select_option("#f-model", model)
    for name, value in (("aesthetic", "ugc"), ("aesthetic", "cinematic"), ("mood", "energetic"), ("mood", "calm")):
        tab.check(f"[name='dim.{name}'][value={value}]")
    expect(tab.locator("#summary")).to_contain_text("2 × 2 = 4 combinations")
    tab.select_option("#f-duration", index=0)


def work(site: Site) -> None:
    """Start a worker, unless the other test has."""
    if not any(program.name == "worker" and program.is_running for program in site.programs):
        site.start_worker()
