"""
Claiming: choose the queued jobs that may start now and give them leases.

We take the claim lock, then count the used slots in a second statement, because a statement's snapshot is older than its wait for
a lock. Then we read the first jobs (heads) of the queue (lane) of each model with free slots and merge them in dispatch order.

Dispatch order is priority, then order key, then id. With fair share the order key is the round of its owner's turn (`turns`).

A job blocked by its own batch, user or kind never blocks the jobs behind it: we read further down that model's queue. We do not
read through the blocked jobs one by one. If a batch, user or kind is full, we go from one stretch of the queue that has a job
which may start to the next. An index knows the groups in each stretch (jobs that count under the same limits), so one probe finds
the next group that is not full.
"""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import OperationalError, connection, transaction

from queue_app import database, lifecycle, turns, wake
from queue_app.lifecycle import Lease, Pick
from queue_app.models import Job, ModelRoute, QueueSettings, State
from queue_app.models.job import IN_FLIGHT_STATES, STRETCH, sql_of
from queue_app.rules import limits
from queue_app.rules.codec import CannotSay
from queue_app.statements import LAZILY, Statement
from queue_app.work import budgets, routes, ticket_budgets
from queue_app.work.capacity import ROUTES_AT_FIRST, Capacity, is_synchronous, keys_of

PAGE = 20  # jobs read from a lane at a time
# jobs that no open route can express: how long each waits outside its lane, and how many of them one claim reads
ASIDE, MOST_SET_ASIDE = timedelta(seconds=10), 40
BUDGETS_MOST = 3  # times that one claim chooses again because picked jobs exceed a ticket budget
LOCK_SECONDS = 1.0  # a claim's longest wait for a lock; claims themselves hold theirs for milliseconds

_HEAD = "job.priority * -1 AS rank, job.order_key, job.id, job.model_id, job.kind_id, job.batch_id, job.owner_id"
_PLACE = "job.priority * -1, job.order_key, job.id"  # position in the lane
_GROUP = "job.kind_id, job.owner_id, coalesce(job.batch_id, 0)"
_OF_GROUPS = {"kind", "user", "batch"}  # the limits that differ between the groups of a lane
_LANE = """
          FROM queue_app_job job
         WHERE job.state = 'queued' AND NOT job.held AND job.not_before IS NULL
           AND (job.deadline IS NULL OR job.deadline > %(at)s::timestamptz)"""
# the group after the found one; skips all groups of a full kind or user
_NEXT_GROUP = """(
            found.kind_id,
            CASE WHEN found.kind_id = ANY(%(kinds)s::text[]) THEN 9223372036854775807 ELSE found.owner_id END,
            CASE WHEN found.owner_id = ANY(%(users)s::bigint[]) THEN 9223372036854775807 ELSE coalesce(found.batch_id, 0) END
        )"""

# a page of each lane, from its beginning or (`seek`) after a position
_HEADS = f"""
    SELECT head.* FROM unnest(%(models)s::text[]) AS lane (model_id)
     CROSS JOIN LATERAL (
        SELECT {_HEAD} {_LANE} AND job.model_id = lane.model_id {{seek}}
         ORDER BY {_PLACE} LIMIT {PAGE}
     ) head
"""  # noqa: S608 - no value in it
_SEEK = f"AND ({_PLACE}) > (%(rank)s::int, %(order_key)s::bigint, %(id)s::bigint)"
_FIRST_HEADS, _NEXT_HEADS = (Statement(_HEADS.format(seek=seek)) for seek in ("", _SEEK))

# the next stretch of each lane that has a job which may start, and a page of such jobs: one probe per stretch and per full group
# before it
_PLACE_OF_STRETCH = f"job.priority * -1, job.order_key >> {STRETCH}"
_MAY_GO = """
           found.kind_id <> ALL(%(kinds)s::text[]) AND found.owner_id <> ALL(%(users)s::bigint[])
       AND coalesce(found.batch_id, 0) <> ALL(%(batches)s::bigint[])"""
_OF_STRETCH = Statement(f"""
    WITH RECURSIVE found AS (
        SELECT head.* FROM unnest(%(models)s::text[]) AS lane (model_id)
         CROSS JOIN LATERAL (
            SELECT {_HEAD} {_LANE} AND job.model_id = lane.model_id
               AND ({_PLACE_OF_STRETCH}) >= (%(from_rank)s::int, %(stretch)s::bigint)
             ORDER BY {_PLACE_OF_STRETCH}, {_GROUP} LIMIT 1
         ) head
         UNION ALL
        SELECT head.* FROM found
         CROSS JOIN LATERAL (
            SELECT {_HEAD} {_LANE} AND job.model_id = found.model_id
               AND ({_PLACE_OF_STRETCH}, {_GROUP}) > (found.rank, found.order_key >> {STRETCH}, {_NEXT_GROUP[1:]}
             ORDER BY {_PLACE_OF_STRETCH}, {_GROUP} LIMIT 1
         ) head
         WHERE NOT ({_MAY_GO})
    )
    SELECT found.model_id, found.rank, found.order_key >> {STRETCH}, head.rank, head.order_key, head.id, head.model_id,
           head.kind_id, head.batch_id, head.owner_id
      FROM found
      LEFT JOIN LATERAL (
        SELECT {_HEAD} {_LANE} AND job.model_id = found.model_id
           AND ({_PLACE}) > (%(rank)s::int, %(order_key)s::bigint, %(id)s::bigint)
           AND job.priority * -1 = found.rank
           AND job.order_key >= greatest(found.order_key >> {STRETCH} << {STRETCH},
                                         CASE WHEN found.rank = %(rank)s::int THEN %(order_key)s::bigint END)
           AND job.order_key < (found.order_key >> {STRETCH}) + 1 << {STRETCH}
           AND {_MAY_GO.replace("found.", "job.")}
         ORDER BY {_PLACE} LIMIT {PAGE}
      ) head ON true
     WHERE {_MAY_GO}
""")  # noqa: S608 - no value in it

# Committed lazily: losing a claim in a crash is harmless, since a worker sends a job only after its own commit, which waits for
# the disk.
_LOCK = Statement(f"""
    SELECT job.id, job.owner_id, job.batch_id, job.submitted_with_id, job.state, job.event_seq, job.attempt_number, job.fence,
           job.tickets, job.usd_estimate, job.started_at, reservation.id, job.parameters, char_length(job.prompt),
           (SELECT codec FROM queue_app_modelroute route
             WHERE route.id = (%(routes)s::bigint[])[array_position(%(ids)s::bigint[], job.id)]),
           {LAZILY}
      FROM queue_app_job job
      JOIN queue_app_reservation reservation ON reservation.job_id = job.id AND reservation.state = 'held'
     WHERE job.id = ANY(%(ids)s::bigint[]) AND job.state = 'queued' AND NOT job.held AND job.not_before IS NULL
     ORDER BY job.id FOR UPDATE OF job SKIP LOCKED
""")  # noqa: S608 - no value in it
# the columns that a claim needs, in the order of the model
_TO_CLAIM = [
    *("id", "owner_id", "batch_id", "submitted_with_id", "state", "event_seq", "attempt_number", "fence"),
    *("tickets", "usd_estimate", "started_at"),
]

# an idle dispatcher runs this every second, so it is one statement and reads only small or partial indexes
_DUE = Statement(f"""
    SELECT least(
        (SELECT min(not_before) FROM queue_app_job WHERE state = 'queued' AND not_before IS NOT NULL),
        (SELECT min(deadline) FROM queue_app_job WHERE state = 'queued' AND deadline IS NOT NULL),
        (SELECT min(cooldown_until) FROM queue_app_provideraccount WHERE cooldown_until > %(at)s::timestamptz),
        (SELECT min(paused_until) FROM queue_app_provideraccount WHERE paused_until > %(at)s),
        (SELECT min(paused_until) FROM queue_app_modelconcurrencylimit WHERE paused_until > %(at)s),
        (SELECT min(paused_until) FROM queue_app_queuesettings WHERE paused_until > %(at)s),
        (SELECT min(paused_until) FROM queue_app_batch WHERE paused_until IS NOT NULL),  -- until `end_batch_pauses` has seen it
        (SELECT min(opens_at) FROM queue_app_ticketbudget WHERE held_since IS NOT NULL)
    ), least(
        (SELECT min(coalesce(lease_until, next_check_at)) FROM queue_app_job
          WHERE state IN {sql_of(IN_FLIGHT_STATES)}),
        (SELECT min(due_at) FROM queue_app_outboxmessage
          WHERE delivered_at IS NULL AND given_up_at IS NULL AND leased_until IS NULL),
        (SELECT min(leased_until) FROM queue_app_outboxmessage WHERE leased_until IS NOT NULL),
        (SELECT min(wake_at) FROM queue_app_schedule WHERE wake_at IS NOT NULL),
        (SELECT min(greatest(starts_at, until)) FROM (
            SELECT starts_at, max(lease_until) OVER (PARTITION BY actor_id) AS until FROM queue_app_bulkaction
             WHERE phase IN ('waiting', 'running')
        ) bulk)  -- an actor's actions take turns
    )
""")  # noqa: S608 - constants


class Due(NamedTuple):
    """The next times at which there may be jobs to claim, or work to hand out, without a wake-up; ``None`` for never."""

    claims_at: datetime | None
    hands_out_at: datetime | None

    @property
    def at(self) -> datetime | None:
        return min(filter(None, self), default=None)


class Head(NamedTuple):
    """A queued job with the columns of the lane's index; sorts in dispatch order."""

    rank: int
    order_key: int
    id: int
    model: str
    kind: str
    batch: int | None
    owner: int


_START = Head(1 - 2**31, 1 - 2**63, 0, "", "", None, 0)  # before all positions
_FIRST = _START.order_key >> STRETCH


class _Stretch(NamedTuple):
    """A stretch of a lane, with a page of its jobs that may start."""

    rank: int
    number: int
    page: list[Head]


class ClaimsLocked(Exception):
    """Another transaction holds a lock that claims need. Nothing was claimed; the next claim may succeed."""


def claim_due_jobs(*, at: datetime) -> list[Lease]:
    """
    Claim all jobs that fit under all limits and commit (T2). Return their leases. Nothing has been sent to a provider yet.

    :raises ClaimsLocked: a lock was not free within a second; the dispatcher must not wait longer, it has other duties.
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
    busy: set[int] = set()  # jobs locked by another transaction, such as a cancel
    wordless: dict[int, set[int]] = {}  # by job, the routes that can't express it
    within: list[tuple[_Choice, Pick]] = []  # within all ticket budgets
    spent: list[set[limits.Key]] = []  # limits of the jobs whose ticket budgets are used up
    while True:
        # a new statement, so that it sees the commits that the lock waited for
        capacity = Capacity.load(at=at, policy=policy, first=ROUTES_AT_FIRST)
        for choice, _ in within:
            capacity.room.take(_keys_of(choice.head, choice.route))
        capacity.shut(key for keys in spent for key in keys)
        lanes = _Lanes(capacity, busy | {choice.head.id for choice, _ in within}, wordless)
        choices = lanes.choose()
        jobs = _locked(choices)
        picks = [pick for choice in choices if (pick := _pick(choice, jobs, wordless))]
        if len(picks) == len(choices):
            within += zip(choices, picks, strict=True)
            if capacity.has_ticket_budgets and (exceeding := ticket_budgets.over([pick for _, pick in within], at=at)).found:
                ticket_budgets.hold(exceeding, at=at)
                within = [one for one in within if one[1].job.pk not in exceeding.found]
                spent.append(exceeding.limits)
                if len(spent) < BUDGETS_MOST:
                    continue  # others take their places
            _set_aside(lanes.wordless, at=at)
            paid = budgets.within([pick for _, pick in within], capacity.budgets, at=at)
            return lifecycle.claim(paid, at=at) if paid else []
        if len(lanes.wordless) >= MOST_SET_ASIDE:  # the next claim continues after them
            _set_aside(lanes.wordless, at=at)
            wake.dispatcher()
            return []
        busy |= {choice.head.id for choice in choices} - jobs.keys()  # choose again without them


def _pick(choice: "_Choice", jobs: "dict[int, _Locked]", wordless: dict[int, set[int]]) -> Pick | None:
    """Return the claim of a chosen job, or ``None`` if it is not locked or its route can't express it."""
    found = jobs.get(choice.head.id)
    if found is None:
        return None
    try:
        endpoint = routes.endpoint_for(found.codec, found.parameters, characters=found.characters)
    except CannotSay:
        wordless.setdefault(choice.head.id, set()).add(choice.route.pk)
        return None
    route, synchronous = choice.route, is_synchronous(choice.route)
    return Pick(found.job, found.reservation_id, route, choice.counts, endpoint, synchronous)


def _set_aside(ids: Iterable[int], *, at: datetime) -> None:
    """
    Let jobs that no open route can express wait outside their lane, where they block no other job. They keep their position. The
    caller holds the row locks.
    """
    if listed := list(ids):
        Job.objects.filter(pk__in=listed).update(not_before=at + ASIDE)


@transaction.atomic
def wake_due(*, at: datetime) -> int:
    """Release up to 500 queued jobs whose ``not_before`` has passed. Return the number of jobs."""
    due = Job.objects.filter(state=State.QUEUED, not_before__lte=at).order_by("id").select_for_update(skip_locked=True)
    jobs = list(due[: lifecycle.CHUNK])
    Job.objects.filter(pk__in=[job.pk for job in jobs]).update(not_before=None)
    turns.catch_up([job for job in jobs if not job.attempt_number and not job.held])  # a further attempt keeps its place
    return len(jobs)


def next_due(*, at: datetime) -> Due:
    """
    Return the next times that no wake-up announces.

    For claims: delays, deadlines, ends of pauses, cooldowns and days of ticket budgets. For handing out: checks, leases,
    messages, schedules and bulk actions.
    """
    return Due(*_DUE.run(at=at)[0])


@dataclass(frozen=True)
class _Choice:
    head: Head
    route: ModelRoute
    counts: dict[str, tuple[int, int]]


class _Locked(NamedTuple):
    """A job locked for its claim, its held reservation, and what its chosen route must express."""

    job: Job
    reservation_id: int
    parameters: dict[str, Any]
    characters: int
    codec: dict[str, Any]


def _locked(choices: Sequence[_Choice]) -> dict[int, _Locked]:
    """Lock the jobs that can still be claimed and are not locked; return them by id."""
    ids, chosen = [choice.head.id for choice in choices], [choice.route.pk for choice in choices]
    found = {}
    for pk, *known, reservation, parameters, characters, codec, _ in _LOCK.run(ids=ids, routes=chosen) if ids else []:
        job = Job.from_db(connection.alias, _TO_CLAIM, (pk, *known))
        found[pk] = _Locked(job, reservation, json.loads(parameters), characters, json.loads(codec or "{}"))
    return found


class _Lanes:
    """
    Lanes of models with free slots, read only as far as needed. Within one claim slots only fill up, so a job that was blocked
    once stays blocked and is left out.
    """

    def __init__(self, capacity: Capacity, busy: set[int], wordless: Mapping[int, Collection[int]]) -> None:
        self.capacity = capacity
        self.passed = set(busy)  # jobs to skip: locked or already chosen
        self.wordless: list[int] = []  # jobs that pass every limit but that no open route can express
        self._but = wordless
        self._taken: Counter[str] = Counter()  # number of chosen jobs by model
        self._ahead: list[Head] = []  # all heads read so far

    def choose(self) -> list[_Choice]:
        """Return the jobs that pass every limit, taken from the open lanes in dispatch order."""
        choices: list[_Choice] = []
        if not self.capacity.room.is_open(limits.QUEUE) or not self.capacity.open_models:
            return choices
        for head in self._in_dispatch_order():
            if head.id in self.passed:
                continue
            self._learn(head)
            if route := self._route_for(head):
                choices.append(_Choice(head, route, self.capacity.room.take(_keys_of(head, route))))
                self.passed.add(head.id)
                self._taken[head.model] += 1
                if not self.capacity.room.is_open(limits.QUEUE):
                    break
        return choices

    def _route_for(self, head: Head) -> ModelRoute | None:
        """Return the route for this job, or ``None`` if any limit blocks it."""
        route = self.capacity.route_for(head.model)
        if not route or not self.capacity.room.is_open(*_keys_of(head, route)):
            return None
        but = self._but.get(head.id, ())
        if route.pk not in but:
            return route
        other = self.capacity.route_for(head.model, but=but)
        if other is None:
            self.wordless.append(head.id)
            self.passed.add(head.id)
        return other if other and self.capacity.room.is_open(*_keys_of(head, other)) else None

    def _in_dispatch_order(self) -> Iterator[Head]:
        models = self.capacity.open_models
        if any(self._full().values()):
            return heapq.merge(*self._rest(models).values())
        pages: dict[str, list[Head]] = defaultdict(list)
        for head in self._heads(_FIRST_HEADS.run(at=self.capacity.at, models=models)):
            pages[head.model].append(head)
        return heapq.merge(*(self._lane(model, page) for model, page in pages.items()))

    def _lane(self, model: str, page: list[Head]) -> Iterator[Head]:
        """Yield a lane page by page while pages contain jobs that may start, then the rest by stretches."""
        while True:
            before = self._taken[model]
            for head in page:
                yield head
                if not self.capacity.route_for(model):
                    return
            if len(page) < PAGE:
                return
            if self._taken[model] == before:
                break
            page = self._heads(_NEXT_HEADS.run(at=self.capacity.at, models=[model], **_place_of(page[-1])))
        yield from self._rest([model])[model]

    def _rest(self, models: list[str]) -> dict[str, Iterator[Head]]:
        """Return the lanes by stretches, without jobs of full kinds, users and batches."""
        found = self._next_stretch(models, _START.rank, _FIRST, _START)
        return {model: self._stretches(model, stretch) for model, stretch in found.items()}

    def _stretches(self, model: str, found: "_Stretch | None") -> Iterator[Head]:
        last = _START
        while found:
            for last in found.page:
                yield last
                if not self.capacity.route_for(model):
                    return
            after = found.number if len(found.page) == PAGE else found.number + 1
            found = self._next_stretch([model], found.rank, after, last)[model]

    def _next_stretch(self, models: list[str], rank: int, number: int, last: Head) -> dict[str, "_Stretch | None"]:
        """Find in each lane, from this stretch on, the next jobs after ``last`` that may start; ``None`` at the lane's end."""
        stretches: dict[str, _Stretch | None] = dict.fromkeys(models)
        if not models:
            return stretches
        full = self._full()
        at_it = {"from_rank": rank, "stretch": number, **_place_of(last)}
        full_ones = {"kinds": full["kind"], "users": full["user"], "batches": full["batch"]}
        found = _OF_STRETCH.run(at=self.capacity.at, models=models, **at_it, **full_ones)
        for model, rows in groupby(sorted(found, key=itemgetter(0)), key=itemgetter(0)):
            (_, first_rank, first_number, *_), *_ = listed = list(rows)
            page = self._heads(row for _, _, _, *row in listed if row[0] is not None)
            stretches[model] = _Stretch(first_rank, first_number, page)
        return stretches

    def _full(self) -> dict[str, list[str]]:
        """Return the keys of full or paused kinds, users and batches, by limit."""
        full: dict[str, list[str]] = defaultdict(list)
        room = self.capacity.room
        for limit, key in {*room.caps, *room.closed}:
            if limit in _OF_GROUPS and not room.is_open((limit, key)):
                full[limit].append(key)
        return full

    def _heads(self, rows: Iterable[Sequence[Any]]) -> list[Head]:
        heads = sorted(Head(*row) for row in rows)
        self._ahead += heads
        return heads

    def _learn(self, head: Head) -> None:
        """Load the limits of its batch and user together with those of the next heads, unless they are known."""
        if not self.capacity.knows(head.batch, head.owner):
            soon = heapq.nsmallest(PAGE, (one for one in self._ahead if one >= head))
            self.capacity.learn({one.batch for one in soon}, {one.owner for one in soon})


def _keys_of(head: Head, route: ModelRoute) -> list[limits.Key]:
    return keys_of(route, model=head.model, kind=head.kind, batch=head.batch, owner=head.owner)


def _place_of(head: Head) -> dict[str, int]:
    return {"rank": head.rank, "order_key": head.order_key, "id": head.id}
