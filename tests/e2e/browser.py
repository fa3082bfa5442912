"""What people do in a browser."""

from playwright.sync_api import Page, expect

from tests.processes import Site

MADE_IN = 120_000  # ms, for four videos on a busy machine


def log_in(window: Page, site: Site) -> None:
    window.goto(f"{site.url}/login/")
    window.fill("#id_username", "ana")
    window.fill("#id_password", "password")
    window.click("form:has(#id_password) button")
    expect(window.locator("h1")).to_contain_text("Ana")


def halfway(window: Page) -> float:
    """Seek the video on the page to its middle; gives where it is then, as a part of the whole."""
    where: float = window.evaluate("""() => new Promise((done) => {
        const film = document.querySelector("video");
        film.onseeked = () => done(film.currentTime / film.duration);
        const seek = () => { film.currentTime = film.duration / 2; };
        film.readyState ? seek() : film.addEventListener("loadedmetadata", seek, { once: true });
    })""")
    return where
