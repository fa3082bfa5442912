"""Stop all: pause the queue at once and, if asked for, cancel what waits and what runs, with the undo of any bulk action."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Func

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


def stop_all(
    *, at: datetime, actor: User, reason: str, cancel_queued: bool = False, cancel_running: bool = False
) -> list[BulkAction]:
    """
    Pause the whole queue now. What is to be cancelled is chosen then and starts in 10 s, as bulk actions that can be undone.

    The pause is a transaction of its own: nothing that comes after it can take it back or make it wait. Gives the actions.
    """
    settings = QueueSettings.objects.current()
    policy.change(settings, at=at, actor=actor, reason=reason, paused=True, paused_reason=reason[:200], paused_until=None)
    chosen = [
        *(_cancelled((State.QUEUED,), "what was queued", at=at, actor=actor) if cancel_queued else ()),
        *(_cancelled(AT_THE_PROVIDER, "what was at the providers", at=at, actor=actor) if cancel_running else ()),
    ]
    with transaction.atomic():
        actions = [bulk.confirm(action, at=at, actor=actor, reason=reason) for action in chosen]
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


def queue_again(stop: Stop, *, at: datetime, actor: User) -> list[BulkAction]:
    """Drafts that queue again what that stop cancelled and is still cancelled: at the end of its lanes, at today's price."""
    actions = BulkAction.objects.filter(pk__in=[action.pk for action in stop.actions])
    chosen = actions.annotate(chosen_id=Func("job_ids", function="unnest", set_returning=True)).values("chosen_id")
    jobs = Job.objects.filter(pk__in=chosen, state=State.CANCELLED)
    said = f"what “stop all” of {stop.at:%d %b, %H:%M} UTC cancelled"
    return bulk.drafts(BulkAction.Verb.RETRY, jobs, at=at, actor=actor, chosen=said)


def _cancelled(states: tuple[State, ...], what: str, *, at: datetime, actor: User) -> list[BulkAction]:
    jobs = Job.objects.filter(state__in=states)
    return bulk.drafts(BulkAction.Verb.CANCEL, jobs, at=at, actor=actor, chosen=f"Stop all: {what}")
