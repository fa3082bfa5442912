"""Review mode in a real browser, on videos that play: keys, swipes, two versions; counted, accessible, and without JavaScript."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Page, ViewportSize, expect

from campaigns import review
from campaigns.launch import make_again
from campaigns.models import Campaign, Combination, Dimension, DimensionValue
from queue_app import clock
from queue_app.models import State
from tests import browser
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.e2e.browser import beside, staff_tab
from tests.e2e.conftest import ana_of_staff, lay_films
from tests.e2e.test_admin_pages import DESK, PHONE, grave, in_both_types
from tests.processes import Site

pytestmark = pytest.mark.e2e
CLIPS = 36


@pytest.fixture(scope="module")
def stocked(shared_site: Site) -> tuple[Site, Campaign, Campaign]:
    """A campaign of 40 combinations, 36 of them completed, and one of four whose first has a second version. All play."""
    staff, at = ana_of_staff(shared_site), clock.now()
    with shared_site.orm():
        city = Dimension.objects.create(key="city", label="City", position=200)
        towns = [f"town-{number}" for number in range(1, 5)]
        DimensionValue.objects.bulk_create(DimensionValue(dimension=city, key=town, label=town.title()) for town in towns)
        aesthetics = ["ugc", "cinematic", "minimalist", "documentary", "animated"]
        wanted = {"aesthetic": aesthetics, "mood": ["energetic", "calm"], "city": towns}
        large = make_campaign(staff, wanted, name="Autumn scent", at=at)
        small = make_campaign(staff, name="Doorstep", at=at)
        for job in [*jobs_of(large)[:CLIPS], *jobs_of(small)]:
            bring(job, State.COMPLETED, at=at)
        first = Combination.objects.get(campaign=small, index=1)
        review.judge(first, "rejected", at=at, by=staff, note="Too dark.")
        make_again(first, "A brighter parcel opens.", at=at, by=staff)
        bring(Combination.objects.get(pk=first.pk).job, State.COMPLETED, at=at)
        lay_films(shared_site)
    return shared_site, large, small


@pytest.fixture
def tab(stocked: tuple[Site, Campaign, Campaign]) -> Iterator[Page]:  # after the rows: Django refuses them in an event loop
    with staff_tab(stocked[0]) as tab:
        tab.context.add_init_script(path=AXE_FILE_PATH)
        yield tab


def at(tab: Page, index: int) -> None:
    """Wait until this combination is on the stage."""
    expect(tab.locator("#now")).to_have_attribute("data-index", str(index))
    expect(tab.locator("#now[aria-busy]")).to_have_count(0)


def plays(tab: Page) -> None:
    """Wait until the video on the stage has played a part."""
    eventually(tab, "() => document.querySelector('#film').played.length > 0")


def eventually(tab: Page, expression: str) -> None:
    """Wait until this is true; by asking, as the page's CSP lets no text be evaluated in it."""
    for _ in range(300):
        if tab.evaluate(expression):
            return
        tab.wait_for_timeout(100)
    pytest.fail(f"Not true after 30 s: {expression}")


def verdicts(site: Site, campaign: Campaign) -> list[str]:
    """The verdicts of a campaign's combinations, in order."""
    rows = Combination.objects.filter(campaign=campaign).order_by("index").values_list("review", flat=True)
    return beside(site, lambda: list(rows))


def test_each_video_takes_one_key_and_the_next_one_plays(stocked: tuple[Site, Campaign, Campaign], tab: Page) -> None:
    site, campaign, _ = stocked
    tab.emulate_media(reduced_motion="no-preference")
    tab.goto(f"{site.url}/campaigns/{campaign.pk}/review/")
    tab.click("#do-watch")
    for index in range(1, CLIPS + 1):
        at(tab, index)
        if index in (1, 2, CLIPS):
            plays(tab)
        tab.keyboard.press("arw"[index % 3])
    expect(tab.locator(".gq-jend h2")).to_have_text(f"All {CLIPS} reviewed")
    expect(tab.locator(".gq-jprog")).to_contain_text(f"{CLIPS} of {CLIPS} reviewed")
    names = {0: "approved", 1: "rejected", 2: "winner"}
    assert verdicts(site, campaign)[:CLIPS] == [names[index % 3] for index in range(1, CLIPS + 1)]


class TestKeys:
    def test_undo_one_after_the_other_and_keep_note_and_filters(
        self, stocked: tuple[Site, Campaign, Campaign], tab: Page
    ) -> None:
        site, _, campaign = stocked
        beside(site, lambda: Combination.objects.filter(campaign=campaign).update(review="", note=""))
        here = f"{site.url}/campaigns/{campaign.pk}/review"
        tab.goto(f"{here}/next/?mood=energetic")
        at(tab, 1)
        undo = tab.locator("#do-undo")
        expect(undo).to_be_disabled()

        # a note goes along with the verdict; letters in it are no keys
        tab.keyboard.press("n")
        expect(tab.locator("#note")).to_be_focused()
        tab.keyboard.type("warm, and a raw cut")
        tab.keyboard.press("Escape")
        tab.keyboard.press("r")
        at(tab, 3)
        expect(tab).to_have_url(f"{here}/3/?mood=energetic")
        expect(tab.locator("#said")).to_contain_text("Rejected: UGC · Energetic")
        expect(tab.locator("#film-1")).to_have_class("gq-th is-rejected")
        tab.keyboard.press("w")
        expect(tab.locator(".gq-jend")).to_contain_text("2 videos left to review with other filters.")
        assert verdicts(site, campaign) == ["rejected", "", "winner", ""]

        tab.keyboard.press("u")
        at(tab, 3)
        expect(tab.locator("#film-3 .new")).to_have_count(1)
        tab.keyboard.press("u")
        at(tab, 1)
        expect(undo).to_be_disabled()
        expect(tab.locator("#note")).to_have_value("warm, and a raw cut")
        assert verdicts(site, campaign) == [""] * 4

        # moving; back to the grid with the filters
        tab.keyboard.press("ArrowRight")
        at(tab, 3)
        tab.keyboard.press("k")
        at(tab, 1)
        tab.keyboard.press("g")
        expect(tab).to_have_url(f"{here}/?mood=energetic")

    def test_play_scrub_sound_and_the_dialog_in_which_single_keys_are_turned_off(
        self, stocked: tuple[Site, Campaign, Campaign], tab: Page
    ) -> None:
        site, _, campaign = stocked
        tab.goto(f"{site.url}/campaigns/{campaign.pk}/review/2/")
        assert tab.evaluate("() => document.querySelector('#film').paused")  # less motion was asked for
        tab.keyboard.press("Space")
        plays(tab)
        tab.keyboard.press("m")
        assert not tab.evaluate("() => document.querySelector('#film').muted")
        tab.keyboard.press("Shift+ArrowLeft")
        assert tab.evaluate("() => document.querySelector('#film').paused")

        tab.keyboard.press("?")
        expect(tab.locator("#dlg-keys")).to_be_visible()
        tab.uncheck("input[data-keys]")
        tab.uncheck("[data-option=go-on]")
        tab.click("#dlg-keys [data-close]")
        tab.reload()
        tab.keyboard.press("a")
        expect(tab.locator("#do-approve")).to_have_attribute("aria-pressed", "false")
        tab.click("#do-approve")  # whose answer stays at this video
        expect(tab.locator("#do-approve")).to_have_attribute("aria-pressed", "true")
        at(tab, 2)
        expect(tab.locator("#do-approve")).to_be_focused()
        tab.click("#do-undo")
        expect(tab.locator("#do-approve")).to_have_attribute("aria-pressed", "false")
        expect(tab.locator("#do-undo")).to_be_disabled()

    def test_compare_two_versions_in_step_and_choose_one(self, stocked: tuple[Site, Campaign, Campaign], tab: Page) -> None:
        site, _, campaign = stocked
        tab.goto(f"{site.url}/campaigns/{campaign.pk}/review/1/?mood=energetic")
        tab.keyboard.press("c")
        expect(tab.locator("[data-duo] video")).to_have_count(2)
        expect(tab.locator("ins")).to_contain_text("brighter")
        eventually(tab, "() => [...document.querySelectorAll('[data-duo] video')].every((one) => one.duration > 0)")
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("ArrowRight")
        seconds = "() => [...document.querySelectorAll('[data-duo] video')].map((one) => one.currentTime)"
        left, right = tab.evaluate(seconds)
        assert left == pytest.approx(right) and left > 0.1
        tab.keyboard.press("1")
        expect(tab).to_have_url(f"{site.url}/campaigns/{campaign.pk}/review/1/?mood=energetic")
        expect(tab.locator("#toasts")).to_contain_text("Version 1 counts now.")
        expect(tab.locator(".gq-takes2 [aria-current]")).to_contain_text("Version 1")
        tab.keyboard.press("c")
        expect(tab.locator("[data-duo] .gq-ctl")).to_be_visible()
        tab.keyboard.press("2")
        expect(tab.locator(".gq-takes2 [aria-current]")).to_contain_text("Version 2")


def test_on_a_phone_a_swipe_decides_a_short_one_springs_back_and_buttons_do_the_same(
    stocked: tuple[Site, Campaign, Campaign],
) -> None:
    site, _, campaign = stocked
    beside(site, lambda: Combination.objects.filter(campaign=campaign).update(review="", note=""))
    with staff_tab(site) as desk:
        cookies = desk.context.cookies()
    with browser.window(has_touch=True) as tab:
        tab.context.add_cookies(cookies)
        tab.set_viewport_size(PHONE)
        tab.goto(f"{site.url}/campaigns/{campaign.pk}/review/next/?verdict=none")
        at(tab, 1)
        fingers = tab.context.new_cdp_session(tab)

        def touch(kind: str, x: float) -> None:
            points = [{"x": x, "y": 400}] if kind != "touchEnd" else []
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        def swipe(by: int) -> None:
            touch("touchStart", 195)
            for part in range(1, 6):
                touch("touchMove", 195 + by * part / 5)

        swipe(40)
        expect(tab.locator(".gq-swipe.is-yes")).to_be_visible()
        touch("touchEnd", 0)
        expect(tab.locator(".gq-swipe.is-yes")).to_be_hidden()
        at(tab, 1)
        swipe(150)
        touch("touchEnd", 0)
        at(tab, 2)
        swipe(-150)
        expect(tab.locator(".gq-swipe.is-no")).to_be_visible()
        touch("touchEnd", 0)
        at(tab, 3)
        tab.click("#thumb-win")
        at(tab, 4)
        tab.click("a[href='#side']")
        expect(tab.locator("#note")).to_be_visible()
        tab.click("#side > a")
        tab.click("#thumb-approve")
        expect(tab.locator(".gq-jend h2")).to_have_text("All 4 reviewed")
    assert verdicts(site, campaign) == ["approved", "rejected", "winner", "approved"]


def test_without_javascript_every_step_is_a_form_or_a_link(stocked: tuple[Site, Campaign, Campaign]) -> None:
    site, _, campaign = stocked
    beside(site, lambda: Combination.objects.filter(campaign=campaign).update(review="", note=""))
    with staff_tab(site) as desk:
        cookies = desk.context.cookies()
    with browser.window(java_script_enabled=False) as tab:
        tab.context.add_cookies(cookies)
        tab.goto(f"{site.url}/campaigns/{campaign.pk}/review/?mood=calm")
        tab.click("text=Review these one by one")
        at(tab, 2)
        expect(tab.locator("#film[controls]")).to_be_visible()
        tab.fill("#note", "Slower.")
        tab.click("#do-reject")
        at(tab, 4)
        expect(tab.locator("#said")).to_contain_text("Rejected: UGC · Calm")
        tab.click("#do-undo-said")
        at(tab, 2)
        expect(tab.locator("#note")).to_have_value("Slower.")
        tab.click("#go-after")
        at(tab, 4)
        tab.click("#film-2")
        at(tab, 2)
    assert verdicts(site, campaign) == [""] * 4


def look(tab: Page, place: str) -> list[str]:
    """What is wrong with the page as it stands: in light and dark, in both typefaces."""
    tab.emulate_media(color_scheme="dark")
    faults = grave(tab)
    tab.emulate_media(color_scheme="light")
    return [f"{place}: {fault}" for fault in faults + grave(tab) + in_both_types(tab)]


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_its_pages_are_accessible_and_fit(stocked: tuple[Site, Campaign, Campaign], tab: Page, size: ViewportSize) -> None:
    site, large, small = stocked
    beside(site, lambda: Combination.objects.filter(campaign=small, index=2).update(review="winner"))
    tab.set_viewport_size(size)
    faults = []
    for place in ("review/1/", "review/1/compare/", "review/2/more/", "review/names/", "review/", "share/"):
        tab.goto(f"{site.url}/campaigns/{small.pk}/{place}")
        faults += look(tab, place)
    tab.goto(f"{site.url}/campaigns/{large.pk}/review/1/")
    tab.keyboard.press("?")
    faults += look(tab, "shortcuts")
    assert not faults, "\n".join(faults)


def test_the_keyboard_alone_reaches_everything_and_shows_where_it_is(stocked: tuple[Site, Campaign, Campaign], tab: Page) -> None:
    site, _, campaign = stocked
    tab.goto(f"{site.url}/campaigns/{campaign.pk}/review/2/")
    reached, unseen = [], []
    for _ in range(60):
        tab.keyboard.press("Tab")
        name, outline = tab.evaluate("""() => {
            const at = document.activeElement, style = getComputedStyle(at);
            return [at.id || at.tagName, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0];
        }""")
        if name == "BODY":
            break
        reached.append(name)
        unseen += [] if outline else [name]
    wanted = {"go-back", "do-keys", "do-grid", "do-play", "do-scrub", "do-sound", "do-full", "do-approve", "do-reject", "do-win"}
    assert wanted | {"note", "do-note", "go-versions", "film-1", "film-4"} <= set(reached)
    assert unseen == []
