"""Addresses that a page is handed: where to go on, and the list that one came from."""

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from queue_app.rules import words

FILTERS_MOST = 2_000  # characters as they stand in an address, which they do twice over where a page hands them on


def of_ours(request: HttpRequest, wanted: str) -> str:
    """Return ``wanted`` if it is the path of a page of this site, with or without a query; else nothing."""
    wanted = wanted.strip()
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if wanted.startswith("/") and is_ours else ""


def asked(query: str) -> QueryDict | None:
    """
    Read the filters of a list, given as they stand in its address; ``None``: too long, or with what cannot be looked for.

    A form's field hands them on encoded a second time, so that what is odd in them is seen by nobody before this.
    """
    if len(query) > FILTERS_MOST:
        return None
    try:
        found = QueryDict(query)
    except SuspiciousOperation:  # too many
        return None
    texts = (text for name, values in found.lists() for text in (name, *values))
    return found if all(map(words.is_storable, texts)) and len(found.urlencode()) <= FILTERS_MOST else None


def filters(query: str) -> str:
    """Return these filters of a list as an address has them; what cannot be read counts as none."""
    found = asked(query)
    return found.urlencode() if found else ""


def jobs(query: str = "") -> str:
    """Return the address of the job list with these filters, given as they stand in an address."""
    kept = filters(query)
    return reverse("admin:queue_app_job_changelist") + (f"?{kept}" if kept else "")
