"""The queue dashboard, the first page of the admin: everything at a glance, live, with limits and pauses in place."""

from collections.abc import Callable

from django.http import HttpResponse

from queue_app.admin.dashboard import edits, page, stop

# address below the admin site's → view of (site, request), name of the address
VIEWS: dict[str, tuple[Callable[..., HttpResponse], str]] = {
    "": (page.index, "index"),
    "sections/": (page.sections, "sections"),
    "limit/": (edits.limit, "limit"),
    "limit/forecast/": (edits.forecast, "limit_forecast"),
    "pause/": (edits.pause, "pause"),
    "resume/": (edits.resume, "resume"),
    "end-cooldown/": (edits.end_cooldown, "end_cooldown"),
    "stop/": (stop.stop, "stop"),
    "stop/undo/": (stop.undo, "stop_undo"),
    "stop/queue-again/": (stop.queue_again, "stop_queue_again"),
}
