"""Images and parameters in a real browser: each image is there as soon as it is chosen, and stays through every renewal."""

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from campaigns.models import Campaign, Draft
from queue_app.models import Job, User
from tests import browser, images
from tests.e2e.browser import beside, enter
from tests.e2e.conftest import ana_of_staff
from tests.processes import Site

pytestmark = [pytest.mark.e2e, pytest.mark.processes]


@pytest.fixture(scope="module")
def site(django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock(), closing(Site(SECRET_KEY=settings.SECRET_KEY)) as site:
        site.prepare()
        site.start_web()
        yield site


@pytest.fixture(scope="module")
def ana(site: Site) -> User:
    return ana_of_staff(site)


def choose(tab: Page, role: str, *contents: bytes) -> None:
    files: list[Any] = [
        {"name": f"{number}.png", "mimeType": "image/png", "buffer": content} for number, content in enumerate(contents)
    ]
    tab.set_input_files(f"[data-images={role}] input[type=file]", files)


def pictures(tab: Page, role: str) -> Any:
    return tab.locator(f"[data-images={role}] input[type=checkbox]")


def settled(tab: Page) -> None:
    """Wait until the form has renewed itself."""
    expect(tab.locator("#quick-choices.htmx-request")).to_have_count(0)


class TestQuickGeneration:
    def test_greys_what_a_model_lacks_without_a_reload_and_keeps_what_was_typed(self, site: Site, ana: User) -> None:
        with browser.window() as tab:
            enter(tab, site)
            tab.goto(f"{site.url}/")
            tab.evaluate("document.body.dataset.stays = 'here'")
            tab.select_option("#model", "wan-2.7")
            settled(tab)
            tab.click("#more-options > summary")
            tab.fill("#seed", "42")
            tab.fill("#negative_prompt", "rain")
            tab.select_option("#model", "kling-v3")
            expect(tab.locator("#why-seed")).to_have_text("kling-v3 takes no seed.")
            expect(tab.locator("#seed")).to_be_disabled()
            expect(tab.locator("#seed")).to_have_value("42")
            expect(tab.locator("#negative_prompt")).to_have_value(re.compile("rain"))
            tab.select_option("#model", "wan-2.7")
            expect(tab.locator("#seed")).to_be_enabled()
            expect(tab.locator("#seed")).to_have_value("42")
            assert tab.evaluate("document.body.dataset.stays") == "here"

    def test_an_image_is_there_at_once_and_goes_with_the_job(self, site: Site, ana: User) -> None:
        with browser.window(refuses=True) as tab:
            enter(tab, site)
            tab.goto(f"{site.url}/")
            tab.select_option("#model", "kling-v3")
            expect(tab.locator("#why-seed")).to_have_text("kling-v3 takes no seed.")
            tab.click("#more-options > summary")
            choose(tab, "first_frame", images.gif_of(10_000))
            expect(tab.locator("#note-first_frame")).to_have_text("Upload a PNG, JPEG or WebP image, not a GIF.")
            choose(tab, "first_frame", images.picture())
            expect(pictures(tab, "first_frame")).to_be_checked()
            expect(tab.locator("#why-aspect_ratio")).to_have_text("Follows the image.")
            expect(tab.locator("#more-options")).to_have_attribute("open", "")
            expect(tab.locator("[data-images=first_frame] img")).to_have_js_property("naturalWidth", 64)
            settled(tab)
            choose(tab, "first_frame", images.picture(size=(32, 32)))  # in place of the other
            expect(tab.locator("[data-images=first_frame] img")).to_have_js_property("naturalWidth", 32)
            settled(tab)
            expect(pictures(tab, "first_frame")).to_have_count(1)
            tab.fill("#prompt", "A kite over the sea.")
            tab.fill("[data-images=last_frame] input[type=url]", "https://127.0.0.1/a.png")
            tab.click("[data-images=last_frame] [data-fetch]")
            expect(tab.locator("#note-last_frame")).to_contain_text("Use a public https address")
            tab.fill("[data-images=last_frame] input[type=url]", "")
            settled(tab)
            tab.click("#generate")
            expect(tab.locator("h1")).to_contain_text("A kite over the sea.")
            expect(tab.locator(".gq-pic img")).to_have_attribute("alt", "First frame")
        with site.orm():
            assert {*Job.objects.latest("id").parameters["images"]} == {"first_frame"}

    def test_many_references_and_one_left_out(self, site: Site, ana: User) -> None:
        with browser.window() as tab:
            enter(tab, site)
            tab.goto(f"{site.url}/")
            tab.select_option("#kind", "image")
            expect(tab.locator("#why-duration")).to_have_text("Images have no duration.")
            tab.select_option("#model", "nano-banana-2")
            settled(tab)
            tab.click("#more-options > summary")
            choose(tab, "references", *(images.picture(size=(size, 20)) for size in (20, 21, 22)))
            expect(pictures(tab, "references")).to_have_count(3)
            settled(tab)
            pictures(tab, "references").nth(1).uncheck()
            expect(pictures(tab, "references")).to_have_count(2)
            settled(tab)
            tab.fill("#prompt", "A kite over the sea.")
            tab.click("#generate")
            expect(tab.locator("h1")).to_contain_text("A kite over the sea.")
        with site.orm():
            assert len(Job.objects.latest("id").parameters["images"]["references"]) == 2


def test_the_campaign_form_saves_an_image_with_the_draft(site: Site, ana: User) -> None:
    with browser.window() as tab:
        enter(tab, site)
        tab.goto(f"{site.url}/campaigns/new/")
        tab.fill("#f-brand", "Maison Alder")
        tab.fill("#f-big_idea", "The parcel opens.")
        tab.check("[name='dim.mood'][value='calm']")
        tab.select_option("#f-model", "kling-v3")
        expect(tab.locator("#why-seed")).to_have_text("kling-v3 takes no seed.")
        tab.click("#more-options > summary")
        choose(tab, "first_frame", images.picture())
        expect(pictures(tab, "first_frame")).to_be_checked()
        expect(tab.locator("#why-aspect_ratio")).to_have_text("Follows the image.")
        expect(tab.locator("#launch")).to_be_enabled()
        saved = beside(site, lambda: Draft.objects.get(campaign=None).body["images"])
        assert [*saved] == ["first_frame"]
        tab.reload()
        expect(pictures(tab, "first_frame")).to_be_checked()
        tab.click("#launch")
        expect(tab.locator("h1")).to_contain_text("The parcel opens")
    with site.orm():
        assert Campaign.objects.latest("created_at").parameters["images"] == {"first_frame": saved["first_frame"][0]}
