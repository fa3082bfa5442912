"""Every page of the admin in a real browser: its console stays clean, nothing breaks the CSP, axe finds nothing serious."""

from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urljoin, urlsplit

import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from django.urls import Resolver404, resolve
from playwright.sync_api import Page, ViewportSize

from queue_app import clock
from queue_app.models import Alert, ApiKey, BulkAction, Job, State
from queue_app.work import bulk, policy
from tests.campaigns.support import bring, make_campaign
from tests.e2e.browser import staff_tab
from tests.e2e.conftest import ana_of_staff, lay_files
from tests.factories import make_job
from tests.processes import Site

pytestmark = pytest.mark.e2e

MOST_PAGES = 150  # a crawl that goes on for ever is a fault of the crawl
NOT_PAGES = ("/admin/logout/", "/admin/jsi18n/", "/admin/autocomplete/", "/admin/queue_app/auditentry/export/")
IN_THE_DARK = ("admin:index", "admin:queue_app_job_changelist", "admin:queue_app_job_change", "admin:queue_app_bulkaction_change")
# lists and the column that each is read for
POINTS = {"alert": "state", "reviewitem": "decide", "job": "status_line", "modelconcurrencylimit": "max_concurrent"}
OPTIONS = {"resultTypes": ["violations"], "preload": False}  # it would load style sheets in a way that the CSP forbids
GRAVE = ("serious", "critical")
SHARED = ("#nav-sidebar", "#header")  # the same on all pages of the admin, and a large part of each: looked at once
DESK, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=844)
# as wide as DejaVu Sans, also on a machine without it
WIDE = """() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`:root { --gq-font: "DejaVu Sans", Verdana, sans-serif !important } body { letter-spacing: .02em }`);
    document.adoptedStyleSheets = [sheet];
}"""
SHORT = ("/admin/password_change/", "/admin/queue_app/alert/", "/admin/queue_app/alert/1/change/", "/admin/campaigns/brand/add/")


@pytest.fixture(scope="module")
def stocked(shared_site: Site) -> Site:
    """Rows on every list: jobs in each state, a campaign, a key, something in the audit."""
    site, staff = shared_site, ana_of_staff(shared_site)
    with site.orm():
        at = clock.now()
        ApiKey.objects.create(staff, scopes=["read"], name="storefront")
        for state in State:
            make_job(state, owner=staff, at=at, prompt=f"<b>{state}</b> & a prompt that goes on " + "and on " * 60)
        Job.objects.filter(state=State.FAILED).update(error_code="x" * 60)
        campaign = make_campaign(staff, name="Autumn scent", at=at)
        first, second = Job.objects.filter(batch=campaign.pk).order_by("id")[:2]
        bring(first, State.COMPLETED, at=at)
        bring(second, State.FAILED, at=at)
        policy.change(first.model.limit, at=at, actor=staff, reason="to see it", max_concurrent=5)
        drafted = bulk.draft(BulkAction.Verb.RETRY, [second.pk], at=at, actor=staff, chosen="1 job")
        bulk.confirm(drafted, at=at, actor=staff, reason="to see it")
        lay_files(site)
        Alert.objects.create(rule_id="queue_depth", value=700, words="700 jobs wait", opened_at=at)
    return site


@pytest.fixture
def tab(stocked: Site) -> Iterator[Page]:  # after the rows are made: Django refuses them where an event loop runs
    with staff_tab(stocked) as tab:
        tab.context.add_init_script(path=AXE_FILE_PATH)  # sent once, not with each page
        yield tab


def grave(tab: Page, *, without: Sequence[str] = ()) -> list[str]:
    """What axe finds serious or critical on the page as it stands, but for these elements, with the element that has it."""
    asked = [{"exclude": [[one] for one in without]} if without else None, OPTIONS]
    found = tab.evaluate("([where, options]) => axe.run(where || document, options).then((found) => found.violations)", asked)
    return [f"{one['id']}: {node['html'][:200]}" for one in found if one["impact"] in GRAVE for node in one["nodes"][:3]]


def kind_of(path: str) -> str | None:
    """One name for all addresses of the same page, for all histories, for all deletions; nothing for what is no page of ours."""
    if path.startswith(NOT_PAGES):
        return None
    try:
        name = resolve(path).view_name
    except Resolver404:
        return path  # the crawl shall see its 404
    return next((alike for alike in ("history", "delete") if name.endswith(f"_{alike}")), name)


def test_every_page_is_clean_and_accessible(tab: Page, stocked: Site) -> None:
    waiting, seen, faults = ["/admin/"], {"admin:index"}, []
    pages = 0
    while waiting:
        address = waiting.pop(0)
        pages += 1
        assert pages <= MOST_PAGES
        answer = tab.goto(f"{stocked.url}{address}")
        assert answer is not None
        if answer.status != 200:
            faults.append(f"{address}: {answer.status}")
            continue
        faults += [f"{address}: {fault}" for fault in grave(tab, without=SHARED if pages > 1 else ())]
        if kind_of(urlsplit(address).path) in IN_THE_DARK:
            tab.emulate_media(color_scheme="dark")
            faults += [f"{address}, dark: {fault}" for fault in grave(tab)]
            tab.emulate_media(color_scheme="light")
        for link in tab.eval_on_selector_all("a[href]", "links => links.map((link) => link.getAttribute('href'))"):
            parts = urlsplit(urljoin(address, link))
            linked = kind_of(parts.path) if not parts.netloc and parts.path.startswith("/admin/") else None
            if linked and linked not in seen:
                seen.add(linked)
                waiting.append(parts.path + (f"?{parts.query}" if parts.query else ""))
    print(f"\n{pages} pages of the admin seen")
    assert not faults, "\n".join(faults)


def cut(tab: Page) -> list[str]:
    """The faults of a page that scrolls sideways, and of what has no room for its words."""
    across: int = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
    stages: list[str] = tab.eval_on_selector_all(
        ".gq-steps b", "names => names.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    )
    heads: list[str] = tab.eval_on_selector_all(
        ".gq-models thead th", "heads => heads.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    )
    ticks: list[str] = tab.eval_on_selector_all(
        ".gq-chart text",
        """ticks => ticks.filter((one) => {
            const [tick, chart] = [one, one.ownerSVGElement].map((shown) => shown.getBoundingClientRect());
            return tick.left < chart.left || tick.right > chart.right;
        }).map((one) => one.textContent)""",
    )
    attempts: list[str] = tab.eval_on_selector_all(
        "#scroll-attempts",
        "boxes => boxes.filter((one) => innerWidth > 1000 && one.scrollWidth > one.clientWidth).map((one) => one.id)",
    )
    faults = [f"scrolls sideways by {across} px"] if across > 0 else []
    faults += [f"no room for stage {name}" for name in stages] + [f"no room for the head {name}" for name in heads]
    return faults + [f"no room for {tick} beside a chart" for tick in ticks] + [f"{box} scrolls sideways" for box in attempts]


def in_both_types(tab: Page, find: Callable[[Page], list[str]] = cut) -> list[str]:
    """What is found in the typeface that the product serves, and in a wide one, as where that does not arrive."""
    tab.evaluate("document.fonts.load('16px Inter').then(() => true)")
    assert tab.evaluate("document.fonts.check('16px Inter')")
    loaded = tab.evaluate("[...document.fonts].filter((face) => face.status === 'loaded').map((face) => face.family)")
    assert loaded == ["Inter"]
    faults = find(tab)
    tab.evaluate(WIDE)
    faults += [f"{fault}, in a wide typeface" for fault in find(tab)]
    tab.evaluate("document.adoptedStyleSheets = []")
    return faults


def scrolls(tab: Page) -> list[str]:
    down: int = tab.evaluate("document.documentElement.scrollHeight - innerHeight")
    return [f"scrolls by {down} px"] if down > 0 else []


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_queue_its_jobs_and_a_job_page_in_each_state(tab: Page, stocked: Site, size: ViewportSize) -> None:
    tab.set_viewport_size(size)
    faults = []
    for number in range(1, len(State) + 1):
        tab.goto(f"{stocked.url}/admin/queue_app/job/{number}/change/")
        faults += [f"job {number}: {fault}" for fault in grave(tab) + in_both_types(tab)]
    for address in ("/admin/", "/admin/queue_app/job/?status=failed", "/admin/queue_app/auditentry/"):
        tab.goto(f"{stocked.url}{address}")
        faults += [f"{address}: {fault}" for fault in grave(tab) + in_both_types(tab)]
    tab.goto(f"{stocked.url}/admin/queue_app/job/?status=failed")
    rows = tab.locator("#changelist-filter").bounding_box()
    assert rows is not None and rows["height"] < (120 if size is DESK else 60)  # a filter that is on makes no row taller
    assert not faults, "\n".join(faults)


def test_lists_show_their_point_on_a_phone(tab: Page, stocked: Site) -> None:
    tab.set_viewport_size(PHONE)
    faults = []
    for name, point in POINTS.items():
        tab.goto(f"{stocked.url}/admin/queue_app/{name}/")
        faults += [f"{name}: {fault}" for fault in grave(tab) + in_both_types(tab)]
        shown = tab.locator(f"#result_list .field-{point}").first.bounding_box()
        if not shown or shown["x"] + shown["width"] > PHONE["width"]:
            faults.append(f"{name}: {point} is out of sight")
    assert not faults, "\n".join(faults)


def test_a_short_page_does_not_scroll(tab: Page, stocked: Site) -> None:
    tab.set_viewport_size(DESK)
    tab.goto(f"{stocked.url}/admin/campaigns/brand/")
    brand = urljoin("/admin/campaigns/brand/", str(tab.get_attribute("#result_list tbody th a", "href"))).split("change/")[0]
    faults = []
    for address in (*SHORT, f"{brand}delete/"):
        tab.goto(f"{stocked.url}{address}")
        assert urlsplit(tab.url).path == address
        faults += [f"{address}: {fault}" for fault in in_both_types(tab, scrolls)]
    assert not faults, "\n".join(faults)
