"""Who cancelled jobs, when and why, from the jobs' histories."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from queue_app.lifecycle import CANCEL_REQUESTED
from queue_app.models import JobEvent, State

_WITHOUT_REASON = ("", "cancelled", CANCEL_REQUESTED)  # what the history says where no reason was given
# a queued job is cancelled at once; of others the cancel is requested, and the provider's answer ends them later
_REQUESTS = (
    Q(from_state=State.QUEUED, to_state=State.CANCELLED)
    | Q(from_state=State.RUNNING, to_state=State.CANCELLING)
    | Q(reason=CANCEL_REQUESTED)
)


@dataclass(frozen=True)
class WhoCancelled:
    """Jobs that one person cancelled for one reason, which may be empty. ``at`` is the time of the latest."""

    by: str
    reason: str
    at: datetime
    jobs: list[int]


def of_jobs(jobs: Iterable[int]) -> list[WhoCancelled]:
    """Return the last cancel of each of these jobs, by person and reason, the largest first. One query."""
    events = JobEvent.objects.filter(_REQUESTS, job__in=list(jobs)).order_by("job", "-seq").distinct("job")
    at_once: dict[tuple[str, datetime], list[tuple[int, str]]] = defaultdict(list)
    for job, actor, at, reason in events.values_list("job", "actor", "at", "reason"):
        at_once[actor, at].append((job, "" if reason in _WITHOUT_REASON else reason))
    alike: dict[tuple[str, str], list[tuple[datetime, list[int]]]] = defaultdict(list)
    for (actor, at), found in at_once.items():
        # the history keeps the reason for queued jobs only; it was given for all
        reason = next((reason for _, reason in found if reason), "")
        alike[actor, reason].append((at, [job for job, _ in found]))
    cancels = [
        WhoCancelled(actor, reason, max(at for at, _ in parts), [job for _, numbers in parts for job in numbers])
        for (actor, reason), parts in alike.items()
    ]
    return sorted(cancels, key=lambda cancel: (-len(cancel.jobs), cancel.by, cancel.reason))
