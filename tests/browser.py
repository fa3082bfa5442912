"""The browser of the e2e tests: how it is found and started, and which console messages fail a test."""

import asyncio
import atexit
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Keyboard, Locator, Page, expect, sync_playwright

# Chromium without the parts that nobody sees takes half the processor time
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 30_000  # ms; long enough for a busy machine, without delay on others
expect.set_options(timeout=PATIENCE)
ACTS = ("check", "click", "dispatch_event", "fill", "focus", "hover", "press", "select_option", "set_input_files", "uncheck")


def find() -> str | None:
    """Return the path of a Chromium, found as `.ci/browser` does, or ``None``."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    place = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    return next((str(path) for path in sorted(place.glob("chromium-*/chrome-linux*/chrome"))), None)


@contextmanager
def tab(**context: Any) -> Iterator[Page]:
    """Open a tab in a new context, without checks of its console. Another tab may be open."""
    before = asyncio._get_running_loop()
    chromium, loop = _started()
    asyncio._set_running_loop(loop)  # hide Playwright's loop, or it would seem to run in every later test of this process
    try:
        # No animations: a colour in transition is not one that people see.
        fresh = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce", **context)
        try:
            yield fresh.new_page()
        finally:
            fresh.close()
    finally:
        asyncio._set_running_loop(before)


def _act_on_whole_pages() -> None:
    """
    Let everything that a test does on a page wait until the scripts of that page have run.

    An element is there before: a key that comes between the two is lost, which a busy machine makes likely. Nobody is so fast.
    """
    for name in ACTS:
        setattr(Locator, name, _on_whole_page(getattr(Locator, name), _there))
        setattr(Page, name, _on_whole_page(getattr(Page, name), _there_on_page))
    keyboard: Callable[[Page], Keyboard] = Page.keyboard.fget  # type: ignore[attr-defined]
    Page.keyboard = property(_on_whole_page(keyboard, lambda page: page))  # type: ignore[assignment]


def _on_whole_page(act: Callable[..., Any], there: Callable[..., Page]) -> Callable[..., Any]:
    @wraps(act)
    def wait_and_act(where: Page | Locator, *args: Any, **options: Any) -> Any:
        there(where, *args[:1]).wait_for_load_state("domcontentloaded")  # after the scripts, which are deferred
        return act(where, *args, **options)

    return wait_and_act


def _there(element: Locator, *_: Any) -> Page:
    """Return the page of an element, once the element is there: the page before is left then."""
    element.wait_for(state="attached")
    return element.page


def _there_on_page(page: Page, selector: str) -> Page:
    page.wait_for_selector(selector, state="attached")
    return page


_act_on_whole_pages()


@cache
def _started() -> tuple[Browser, asyncio.AbstractEventLoop]:
    """Return the single Chromium of this process and the event loop of its connection."""
    playwright = sync_playwright().start()
    loop = asyncio.get_running_loop()
    chromium = playwright.chromium.launch(executable_path=find(), args=FLAGS)

    def stop() -> None:
        asyncio._set_running_loop(loop)
        chromium.close()
        playwright.stop()

    atexit.register(stop)
    return chromium, loop


@contextmanager
def window(*, refuses: bool = False, **context: Any) -> Iterator[Page]:
    """
    Open a tab in which errors and warnings on the console fail the test; with ``refuses``, not the browser's note of a 422.
    """
    faults: list[str] = []
    with tab(**context) as page:
        page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        yield page
    if refuses:
        faults = [fault for fault in faults if "status of 422" not in fault]
    assert not faults, "\n".join(faults)
