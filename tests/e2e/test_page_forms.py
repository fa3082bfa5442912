"""The forms of pages in a browser: one page by keyboard, and many from a CSV whose wrong rows are corrected in place."""

import json
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Page, Route, expect

from queue_app.models import Batch, Job
from tests import browser
from tests.campaigns.test_pages_many import DAMAGED
from tests.campaigns.written import SHOES
from tests.e2e.browser import beside, enter
from tests.e2e.conftest import ana_of_staff
from tests.processes import Site

pytestmark = [pytest.mark.e2e, pytest.mark.processes]
SERIOUS = """() => axe.run().then((found) => found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact)).map((one) => `${one.id}: ${one.nodes[0].html}`))"""


def serious(tab: Page) -> list[str]:
    """What axe finds serious or critical on the page as it stands."""
    tab.evaluate(Path(AXE_FILE_PATH).read_text())
    found: list[str] = tab.evaluate(SERIOUS)
    return found


def test_one_page_and_many_from_a_csv_are_queued(shared_site: Site) -> None:
    site = shared_site
    ana_of_staff(site)
    with browser.window() as tab:
        enter(tab, site)
        tab.goto(f"{site.url}/pages/new/")
        tab.locator("#f-target_url").fill("https://nordfell.no/en/fell-1")
        keywords = tab.locator("#f-keywords")
        for word in ("fell shoes", "typo", "wet rock grip"):
            keywords.fill(word)
            keywords.press("Enter")
        tab.get_by_role("button", name="Remove typo").press("Enter")
        tab.locator("#f-product_data").fill(json.dumps({**SHOES[0], "price": "1,299"}))
        expect(tab.locator("#note-product_data")).to_contain_text("Enter a number with a point")
        expect(tab.locator("#f-product_data")).to_have_attribute("aria-invalid", "true")
        tab.locator("#f-product_data").fill(json.dumps(SHOES[0]))
        expect(tab.locator("#note-product_data")).to_be_empty()
        tab.locator("#f-monthly_searches").fill("12,400")
        expect(tab.locator("#summary")).to_contain_text("12,400 monthly searches: +30")
        assert not serious(tab)
        tab.reload()
        expect(tab.locator(".gq-token")).to_have_text(["fell shoes×", "wet rock grip×"])
        tab.locator("#generate").press("Enter")
        expect(tab.locator("h1")).to_contain_text("fell shoes")

        tab.goto(f"{site.url}/pages/new/many/")
        file = {"name": "pages-spring.csv", "mimeType": "text/csv", "buffer": DAMAGED.encode()}
        tab.locator("#f-file").set_input_files(files=[file])  # type: ignore[list-item]
        expect(tab.get_by_role("status").filter(has_text="2 rows are ready, 4 need a change.")).to_be_visible()
        assert not serious(tab)
        held: list[Route] = []
        tab.route("**/pages/new/many/look/**", lambda route: route.continue_() if held else held.append(route))
        with tab.expect_request("**/pages/new/many/look/**"):
            tab.get_by_label("Row 3, type").fill("product")
            tab.get_by_label("Row 4, target url").fill("https://nordfell.no/en/gaiter-2")
        tab.get_by_label("Row 5, language").fill("de")
        tab.get_by_label("Row 5, deadline").fill("")
        tab.get_by_label("Row 6, searches a month").fill("1200")  # is not left yet when the rows are renewed
        held[0].continue_()
        expect(tab.locator("#generate")).to_have_text("Generate 5 pages")
        expect(tab.get_by_label("Row 6, searches a month")).to_have_value("1200")
        tab.get_by_label("Row 6, searches a month").press("Tab")
        expect(tab.locator("#generate")).to_have_text("Generate 6 pages")
        tab.locator("#generate").press("Enter")
        tab.wait_for_url("**/pages/batches/*/")
        tab.goto(f"{site.url}/pages/")
        expect(tab.locator("#pages tbody tr")).to_have_count(7)
        assert not serious(tab)
    names, jobs = beside(site, lambda: (list(Batch.objects.values_list("name", flat=True)), Job.objects.count()))
    assert (names, jobs) == (["pages-spring.csv"], 7)
