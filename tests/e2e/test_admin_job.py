"""The page of a job, a decision and a refund in a real browser, against a whole installation."""

from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, expect

from queue_app import clock, lifecycle, tickets
from queue_app.models import Job, State, User
from tests.e2e.browser import beside, staff_tab
from tests.e2e.conftest import ana_of_staff
from tests.factories import make_job
from tests.processes import Site

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def jobs(shared_site: Site) -> dict[str, int]:
    """A queued, an unknown and a completed job of Ana's, by state, and one of somebody else's to cancel. No worker runs."""
    staff = ana_of_staff(shared_site)
    with shared_site.orm():
        wanted = (State.QUEUED, State.UNKNOWN, State.COMPLETED)
        hers = {state.value: make_job(state, owner=staff, at=clock.now(), tickets=8).pk for state in wanted}
        return hers | {"other": make_job(at=clock.now()).pk}


@pytest.fixture
def tab(shared_site: Site, jobs: dict[str, int]) -> Iterator[Page]:
    # after the rows are made: Django refuses them where an event loop runs
    with staff_tab(shared_site, "/admin/queue_app/job/") as tab:
        yield tab


def test_the_page_renews_itself_and_keeps_what_is_open(shared_site: Site, tab: Page, jobs: dict[str, int]) -> None:
    tab.goto(f"{shared_site.url}/admin/queue_app/job/{jobs['other']}/change/")
    tab.click("#call summary")
    tab.focus("#do-cancel")
    job, reason = jobs["other"], "not wanted any more"
    beside(shared_site, lambda: lifecycle.cancel([job], at=clock.now(), actor="somebody", reason=reason))
    expect(tab.locator(".gq-head .gq-badge")).to_have_text("Cancelled")
    expect(tab.locator("#call")).to_have_attribute("open", "")
    expect(tab.locator("#do-retry")).to_be_visible()
    expect(tab.locator("#do-cancel")).to_have_count(0)
    expect(tab.locator(".gq-time")).to_contain_text("not wanted any more")


@pytest.mark.parametrize("address", ["/admin/", "/admin/queue_app/job/"])
def test_a_page_whose_session_is_over_says_so_and_goes_on_after_the_log_in(
    shared_site: Site, jobs: dict[str, int], address: str
) -> None:
    refused = pytest.raises(AssertionError, match="401")  # a fault on the console
    with refused, staff_tab(shared_site, address) as tab:
        session = tab.context.cookies()
        tab.context.clear_cookies()
        expect(tab.locator("#logged-out")).to_contain_text("You're logged out.")
        expect(tab.locator("#logged-out")).to_be_visible()
        tab.context.add_cookies(session)
        expect(tab.locator("#logged-out")).to_be_hidden()


def test_a_person_decides_with_the_keyboard(shared_site: Site, tab: Page, jobs: dict[str, int]) -> None:
    assert shared_site.studio is not None
    body = {"prompt": "A heron", "seconds": "4", "size": "1280x720", "model": "sora-2"}
    task = requests.post(f"{shared_site.studio.url}/v1/videos", json=body, timeout=15).json()["id"]
    tab.goto(f"{shared_site.url}/admin/queue_app/job/{jobs['unknown']}/change/")
    tab.click("#do-decide")
    tab.fill("#task", task)
    tab.fill("#reason-found", "it is in their console")
    tab.keyboard.press("Enter")
    expect(tab.locator(".messagelist")).to_contain_text(f"continues with task {task}")
    expect(tab.locator("#content")).to_contain_text("Nothing needs attention")
    assert beside(shared_site, lambda: Job.objects.get(pk=jobs["unknown"]).state) == State.RUNNING


def test_tickets_are_granted_once_however_often_it_is_pressed(shared_site: Site, tab: Page, jobs: dict[str, int]) -> None:
    tab.goto(f"{shared_site.url}/admin/queue_app/wallet/grant/?user=ana")
    tab.fill("#id_amount", "100")
    tab.fill("#id_reason", "spring budget")
    tab.keyboard.press("Enter")
    tab.dblclick("button:has-text('Grant 100 tickets')")
    expect(tab.locator("h1")).to_have_text("Wallet of ana")
    balances = beside(shared_site, lambda: tickets.balances(User.objects.get(username="ana")))
    assert balances["available"] == 5_000 - 3 * 8 + 100
