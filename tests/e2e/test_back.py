"""Going back and forward in a real browser: every page comes back whole, with the filters and axes that it was left with."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Response, expect

from campaigns.models import Campaign
from queue_app import clock
from queue_app.models import Job, Notice, State
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.e2e.browser import beside, staff_tab
from tests.e2e.conftest import ana_of_staff, lay_files
from tests.factories import make_job
from tests.processes import Site

pytestmark = pytest.mark.e2e
LIST = "/admin/queue_app/job/"
WHOLE = "body.gq-app > .gq-top, body #header"  # what no fragment has


@pytest.fixture(scope="module")
def stocked(shared_site: Site) -> tuple[Site, Campaign, Job]:
    """Four videos of Ana's, three of them made, and a job on its way beside them. No worker runs."""
    staff = ana_of_staff(shared_site)
    with shared_site.orm():
        campaign = make_campaign(staff, name="Autumn scent", at=clock.now())
        for job in jobs_of(campaign)[:3]:
            bring(job, State.COMPLETED, at=clock.now())
        job = make_job(State.UNKNOWN, owner=staff, at=clock.now(), prompt="A heron on the ice")
        lay_files(shared_site)
    return shared_site, campaign, job


@pytest.fixture
def tab(stocked: tuple[Site, Campaign, Job]) -> Iterator[Page]:  # after the rows are made: Django refuses them in an event loop
    with staff_tab(stocked[0]) as tab:
        yield tab


def is_whole(tab: Page) -> None:
    expect(tab.locator(WHOLE).first).to_be_visible()
    expect(tab).to_have_title(re.compile("Genqueue"))


def renewed(tab: Page) -> None:
    """Let a live page ask for its fragment at its own address, as if all had changed, and wait until it has it."""

    def is_fragment(answer: Response) -> bool:
        return answer.request.headers.get("hx-request") == "true" and answer.status == 200

    with tab.expect_response(is_fragment):
        tab.evaluate("""() => {
            document.querySelectorAll("#seen").forEach((one) => { one.value = "none"; });
            htmx.trigger(document.body, "gq:changed");
        }""")


@pytest.mark.parametrize("address", ["/campaigns/{}/", "/admin/"])
def test_the_bell_counts_a_new_notice_without_a_reload(stocked: tuple[Site, Campaign, Job], tab: Page, address: str) -> None:
    site, campaign, _ = stocked
    tab.goto(site.url + address.format(campaign.pk))
    bell, before = tab.locator("#bell"), beside(site, Notice.objects.count)
    expect(bell).to_have_accessible_name(f"Notices, {before} unread" if before else "Notices")
    beside(site, lambda: Notice.objects.create(user=campaign.batch.owner, key=address, text="Told.", created_at=clock.now()))
    tab.evaluate("htmx.trigger(document.body, 'gq:changed')")
    expect(bell).to_have_accessible_name(f"Notices, {before + 1} unread")
    expect(bell.locator(".gq-count")).to_have_text(str(before + 1))


def test_every_live_page_comes_back_whole_after_it_has_renewed_itself(stocked: tuple[Site, Campaign, Job], tab: Page) -> None:
    site, campaign, job = stocked
    mine = ["/", f"/campaigns/{campaign.pk}/", f"/campaigns/{campaign.pk}/review/1/versions/", f"/jobs/{job.pk}/"]
    for address in [*mine, "/admin/", LIST, f"{LIST}{job.pk}/change/"]:
        tab.goto(f"{site.url}{address}")
        renewed(tab)
        tab.goto(f"{site.url}/campaigns/")
        tab.go_back()
        is_whole(tab)


class TestReview:
    def test_filters_come_back_with_the_page(self, stocked: tuple[Site, Campaign, Job], tab: Page) -> None:
        site, campaign, _ = stocked
        address = f"{site.url}/campaigns/{campaign.pk}/review/"
        cards = tab.locator("article.gq-vid")
        tab.goto(address)
        expect(cards).to_have_count(3)
        tab.select_option("#filter-aesthetic", "ugc")
        tab.wait_for_url("**aesthetic=ugc**")
        expect(cards).to_have_count(2)
        expect(tab.locator("#results")).not_to_have_class(re.compile("htmx-"))  # until then its new fields have no handlers
        tab.select_option("#filter-mood", "calm")
        tab.wait_for_url("**mood=calm**")
        expect(cards).to_have_count(1)

        # from another page, back to the filters
        tab.goto(f"{site.url}/campaigns/{campaign.pk}/review/2/")
        tab.go_back()
        is_whole(tab)
        expect(cards).to_have_count(1)
        expect(tab.locator("#filter-aesthetic")).to_have_value("ugc")

        # within the page, filter by filter
        tab.go_back()
        tab.wait_for_url(re.compile("aesthetic=ugc(?!.*mood=calm)"))
        is_whole(tab)
        expect(cards).to_have_count(2)
        expect(tab.locator("#filter-mood")).to_have_value("")
        tab.go_back()
        tab.wait_for_url(address)
        is_whole(tab)
        expect(cards).to_have_count(3)
        tab.go_forward()
        tab.wait_for_url("**aesthetic=ugc**")
        is_whole(tab)
        expect(cards).to_have_count(2)
        tab.reload()
        expect(cards).to_have_count(2)


class TestTheCampaign:
    def test_its_axes_come_back_with_the_page(self, stocked: tuple[Site, Campaign, Job], tab: Page) -> None:
        site, campaign, _ = stocked
        tab.goto(f"{site.url}/campaigns/{campaign.pk}/")
        rows = tab.locator("#axes select[name=rows]")
        was = rows.input_value()
        other = "mood" if was == "aesthetic" else "aesthetic"
        rows.select_option(other)
        tab.wait_for_url(f"**rows={other}**")
        tab.goto(f"{site.url}/campaigns/{campaign.pk}/cells/")
        tab.go_back()
        is_whole(tab)
        assert f"rows={other}" in tab.url
        expect(rows).to_have_value(other)


class TestTheJobList:
    def test_its_filters_survive_a_preview_and_the_way_back(self, stocked: tuple[Site, Campaign, Job], tab: Page) -> None:
        site, _, job = stocked
        tab.goto(f"{site.url}{LIST}?q=heron")
        renewed(tab)
        tab.check(f"#job-{job.pk} .action-select")
        tab.click("button[name=action][value=cancel]")
        expect(tab.locator("h1")).to_have_text("Cancel 1 job?")
        tab.go_back()
        is_whole(tab)
        expect(tab.locator("#result_list tbody tr")).to_have_count(1)
        tab.go_forward()
        expect(tab.locator("h1")).to_have_text("Cancel 1 job?")
        tab.click("footer a.gq-btn")
        tab.wait_for_url(f"**{LIST}?q=heron")
        expect(tab.locator("#result_list tbody tr")).to_have_count(1)

        tab.click(f"#job-{job.pk} th a")
        tab.wait_for_url(f"**{LIST}{job.pk}/change/**")
        tab.click(".breadcrumbs a >> nth=1")
        tab.wait_for_url(f"**{LIST}?q=heron")
