"""
What people come to do, by the keyboard alone: no mouse moves, and each control is reached by Tab or by its own key. To release a
job on hold, to review many videos and to compare two versions have tests of their own (`test_admin_jobs`, `test_watch`).
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from queue_app import clock
from queue_app.models import BulkAction, Job, ModelConcurrencyLimit, State, User
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.e2e.browser import beside, give_time, reach, staff_tab
from tests.e2e.conftest import ana_of_staff, lay_films
from tests.factories import make_job
from tests.processes import Site

pytestmark = pytest.mark.e2e
LIST = "/admin/queue_app/job/"


@pytest.fixture(scope="module")
def stocked(shared_site: Site) -> Site:
    """Ana of staff with a finished campaign and jobs in four states. No worker runs: bulk actions wait."""
    staff, at = ana_of_staff(shared_site), clock.now()
    with shared_site.orm():
        for job in jobs_of(make_campaign(staff, name="Autumn scent", at=at)):
            bring(job, State.COMPLETED, at=at)
        for state in (State.QUEUED, State.QUEUED, State.FAILED, State.FAILED, State.UNKNOWN):
            make_job(state, owner=staff, at=at, tickets=4, prompt="A heron on the ice")
        lay_films(shared_site)
    return shared_site


@pytest.fixture
def tab(stocked: Site) -> Iterator[Page]:  # after the rows are made: Django refuses them in an event loop
    with staff_tab(stocked, "/") as tab:
        yield tab


def press(tab: Page, selector: str, key: str = "Enter") -> None:
    reach(tab, selector)
    tab.keyboard.press(key)


def fill(tab: Page, selector: str, words: str) -> None:
    reach(tab, selector)
    tab.keyboard.type(words)


def test_a_clip_is_ordered_and_found_among_ones_jobs(stocked: Site, tab: Page) -> None:
    fill(tab, "#prompt", "A kite over the sea.")
    press(tab, "#generate")
    expect(tab.locator("h1")).to_contain_text("A kite over the sea.")
    press(tab, ".gq-menu a:has-text('My jobs')")
    expect(tab.locator("#rows, main").first).to_contain_text("A kite over the sea.")


def test_a_campaign_is_launched(stocked: Site, tab: Page) -> None:
    press(tab, ".gq-menu a:has-text('New campaign')")
    tab.wait_for_url("**/campaigns/new/")
    fill(tab, "#f-brand", "Maison Alder")
    fill(tab, "#f-big_idea", "The parcel opens.")
    for value in ("ugc", "cinematic"):
        press(tab, f"[name='dim.aesthetic'][value={value}]", "Space")
    expect(tab.locator("#launch")).to_contain_text("Launch 2 videos")
    press(tab, "#launch")
    expect(tab.locator("#progress")).to_contain_text("0 of 2 videos")
    assert beside(stocked, lambda: Campaign.objects.latest("pk").batch.jobs.count()) == 2


def test_what_is_finished_is_played_and_reviewed(stocked: Site, tab: Page) -> None:
    press(tab, "#to-review a.is-primary")
    expect(tab.locator("#film")).to_be_visible()
    tab.wait_for_load_state()  # before that the page has no keys
    tab.keyboard.press("a")
    expect(tab.locator("#now")).to_have_attribute("data-index", "2")
    tab.keyboard.press("w")
    expect(tab.locator("#now")).to_have_attribute("data-index", "3")
    tab.keyboard.press("u")
    expect(tab.locator("#now")).to_have_attribute("data-index", "2")
    campaign = beside(
        stocked, lambda: list(Campaign.objects.get(name="Autumn scent").combinations.values_list("review", flat=True))
    )
    assert sorted(campaign) == ["", "", "", "approved"]


@pytest.mark.parametrize(
    ("status", "verb", "jobs"), [("queued", "cancel", 2), ("failed", "retry", 2), ("completed", "clear_completed", 4)]
)
def test_jobs_are_cancelled_retried_and_cleared_together(stocked: Site, tab: Page, status: str, verb: str, jobs: int) -> None:
    """Selected by `x`, after a look at what it means, and with a way back for ten seconds."""
    beside(stocked, lambda: BulkAction.objects.update(phase=BulkAction.Phase.UNDONE))
    asked = "q=heron" if status != "completed" else ""
    tab.goto(f"{stocked.url}{LIST}?status={status}&{asked}")
    for _ in range(jobs):
        tab.keyboard.press("j")
        tab.keyboard.press("x")
    expect(tab.locator(".action-counter")).to_contain_text(f"{jobs} of")
    press(tab, f"button[name=action][value={verb}]")
    expect(tab.locator("h1")).to_contain_text(f"{jobs} jobs?")
    press(tab, "button[value=confirm]")
    expect(tab.locator("#do-undo")).to_be_visible()
    give_time(stocked)
    press(tab, "#do-undo")
    expect(tab.locator("#bulk")).to_contain_text("Undone. No jobs were changed.")


def test_a_limit_is_changed_on_the_dashboard(stocked: Site, tab: Page) -> None:
    tab.goto(f"{stocked.url}/admin/")
    reach(tab, "#value-model-sora-2")
    tab.keyboard.press("Control+a")
    tab.keyboard.type("7")
    tab.keyboard.press("Enter")
    expect(tab.locator("#value-model-sora-2")).to_have_value("7")
    expect(tab.locator("#below-model-sora-2")).not_to_be_empty()
    assert beside(stocked, lambda: ModelConcurrencyLimit.objects.get(pk="sora-2").max_concurrent) == 7


def test_a_job_is_refunded(stocked: Site, tab: Page) -> None:
    job = beside(stocked, lambda: Job.objects.filter(state=State.COMPLETED).earliest("pk").pk)
    tab.goto(f"{stocked.url}{LIST}{job}/change/")
    press(tab, "#do-refund")
    fill(tab, "#reason", "wrong light")
    press(tab, "button[value=confirm]")
    expect(tab.locator("#do-undo, .messagelist").first).to_be_visible()
    assert beside(stocked, lambda: BulkAction.objects.filter(verb="refund", phase=BulkAction.Phase.WAITING).count()) == 1


def test_an_unknown_outcome_is_decided(stocked: Site, tab: Page) -> None:
    tab.goto(f"{stocked.url}/admin/")
    press(tab, "#show-more-notes")
    press(tab, "#link-note-unknown")
    tab.wait_for_url("**/reviewitem/**")
    press(tab, "td.field-decide a")
    fill(tab, "#reason-give_up", "their console shows nothing")
    tab.keyboard.press("Enter")
    expect(tab.locator(".messagelist")).to_be_visible()
    states = beside(
        stocked, lambda: set(Job.objects.filter(owner=User.objects.get(username="ana")).values_list("state", flat=True))
    )
    assert State.UNKNOWN not in states
