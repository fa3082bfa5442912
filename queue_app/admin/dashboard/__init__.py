"""The queue dashboard, the first page of the admin: everything at a glance, live, with limits and pauses in place."""

from collections.abc import Callable
from functools import partial, update_wrapper

from django.contrib.admin import AdminSite
from django.http import HttpResponse
from django.urls import URLPattern, path

from queue_app.admin.dashboard import edits, page, stop

# address under the admin's → view of (site, request), and the name of both
VIEWS: dict[str, tuple[Callable[..., HttpResponse], str]] = {
    "sections/": (page.sections, "sections"),
    "limit/": (edits.limit, "limit"),
    "limit/forecast/": (edits.forecast, "limit_forecast"),
    "pause/": (edits.pause, "pause"),
    "resume/": (edits.resume, "resume"),
    "end-cooldown/": (edits.end_cooldown, "end_cooldown"),
    "stop/": (stop.stop, "stop"),
    "stop/queue-again/": (stop.queue_again, "stop_queue_again"),
}


def urls(site: AdminSite) -> list[URLPattern]:
    """The dashboard's addresses, for staff alone."""
    return [
        path(address, site.admin_view(update_wrapper(partial(view, site), view)), name=name)
        for address, (view, name) in VIEWS.items()
    ]
