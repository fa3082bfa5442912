"""
Addresses that a request carries: where to go next, and the filters of the list that the user came from; and the pages of limits.
"""

from django.contrib.admin.utils import quote
from django.core.exceptions import SuspiciousOperation
from django.db.models import Model
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from queue_app.insight import pauses
from queue_app.models import Kind, User, WorkerProcess
from queue_app.rules import words
from queue_app.rules.limits import Key

# a limit → the rows on whose page it is changed
_ROWS: dict[str, type[Model]] = {**pauses.ROWS, "kind": Kind, "user": User, "long": WorkerProcess}
_CHANGED = ("queue", "kind", "account", "model", "user")  # limits that staff edit
FILTERS_MOST = 2_000  # characters, encoded; a page that passes them on encodes them twice


def of_ours(request: HttpRequest, wanted: str) -> str:
    """Return ``wanted`` if it is the path of a page of this site, with or without a query; else an empty text."""
    wanted = wanted.strip()
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if wanted.startswith("/") and is_ours else ""


def asked(query: str) -> QueryDict | None:
    """
    Parse the filters of a list from its query string. Return ``None`` if they are too long or hold unsearchable text.

    A form passes them on encoded twice, so the check of the whole request has not seen what is in them.
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
    """Return these filters as a query string; empty if they cannot be parsed."""
    found = asked(query)
    return found.urlencode() if found else ""


def jobs(query: str = "") -> str:
    """Return the address of the job list with these filters, given as a query string."""
    kept = filters(query)
    return reverse("admin:queue_app_job_changelist") + (f"?{kept}" if kept else "")


def of_limit(limit: Key, user: User, *, to_change: bool = False) -> str:
    """
    Return the address of a limit's page in the admin; empty for a user who may not see it.

    :param to_change: only if the user may change the limit there.
    """
    what, key = limit
    if what not in _ROWS or not user.is_staff or (to_change and what not in _CHANGED):
        return ""
    opts = _ROWS[what]._meta
    if not user.has_perm(f"{opts.app_label}.{'change' if to_change else 'view'}_{opts.model_name}"):
        return ""
    page = f"admin:{opts.app_label}_{opts.model_name}"
    return reverse(f"{page}_changelist") if what == "long" else reverse(f"{page}_change", args=[quote(key or pauses.THE_QUEUE)])
