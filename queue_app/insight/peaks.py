"""Peak hours that apply now or begin soon, as pages and answers tell them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from queue_app.models import QueueSettings
from queue_app.rules import peak

SOON = timedelta(minutes=60)  # before their start, from when on they are told
DAYS_AHEAD = 2


@dataclass(frozen=True)
class PeakHours:
    """
    Peak hours that begin at ``begins``, or else apply now until ``ends`` (``None``: all day), with the whole queue's ``limit`` in
    them and the ``usual`` one. Times are in their zone.
    """

    begins: datetime | None
    ends: datetime | None
    limit: int
    usual: int
    zone: str

    @property
    def when(self) -> str:
        """“from 20:00 (Europe/Madrid)”, “until 23:00 (Europe/Madrid)”, “all day”."""
        if self.begins:
            return f"from {self.begins:%H:%M} ({self.zone})"
        return f"until {self.ends:%H:%M} ({self.zone})" if self.ends else "all day"

    @property
    def words(self) -> str:
        """“Peak hours from 20:00 (Europe/Madrid): limit 15 instead of 10”."""
        return f"Peak hours {self.when}: limit {self.limit} instead of {self.usual}"


def now_or_soon(policy: QueueSettings, *, at: datetime) -> PeakHours | None:
    """Return the peak hours that apply or begin within the hour; ``None`` if there are none, or they change no limit."""
    zone, usual = policy.peak_zone, policy.max_concurrent
    limit = peak.raised(usual, policy.peak_factor)
    applies = peak.is_peak(at.astimezone(zone), policy.peak_hours)
    changes = peak.changes(policy.peak_hours, zone, at=at, days=DAYS_AHEAD)
    change = next((moment.astimezone(zone) for moment, _ in changes), None)
    if limit == usual or (not applies and (change is None or change - at > SOON)):
        return None
    begins, ends = (None, change) if applies else (change, None)
    return PeakHours(begins, ends, limit, usual, str(zone))
