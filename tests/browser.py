"""The browser of the tests marked e2e: where it is, how it is started, and what on its console fails a test."""

import asyncio
import atexit
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 30_000  # ms; what comes soon is seen soon, and a busy machine gets the time it takes
expect.set_options(timeout=PATIENCE)


def find() -> str | None:
    """The path of a Chromium, as `.ci/browser` looks for it; nothing where there is none."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    place = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    return next((str(path) for path in sorted(place.glob("chromium-*/chrome-linux*/chrome"))), None)


@contextmanager
def tab(**context: Any) -> Iterator[Page]:
    """A tab of a context of its own, whatever its console says."""
    chromium, loop = _started()
    asyncio._set_running_loop(loop)  # Playwright's own, which would otherwise run in every test of this process from now on
    try:
        # Nothing moves: a colour on its way to another is neither of the two that people see.
        fresh = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce", **context)
        try:
            yield fresh.new_page()
        finally:
            fresh.close()
    finally:
        asyncio._set_running_loop(None)


@cache
def _started() -> tuple[Browser, asyncio.AbstractEventLoop]:
    """The one Chromium of this process, and the event loop through which it is spoken to."""
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
def window(**context: Any) -> Iterator[Page]:
    """A tab of which an error or a warning on its console fails the test."""
    faults: list[str] = []
    with tab(**context) as page:
        page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        yield page
    assert not faults, "\n".join(faults)
