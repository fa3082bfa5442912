"""Stop all: pause the queue immediately and, on request, cancel queued and running jobs by bulk actions that can be undone."""

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
from queue_app.work.bulk import BulkRefused

ACTION = "stop all"
_TURNS = 0x73746F70  # "stop": the advisory lock for choosing the jobs to cancel
# events that show whose cancel it was: the job was cancelled immediately, or a cancel was requested from the provider
_BY_A_CANCEL = Q(to_state=State.CANCELLED) | Q(reason=CANCEL_REQUESTED)


@dataclass(frozen=True)
class Stop:
    """One use of “Stop all”: time, actor, reason, and the bulk actions that cancel jobs."""

    at: datetime
    actor: str
    reason: str
    actions: list[BulkAction]

    @property
    def named(self) -> list[tuple[str, BulkAction]]:
        """Its actions with their names."""
        return [(bulk.name(action), action) for action in self.actions]

    @property
    def waiting(self) -> list[BulkAction]:
        """Return its actions that have not started yet."""
        return [action for action in self.actions if action.phase == BulkAction.Phase.WAITING]

    @property
    def stands(self) -> list[BulkAction]:
        """Return its actions that were not undone."""
        return [action for action in self.actions if action.phase != BulkAction.Phase.UNDONE]


def stop_all(
    *, at: datetime, actor: User, reason: str, cancel_queued: bool = False, cancel_running: bool = False
) -> list[BulkAction]:
    """
    Pause the whole queue now, then create bulk actions that cancel jobs and can be undone for 10 seconds. Return the actions.

    The pause is its own transaction, so that nothing after it can revert or delay it. Jobs that an earlier stop is about to
    cancel are left to that stop, so that one undo is enough.
    """
    settings = QueueSettings.objects.current()
    policy.change(settings, at=at, actor=actor, reason=reason, paused=True, paused_reason=reason[:200], paused_until=None)
    # choose queued jobs last: while the queue is paused, a job can return to it from its provider, but not leave it
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
    """Return the last stop whose cancels were not all undone, else the last one; ``None`` if there was none."""
    newest = _entries().first()
    return next(_not_undone(), None) or (_stop(newest) if newest else None)


def holds(stop: Stop) -> bool:
    """Whether the queue was not resumed since this stop."""
    changes = policy.changes_of(QueueSettings.objects.current())
    return not changes.filter(after__paused=False, at__gt=stop.at).exists()


def undo(*, at: datetime, actor: User) -> int:
    """
    Undo the cancels of the last stop that have not started yet. The queue stays paused. Return how many jobs are kept.

    :raises BulkRefused: none is left to undo, or no right.
    """
    stop, kept, refused = last(), 0, BulkRefused("No cancel is waiting to start.")
    for action in stop.waiting if stop else []:
        try:
            kept += bulk.undo(action, at=at, actor=actor).total
        except BulkRefused as refusal:  # it started a moment ago; the other one may still be undone
            refused = refusal
    if not kept:
        raise refused
    return kept


def to_queue_again(stop: Stop) -> "QuerySet[Job]":
    """Filter to jobs that this stop cancelled and that are still cancelled: those that `queue_again` would retry."""
    return _cancelled_by(stop) if stop.stands else Job.objects.none()


def waits_to_be_cancelled(stop: Stop) -> "QuerySet[Job]":
    """Filter to queued jobs that the stop is about to cancel."""
    return Job.objects.filter(
        pk__in=_chosen(BulkAction.objects.filter(pk__in=[one.pk for one in stop.waiting])), state=State.QUEUED
    )


def queue_again(*, at: datetime, actor: User) -> list[BulkAction]:
    """
    Return drafts of bulk actions that retry the jobs that a stop has cancelled and that are still cancelled: at the end of their
    queues, at the current price.

    Takes the last stop with such jobs; returns an empty list if there is none.
    """
    for stop in _not_undone():
        chosen = f"jobs cancelled by “Stop all” on {stop.at:%d %b, %H:%M} UTC"
        if drafts := bulk.drafts(BulkAction.Verb.RETRY, _cancelled_by(stop), at=at, actor=actor, chosen=chosen):
            return drafts
    return []


def _cancelled_by(stop: Stop) -> "QuerySet[Job]":
    """Filter to jobs that this stop cancelled and that were not queued since; jobs cancelled by their owners are not included."""
    began = min(action.starts_at for action in stop.stands if action.starts_at)
    ended = [action.ended_at for action in stop.stands if action.ended_at]
    by_it = JobEvent.objects.filter(_BY_A_CANCEL, job=OuterRef("pk"), actor=stop.actor, at__gte=began)
    by_it = by_it.filter(at__gt=OuterRef("queued_at"))  # cancelled after the job was last queued
    if len(ended) == len(stop.stands):
        by_it = by_it.filter(at__lte=max(ended))
    chosen = _chosen(BulkAction.objects.filter(pk__in=[action.pk for action in stop.stands]))
    return Job.objects.filter(Exists(by_it), pk__in=chosen, state=State.CANCELLED)


def _take_turns() -> None:
    """Serialize concurrent stops until the transaction ends. The queue is already paused."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_TURNS])


def _about_to_start(these: list[BulkAction]) -> "QuerySet[BulkAction]":
    """Filter to cancels that have not started yet, of earlier stops and of ``these``."""
    earlier = [pk for entry in _entries() for pk in entry.after["actions"]]
    return BulkAction.objects.filter(pk__in=[*earlier, *(action.pk for action in these)], phase=BulkAction.Phase.WAITING)


def _chosen(actions: "QuerySet[BulkAction]") -> "QuerySet[Any, Any]":
    return actions.annotate(chosen_id=Func("job_ids", function="unnest", set_returning=True)).values("chosen_id")


def _entries() -> "QuerySet[AuditEntry]":
    """Return the audit entries of all stops, newest first."""
    settings = QueueSettings.objects.current()
    of_settings = AuditEntry.objects.filter(target_model=settings._meta.label_lower, target_pk=str(settings.pk))
    return of_settings.filter(action=ACTION).order_by("-id")


def _not_undone() -> Iterator[Stop]:
    """Yield the stops whose cancels were not all undone, newest first."""
    for entry in _entries().exclude(after__actions=[]).iterator():
        if (stop := _stop(entry)).stands:
            yield stop


def _stop(entry: AuditEntry) -> Stop:
    actions = BulkAction.objects.defer("job_ids").filter(pk__in=entry.after["actions"]).order_by("id")
    return Stop(entry.at, entry.actor_name, entry.reason, list(actions))
