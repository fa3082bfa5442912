"""Stop all: pause the queue at once and, if asked for, cancel what waits and what runs, with the undo of any bulk action."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from queue_app.models import AuditEntry, BulkAction, Job, QueueSettings, State, User
from queue_app.work import bulk, policy

ACTION = "stop all"
AT_THE_PROVIDER = (State.SUBMITTING, State.RUNNING, State.UNKNOWN)


@dataclass(frozen=True)
class Stop:
    """The last time that all was stopped: when, by whom, why, and what was cancelled then."""

    at: datetime
    actor: str
    reason: str
    actions: list[BulkAction]


@transaction.atomic
def stop_all(
    *, at: datetime, actor: User, reason: str, cancel_queued: bool = False, cancel_running: bool = False
) -> list[BulkAction]:
    """
    Pause the whole queue now. What is to be cancelled is chosen now and starts in 10 s, as bulk actions that can be undone.

    Gives these actions.
    """
    settings = QueueSettings.objects.current()
    policy.change(settings, at=at, actor=actor, reason=reason, paused=True, paused_reason=reason[:200], paused_until=None)
    actions = []
    for wanted, states, chosen in (
        (cancel_queued, (State.QUEUED,), "Stop all: what was queued"),
        (cancel_running, AT_THE_PROVIDER, "Stop all: what was at the providers"),
    ):
        jobs = Job.objects.filter(state__in=states)
        if wanted and jobs.exists():
            action = bulk.draft(BulkAction.Verb.CANCEL, jobs, at=at, actor=actor, chosen=chosen)
            actions.append(bulk.confirm(action, at=at, actor=actor, reason=reason))
    after = {"paused": True, "actions": [action.pk for action in actions]}
    policy.audit(ACTION, "the whole queue", at=at, actor=actor, after=after, reason=reason, of=settings)
    return actions


def last() -> Stop | None:
    """The last stop; ``None`` before the first."""
    settings = QueueSettings.objects.current()
    of_settings = AuditEntry.objects.filter(target_model=settings._meta.label_lower, target_pk=str(settings.pk))
    entry = of_settings.filter(action=ACTION).order_by("-id").first()
    if entry is None:
        return None
    actions = BulkAction.objects.defer("job_ids").filter(pk__in=entry.after["actions"]).order_by("id")
    return Stop(entry.at, entry.actor_name, entry.reason, list(actions))


def queue_again(stop: Stop, *, at: datetime, actor: User) -> BulkAction:
    """
    A draft that queues again what that stop cancelled and what is still cancelled: at the end of its lanes, at today's price.

    :raises BulkRefused: there is none.
    """
    ids = BulkAction.objects.filter(pk__in=[action.pk for action in stop.actions]).values_list("job_ids", flat=True)
    jobs = Job.objects.filter(pk__in=[pk for chosen in ids for pk in chosen], state=State.CANCELLED)
    return bulk.draft(
        BulkAction.Verb.RETRY, jobs, at=at, actor=actor, chosen=f"what “stop all” of {stop.at:%d %b, %H:%M} UTC cancelled"
    )
