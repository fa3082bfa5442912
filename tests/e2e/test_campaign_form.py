"""The batch-submission form in a real browser: with and without JavaScript, in two tabs, on a phone, and when nobody answers."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from typing import Any

import pytest
import requests
from django.conf import settings
from playwright.sync_api import Page, Route, expect

from campaigns.models import Campaign, ComplianceRule, Draft
from queue_app import clock, tickets
from queue_app.models import Job, ModelConcurrencyLimit, User
from queue_app.work import policy
from tests import browser
from tests.campaigns.support import full_matrix
from tests.e2e.browser import WORKED, beside, enter
from tests.e2e.conftest import hashed_password
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import Program, Site, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.processes]
NUMBERS = count(1)
CHANGE = """() => new Promise((done) => {
    const field = document.getElementById("f-big_idea"), began = performance.now();
    document.addEventListener("htmx:afterSwap", () => done(performance.now() - began), { once: true });
    field.value += "."; field.dispatchEvent(new Event("input", { bubbles: true })); })"""

# a field and what is put in it, or a button or checkbox and the milliseconds after which it is pressed
PRESS = """async (steps) => { for (const [id, what] of steps) {
    if (typeof what === "number") await new Promise((done) => setTimeout(done, what));
    const one = document.getElementById(id);
    if (typeof what === "number") one.click();
    else { one.value = what; one.dispatchEvent(new Event("input", { bubbles: true })); } } }"""


@pytest.fixture(scope="module")
def site(django_db_blocker: Any) -> Iterator[Site]:
    with django_db_blocker.unblock(), closing(Site(SECRET_KEY=settings.SECRET_KEY)) as site:
        site.prepare()
        with site.orm():
            full_matrix()  # for its dimension of eleven values
            ComplianceRule.objects.create(
                name="No promises", pattern="guaranteed", reason="We promise nothing.", instead="made for calm evenings"
            )
            ComplianceRule.objects.create(name="No crowds", pattern="many", reason="We count.", instead="forty")
        yield site


@pytest.fixture(scope="module")
def web(site: Site) -> Program:
    return site.start_web()


@pytest.fixture(scope="module")
def studio(site: Site, web: Program) -> StudioProcess:
    """A studio, with a worker for it."""
    studio = site.start_studio(seconds_per_job=1)
    site.wait_until_working(site.start_worker())
    return studio


@pytest.fixture
def ana(site: Site, web: Program) -> User:
    """A new user with 5,000 tickets."""
    with site.orm():
        user = User.objects.create(username=f"ana{next(NUMBERS)}", first_name="Ana", password=hashed_password())
        tickets.grant(user, 5_000, at=clock.now(), actor="tests", reason="to spend")
        return user


def open_form(tab: Page, site: Site, user: User) -> None:
    enter(tab, site, user.username)
    tab.goto(f"{site.url}/campaigns/new/")
    expect(tab.locator("h1")).to_have_text("New campaign")


def log_in(tab: Page, site: Site, user: User) -> None:
    tab.goto(f"{site.url}/login/?next=/campaigns/new/")
    tab.fill("#id_username", user.username)
    tab.fill("#id_password", "password")
    tab.click("form:has(#id_password) button")
    expect(tab.locator("h1")).to_have_text("New campaign")


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def fill_four(tab: Page) -> None:
    """A finished form of four cells."""
    tab.fill("#f-brand", "Maison Alder")
    tab.fill("#f-big_idea", "The parcel opens.")
    for box in ("aesthetic'][value='ugc", "aesthetic'][value='cinematic", "mood'][value='calm", "mood'][value='dramatic"):
        tab.check(f"[name='dim.{box}']")


class TestWithJavaScript:
    def test_advice_stands_at_the_field_while_it_is_typed_and_goes_with_its_cause(self, site, ana):
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            tab.fill("#f-audio_messaging", "Voice whispers guaranteed calm.")
            note = tab.locator("#note-audio_messaging")
            expect(note).to_contain_text("“guaranteed” is not allowed: We promise nothing. Use “made for calm evenings” instead.")
            expect(tab.locator("#f-audio_messaging")).to_have_attribute("aria-invalid", "true")
            expect(tab.locator("#sample mark")).to_have_text("guaranteed")
            expect(tab.locator("#launch")).to_be_disabled()
            tab.click("#show-blocked")
            expect(tab.locator("#f-show")).to_have_value("blocked")
            expect(tab.locator("#matrix-said")).to_be_focused()
            tab.fill("#f-audio_messaging", "Voice whispers.")
            expect(note).to_be_empty()
            expect(tab.locator("#launch")).to_have_text("Launch 4 videos, 32 tickets")

    def test_the_keyboard_alone_excludes_and_keeps_its_place(self, site, ana):
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            expect(tab.locator("#summary")).to_contain_text("2 × 2 = 4")  # the cell of the whole matrix, not of a smaller one
            tab.locator("#in-2").focus()
            tab.keyboard.press("Space")
            expect(tab.locator("#summary")).to_contain_text("1 excluded")
            expect(tab.locator("#in-2")).to_be_focused()
            tab.keyboard.press("Tab")
            tab.keyboard.press("Enter")
            tab.locator("#in-2").focus()
            tab.keyboard.press("Space")
            expect(tab.locator("#summary")).not_to_contain_text("excluded")
            expect(tab.locator("[data-cell='2']")).to_have_attribute("open", "")  # what was opened stays open over an answer
            tab.locator("#exclude-shown").press("Enter")
            expect(tab.locator("#summary")).to_contain_text("All combinations are excluded")
            expect(tab.locator("#matrix-said")).to_be_focused()

    def test_a_button_counts_however_soon_after_a_change_it_is_pressed(self, site, ana):
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            expect(tab.locator("#launch")).to_contain_text("Launch 4 videos")
            tab.evaluate(PRESS, [["f-value", "mood=dramatic"], ["exclude-value", 0]])  # before the change is sent
            expect(tab.locator("#summary")).to_contain_text("2 excluded")
            assert tab.locator("h1").count() == 1  # the answer is the preview, not a page within the page
            tab.evaluate(PRESS, [["f-big_idea", "The box opens."], ["include-shown", 150]])  # while it is answered
            expect(tab.locator("#sample")).to_contain_text("The box opens.")
            expect(tab.locator("#summary")).not_to_contain_text("excluded")
            tab.evaluate(PRESS, [["f-value", "mood=calm"], ["exclude-value", 0], ["f-name", "Calm"], ["in-4", 0]])
            expect(tab.locator("#summary")).to_contain_text("3 excluded")  # typed and ticked before the answer came

    def test_660_cells_follow_a_change_and_turn_pages(self, site, ana, figures):
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            for value in ("calm", "dramatic"):
                tab.uncheck(f"[name='dim.mood'][value='{value}']")
            tab.click(".gq-more > summary")
            for value in ("minimalist", "documentary", "animated"):
                tab.check(f"[name='dim.aesthetic'][value='{value}']")
            for key in ("age_generation", "gender", "city"):
                for box in tab.locator(f"[name='dim.{key}']").all():
                    box.check()
            expect(tab.locator("#summary .gq-total")).to_have_text("660 videos")
            spent = sorted(tab.evaluate(CHANGE) for _ in range(9))
            figures(f"660 cells: change → new page, median {spent[4]:.0f} ms (100 ms of them wait for more typing)")
            expect(tab.locator("#matrix tbody tr")).to_have_count(50)
            tab.locator("#page-next").press("Enter")
            expect(tab.locator("#in-51")).to_be_visible()
            expect(tab.locator("#matrix-said")).to_be_focused()

    def test_the_draft_survives_a_reload_a_log_out_and_a_restart_of_the_server(self, site, web, ana):
        with browser.window() as tab:
            open_form(tab, site, ana)
            expect(tab.locator("#do-discard")).to_have_count(0)
            fill_four(tab)
            expect(tab.locator("#saved")).to_contain_text("Draft saved")
            expect(tab.locator("#do-discard")).to_be_visible()
            expect(tab.locator("#launch")).to_contain_text("Launch 4 videos")
            tab.reload()
            expect(tab.locator("#launch")).to_contain_text("Launch 4 videos")
            tab.get_by_role("button", name="Log out").click()
            web.stop()
            web.start()
            wait_for(lambda: answers(f"{site.url}/healthz"), of="a web that answers")
            log_in(tab, site, ana)
            expect(tab.locator("#f-big_idea")).to_have_value("The parcel opens.")
            expect(tab.locator("#launch")).to_contain_text("Launch 4 videos")

    def test_another_tab_is_told_and_may_keep_what_it_typed(self, site, ana):
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            expect(tab.locator("#launch")).to_contain_text("Launch 4 videos")
            other = tab.context.new_page()
            other.goto(f"{site.url}/campaigns/new/")
            other.fill("#f-big_idea", "Words of the other tab.")
            expect(other.locator("#sample")).to_contain_text("Words of the other tab.")
            tab.fill("#f-big_idea", "Words of this tab.")
            expect(tab.locator("#conflict")).to_contain_text("This draft was changed in another tab")
            expect(tab.locator("#f-big_idea")).to_have_value("Words of this tab.")
            tab.get_by_role("button", name="Keep this version").click()
            expect(tab.locator("#saved")).to_contain_text("Draft saved")
            expect(tab.locator("#f-big_idea")).to_have_value("Words of this tab.")

    def test_two_presses_launch_once(self, site, ana):
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            expect(tab.locator("#launch")).to_contain_text("Launch 4 videos")
            tab.locator("#launch").dblclick()
            tab.wait_for_url("**/campaigns/*/")
            expect(tab.locator("h1")).to_contain_text("The parcel opens")
        with site.orm():
            assert Campaign.objects.filter(batch__owner=ana).count() == 1

    def test_fits_a_phone(self, site, ana):
        with browser.window() as tab:
            tab.set_viewport_size({"width": 390, "height": 844})
            open_form(tab, site, ana)
            fill_four(tab)
            expect(tab.locator("#launch .gq-on-phone")).to_be_visible()
            expect(tab.locator("#in-1")).to_be_visible()
            assert tab.evaluate("document.documentElement.scrollWidth") == 390


def pause_texts(paused: bool) -> None:
    """Pause or resume the model that polishes, as staff do."""
    limit = ModelConcurrencyLimit.objects.get(pk="text-writer")
    policy.change(limit, at=clock.now(), actor=None, paused=paused, paused_reason="quality check" if paused else "")


def eventually(tab: Page, holds: Callable[[], bool]) -> None:
    """Wait until this holds, while the tab goes on."""
    for _ in range(600):
        if holds():
            return
        tab.wait_for_timeout(100)
    pytest.fail("Not true after 60 s.")


class TestPolishing:
    """The studio tidies the text that it is asked to polish: “a lot of” becomes “many”, which a rule blocks."""

    def test_brings_a_wording_while_typing_goes_on_and_the_own_stays_one_click_away(self, site, studio, ana):
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            idea, panel = tab.locator("#f-big_idea"), tab.locator("#polish")
            idea.fill("a really old ferry leaves at dawn")
            expect(tab.locator("#do-polish")).to_have_text("Polish wording for 1 ticket")
            beside(site, lambda: pause_texts(True))
            tab.locator("#do-polish").dblclick()
            expect(panel).to_contain_text("Polishing your wording")
            expect(panel).to_contain_text("text-writer is paused.")
            expect(tab.locator("#wallet-pill")).to_contain_text("1 reserved")
            beside(site, lambda: pause_texts(False))
            tab.locator("#f-name").press_sequentially("Spring")
            expect(tab.locator("#polish-use")).to_have_text("Use this wording", timeout=WORKED)
            expect(panel).to_contain_text("An old ferry leaves at dawn.")
            expect(tab.locator("#f-name")).to_be_focused()  # what is typed meanwhile, and where, stays
            expect(tab.locator("#f-name")).to_have_value("Spring")
            expect(idea).to_have_value("a really old ferry leaves at dawn")
            tab.click("#polish-use")
            expect(idea).to_have_value("An old ferry leaves at dawn.")
            expect(idea).to_be_focused()
            expect(tab.locator("#sample")).to_contain_text("An old ferry leaves at dawn.")
            idea.fill("An old ferry leaves at dawn. Gulls follow.")
            expect(tab.locator("#sample")).to_contain_text("Gulls follow.")
            tab.reload()
            tab.click("#polish-back")
            expect(idea).to_have_value("a really old ferry leaves at dawn")
            expect(panel).to_contain_text("Gulls follow.")
            assert beside(site, lambda: Job.objects.filter(owner=ana).count()) == 1

    def test_an_answer_that_comes_after_a_newer_one_finds_its_place(self, site, studio, ana):
        """Held on its way until the form has brought the wording; an error on the console would fail the test."""
        held: list[Route] = []
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            expect(tab.locator("#do-polish")).to_be_enabled()
            beside(site, lambda: pause_texts(True))
            tab.route("**/campaigns/new/polish/**", lambda route: held.append(route))
            tab.locator("#do-polish").click()
            expect(tab.locator("#polish")).to_contain_text("text-writer is paused.")
            eventually(tab, lambda: bool(held))
            beside(site, lambda: pause_texts(False))
            eventually(tab, lambda: beside(site, lambda: Job.objects.get(owner=ana).state) == "completed")
            tab.locator("#f-name").fill("Spring")
            expect(tab.locator("#polish-use")).to_be_visible()
            for one in held:
                with tab.expect_response("**/campaigns/new/polish/**"):
                    one.continue_()
            tab.unroute("**/campaigns/new/polish/**")
            tab.locator("#f-name").fill("Summer")
            expect(tab.locator("#saved")).to_contain_text("Draft saved")
            expect(tab.locator("#polish-use")).to_be_visible()

    def test_says_which_words_are_blocked_and_that_a_failure_cost_nothing(self, site, studio, ana):
        with browser.window() as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            panel = tab.locator("#polish")
            tab.fill("#f-big_idea", "A lot of gulls follow.")
            expect(tab.locator("#sample")).to_contain_text("A lot of gulls")
            studio.queue_faults(create=["moderated_job"])
            tab.locator("#do-polish").press("Enter")
            expect(panel).to_contain_text("Polishing failed. 1 ticket returned. Your text is unchanged.", timeout=WORKED)
            expect(tab.locator("#wallet-pill")).to_have_text(re.compile(r"^\s*5,000\s+tickets\s*$"))
            tab.click("#do-polish")
            expect(tab.locator("#polish-use")).to_have_text("Edit this wording", timeout=WORKED)
            expect(panel.locator("mark")).to_have_text("Many")
            expect(panel).to_contain_text("“Many” is not allowed: We count. Use “forty” instead.")
            tab.click("#polish-use")
            expect(tab.locator("#note-big_idea")).to_contain_text("“Many” is not allowed")
            expect(tab.locator("#launch")).to_be_disabled()
            tab.fill("#f-big_idea", "Forty gulls follow.")
            expect(tab.locator("#launch")).to_be_enabled()


class TestWithoutJavaScript:
    def test_polishes_by_buttons(self, site, studio, ana):
        with browser.window(java_script_enabled=False) as tab:
            open_form(tab, site, ana)
            tab.fill("#f-big_idea", "a really old ferry leaves at dawn")
            tab.click("#do-polish")
            job = beside(site, lambda: Job.objects.get(owner=ana).pk)
            wait_for(lambda: beside(site, lambda: Job.objects.get(pk=job).state) == "completed", of="the job")
            tab.locator("#polish").get_by_role("button", name="Update").click()
            tab.click("#polish-use")
            expect(tab.locator("#f-big_idea")).to_have_value("An old ferry leaves at dawn.")
            tab.click("#polish-back")
            expect(tab.locator("#f-big_idea")).to_have_value("a really old ferry leaves at dawn")

    def test_update_exclude_and_launch_by_buttons(self, site, ana):
        with browser.window(java_script_enabled=False) as tab:
            open_form(tab, site, ana)
            fill_four(tab)
            tab.get_by_role("button", name="Update", exact=True).click()
            expect(tab.locator("#summary")).to_contain_text("2 × 2 = 4 combinations")
            expect(tab.locator("#f-big_idea")).to_have_value("The parcel opens.")
            tab.uncheck("#in-1")
            tab.select_option("#f-value", "mood=dramatic")
            tab.click("#exclude-value")
            expect(tab.locator("#summary")).to_contain_text("3 excluded")
            tab.fill("#f-max_concurrent", "2")
            tab.fill("#f-name", "By hand")
            tab.press("#f-name", "Enter")  # updates, and launches nothing
            expect(tab.locator("#launch")).to_have_text("Launch 1 video, 8 tickets")
            tab.click("#launch")
            expect(tab.locator("h1")).to_contain_text("By hand")


class TestWhenTheServerDoesNotAnswer:
    def test_it_says_so_keeps_what_was_typed_and_saves_it_later(self, site, ana):
        with browser.tab() as tab:  # its console names each call that broke
            open_form(tab, site, ana)
            tab.route("**/preview/", lambda route: route.abort())
            tab.fill("#f-big_idea", "Typed in a tunnel.")
            expect(tab.locator("#saved")).to_contain_text("Not saved: no connection.")
            tab.unroute("**/preview/")
            tab.fill("#f-brand", "Maison Alder")
            expect(tab.locator("#saved")).to_contain_text("Draft saved")
        with site.orm():
            assert Draft.objects.get(owner=ana).body["big_idea"] == "Typed in a tunnel."

    def test_logged_out_in_another_tab_it_asks_to_log_in_again_and_then_saves(self, site, ana):
        with browser.tab() as tab:  # its console names each call that broke
            open_form(tab, site, ana)
            fill_four(tab)
            expect(tab.locator("#launch")).to_be_enabled()
            home, other = tab.context.new_page(), tab.context.new_page()
            home.goto(site.url)
            other.goto(f"{site.url}/campaigns/")
            other.get_by_role("button", name="Log out").click()
            other.wait_for_url("**/login/**")
            tab.fill("#f-big_idea", "Typed while logged out.")
            expect(tab.locator("#saved")).to_contain_text("Not saved: you're logged out.")
            expect(tab.locator("#logged-out")).to_contain_text(
                "Log in in a new tab, then edit any field to save. Your text is still here."
            )
            expect(tab.locator("#launch")).to_be_disabled()
            tab.press("#f-name", "Enter")  # would load a page, and lose what was typed
            home.select_option("#duration", index=1)
            expect(home.locator("#logged-out")).to_contain_text("You're logged out.")
            expect(home.locator("#quick-choices")).not_to_contain_text("Password")
            log_in(other, site, ana)
            tab.fill("#f-name", "Spring")
            expect(tab.locator("#saved")).to_contain_text("Draft saved")
            expect(tab.locator("#logged-out")).to_be_hidden()
            expect(tab.locator("#launch")).to_be_enabled()
        with site.orm():
            assert Draft.objects.get(owner=ana).body["big_idea"] == "Typed while logged out."
