"""The job list and bulk actions in a real browser, against a whole installation: live rows, keys, undo, run, refusals."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from queue_app import clock, lifecycle
from queue_app.models import BulkAction, Job, ModelConcurrencyLimit, State, User
from queue_app.work import policy
from tests.e2e.browser import WORKED, beside, confirm, reach, staff_tab
from tests.factories import make_job
from tests.processes import Site

pytestmark = pytest.mark.e2e
LIST = "/admin/queue_app/job/"


@pytest.fixture
def jobs(site: Site, staff: User) -> list[int]:
    """60 queued jobs of Ana's, 3 of them about a heron. No worker runs."""
    with site.orm():
        prompts = ["A heron on the ice" if number < 3 else "A tram through the old town" for number in range(60)]
        return [make_job(owner=staff, at=clock.now(), prompt=prompt, tickets=4).pk for prompt in prompts]


@pytest.fixture
def tab(site: Site, jobs: list[int]) -> Iterator[Page]:  # after the rows are made: Django refuses them in an event loop
    with staff_tab(site, LIST) as tab:
        yield tab


def test_rows_change_where_they_stand_and_the_selection_and_the_focus_stay(site: Site, tab: Page, jobs: list[int]) -> None:
    gone, chosen, at = jobs[-1], jobs[-2], jobs[-3]
    tab.check(f"#job-{chosen} .action-select")
    tab.focus(f"#job-{at} th a")
    tab.evaluate("window.neverReloaded = true")

    def meanwhile() -> int:
        lifecycle.cancel([gone, at], at=clock.now(), actor="somebody")
        return make_job(State.FAILED, owner=User.objects.get(username="ana"), at=clock.now()).pk

    new = beside(site, meanwhile)
    expect(tab.locator(f"#job-{gone}")).to_contain_text("Cancelled")
    expect(tab.locator(f"#job-{at}")).to_contain_text("Cancelled")
    expect(tab.locator(f"#job-{chosen} .action-select")).to_be_checked()
    expect(tab.locator(".action-counter")).to_contain_text("1 of 50")
    assert tab.evaluate("document.activeElement.closest('tr').id") == f"job-{at}"
    expect(tab.locator("#tabs")).to_contain_text("Queued 58")
    expect(tab.locator(f"#job-{new}")).to_have_count(0)
    assert tab.evaluate("window.neverReloaded")

    tab.click("text=Show 1 new job")
    expect(tab.locator(f"#job-{new}")).to_be_visible()


def test_the_list_is_walked_with_the_keyboard(tab: Page, jobs: list[int]) -> None:
    tab.click("#changelist-filter summary >> nth=0")
    expect(tab.locator("#changelist-filter details[open]")).to_have_count(1)
    tab.keyboard.press("Escape")
    expect(tab.locator("#changelist-filter details[open]")).to_have_count(0)
    expect(tab.locator("#changelist-filter summary").first).to_be_focused()
    for key in ("j", "j", "k", "j", "x"):
        tab.keyboard.press(key)
    expect(tab.locator(f"#job-{jobs[-2]} .action-select")).to_be_checked()
    tab.keyboard.press("/")
    tab.keyboard.type("xjk")
    expect(tab.locator("#searchbar")).to_have_value("xjk")
    expect(tab.locator(".action-select:checked")).to_have_count(1)
    tab.locator("#searchbar").blur()
    tab.keyboard.press("?")
    tab.uncheck("#dlg-keys [data-keys]")
    tab.keyboard.press("Escape")
    tab.keyboard.press("x")
    tab.keyboard.press("g")
    tab.keyboard.press("q")
    expect(tab.locator(".action-select:checked")).to_have_count(1)
    tab.keyboard.press("?")
    expect(tab.locator("#dlg-keys")).not_to_have_attribute("open", "")
    tab.evaluate("localStorage.removeItem('gq-keys')")
    tab.reload()
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**{LIST}{jobs[-1]}/change/**")
    tab.keyboard.press("g")
    tab.keyboard.press("j")
    tab.wait_for_url(f"**{LIST}")


def test_why_a_job_waits_is_one_click_from_its_remedy(site: Site, tab: Page, jobs: list[int]) -> None:
    beside(site, pause_sora)
    tab.add_init_script(
        "document.addEventListener('click', () => sessionStorage.clicks = Number(sessionStorage.clicks || 0) + 1, true)"
    )
    tab.goto(f"{site.url}{LIST}{jobs[0]}/change/")
    expect(tab.locator(".gq-lead")).to_contain_text("sora-2 is paused. ana paused it at")
    assert tab.evaluate("sessionStorage.clicks") is None
    tab.click(".gq-holds .is-cause button")
    expect(tab.locator(".messagelist")).to_contain_text("Model sora-2 resumed.")
    expect(tab.locator(".gq-head .gq-badge")).to_have_text("Queued")
    clicks = int(tab.evaluate("sessionStorage.clicks"))
    print(f"\nfrom why a job waits to its remedy: {clicks} click")
    assert clicks == 1 and not beside(site, lambda: ModelConcurrencyLimit.objects.get(pk="sora-2").paused)


def test_a_job_on_hold_is_found_and_released_by_the_keyboard_alone(site: Site, tab: Page, jobs: list[int]) -> None:
    """Nothing is clicked: search, filters, rows, the job, its remedy, and back to the list with its filters."""
    beside(site, pause_sora)
    tab.goto(f"{site.url}{LIST}")
    reach(tab, "#more-filters summary")
    tab.keyboard.press("Enter")
    reach(tab, "#f-priority")
    tab.keyboard.press("n")  # normal
    reach(tab, "#more-filters button")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**priority=normal**")
    tab.keyboard.press("/")
    tab.keyboard.type("heron")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**q=heron**")
    assert "priority=normal" in tab.url
    expect(tab.locator("#result_list tbody tr")).to_have_count(3)
    reach(tab, "#tabs a:has-text('On hold')")
    tab.keyboard.press("Enter")
    tab.wait_for_url("**status=on_hold**")
    listed = tab.url
    for key in ("j", "j", "Enter"):
        tab.keyboard.press(key)
    tab.wait_for_url(f"**{LIST}{jobs[1]}/change/**")
    reach(tab, "#do-remedy")
    tab.keyboard.press("Enter")
    expect(tab.locator(".messagelist")).to_contain_text("Model sora-2 resumed.")
    reach(tab, ".breadcrumbs a >> nth=1")
    tab.keyboard.press("Enter")
    tab.wait_for_url(f"**{LIST}?**")
    assert sorted(tab.url.partition("?")[2].split("&")) == sorted(listed.partition("?")[2].split("&"))


def pause_sora() -> None:
    limit, ana = ModelConcurrencyLimit.objects.get(pk="sora-2"), User.objects.get(username="ana")
    policy.change(
        limit, at=clock.now(), actor=ana, reason="client moved the shoot", paused=True, paused_reason="client moved the shoot"
    )


def test_all_that_match_are_cancelled_after_a_look_an_undo_and_a_second_thought(site: Site, tab: Page, jobs: list[int]) -> None:
    tab.fill("#searchbar", "tram")
    tab.keyboard.press("Enter")
    tab.check("#action-toggle")
    tab.click("text=Select all 57 matching jobs")
    tab.click("button[value=cancel]")
    expect(tab.locator("h1")).to_have_text("Cancel 57 jobs?")
    expect(tab.locator(".gq-preview-card")).to_contain_text("228 tickets are returned to 1 wallet now")
    confirm(site, tab, reason="wrong brief")
    expect(tab.locator("#bulk")).to_contain_text(re.compile(r"Starts in \d+ second"))
    tab.click("#do-undo")
    expect(tab.locator("#bulk")).to_contain_text("Undone. No jobs were changed.")
    assert beside(site, Job.objects.filter(state=State.QUEUED).count) == 60

    site.start_worker()
    tab.goto(f"{site.url}{LIST}?q=tram")
    tab.check("#action-toggle")
    tab.click("text=Select all 57 matching jobs")
    tab.click("button[value=cancel]")
    confirm(site, tab)
    tab.goto(f"{site.url}{LIST}")
    expect(tab.locator("#pending")).to_contain_text(re.compile(r"Cancel 57 jobs.*starts in \d+ second", re.S))
    tab.click("#pending >> text=Details")
    tab.click("#do-now")
    expect(tab.locator("#bulk")).to_contain_text("57 of 57 jobs, 100%", timeout=WORKED)
    expect(tab.locator("#bulk .gq-head .gq-badge")).to_have_text("Done")
    assert sum(beside(site, lambda: BulkAction.objects.latest("id").results).values()) == 57
    assert not beside(site, Job.objects.filter(state=State.QUEUED, prompt__contains="tram").exists)
