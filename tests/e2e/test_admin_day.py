"""A day of staff in a real browser, against a whole installation at work: watch, limit, pause, retry what failed, refund."""

import re
import time
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page, Route, expect

from queue_app import clock, tickets
from queue_app.models import ApiKey, Job, JobEvent, ModelConcurrencyLimit, State, User
from queue_app.work import policy
from tests import browser
from tests.conftest import Figures
from tests.e2e.browser import WORKED, beside, confirm, log_in_to_the_admin
from tests.e2e.conftest import ana_of_staff
from tests.factories import make_job
from tests.processes import Site

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def site(shared_site: Site) -> Site:
    """One for the whole day: nobody minds what was done before."""
    return shared_site


@pytest.fixture(scope="module")
def staff(site: Site) -> User:
    return ana_of_staff(site)


@pytest.fixture(scope="module")
def key(site: Site, staff: User) -> str:
    """An API key of Ana's; two jobs of hers have failed with the same error, and a worker is at work."""
    with site.orm():
        for _ in range(2):
            make_job(State.FAILED, model_id="manim", owner=staff, at=clock.now())
        key: str = ApiKey.objects.create(staff, scopes=["read", "submit"])[1]
    site.wait_until_working(site.start_worker())
    return key


@pytest.fixture
def tab(site: Site, key: str) -> Iterator[Page]:
    with browser.window() as tab:
        # manim is among the idle models whenever none of its jobs waits or runs
        tab.add_init_script("localStorage.setItem('gq-folds', JSON.stringify({ 'fold-idle': true }))")
        log_in_to_the_admin(tab, site)
        expect(tab.locator("[data-live]")).to_have_attribute("title", re.compile("^Updated "))
        yield tab


def submit(site: Site, key: str, prompt: str) -> int:
    """Submit a job of manim by the API; gives its number."""
    body = {"model": "manim", "prompt": prompt, "parameters": {"duration": 4}}
    headers = {"Authorization": f"Bearer {key}"}
    answer = requests.post(f"{site.url}/api/v1/jobs/", json=body, headers=headers, timeout=60)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def seen_after(tab: Page, waiting: int, began: float) -> float:
    """Wait until the dashboard counts so many waiting jobs; gives milliseconds since ``began``."""
    expect(tab.locator("#card-queued .v")).to_have_text(re.compile(rf"^\s*{waiting}\s+job"))
    return (time.monotonic() - began) * 1000


def pause_manim(paused: bool) -> None:
    limit = ModelConcurrencyLimit.objects.get(pk="manim")
    policy.change(limit, at=clock.now(), actor=None, paused=paused, paused_reason="", paused_until=None)


def carry_out(site: Site, tab: Page, *, reason: str = "") -> None:
    """Confirm the preview of a bulk action, and let it begin at once."""
    confirm(site, tab, reason=reason)
    tab.click("#do-now")
    expect(tab.locator("#bulk .gq-head .gq-badge")).to_have_text("Done", timeout=WORKED)


def state_of(site: Site, number: int) -> str:
    return beside(site, lambda: Job.objects.get(pk=number).state)


def until_completed(site: Site, *numbers: int) -> None:
    deadline = time.monotonic() + WORKED / 1000
    while any(state_of(site, number) != State.COMPLETED for number in numbers):
        assert time.monotonic() < deadline, [state_of(site, number) for number in numbers]
        time.sleep(0.2)


def test_a_job_of_the_api_is_seen_by_event_and_by_polling(site: Site, tab: Page, key: str, figures: Figures) -> None:
    beside(site, lambda: pause_manim(True))  # so that they wait
    by_event = []
    for number in range(3):
        began = time.monotonic()
        submit(site, key, f"A lighthouse at dusk, take {number}")
        by_event.append(seen_after(tab, number + 1, began))
    refused: list[str] = []

    def no_stream(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=204)  # as a server that cannot stream says it

    tab.route("**/api/v1/queue/stream/", no_stream)
    tab.reload()
    tab.wait_for_timeout(1_000)
    began = time.monotonic()
    submit(site, key, "A lighthouse without a stream")
    looks: list[str] = []
    tab.on("request", lambda asked: looks.append(asked.url) if "hx-request" in asked.headers else None)
    by_polling = seen_after(tab, 4, began)
    beside(site, lambda: pause_manim(False))
    events = ", ".join(f"{one:.0f}" for one in by_event)
    figures(f"from the API call to the screen: {events} ms by event, {by_polling:.0f} ms by polling")
    assert refused and len(looks) <= 2  # the first look since then shows it, whatever was under way


def test_a_limit_holds_from_the_next_claim_on_and_a_pause_until_it_is_ended(site: Site, tab: Page, key: str) -> None:
    field = tab.locator("#value-model-manim")
    field.fill("1")
    field.press("Enter")
    expect(tab.locator("#below-model-manim")).to_contain_text("Limit for manim: 4 → 1.")
    made = [submit(site, key, f"One after the other, {number}") for number in range(4)]
    until_completed(site, *made)
    claims = beside(
        site, lambda: [one.data["limits"]["model"] for one in JobEvent.objects.filter(to_state=State.SUBMITTING, job__in=made)]
    )
    assert claims == [[1, 1]] * 4

    tab.click("#pause-model-manim")
    tab.fill("#reason", "the renderer is looked at")
    tab.click("button:has-text('Pause manim')")
    tab.wait_for_url("**/admin/")
    waits = submit(site, key, "Held by the pause")
    tab.goto(f"{site.url}/admin/queue_app/job/{waits}/change/")
    expect(tab.locator("#content")).to_contain_text("the renderer is looked at")
    time.sleep(2)
    assert state_of(site, waits) == State.QUEUED
    tab.goto(f"{site.url}/admin/")
    tab.click("#resume-model-manim")
    until_completed(site, waits)


def test_failures_of_one_kind_are_retried_together_and_one_is_refunded(site: Site, tab: Page, key: str, staff: User) -> None:
    failed = beside(site, lambda: list(Job.objects.filter(state=State.FAILED).values_list("pk", flat=True)))
    assert len(failed) == 2
    tab.click("#part-failures button:has-text('Retry all 2')")
    expect(tab.locator("h1")).to_have_text("Retry 2 jobs?")
    carry_out(site, tab)
    until_completed(site, *failed)

    before = beside(site, lambda: tickets.balances(staff))
    tab.goto(f"{site.url}/admin/queue_app/job/{failed[0]}/change/")
    tab.click("#do-refund")
    expect(tab.locator("h1")).to_have_text("Refund 1 job?")
    tab.click("button[value=confirm]")  # without a reason: refused, and nothing has happened
    expect(tab.locator("h1")).to_have_text("Refund 1 job?")
    carry_out(site, tab, reason="the lighthouse stands on its head")
    after = beside(site, lambda: tickets.balances(staff))
    assert after["available"] == before["available"] + 4
    assert after["refunded"] == before["refunded"] + 4
    assert state_of(site, failed[0]) == State.COMPLETED
