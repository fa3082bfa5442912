"""The dashboard in a real browser: it renews itself, and nothing that somebody is at is lost by that."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, Route, expect

from queue_app import clock
from queue_app.models import Alert, AuditEntry, Job, ModelConcurrencyLimit, QueueSettings, User
from queue_app.work import bulk, policy
from tests.e2e.browser import beside, staff_tab
from tests.e2e.conftest import ana_of_staff
from tests.factories import make_job
from tests.processes import Site

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def filled(shared_site: Site) -> Site:
    """12 jobs of manim that wait, and one that failed; no worker, so that nothing moves by itself."""
    staff, at = ana_of_staff(shared_site), clock.now()
    with shared_site.orm():
        for _ in range(12):
            make_job(model_id="manim", owner=staff, at=at)
        make_job("failed", model_id="manim", owner=staff, at=at)
    return shared_site


@pytest.fixture
def stocked(filled: Site) -> Site:
    """With a limit of 2 for manim, whatever a test before has set; beyond that each looks at what no other one changes."""
    with filled.orm():
        change_limit("manim", 2)
    return filled


@pytest.fixture
def tab(stocked: Site) -> Iterator[Page]:  # after the rows are made: Django refuses them where an event loop runs
    with staff_tab(stocked) as tab:
        expect(tab.locator("[data-live]")).to_have_attribute("title", re.compile("^Updated "))
        # the page may begin with the figures that it shared with the test before, as all viewers share them for some seconds
        expect(tab.locator("#value-model-manim")).to_have_value("2")
        yield tab


def change_limit(model: str, limit: int) -> None:
    policy.change(ModelConcurrencyLimit.objects.get(pk=model), at=clock.now(), actor=None, max_concurrent=limit)


class TestLive:
    def test_what_is_typed_and_where_the_focus_is_outlive_a_change(self, stocked: Site, tab: Page) -> None:
        field = tab.locator("#value-model-manim")
        field.fill("6")
        tab.locator("#numbers-throughput summary").click()
        field.focus()
        beside(stocked, lambda: change_limit("sora-2", 9))
        expect(tab.locator("#value-model-sora-2")).to_have_value("9")
        expect(field).to_have_value("6")
        expect(field).to_be_focused()
        expect(tab.locator("#numbers-throughput")).to_have_attribute("open", "")
        expect(tab.locator("#below-model-manim")).to_contain_text("At 6")

    def test_rows_keep_their_places_under_the_pointer(self, stocked: Site, tab: Page) -> None:
        tab.locator("#show-idle").click()
        names = tab.locator("#part-lanes tbody th a")
        before = names.all_inner_texts()
        tab.locator("#model-sora-2").hover()
        beside(stocked, lambda: [make_job(owner=User.objects.get(username="ana"), at=clock.now()) for _ in range(20)])
        beside(stocked, lambda: change_limit("sora-2", 8))
        expect(tab.locator("#model-sora-2 td").nth(1)).to_contain_text("20")
        assert names.all_inner_texts() == before
        tab.mouse.move(5, 5)
        expect(names.nth(1)).to_have_text("sora-2")

    def test_a_fold_stays_as_it_was_left_and_what_is_typed_in_it_outlives_a_change(self, stocked: Site, tab: Page) -> None:
        field = tab.locator("#value-model-veo-3_2e_1")
        expect(field).to_be_hidden()
        tab.locator("#show-idle").press("Enter")
        field.fill("6")
        beside(stocked, lambda: change_limit("sora-2", 6))
        expect(tab.locator("#value-model-sora-2")).to_have_value("6")
        expect(field).to_have_value("6")
        tab.reload()
        expect(field).to_be_visible()
        tab.locator("#show-idle").click()
        tab.reload()
        expect(field).to_be_hidden()

    def test_a_pending_action_counts_down_is_undone_on_the_spot_and_says_so(self, stocked: Site, tab: Page) -> None:
        def confirm() -> None:
            ana, at = User.objects.get(username="ana"), clock.now()
            drafted = bulk.draft("move_to_front", Job.objects.filter(model="manim"), at=at, actor=ana, chosen="by hand")
            bulk.confirm(drafted, at=at + timedelta(minutes=1), actor=ana)

        beside(stocked, confirm)
        strip = tab.locator("#pending")
        expect(strip).to_contain_text(re.compile(r"starts in \d\d seconds"))
        tab.goto(f"{stocked.url}/admin/queue_app/wallet/")
        strip.get_by_role("button", name="Undo").press("Enter")
        expect(strip).to_contain_text("undone, no jobs changed")
        assert tab.url == f"{stocked.url}/admin/queue_app/wallet/"

    def test_ages_go_on_between_changes(self, tab: Page) -> None:
        age = tab.locator("#card-wait time")
        before = age.inner_text()
        expect(age).not_to_have_text(before)

    def test_the_focus_stays_at_its_error_and_only_what_is_new_is_read_out(self, stocked: Site, tab: Page) -> None:
        retry = tab.locator("#retry-error-provider_5f_failed")
        retry.focus()

        def more_fail() -> None:
            staff, at = User.objects.get(username="ana"), clock.now()
            for _ in range(2):
                Job.objects.filter(pk=make_job("failed", owner=staff, at=at).pk).update(error_code="asset_unreachable")
            Alert.objects.create(rule_id="failure_rate", value=70, words="70 of 100 jobs failed.", opened_at=at)

        beside(stocked, more_fail)
        expect(tab.locator("#said")).to_contain_text("70 of 100 jobs failed.")
        expect(tab.locator("#said")).not_to_contain_text("No workers running.")
        expect(tab.locator(".gq-failures b").first).to_have_text("asset_unreachable")
        expect(retry).to_be_focused()

    def test_what_was_open_under_a_part_that_changed_is_open_again(self, stocked: Site, tab: Page) -> None:
        tab.locator("#numbers-throughput summary").click()
        one = tab.locator("#numbers-throughput tbody td:first-of-type").filter(has_text=re.compile("^1$"))
        expect(one).to_have_count(0)
        beside(stocked, lambda: make_job("completed", owner=User.objects.get(username="ana"), at=clock.now()))
        beside(stocked, lambda: change_limit("sora-2", 7))
        expect(one).to_have_count(1)
        expect(tab.locator("#numbers-throughput")).to_have_attribute("open", "")


class TestLimits:
    def test_say_what_they_would_change_and_are_saved_by_enter(self, stocked: Site, tab: Page) -> None:
        by_ana = AuditEntry.objects.filter(actor_name="ana", target="manim")
        before = beside(stocked, by_ana.count)
        field = tab.locator("#value-model-manim")
        field.fill("8")
        expect(tab.locator("#below-model-manim")).to_contain_text("12 jobs in about")
        assert beside(stocked, lambda: ModelConcurrencyLimit.objects.get(pk="manim").max_concurrent) == 2
        field.press("Enter")
        expect(tab.locator("#below-model-manim")).to_contain_text("Limit for manim: 2 → 8.")
        expect(field).to_be_focused()
        assert beside(stocked, lambda: ModelConcurrencyLimit.objects.get(pk="manim").max_concurrent) == 8
        assert beside(stocked, by_ana.count) == before + 1

    def test_are_stepped_with_buttons_and_taken_back_with_escape(self, tab: Page) -> None:
        field = tab.locator("#value-model-manim")
        tab.get_by_label("Raise limit for manim").click()
        expect(field).to_have_value("3")
        expect(tab.locator("#form-model-manim .gq-set")).to_be_visible()
        expect(tab.locator("#below-model-manim")).to_contain_text("At 3")
        field.press("Escape")
        expect(field).to_have_value("2")
        expect(tab.locator("#form-model-manim .gq-set")).to_be_hidden()
        expect(tab.locator("#below-model-manim")).to_be_empty()

    def test_taken_back_while_the_forecast_is_reckoned_it_says_nothing(self, tab: Page) -> None:
        held: list[Route] = []
        tab.route("**/limit/forecast/**", lambda route: held.append(route))
        field = tab.locator("#value-model-manim")
        with tab.expect_request("**/limit/forecast/**") as asked:
            field.fill("8")
        field.press("Escape")
        expect(field).to_have_value("2")
        held.pop().continue_()
        assert asked.value.response()
        tab.wait_for_timeout(300)
        expect(tab.locator("#below-model-manim")).to_be_empty()

    def test_saved_at_once_one_forecast_is_asked_for(self, tab: Page) -> None:
        held: list[Route] = []
        for address in ("**/limit/forecast/**", "**/admin/limit/"):
            tab.route(address, lambda route: held.append(route))
        field = tab.locator("#value-model-manim")
        with tab.expect_request("**/limit/forecast/**"):
            field.fill("8")
        with tab.expect_request("**/admin/limit/"):
            field.press("Enter")
        tab.wait_for_timeout(1_000)  # a second one would come after 300 ms, and give up the first with an error on the console
        assert [route.request.method for route in held] == ["GET", "POST"]
        for route in held:
            route.continue_()
        expect(tab.locator("#below-model-manim")).to_contain_text("Limit for manim: 2 → 8.")

    def test_is_saved_while_the_page_renews_itself(self, stocked: Site, tab: Page) -> None:
        """One renewal is on its way and the next one waits for it: the limit that is saved in between waits for neither."""
        held: list[Route] = []
        tab.route(re.compile(r"/admin/\?"), lambda route: held.append(route))
        with tab.expect_request(re.compile(r"/admin/\?")):
            beside(stocked, lambda: change_limit("sora-2", 9))
        field = tab.locator("#value-model-manim")
        field.fill("8")
        field.press("Enter")
        tab.evaluate("htmx.trigger(document.body, 'gq:changed')")
        for route in held:
            route.continue_()
        tab.unroute(re.compile(r"/admin/\?"))
        expect(tab.locator("#below-model-manim")).to_contain_text("Limit for manim: 2 → 8.")

    def test_a_bad_one_stays_typed_with_what_is_wrong(self, tab: Page) -> None:
        field = tab.locator("#value-model-manim")
        field.fill("99")
        field.press("Enter")
        expect(tab.locator("#below-model-manim")).to_contain_text("from 1 to 50")
        expect(tab.locator("#value-model-manim")).to_have_value("99")
        tab.wait_for_timeout(6_000)  # a tick goes by
        expect(tab.locator("#value-model-manim")).to_have_value("99")
        tab.locator("#value-model-manim").press("Escape")
        expect(tab.locator("#value-model-manim")).to_have_value("2")


class TestStopAll:
    def test_pauses_by_one_guarded_button_and_comes_back(self, stocked: Site, tab: Page) -> None:
        tab.click("#do-stop")
        tab.fill("#reason", "the bill explodes")
        tab.fill("#word", "stop")
        tab.click("button:has-text('Stop all')")
        expect(tab.locator("h2").first).to_have_text("The queue is paused")
        tab.goto(f"{stocked.url}/admin/")
        tab.click("#show-more-notes")  # the first one says that no worker runs
        expect(tab.locator("#note-queue")).to_contain_text(re.compile("ana paused the queue at .*: the bill explodes"))
        note, resume = tab.locator("#note-queue").bounding_box(), tab.locator("#resume-note-queue").bounding_box()
        assert note and resume and note["x"] + note["width"] - resume["x"] - resume["width"] < 20  # at its right edge
        whole = "reason => reason.scrollWidth <= reason.clientWidth && reason.scrollHeight <= reason.clientHeight"
        assert tab.locator("#model-manim th .gq-sub").inner_text().strip() == "queue paused"
        assert tab.eval_on_selector("#model-manim th .gq-sub", whole)
        tab.click("#do-resume")
        expect(tab.locator("#do-pause")).to_be_visible()
        assert not beside(stocked, lambda: QueueSettings.objects.current().paused)
        assert beside(stocked, lambda: Job.objects.filter(model="manim", state="queued").count()) == 12
