"""
The tasks, and the table of verbs and queues by job state (`DUTIES`).

A task carries ids only and may run twice, late or never (I31): `lifecycle.begin` lets each lease begin only once, and the
dispatcher hands out again what never ran.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import connection
from django_q.models import Task
from django_q.tasks import async_task
from structlog.contextvars import bound_contextvars

from queue_app import clock, database, lifecycle, wake
from queue_app.forecast import samples
from queue_app.lifecycle import Lease
from queue_app.models import Attempt, Job, State
from queue_app.models.job import ACTIVE_STATES
from queue_app.runtime import courier, heartbeats
from queue_app.runtime.pipe import LINE
from queue_app.runtime.queues import Queue
from queue_app.work import bulk as bulk_actions
from queue_app.work import dispatch, lookup, pipeline, polling, retention, schedules, storing, submission, uploads

log = logging.getLogger(__name__)

EXPIRE_SECONDS, MESSAGES_SECONDS = 120, 60  # of the store queue's 300; the rest follows in the next hour
BULK_SLICE_SECONDS = 10  # then outgoing messages in the same queue, and other bulk actions, get their turn
# share of its time limit that a worker must have left to continue with the next job itself: 40 of 60 s, 207 of 230 s
GO_ON_SHARES = {Queue.DEFAULT: 2 / 3, Queue.LONG: 9 / 10}
Leased = tuple[Lease, State]


@dataclass(frozen=True)
class Duty:
    """The work on a job in some state: a word for people, the verb and the task queue."""

    words: str
    verb: Callable[[Job, Attempt, Lease], list[Leased]]
    queue: Queue = Queue.DEFAULT


# by the state of a job
DUTIES: dict[State, Duty] = {
    State.SUBMITTING: Duty("submit", submission.submit),
    State.RUNNING: Duty("check", polling.check),
    State.CANCELLING: Duty("stop", polling.check),
    State.UNKNOWN: Duty("look up", lookup.look_up),
    State.STORING: Duty("store", storing.store, Queue.STORE),
}
# of jobs that work in stages: these take the place of the ones above
STAGED: dict[State, Duty] = {
    State.SUBMITTING: Duty("begin", pipeline.enter),
    State.RUNNING: Duty("write", partial(pipeline.work, may_go_on=lambda: not LINE.is_cut())),
    State.CANCELLING: Duty("stop", pipeline.stop),
}
HOLDS_A_SLOT = {*ACTIVE_STATES, State.UNKNOWN}


def queue_of(leased: Leased) -> Queue:
    """Return the queue for the work of a lease: that of the state, or the one for long calls."""
    lease, state = leased
    return Queue.LONG if lease.synchronous else DUTIES[state].queue


def hand_out(leases: Iterable[Leased]) -> int:
    """Queue a task per lease and return their number. Call it outside any transaction."""
    count = 0
    for leased in leases:
        lease, _ = leased
        async_task("queue_app.runtime.tasks.work", lease.job_id, lease.fence, cluster=queue_of(leased).cluster)
        count += 1
    return count


def hand_out_messages(tries: Iterable[tuple[int, int]]) -> int:
    """Queue one task for all of (outbox message id, number of the try); return their number. Call it outside any transaction."""
    if listed := list(tries):
        async_task("queue_app.runtime.tasks.deliver", listed, cluster=Queue.DELIVER.cluster)
    return len(listed)


def hand_out_bulk(ids: Iterable[int]) -> int:
    """Queue a task per bulk action, for a slice of it, and return their number. Call it outside any transaction."""
    count = 0
    for action_id in ids:
        async_task("queue_app.runtime.tasks.bulk", action_id, cluster=Queue.DELIVER.cluster)
        count += 1
    return count


def hand_out_schedules(ids: Iterable[int]) -> int:
    """Queue a task per schedule with a run that is due, and return their number. Call it outside any transaction."""
    count = 0
    for schedule_id in ids:
        async_task("queue_app.runtime.tasks.schedule", schedule_id, cluster=Queue.DELIVER.cluster)
        count += 1
    return count


def hand_out_tidying(*, at: datetime) -> None:
    """Queue a task that tidies the storage, in the queue with the longest time limit: listing files takes long."""
    async_task("queue_app.runtime.tasks.tidy", cluster=Queue.STORE.cluster)


def hand_out_sampling(*, at: datetime) -> None:
    """Queue a task that samples forecasts, if a job is open: to simulate a long queue takes too long for the dispatcher."""
    if Job.objects.open().exists():
        async_task("queue_app.runtime.tasks.sample", cluster=Queue.DELIVER.cluster)


def deliver(tries: Iterable[tuple[int, int]]) -> None:
    """Deliver outbox messages, each as its try of this number."""
    courier.send(tries)


def bulk(action_id: int) -> None:
    """Work on a bulk action for up to 10 seconds; the dispatcher hands out the rest again."""
    heartbeats.name_task(f"bulk action {action_id}")
    bulk_actions.work(action_id, may_go_on=_for(BULK_SLICE_SECONDS))


def schedule(schedule_id: int) -> None:
    """Run what is due of a schedule."""
    heartbeats.name_task(f"schedule {schedule_id}")
    schedules.run_due(schedule_id, at=clock.now())


def work(job_id: int, fence: int) -> None:
    """
    Do the work that is due for a job, then continue here with one of the resulting leases while the task has time left.

    If this freed a slot, claim the next job first, so that its create call waits for no timer and no queue. Leases that this task
    does not take on are handed out.
    """
    began, here = time.monotonic(), Queue.here()
    lease: Lease | None = Lease(job_id, fence)
    # skip Django's health check: the first statements are repeated after a cut anyway
    connection.health_check_done = True  # type: ignore[attr-defined]
    while lease is not None and not LINE.is_cut():
        with bound_contextvars(job_id=lease.job_id):
            freed, came = _do_duty(lease)
        if freed and LINE.is_cut():
            wake.dispatcher()
        elif freed:
            came += _claimed()
        has_time = time.monotonic() - began <= (1 - GO_ON_SHARES.get(here, 1)) * here.task_seconds
        mine = next((one for one in came if queue_of(one) == here), None) if has_time else None
        lease = mine[0] if mine else None
        database.again(partial(hand_out, [one for one in came if one is not mine]))  # a task queued twice works once


def tidy() -> None:
    """Delete what is no longer kept, stored objects that no row names (I34), and uploads that no job uses."""
    heartbeats.name_task("tidy the storage")
    retention.remove_messages(at=clock.now(), may_go_on=_for(MESSAGES_SECONDS))
    retention.expire(at=clock.now(), may_go_on=_for(EXPIRE_SECONDS))
    storing.remove_orphans(clock.now())
    uploads.prune(at=clock.now())


def sample() -> None:
    """Sample forecasts, and note what has happened of earlier ones."""
    heartbeats.name_task("sample forecasts")
    samples.take(at=clock.now())


def prune(*, at: datetime) -> None:
    """Delete django-q2's records of failed tasks after a week. The log has their errors."""
    Task.objects.filter(stopped__lt=at - timedelta(days=7)).delete()


def _for(seconds: float) -> Callable[[], bool]:
    """Return what says whether a task may go on: for so long from now, unless this process is to end."""
    began = time.monotonic()
    return lambda: time.monotonic() - began < seconds and not LINE.is_cut()


def _do_duty(lease: Lease) -> tuple[bool, list[Leased]]:
    """
    Do the work of a lease. Return whether it freed a slot, and the resulting leases.

    A lease that is outdated or was begun before does nothing.
    """
    at, me = database.again(clock.now), heartbeats.my_name()
    taken = database.again(lambda: lifecycle.begin(lease, at=at, by=me), look=lambda: lifecycle.begun(lease, at=at, by=me))
    if taken is None:
        return False, []
    job, attempt, own_lease = taken
    state = State(job.state)
    duty = (STAGED if job.kind_id in settings.PIPELINES else DUTIES).get(state) or DUTIES[state]
    heartbeats.name_task(f"{duty.words} job {job.pk}")
    try:
        came = list(duty.verb(job, attempt, own_lease))
    except Exception as error:
        if not database.is_gone(error):
            raise
        log.warning("the connection was cut before there was a result, giving the job back: %s", str(error).strip())
        database.again(lambda: lifecycle.let_go(own_lease, at=clock.now()))
        return False, []
    if came:  # the leases tell the job's new state
        return came[0][1] not in HOLDS_A_SLOT, came
    left = Job.objects.filter(pk=job.pk, state__in=HOLDS_A_SLOT)
    return state in HOLDS_A_SLOT and not database.again(left.exists), []


def _claimed() -> list[Leased]:
    """Claim jobs for a freed slot and return their leases; if a lock prevents it, leave it to the dispatcher and return none."""
    at = database.again(clock.now)

    def claim() -> list[Leased]:
        return [(lease, State.SUBMITTING) for lease in dispatch.claim_due_jobs(at=at)]

    try:
        return database.again(claim, look=lambda: lifecycle.given_out(at))
    except dispatch.ClaimsLocked as error:
        log.warning("a slot is free, but a lock prevents claims: %s", error)
        wake.dispatcher()
        return []
