"""Counts that staff see: what waits, what is in flight, what ended in the last 24 hours and was not cleared from view."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import Count

from queue_app.insight.shared import without_waiting
from queue_app.models import Job, State, Status
from queue_app.models.job import IN_FLIGHT_STATES, STATUS_OF_STATE, TERMINAL_STATES

RECENT = timedelta(hours=24)
Waiting = Mapping[tuple[str, int], int]  # jobs by model and priority
FRESH, WORTH = 0.1, 40  # seconds they are shared at least, and times what they cost


def waiting() -> Waiting:
    """What is queued: the one count here that grows with the queue."""
    rows = Job.objects.filter(state=State.QUEUED).values_list("model", "priority").annotate(jobs=Count("*")).order_by()
    return without_waiting(WORTH, "counts:waiting", lambda: {(model, level): jobs for model, level, jobs in rows}, at_least=FRESH)


def in_flight() -> dict[State, int]:
    """Jobs of each state between queued and ended."""
    rows = Job.objects.filter(state__in=IN_FLIGHT_STATES).values_list("state").annotate(jobs=Count("*")).order_by()
    return dict.fromkeys(IN_FLIGHT_STATES, 0) | {State(state): jobs for state, jobs in rows}


def ended(*, at: datetime) -> dict[State, int]:
    """Jobs of each last state: those that the list shows as ended in the last 24 h."""

    def look() -> dict[State, int]:
        lately = Job.objects.filter(ended_at__gt=at - RECENT, archived_at=None)
        rows = lately.values_list("state").annotate(jobs=Count("*")).order_by()
        return dict.fromkeys(TERMINAL_STATES, 0) | {State(state): jobs for state, jobs in rows}

    return without_waiting(WORTH, "counts:ended", look, at_least=FRESH)


def by_status(*, at: datetime) -> dict[Status, int]:
    """All of them as people know them; on a long queue a second or two old."""
    found = dict.fromkeys(Status, 0) | {Status.QUEUED: sum(waiting().values())}
    for state, jobs in (in_flight() | ended(at=at)).items():
        found[STATUS_OF_STATE[state]] += jobs
    return found
