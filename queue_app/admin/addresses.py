"""Addresses that a page is handed: where to go on, and the list that one came from."""

from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme


def of_ours(request: HttpRequest, wanted: str) -> str:
    """Return ``wanted`` if it is the path of a page of this site, with or without a query; else nothing."""
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if wanted.startswith("/") and is_ours else ""


def jobs(query: str = "") -> str:
    """Return the address of the job list with these filters, given as they stand in an address."""
    asked = QueryDict(query).urlencode()
    return reverse("admin:queue_app_job_changelist") + (f"?{asked}" if asked else "")
