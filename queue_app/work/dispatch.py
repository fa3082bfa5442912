"""
Claiming: which queued jobs may be bought now.

One lock, then one count, in two statements (a statement's snapshot is older than its wait for a lock); then one index probe for
each lane that is open, merged in dispatch order. A head that is blocked by its own batch, user or kind never hides what is
behind it: its lane pages on.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import OperationalError, connection, transaction

from queue_app import database, lifecycle
from queue_app.lifecycle import Lease, Pick
from queue_app.models import Job, ModelRoute, QueueSettings, State
from queue_app.rules import limits
from queue_app.statements import Statement
from queue_app.work import room
from queue_app.work.room import Floor

PAGE = 20  # candidates read from a lane at a time
LOCK_SECONDS = 1.0  # that a claim waits for a lock; claims themselves hold theirs for milliseconds

# `seek` pages on from the last head seen; the exclusions are answered from the index alone
_HEADS = """
    SELECT head.* FROM unnest(%(models)s::text[]) AS lane (model_id)
     CROSS JOIN LATERAL (
        SELECT job.priority * -1 AS rank, job.order_key, job.id, job.model_id, job.kind_id, job.batch_id, job.owner_id
          FROM queue_app_job job
         WHERE job.model_id = lane.model_id AND job.state = 'queued' AND NOT job.held AND job.not_before IS NULL
           AND job.kind_id <> ALL(%(kinds)s::text[]) AND job.owner_id <> ALL(%(users)s::bigint[])
           AND (job.batch_id IS NULL OR job.batch_id <> ALL(%(batches)s::bigint[]))
           AND (job.deadline IS NULL OR job.deadline > %(at)s::timestamptz) {seek}
         ORDER BY job.priority * -1, job.order_key, job.id
         LIMIT {page}
     ) head
"""
_SEEK = "AND (job.priority * -1, job.order_key, job.id) > (%(rank)s::int, %(order_key)s::bigint, %(id)s::bigint)"
_FIRST_HEADS, _NEXT_HEADS = (Statement(_HEADS.format(seek=seek, page=PAGE)) for seek in ("", _SEEK))

_LOCK = Statement("""
    SELECT job.id, job.state, job.event_seq, job.fence, job.attempt_number, reservation.id
      FROM queue_app_job job
      JOIN queue_app_reservation reservation ON reservation.job_id = job.id AND reservation.state = 'held'
     WHERE job.id = ANY(%(ids)s::bigint[]) AND job.state = 'queued' AND NOT job.held AND job.not_before IS NULL
     ORDER BY job.id FOR UPDATE OF job SKIP LOCKED
""")
_TO_CLAIM = ["id", "state", "event_seq", "fence", "attempt_number"]  # what a claim needs of a job

# asked every second by a dispatcher that has nothing to do: one statement, and only small or partial indexes
_DUE = Statement("""
    SELECT least(
        (SELECT min(not_before) FROM queue_app_job WHERE state = 'queued' AND not_before IS NOT NULL),
        (SELECT min(deadline) FROM queue_app_job WHERE state = 'queued' AND deadline IS NOT NULL),
        (SELECT min(cooldown_until) FROM queue_app_provideraccount WHERE cooldown_until > %(at)s::timestamptz),
        (SELECT min(paused_until) FROM queue_app_provideraccount WHERE paused_until > %(at)s),
        (SELECT min(paused_until) FROM queue_app_modelconcurrencylimit WHERE paused_until > %(at)s),
        (SELECT min(paused_until) FROM queue_app_queuesettings WHERE paused_until > %(at)s)
    ), least(
        (SELECT min(coalesce(lease_until, next_check_at)) FROM queue_app_job
          WHERE state IN ('submitting', 'running', 'cancelling', 'unknown', 'storing')),
        (SELECT min(due_at) FROM queue_app_outboxmessage WHERE delivered_at IS NULL AND given_up_at IS NULL),
        (SELECT min(greatest(starts_at, lease_until)) FROM queue_app_bulkaction WHERE phase IN ('waiting', 'running'))
    )
""")


class Due(NamedTuple):
    """When there may be something to claim that no wake-up tells of, and when something to hand out."""

    claims_at: datetime | None
    hands_out_at: datetime | None

    @property
    def at(self) -> datetime | None:
        return min(filter(None, self), default=None)


class Head(NamedTuple):
    """A queued job as its lane's index knows it; sorts in dispatch order."""

    rank: int
    order_key: int
    id: int
    model: str
    kind: str
    batch: int | None
    owner: int


class ClaimsLocked(Exception):
    """Somebody else holds what claims need: a person's long transaction, say. Nothing was claimed; the next one may."""


def claim_due_jobs(*, at: datetime) -> list[Lease]:
    """
    Claim everything that fits under all limits at once, and commit (T2). Nobody has talked to a provider yet.

    :raises ClaimsLocked: a lock was not to be had within a second; whoever claims has other duties, too.
    """
    try:
        return _claim(at)
    except OperationalError as error:
        if database.has_waited_in_vain(error):
            raise ClaimsLocked(str(error).strip()) from error
        raise


@transaction.atomic(durable=True)
def _claim(at: datetime) -> list[Lease]:
    policy = QueueSettings.objects.lock_claims(within_seconds=LOCK_SECONDS)
    busy: set[int] = set()  # locked by somebody else, a cancel perhaps
    while True:
        floor = room.load(at=at, policy=policy)  # a new statement: it sees what the lock waited for
        choices = _choose(floor, busy)
        jobs = _locked({choice.head.id for choice in choices})
        if len(jobs) == len(choices):
            return lifecycle.claim([Pick(*jobs[one.head.id], one.route, one.counts) for one in choices], at=at) if jobs else []
        busy |= {choice.head.id for choice in choices} - jobs.keys()  # choose anew: they take no place and hide nobody


@transaction.atomic
def wake_due(*, at: datetime) -> int:
    """Let jobs back into their lanes whose ``not_before`` has come. Gives how many."""
    due = Job.objects.filter(state=State.QUEUED, not_before__lte=at).order_by("id").select_for_update(skip_locked=True)
    return Job.objects.filter(pk__in=[job.pk for job in due[: lifecycle.CHUNK]]).update(not_before=None)


def next_due(*, at: datetime) -> Due:
    """What will be due untold: delays, deadlines, ends of pauses and cool-downs; checks, leases, messages, bulk actions."""
    return Due(*_DUE.run(at=at)[0])


@dataclass(frozen=True)
class _Choice:
    head: Head
    route: ModelRoute
    counts: dict[str, tuple[int, int]]


def _locked(ids: set[int]) -> dict[int, tuple[Job, int]]:
    """Lock what is still to be claimed and nobody else has locked; gives each with the number of its held reservation."""
    rows = _LOCK.run(ids=list(ids)) if ids else []
    return {pk: (Job.from_db(connection.alias, _TO_CLAIM, (pk, *known)), held_by) for pk, *known, held_by in rows}


def _choose(floor: Floor, busy: set[int]) -> list[_Choice]:
    """Walk the open lanes in dispatch order and take what passes every limit."""
    full: dict[str, set[str]] = defaultdict(set)
    choices: list[_Choice] = []
    if not floor.room.is_open(limits.QUEUE) or not floor.open_models:
        return choices
    for head in _in_dispatch_order(floor, full):
        if not floor.room.is_open(limits.QUEUE):
            break
        if head.id in busy:
            continue
        route = floor.route_for(head.model)
        if route is None:
            full["model"].add(head.model)
            continue
        keys = limits.keys_of(model=head.model, account=route.account_id, kind=head.kind, batch=head.batch, owner=head.owner)
        blockers = floor.room.blockers(keys)
        if blockers:
            for blocker in blockers:
                full[blocker.limit].add(blocker.key)
        else:
            choices.append(_Choice(head, route, floor.room.take(keys)))
    return choices


def _in_dispatch_order(floor: Floor, full: dict[str, set[str]]) -> Iterator[Head]:
    """Merge the lanes; a lane whose page is used up reads the next one, without what has become ``full`` meanwhile."""
    lanes: dict[str, list[Head]] = defaultdict(list)
    for head in _heads(floor, floor.open_models, full, after=None):
        lanes[head.model].append(head)
    merged = [(page.pop(0), model) for model, page in lanes.items()]
    heapq.heapify(merged)
    read = {model: len(page) + 1 for model, page in lanes.items()}
    while merged:
        head, model = heapq.heappop(merged)
        yield head
        if model in full["model"]:
            continue
        if not lanes[model] and read[model] == PAGE:
            lanes[model] = _heads(floor, [model], full, after=head)
            read[model] = len(lanes[model])
        if lanes[model]:
            heapq.heappush(merged, (lanes[model].pop(0), model))


def _heads(floor: Floor, models: list[str], full: dict[str, set[str]], *, after: Head | None) -> list[Head]:
    values: dict[str, Any] = {
        "at": floor.at,
        "models": models,
        "kinds": list(full["kind"]),
        "users": [int(key) for key in full["user"]],
        "batches": [int(key) for key in full["batch"]],
    }
    if after is not None:
        values |= {"rank": after.rank, "order_key": after.order_key, "id": after.id}
    heads = [Head(*row) for row in (_NEXT_HEADS if after else _FIRST_HEADS).run(**values)]
    floor.learn({head.batch for head in heads}, {head.owner for head in heads})
    return sorted(heads)
