"""Competitors' pages, fetched by the guarded client: public https addresses only, few bytes, little time."""

import time
from collections.abc import Callable

from queue_app import http

BYTES_MOST = 1_500_000  # of one page
SECONDS, SECONDS_OF_ALL = 8.0, 20.0  # for one page, and for all pages of a job
REDIRECTS = 3
_TYPES = ("text/html", "application/xhtml+xml")
_HEADERS = {"Accept": "text/html, application/xhtml+xml"}
_WHY = {
    http.AddressRefused: "Only public https addresses are read.",
    http.ConnectFailed: "The server can't be reached.",
    http.TimedOut: "The server took too long.",
    http.TooLarge: f"The page is larger than {BYTES_MOST / 1_000_000:g} MB.",
    http.RedirectRefused: "The page redirects too often.",
}


class FetchFailed(OSError):
    """A page can't be read. The message is for the user."""


def fetcher() -> Callable[[str], bytes]:
    """
    Return a function that fetches the pages of one job, and raises `FetchFailed`. No transaction may be open when it is called.
    """
    deadline = time.monotonic() + SECONDS_OF_ALL

    def fetch(url: str) -> bytes:
        seconds = min(SECONDS, deadline - time.monotonic())
        if seconds <= 0:
            raise FetchFailed("The other pages took all the time.")
        try:
            answer = http.request(
                "GET",
                url,
                purpose="competitor page",
                headers=_HEADERS,
                total_timeout=seconds,
                max_bytes=BYTES_MOST,
                redirects=REDIRECTS,
            )
        except http.HttpError as error:
            raise FetchFailed(
                next((why for kind, why in _WHY.items() if isinstance(error, kind)), "The answer broke off.")
            ) from error
        if answer.status != 200:
            raise FetchFailed(f"The server answered {answer.status}.")
        if answer.headers.get("Content-Type", _TYPES[0]).partition(";")[0].strip().lower() not in _TYPES:
            raise FetchFailed("The address is not an HTML page.")
        return answer.body

    return fetch
