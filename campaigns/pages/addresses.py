"""Addresses that people enter: of a page, of a product, of a competitor."""

import re
from urllib.parse import urlsplit

URL_MOST = 2_000
_UNFIT = re.compile(r"[\s\\<>\"\x00-\x20\x7f]")
_WITHOUT_SCHEME = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?([/?#].*)?", re.S)


def url_problem(url: str) -> str:
    """Return why an address can't be used, and what to do; empty if it can: http or https, with a host, without a password."""
    if len(url) > URL_MOST:
        return f"Too long: {len(url):,} of {URL_MOST:,} characters. Shorten the URL."
    if _UNFIT.search(url):
        return "Remove blanks, quotation marks, brackets and backslashes from the URL."
    if _WITHOUT_SCHEME.fullmatch(url):
        return "Add https:// in front."
    try:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and "@" in parts.netloc:
            return "Remove the user name and password from the URL."
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return ""
    except ValueError:  # brackets or a port that can't be read
        return "Enter a whole URL, such as https://example.com/page."
    return "Enter a whole URL, such as https://example.com/page."
