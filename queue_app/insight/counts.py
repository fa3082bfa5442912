"""Counts that staff see: what is in flight, and what ended in the last 24 hours without what was cleared from view."""

from datetime import datetime, timedelta

from django.db.models import Count

from queue_app.insight.shared import without_waiting
from queue_app.models import Job, State
from queue_app.models.job import IN_FLIGHT_STATES, TERMINAL_STATES

RECENT = timedelta(hours=24)
FRESH, WORTH = 0.1, 20  # seconds they are shared at least, and times what they cost


def in_flight() -> dict[State, int]:
    """Jobs of each state between queued and ended."""
    rows = Job.objects.filter(state__in=IN_FLIGHT_STATES).values_list("state").annotate(Count("pk")).order_by()
    return dict.fromkeys(IN_FLIGHT_STATES, 0) | {State(state): jobs for state, jobs in rows}


def ended(*, at: datetime) -> dict[State, int]:
    """Jobs of each last state: those that the list shows as ended in the last 24 h."""

    def look() -> dict[State, int]:
        lately = Job.objects.filter(ended_at__gt=at - RECENT, archived_at=None)
        rows = lately.values_list("state").annotate(Count("pk")).order_by()
        return dict.fromkeys(TERMINAL_STATES, 0) | {State(state): jobs for state, jobs in rows}

    return without_waiting(WORTH, "counts:ended", look, at_least=FRESH)
