"""Live pages in a real browser: changes appear immediately, a hidden tab is silent, and the dot shows the age of the page."""

import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import browser
from tests.factories import UserFactory, make_job
from tests.live.test_stream import connections_of_the_web, key_of
from tests.processes import Site, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.e2e]

PAGE = """<!DOCTYPE html><html><head><title>Live</title>
<meta name="htmx-config" content='{"includeIndicatorStyles":false,"allowEval":false,"allowScriptTags":false}'>
<script src="/static/django_htmx/htmx-2.min.js" defer></script><script src="/static/gq/live.js" defer></script></head>
<body data-stream="/api/v1/queue/stream/"><h1>Live</h1><span class="gq-live" data-live>Live</span>
<div id="board" hx-get="/board" hx-trigger="gq:tick from:body, gq:changed from:body">not yet</div></body></html>"""
STRICT = {"Content-Security-Policy": "default-src 'self'", "Content-Type": "text/html"}
HIDE = """hidden => { Object.defineProperty(document, "hidden", {configurable: true, get: () => hidden});
                      document.dispatchEvent(new Event("visibilitychange")); }"""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with closing(Site()) as made:
        made.prepare()
        made.start_web(DEBUG="1")
        yield made


class Rows:
    """The site's rows, used from their own thread, because Playwright's event loop runs in the test's."""

    def __init__(self, site: Site) -> None:
        self._site, self._thread = site, ThreadPoolExecutor(1)
        self.owner = self.do(UserFactory)
        self.key = self.do(key_of, self.owner)

    def do(self, what: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._thread.submit(self._with_orm, what, *args, **kwargs).result(30)

    def _with_orm(self, what: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        with self._site.orm():
            return what(*args, **kwargs)


@pytest.fixture
def rows(site, django_db_blocker) -> Iterator[Rows]:
    with django_db_blocker.unblock():
        yield Rows(site)


class Board:
    """The page in a browser, with a count of its reloads."""

    def __init__(self, page: Page, site: Site, rows: Rows) -> None:
        self.page, self.looks, self.answers = page, 0, True
        self.errors: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.set_extra_http_headers({"Authorization": f"Bearer {rows.key}"})
        page.route("**/live", lambda route: route.fulfill(body=PAGE, headers=STRICT))
        page.route("**/board", self._look)
        page.goto(f"{site.url}/live")
        # with a stream: it is up and has sent a resync; without one: after a tick
        expect(page.locator("#board")).to_have_text("look 1")

    def _look(self, route) -> None:
        self.looks += 1
        if self.answers:
            route.fulfill(body=f"look {self.looks}")
        else:
            route.abort()


@pytest.fixture
def tab() -> Iterator[Page]:
    with browser.tab() as page:
        yield page


class TestALivePage:
    def test_reads_itself_anew_at_once_when_something_changed(self, site, rows, tab):
        board = Board(tab, site, rows)
        tab.evaluate("window.ticks = 0; document.body.addEventListener('gq:tick', () => { window.ticks += 1; })")
        delays, untold = [], 0
        for _ in range(10):
            seen, ticks = board.looks, tab.evaluate("ticks")
            rows.do(make_job, owner=rows.owner)
            changed = time.monotonic()
            expect(tab.locator("#board")).not_to_have_text(f"look {seen}")
            delays.append(time.monotonic() - changed)
            untold += tab.evaluate("ticks") > ticks
            tab.wait_for_timeout(200)

        print(f"\nchange → page: median {sorted(delays)[5] * 1000:.0f} ms, longest {max(delays) * 1000:.0f} ms")
        assert untold < 5  # most were seen before the next tick, which would see all of them
        assert board.errors == []

    def test_does_nothing_while_hidden_and_looks_again_on_return(self, site, rows, tab):
        board = Board(tab, site, rows)
        tab.evaluate(HIDE, True)
        wait_for(lambda: rows.do(connections_of_the_web) == 0, of="no stream")
        seen = board.looks
        tab.wait_for_timeout(5_500)
        assert board.looks == seen

        tab.evaluate(HIDE, False)

        expect(tab.locator("#board")).not_to_have_text(f"look {seen}")

    def test_says_how_old_it_is_and_when_answers_stay_away(self, site, rows, tab):
        tab.clock.install()
        board = Board(tab, site, rows)
        dot = tab.locator("[data-live]")
        tab.clock.run_for(2_000)
        expect(dot).to_have_text("Live")
        expect(dot).to_have_attribute("title", "Updated 2s ago")

        board.answers = False
        tab.clock.run_for(16_000)
        expect(dot).to_have_text(re.compile(r"^Not updated since \d\d:\d\d\. Retrying…$"))
        expect(dot).to_have_class("gq-live is-stale")

        board.answers = True
        tab.clock.run_for(5_000)
        expect(dot).to_have_text("Live")
        expect(dot).to_have_attribute("title", re.compile(r"^Updated \ds ago$"))

    def test_goes_on_by_itself_where_there_is_no_stream(self, site, rows, tab):
        tab.route("**/api/v1/queue/stream/", lambda route: route.fulfill(status=204))
        board = Board(tab, site, rows)

        expect(tab.locator("#board")).to_have_text("look 2")
        assert rows.do(connections_of_the_web) == 0 and board.errors == []
