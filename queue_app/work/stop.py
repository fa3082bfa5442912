"""Stop all: pause the queue at once and, if asked for, cancel what waits and what runs, with the undo of any bulk action."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, Func, OuterRef, Q, QuerySet

from queue_app.lifecycle import CANCEL_REQUESTED
from queue_app.models import AuditEntry, BulkAction, Job, JobEvent, QueueSettings, State, User
from queue_app.models.job import AT_THE_PROVIDER
from queue_app.work import bulk, policy

ACTION = "stop all"
_TURNS = 0x73746F70  # "stop": the advisory lock of those who choose what is cancelled
# how the history tells whose cancel it was: the job ended at once, or the provider is asked
_BY_A_CANCEL = Q(to_state=State.CANCELLED) | Q(reason=CANCEL_REQUESTED)


@dataclass(frozen=True)
class Stop:
    """A time that all was stopped: when, by whom, why, and what was to be cancelled then."""

    at: datetime
    actor: str
    reason: str
    actions: list[BulkAction]

    @property
    def named(self) -> list[tuple[str, BulkAction]]:
        """Its actions with their names."""
        return [(bulk.name(action), action) for action in self.actions]

    @property
    def stands(self) -> list[BulkAction]:
        """Its actions that nobody has undone."""
        return [action for action in self.actions if action.phase != BulkAction.Phase.UNDONE]


def stop_all(
    *, at: datetime, actor: User, reason: str, cancel_queued: bool = False, cancel_running: bool = False
) -> list[BulkAction]:
    """
    Pause the whole queue now. What is to be cancelled is chosen then and starts in 10 s, as bulk actions that can be undone;
    what an earlier stop is about to cancel stays with that one, so that one undo is enough.

    The pause is a transaction of its own: nothing that comes after it can take it back or make it wait. Gives the actions.
    """
    settings = QueueSettings.objects.current()
    policy.change(settings, at=at, actor=actor, reason=reason, paused=True, paused_reason=reason[:200], paused_until=None)
    # a job may fall back from its provider into the paused queue meanwhile, and none goes the other way: so the queue comes last
    wanted = [
        *([(AT_THE_PROVIDER, "running jobs")] if cancel_running else ()),
        *([((State.QUEUED,), "queued jobs")] if cancel_queued else ()),
    ]
    with transaction.atomic():
        _take_turns()
        actions: list[BulkAction] = []
        for states, what in wanted:
            jobs = Job.objects.filter(state__in=states).exclude(pk__in=_chosen(_about_to_start(actions)))
            drafts = bulk.drafts(BulkAction.Verb.CANCEL, jobs, at=at, actor=actor, chosen=f"Stop all: {what}")
            actions += [bulk.confirm(draft, at=at, actor=actor, reason=reason) for draft in drafts]
        after = {"paused": True, "actions": [action.pk for action in actions]}
        policy.audit(ACTION, "the whole queue", at=at, actor=actor, after=after, reason=reason, of=settings)
    return actions


def last() -> Stop | None:
    """The last stop whose cancels were not all undone, else the last one; ``None`` before the first."""
    newest = _entries().first()
    return next(_standing(), None) or (_stop(newest) if newest else None)


def queue_again(*, at: datetime, actor: User) -> list[BulkAction]:
    """
    Drafts that queue again what the last stop with anything to bring back has itself cancelled, as far as it is still cancelled:
    at the end of its lanes, at today's price. None when there is nothing.
    """
    for stop in _standing():
        said = f"jobs cancelled by “Stop all” on {stop.at:%d %b, %H:%M} UTC"
        if drafts := bulk.drafts(BulkAction.Verb.RETRY, _cancelled_by(stop), at=at, actor=actor, chosen=said):
            return drafts
    return []


def _cancelled_by(stop: Stop) -> "QuerySet[Job]":
    """What it cancelled and nobody has queued since; what owners cancelled themselves is theirs."""
    began = min(action.starts_at for action in stop.stands if action.starts_at)
    ended = [action.ended_at for action in stop.stands if action.ended_at]
    by_it = JobEvent.objects.filter(_BY_A_CANCEL, job=OuterRef("pk"), actor=stop.actor, at__gte=began)
    by_it = by_it.filter(at__gt=OuterRef("queued_at"))  # not before somebody queued it again
    if len(ended) == len(stop.stands):
        by_it = by_it.filter(at__lte=max(ended))
    chosen = _chosen(BulkAction.objects.filter(pk__in=[action.pk for action in stop.stands]))
    return Job.objects.filter(Exists(by_it), pk__in=chosen, state=State.CANCELLED)


def _take_turns() -> None:
    """Two who press at once come one after the other, until the transaction ends; the queue is paused already."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TURNS])


def _about_to_start(these: list[BulkAction]) -> "QuerySet[BulkAction]":
    """Cancels of stops that can still be undone, and these."""
    earlier = [pk for entry in _entries() for pk in entry.after["actions"]]
    return BulkAction.objects.filter(pk__in=[*earlier, *(action.pk for action in these)], phase=BulkAction.Phase.WAITING)


def _chosen(actions: "QuerySet[BulkAction]") -> "QuerySet[Any, Any]":
    return actions.annotate(chosen_id=Func("job_ids", function="unnest", set_returning=True)).values("chosen_id")


def _entries() -> "QuerySet[AuditEntry]":
    """Every stop in the audit, newest first."""
    settings = QueueSettings.objects.current()
    of_settings = AuditEntry.objects.filter(target_model=settings._meta.label_lower, target_pk=str(settings.pk))
    return of_settings.filter(action=ACTION).order_by("-id")


def _standing() -> Iterator[Stop]:
    """The stops whose cancels were not all undone, newest first."""
    for entry in _entries().exclude(after__actions=[]).iterator():
        if (stop := _stop(entry)).stands:
            yield stop


def _stop(entry: AuditEntry) -> Stop:
    actions = BulkAction.objects.defer("job_ids").filter(pk__in=entry.after["actions"]).order_by("id")
    return Stop(entry.at, entry.actor_name, entry.reason, list(actions))
