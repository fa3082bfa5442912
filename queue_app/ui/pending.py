"""The strip on every page of the admin: bulk actions that start soon or run, with their undo, and those that just ended."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.urls import reverse

from queue_app.models import BulkAction, User
from queue_app.rules.numbers import counted
from queue_app.ui import fragments
from queue_app.ui.access import staff
from queue_app.work import bulk, stop
from queue_app.work.bulk import verbs

Phase = BulkAction.Phase
LATEST = 10
SHOWN_FOR = timedelta(seconds=10)  # after its end
OUTCOMES = {Phase.UNDONE: "undone, no jobs changed", Phase.ABORTED: "stopped", Phase.DONE: "done"}


@dataclass(frozen=True)
class Line:
    """
    A bulk action that starts soon, at ``starts``, or runs, ``percent`` done; or the cancels of “Stop all”, which are undone
    together. ``by``: whose it is, unless it is the viewer's own. ``step``: where it is undone or stopped, if the viewer may.
    """

    id: str
    words: str
    by: str
    starts: datetime | None
    left: int
    percent: int
    said: str
    url: str
    step: str


@dataclass(frozen=True)
class Ended:
    """A bulk action that ended a few seconds ago, and how."""

    words: str
    said: str
    phase: str
    url: str


@dataclass(frozen=True)
class Strip:
    """What a viewer sees: the newest line first. ``here``: the page to come back to; ``token`` changes with what is shown."""

    at: datetime
    here: str
    lines: list[Line]
    ended: list[Ended]

    @property
    def token(self) -> str:
        shown = [(one.id, one.percent, one.said) for one in self.lines], self.ended
        return hashlib.sha256(repr(shown).encode()).hexdigest()[:12] if any(shown) else "none"

    @property
    def is_live(self) -> bool:
        """Whether the strip has to be asked for again."""
        return bool(self.lines or self.ended)


def strip(request: HttpRequest, *, at: datetime) -> Strip:
    """Return the pending actions for the viewer of a page, without the one that the page itself is about."""
    user, here = staff(request), _here(request)
    sees_all = user.has_perm("queue_app.view_bulkaction")
    latest = BulkAction.objects.defer("job_ids").select_related("actor").exclude(phase=Phase.DRAFT).order_by("-id")[:LATEST]
    seen = [one for one in latest if sees_all or bulk.may(user, one.verb)]
    pending = [one for one in seen if not one.is_over]
    ended = [one for one in seen if one.ended_at and one.ended_at > at - SHOWN_FOR]
    lines = [line for line in _lines(pending, user, at=at) if line.url != urlsplit(here).path]
    return Strip(at, here, lines, [_ended(one) for one in ended])


def _lines(pending: list[BulkAction], user: User, *, at: datetime) -> Iterator[Line]:
    waiting = [one for one in pending if one.phase == Phase.WAITING]
    stopped = stop.last() if waiting else None
    of_stop = {one.pk for one in stopped.actions} if stopped else set()
    together = [one for one in waiting if one.pk in of_stop]
    for action in pending:
        if action not in together:
            yield _line(action, user, at=at)
        elif action is together[0]:
            jobs = counted(sum(one.total for one in together), "job")
            url, step = reverse("admin:stop"), reverse("admin:stop_undo") if bulk.may(user, action.verb) else ""
            starts = action.starts_at
            yield Line("stop", f"Stop all: cancel {jobs}", _by(action, user), starts, _left(starts, at), 0, "", url, step)


def _line(action: BulkAction, user: User, *, at: datetime) -> Line:
    is_waiting = action.phase == Phase.WAITING
    step = reverse("admin:queue_app_bulkaction_step", args=[action.pk]) if bulk.may(user, action.verb) else ""
    return Line(
        id=str(action.pk),
        words=bulk.name(action),
        by=_by(action, user),
        starts=action.starts_at if is_waiting else None,
        left=_left(action.starts_at, at) if is_waiting else 0,
        percent=100 * action.worked // action.total,
        said="" if is_waiting else f"{action.worked:,} of {counted(action.total, 'job')}",
        url=_page(action),
        step=step,
    )


def _ended(action: BulkAction) -> Ended:
    summary = verbs.of(action).summary(action.results)
    outcome = OUTCOMES[Phase(action.phase)]
    said = summary if summary and action.phase == Phase.DONE else f"{outcome}, {summary}" if summary else outcome
    return Ended(bulk.name(action), said, str(action.phase), _page(action))


def _left(starts: datetime | None, at: datetime) -> int:
    """Return the percentage of the wait that is left."""
    return max(0, min(100, round(100 * ((starts or at) - at) / bulk.STARTS_AFTER)))


def _by(action: BulkAction, user: User) -> str:
    return "" if action.actor_id == user.pk else action.actor.username


def _page(action: BulkAction) -> str:
    return reverse("admin:queue_app_bulkaction_change", args=[action.pk])


def _here(request: HttpRequest) -> str:
    """Return the path and query of the page that the viewer looks at: htmx names it, as its request has another."""
    if not fragments.fragment_wanted(request):
        return request.get_full_path()
    address = urlsplit(request.headers.get("HX-Current-URL", ""))
    return f"{address.path}?{address.query}" if address.query else address.path
