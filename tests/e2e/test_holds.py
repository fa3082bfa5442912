"""Canary and storyboard in a browser, from the form to released and approved videos, on one whole installation."""

import pytest
from playwright.sync_api import Page, expect

from queue_app.models import Job, User
from tests import browser
from tests.e2e.browser import MADE_IN, enter
from tests.processes import Site

pytestmark = [pytest.mark.e2e, pytest.mark.processes]


def test_one_of_each_value_runs_first_and_a_still_becomes_a_video(site: Site, staff: User) -> None:
    with browser.window() as tab:
        enter(tab, site)
        fill(tab, site, "A scent is a small holiday", "sora-2")
        expect(tab.locator("#start-canary")).to_contain_text("2 of 4 videos now")
        tab.check("[name=start][value=canary]")
        expect(tab.locator("#summary")).to_contain_text("2 start now, 2 wait until you release them")
        tab.click("#launch")
        expect(tab.locator("#waits")).to_contain_text("2 videos wait until you release them")
        site.start_worker()

        # the contact sheet: what ran is shown as it comes; a value is released with one click, the rest is dropped
        tab.click("#do-sheet")
        expect(tab.locator(".gq-frame img")).to_have_count(2, timeout=MADE_IN)
        expect(tab.locator("#pile-ugc")).to_contain_text("1 completed, 1 on hold")
        tab.locator("#pile-ugc").get_by_role("button", name="Release 1").click()
        expect(tab.locator(".messagelist, .gq-msg, main").first).to_contain_text("1 video released")
        tab.click("#drop-all")
        expect(tab.locator("h1")).to_contain_text("Drop 1 video")
        tab.get_by_role("button", name="Drop 1 video").click()
        expect(tab.locator("#progress")).to_contain_text("3 of 4 videos", timeout=MADE_IN)

        # stills first: one is approved by its tick, and its video is made from it
        fill(tab, site, "A parcel opens", "kling-v3")
        tab.check("[name=start][value=storyboard]")
        expect(tab.locator("#summary")).to_contain_text("Stills (1 ticket each)")
        tab.click("#launch")
        tab.click("#do-sheet")
        expect(tab.locator("#holds-head")).to_contain_text("4 of 4 stills ready to approve", timeout=MADE_IN)
        tab.locator("[name=n][value='1']").check()
        tab.locator(".gq-pickbar").get_by_role("button", name="Approve").click()
        expect(tab.locator("#holds-head")).to_contain_text("3 of 3 stills ready to approve")
        expect(tab.locator("#pile-ugc")).to_contain_text("1 completed", timeout=MADE_IN)
    with site.orm():
        made = Job.objects.get(model="kling-v3", state="completed")
        assert {*made.parameters["images"]} == {"first_frame"} and made.attempts.get().outcome == "delivered"


def fill(tab: Page, site: Site, idea: str, model: str) -> None:
    """Fill the form for four videos."""
    tab.goto(f"{site.url}/campaigns/new/")
    tab.fill("#f-brand", "Maison Alder")
    tab.fill("#f-big_idea", idea)
    tab.select_option("#f-model", model)
    for name, value in (("aesthetic", "ugc"), ("aesthetic", "cinematic"), ("mood", "energetic"), ("mood", "calm")):
        tab.check(f"[name='dim.{name}'][value={value}]")
    expect(tab.locator("#summary")).to_contain_text("2 × 2 = 4 combinations")
