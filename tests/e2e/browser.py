"""What people do in a browser."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.test import Client
from playwright.sync_api import Page, expect

from queue_app.models import BulkAction, User
from tests import browser
from tests.processes import Site

T = TypeVar("T")

MADE_IN = 180_000  # ms, for four videos on a busy machine
WORKED = 120_000  # ms, for what a worker does


def enter(tab: Page, site: Site, name: str = "ana") -> None:
    """Log a user in without the form: a password takes a second to check, as it should. The site has the tests' SECRET_KEY."""

    def session() -> str:
        client = Client()
        client.force_login(User.objects.get(username=name), backend="django.contrib.auth.backends.ModelBackend")
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    tab.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": beside(site, session), "url": site.url}])


def log_in(window: Page, site: Site) -> None:
    window.goto(f"{site.url}/login/")
    window.fill("#id_username", "ana")
    window.fill("#id_password", "password")
    window.click("form:has(#id_password) button")
    expect(window.locator("h1")).to_contain_text("Ana")


@contextmanager
def staff_tab(site: Site, address: str = "/admin/") -> Iterator[Page]:
    """A tab at this page of the admin, in which Ana of staff is logged in; a fault on its console fails the test."""
    with browser.window() as tab:
        enter(tab, site)
        tab.goto(f"{site.url}{address}")
        yield tab


def log_in_to_the_admin(tab: Page, site: Site, address: str = "/admin/") -> None:
    tab.goto(f"{site.url}/admin/login/?next={address}")
    tab.fill("#id_username", "ana")
    tab.fill("#id_password", "password")
    tab.click("form:has(#id_password) [type=submit]")
    tab.wait_for_url(f"**{address}")


def beside(site: Site, do: Callable[[], T]) -> T:
    """Do something with the site's rows while a tab is open: in a thread, as a browser's event loop runs in the test's."""

    def there() -> T:
        with site.orm(), transaction.atomic():
            return do()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(there).result(30)


def confirm(site: Site, tab: Page, *, reason: str = "") -> None:
    """Confirm the preview of a bulk action."""
    if reason:
        tab.fill("#reason", reason)
    tab.click("button[value=confirm]")
    expect(tab.locator("#do-undo")).to_be_visible()
    give_time(site)


def give_time(site: Site) -> None:
    """Let the bulk action that waits begin a minute late, lest the ten seconds for an undo pass on a busy machine."""
    waits = BulkAction.objects.filter(phase=BulkAction.Phase.WAITING)
    assert beside(site, lambda: waits.update(starts_at=F("starts_at") + timedelta(minutes=1))) == 1


def reach(tab: Page, selector: str) -> None:
    """Press Tab until this element has the focus, from the top of the page at most once around."""
    wanted = tab.locator(selector).first
    for _ in range(150):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        tab.keyboard.press("Tab")
    raise AssertionError(f"{selector} is out of reach of the keyboard")


def halfway(window: Page) -> float:
    """Seek the video on the page to its middle; gives where it is then, as a part of the whole."""
    where: float = window.evaluate("""() => new Promise((done) => {
        const film = document.querySelector("video");
        film.onseeked = () => done(film.currentTime / film.duration);
        const seek = () => { film.currentTime = film.duration / 2; };
        film.readyState ? seek() : film.addEventListener("loadedmetadata", seek, { once: true });
    })""")
    return where
