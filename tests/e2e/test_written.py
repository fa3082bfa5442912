"""A page in a browser: each stage shows as it ends, the preview grows in its sandbox, and a person decides."""

from typing import Any

import pytest
from playwright.sync_api import expect

from campaigns.models import Page
from campaigns.pages.pipeline import COMPONENTS
from campaigns.writing.progress import STAGES
from queue_app import clock, wake
from queue_app.models import JobStage, User
from tests import browser
from tests.campaigns.page_rows import TEXTS, end_stage, staged_page
from tests.e2e.browser import beside, enter
from tests.e2e.conftest import ana_of_staff
from tests.processes import Site

pytestmark = [pytest.mark.e2e, pytest.mark.processes]


def test_a_page_shows_each_stage_as_it_ends_and_is_decided_by_keyboard(shared_site: Site, settings: Any) -> None:
    site = shared_site
    settings.MEDIA_ROOT = str(site.home / "media")
    ana_of_staff(site)
    with site.orm():
        at, ana = clock.now(), User.objects.get(username="ana")
        page = staged_page(ana, "running", stages=2, paid=["meta"], at=at, title="Trail running shoes")
        done = staged_page(ana, at=at, verdict="review", title="Rain jackets", url="https://nordfell.example/rain")

    def write(key: str) -> None:
        took = {"started_at": at, "ended_at": at, "seconds": 2.0, "sha256": "0" * 64}
        JobStage.objects.create(job=page.job, name=COMPONENTS, step=key, result=TEXTS[key], **took)
        wake.jobs_changed([page.pk])

    def end() -> None:
        end_stage(page.job, COMPONENTS, None, at=at)
        wake.jobs_changed([page.pk])

    with browser.window() as tab:
        enter(tab, site)
        tab.goto(f"{site.url}/pages/{page.pk}/")
        expect(tab.locator("#stages h2")).to_have_text("Stage 3 of 7: components")
        beside(site, lambda: write("hero"))
        expect(tab.locator("#side")).to_contain_text("3 of 5")
        expect(tab.frame_locator("#preview iframe").locator("h1")).to_have_text("Trail running shoes for wet rock")
        beside(site, end)
        expect(tab.locator("#stages h2")).to_have_text("Stage 4 of 7: assembly")
        assert tab.locator("#stages .done").count() == list(STAGES).index(COMPONENTS) + 1

        tab.goto(f"{site.url}/pages/{done.pk}/")
        tab.locator("#show-markdown").press("Enter")
        expect(tab.locator("#source")).to_contain_text("# Trail running shoes for wet rock")
        assert tab.url.endswith("?show=markdown")
        tab.locator("#note").fill("Too salesy.")
        tab.locator("#do-reject").press("Enter")
        expect(tab.locator("#review")).to_contain_text("Rejected by you")
    assert beside(site, lambda: Page.objects.get(pk=done.pk).note) == "Too salesy."
