"""The dashboard's page, its fragment, and the index of sections."""

from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils import timezone

from queue_app import clock
from queue_app.admin.dashboard import banners, facts
from queue_app.admin.dashboard.facts import Dashboard
from queue_app.ui import fragments, pending
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
    shown = context(request, facts.shared(at=at, act=fragments.act(request)), at=at)
    if fragments.unchanged(request, shown["token"]):
        return HttpResponse(status=204)
    known = set(request.GET.get("parts", "").split(","))
    return render(request, "admin/dashboard/board.html", shown | {"known": known})


def page(
    site: AdminSite, request: HttpRequest, *, wrong: dict[str, Any] | None = None, extra_context: dict[str, Any] | None = None
) -> HttpResponse:
    """Show the whole page. ``wrong`` is a value typed into a row, and why it was refused."""
    at = clock.now()
    shown = {
        **site.each_context(request),
        **context(request, facts.shared(at=at, act=fragments.act(request)), at=at),
        "title": "Queue",
        "subtitle": None,
        "at": at,
        "wrong": wrong or {},
        **(extra_context or {}),
    }
    return TemplateResponse(request, "admin/index.html", shown)


def context(request: HttpRequest, found: Dashboard, *, at: datetime) -> dict[str, Any]:
    """Return the parts as this user may see them, and the strip of pending actions."""
    may, strip = staff(request).has_perm, pending.strip(request, at=at)
    return {
        **found.parts,
        "notes": banners.one_per_cause(found.parts["notes"], may),
        "pending": strip,
        "token": f"{found.token}-{strip.token}",
        "versions": found.versions,
        "may_operate": may(Right.OPERATE),
        "zone": timezone.get_current_timezone_name(),
    }


def sections(site: AdminSite, request: HttpRequest) -> HttpResponse:
    """Show the lists of the admin that this user may open."""
    shown = {**site.each_context(request), "title": "All sections", "app_list": site.get_app_list(request)}
    return TemplateResponse(request, "admin/dashboard/sections.html", shown)
