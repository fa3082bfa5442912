"""The dashboard's page, its fragment, and the index of sections."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from queue_app import clock
from queue_app.admin.dashboard import facts
from queue_app.admin.dashboard.facts import Dashboard
from queue_app.ui import fragments
from queue_app.ui.access import staff
from queue_app.work.roles import Right


def index(site: AdminSite, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """
    Show the dashboard; to htmx, the parts with a version that it does not have (``parts``), or 204 if nothing has changed since
    ``seen``. Users without permission to view jobs get the sections.
    """
    if not request.user.has_perm("queue_app.view_job"):
        return sections(site, request)
    if not fragments.fragment_wanted(request):
        return page(site, request, extra_context=extra_context)
    at = clock.now()
    found = facts.shared(at=at, act=fragments.act(request))
    if fragments.unchanged(request, found.token):
        return HttpResponse(status=204)
    known = set(request.GET.get("parts", "").split(","))
    return render(request, "admin/dashboard/board.html", context(request, found) | {"known": known})


def page(
    site: AdminSite, request: HttpRequest, *, wrong: dict[str, Any] | None = None, extra_context: dict[str, Any] | None = None
) -> HttpResponse:
    """Show the whole page. ``wrong`` is a value typed into a row, and why it was refused."""
    at = clock.now()
    shown = {
        **site.each_context(request),
        **context(request, facts.shared(at=at, act=fragments.act(request))),
        "title": "Queue",
        "subtitle": None,
        "at": at,
        "wrong": wrong or {},
        "new_campaign": _address("campaigns:new"),
        **(extra_context or {}),
    }
    return TemplateResponse(request, "admin/index.html", shown)


def context(request: HttpRequest, found: Dashboard) -> dict[str, Any]:
    """Return the parts as this user may see them."""
    may = staff(request).has_perm
    return {
        **found.parts,
        "notes": [banner for banner in found.parts["notes"] if may(banner.right)],
        "token": found.token,
        "versions": found.versions,
        "may_operate": may(Right.OPERATE),
        "zone": timezone.get_current_timezone_name(),
    }


def sections(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Show the lists of the admin that this user may open."""
    shown = {**site.each_context(request), "title": "All sections", "app_list": site.get_app_list(request)}
    return TemplateResponse(request, "admin/dashboard/sections.html", shown)


def _address(name: str) -> str:
    """Return the address of a page of an application above the queue; empty if there is none."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
