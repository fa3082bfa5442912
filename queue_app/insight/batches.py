"""The progress of a batch: jobs by status, cost, and the time until the last job is done."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Count, Sum

from queue_app.forecast import estimates
from queue_app.forecast.estimates import Estimate
from queue_app.models import Batch, Job, State, Status
from queue_app.models.job import IN_FLIGHT_STATES, OPEN_STATES, STATUS_OF_STATE, sql_of
from queue_app.statements import Statement

UNFORESEEN = (State.UNKNOWN, State.CANCELLING)  # without an estimate
_IS_OPEN = f"state IN {sql_of(OPEN_STATES)}"
_MONEY = Statement(f"""
    SELECT tickets.held, tickets.captured, jobs.returned, refunds.refunded, jobs.spent, jobs.to_come
      FROM (SELECT coalesce(sum(held.amount) FILTER (WHERE held.state = 'held'), 0)::bigint AS held,
                   coalesce(sum(held.amount) FILTER (WHERE held.state = 'captured'), 0)::bigint AS captured
              FROM queue_app_reservation held
              JOIN queue_app_job job ON job.id = held.job_id
             WHERE job.batch_id = %(batch)s::bigint) tickets
     CROSS JOIN (SELECT coalesce(sum(entry.amount), 0)::bigint AS refunded
                   FROM queue_app_job job
                   JOIN queue_app_reservation held ON held.job_id = job.id
                   JOIN queue_app_ledgertransaction given ON given.reservation_id = held.id AND given.kind = 'refund'
                   JOIN queue_app_ledgerentry entry ON entry.transaction_id = given.id AND entry.side = 'available'
                  WHERE job.batch_id = %(batch)s) refunds
     CROSS JOIN (SELECT coalesce(sum(tickets) FILTER (WHERE state IN ('failed', 'cancelled')), 0)::bigint AS returned,
                        coalesce(sum(coalesce(usd_actual, usd_estimate)) FILTER (WHERE state = 'completed'), 0) AS spent,
                        coalesce(sum(coalesce(usd_actual, usd_estimate)) FILTER (WHERE {_IS_OPEN}), 0) AS to_come
                   FROM queue_app_job WHERE batch_id = %(batch)s) jobs
""")  # noqa: S608 - constants

_HEARD = Statement(f"""
    SELECT coalesce(sum(event_seq), 0)::bigint, coalesce(bool_and(NOT {_IS_OPEN}), true)
      FROM queue_app_job WHERE batch_id = %(batch)s::bigint
""")  # noqa: S608 - constants


@dataclass(frozen=True)
class Money:
    """
    Tickets of a batch; ``usd_spent`` is for completed jobs, ``usd_to_come`` for unfinished ones. ``returned`` are those of jobs
    that are failed or cancelled now: what a retry reserved again does not count as returned.
    """

    reserved: int
    captured: int
    returned: int
    refunded: int
    usd_spent: Decimal
    usd_to_come: Decimal


@dataclass(frozen=True)
class Standing:
    """
    The progress of a batch: ``counts`` of jobs by status, and in ``seq`` the number of their events; ``starts_in`` is ``None``
    once one has started, ``eta`` once all have finished.
    """

    counts: dict[str, int]
    seq: int
    total: int
    starts_in: Estimate | None
    eta: Estimate | None

    @property
    def is_done(self) -> bool:
        """Whether all jobs have finished."""
        return not (self.counts[Status.QUEUED] or self.counts[Status.PROCESSING])


def standing(batch: Batch, *, at: datetime) -> Standing:
    """Return the progress of a batch, with a fixed number of queries."""
    counts, seq = _counts([batch])[batch.pk]
    is_open = counts[Status.QUEUED] or counts[Status.PROCESSING]
    eta = estimates.for_batch(batch.pk, at) if is_open else None
    starts_in = estimates.start_of_batch(batch.pk, at) if counts[Status.QUEUED] else None
    return Standing(counts, seq, sum(counts.values()), starts_in, eta)


def standings(batches: Sequence[Batch], *, at: datetime) -> list[Standing]:
    """Return the progress of each batch, with a fixed number of queries for any number of them."""
    found = _counts(batches)
    waiting = [pk for pk, (jobs, _) in found.items() if jobs[Status.QUEUED]]
    left = left_of((pk for pk, (jobs, _) in found.items() if jobs[Status.QUEUED] or jobs[Status.PROCESSING]), at=at)
    starts = estimates.starts_of_batches(waiting, at)
    return [
        Standing(counts, seq, sum(counts.values()), starts.get(batch.pk), left.get(batch.pk))
        for batch in batches
        for counts, seq in [found[batch.pk]]
    ]


def left_of(ids: Iterable[int], *, at: datetime) -> dict[int, Estimate]:
    """
    Return the time until the last job of each of these batches is finished, if one is unfinished. Jobs with an unknown outcome,
    and jobs that are being cancelled, count only if no other job is unfinished.
    """
    open_jobs = Job.objects.filter(batch__in=list(ids)).select_related("model")
    last = open_jobs.filter(state=State.QUEUED).order_by("batch", "priority", "-order_key", "-id").distinct("batch")
    jobs = [*last, *open_jobs.filter(state__in=IN_FLIGHT_STATES)]
    left = estimates.for_jobs(jobs, at)
    by_lateness = sorted(jobs, key=lambda job: (job.state not in UNFORESEEN, _late(left[job.pk])))
    return {job.batch_id or 0: left[job.pk] for job in by_lateness}  # the latest of each batch wins


def _late(estimate: Estimate) -> tuple[bool, float]:
    """Return a sort key by time left, with missing estimates last."""
    return estimate.p50_seconds is None, estimate.p50_seconds or 0.0


def _counts(batches: Iterable[Batch]) -> dict[int, tuple[dict[str, int], int]]:
    """Return the jobs of each batch by status, and the number of their events."""
    counts = {batch.pk: dict.fromkeys(map(str, Status), 0) for batch in batches}
    seqs = dict.fromkeys(counts, 0)
    by_state = Job.objects.filter(batch__in=counts).values_list("batch", "state").order_by()
    for pk, state, jobs, events in by_state.annotate(jobs=Count("*"), told=Sum("event_seq")):
        counts[pk][STATUS_OF_STATE[State(state)]] += jobs
        seqs[pk] += events
    return {pk: (counts[pk], seqs[pk]) for pk in counts}


def heard(batch_id: int) -> tuple[int, bool]:
    """Return the number of events of a batch's jobs, which every change of one makes greater, and whether all have ended."""
    ((seq, has_ended),) = _HEARD.run(batch=batch_id)
    return seq, has_ended


def money(batch: Batch) -> Money:
    """Return what the batch cost so far and may still cost; one query."""
    ((reserved, captured, returned, refunded, spent, to_come),) = _MONEY.run(batch=batch.pk)
    return Money(reserved, captured, returned, refunded, usd_spent=spent, usd_to_come=to_come)
