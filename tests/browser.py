"""The browser of the e2e tests: how it is found and started, and which console messages fail a test."""

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
