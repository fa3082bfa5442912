"""
Whose turn it is: a job's place in its lane, the queued jobs of one model and priority.

The place is ``order_key``, then the id. In strict FIFO it is the job's number. With fair share it is the round of the turn that
its owner has taken for it in its lane (`rules.fairness`), written when it is queued: claims, positions and forecasts read it from
the index. Within an account both are FIFO.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q

from queue_app.models import Job, QueueSettings, Round, State
from queue_app.rules import fairness
from queue_app.statements import Statement

LaneOf = tuple[str, int, int]  # model, priority, owner
EXCHANGED_MOST = 1_000  # waiting pages of an account and lane that exchange their turns
BEHIND_MOST = 5_000  # waiting jobs of an account and lane that move back for one that comes back
ACCOUNT_MOST = 10_000  # waiting jobs of an account that a new weight places anew
RESORTED, RESORTED_CHUNKS = 500, 4  # jobs that are placed anew in one transaction, and transactions in a row

# Rows, so that two requests of one account take their turns, and then their numbers, one after the other.
_LOCK = Statement("""
    INSERT INTO queue_app_turn AS turn (model_id, priority, owner_id, next)
    SELECT asked.*, 0 FROM unnest(%(models)s::text[], %(priorities)s::smallint[], %(owners)s::bigint[]) asked ORDER BY 1, 2, 3
        ON CONFLICT (model_id, priority, owner_id) DO UPDATE SET next = turn.next
""")
# A statement after `_LOCK`, whose snapshot is older than its wait. An empty lane is where the furthest of its priority is, so
# that rounds compare between models: what they share goes to the lane that is behind.
_READ = Statement("""
    SELECT asked.model_id, asked.priority, asked.owner_id, coalesce(turn.next, 0),
           coalesce(greatest(lane.reached, head.order_key), (
               SELECT max(reached) FROM queue_app_round other WHERE other.priority = asked.priority
           ), 0),
           (SELECT order_key FROM queue_app_job job
             WHERE job.owner_id = asked.owner_id AND job.model_id = asked.model_id AND job.priority = asked.priority
               AND job.state = 'queued' AND job.held_for = '' ORDER BY order_key DESC LIMIT 1),
           owner.share_weight::float8, policy.fair_share
      FROM unnest(%(models)s::text[], %(priorities)s::smallint[], %(owners)s::bigint[]) asked (model_id, priority, owner_id)
      JOIN queue_app_user owner ON owner.id = asked.owner_id
      JOIN queue_app_queuesettings policy ON policy.id = 1
      LEFT JOIN queue_app_turn turn USING (model_id, priority, owner_id)
      LEFT JOIN LATERAL (
        SELECT job.order_key FROM queue_app_job job
         WHERE job.model_id = asked.model_id AND job.priority * -1 = asked.priority * -1
           AND job.state = 'queued' AND NOT job.held AND job.not_before IS NULL
         ORDER BY job.order_key, job.id LIMIT 1
      ) head ON true
      LEFT JOIN queue_app_round lane ON lane.model_id = asked.model_id AND lane.priority = asked.priority
            AND head.order_key IS NOT NULL
""")
_KEEP = Statement("""
    UPDATE queue_app_turn turn SET next = asked.next
      FROM unnest(%(models)s::text[], %(priorities)s::smallint[], %(owners)s::bigint[], %(next)s::float8[])
           AS asked (model_id, priority, owner_id, next)
     WHERE (turn.model_id, turn.priority, turn.owner_id) = (asked.model_id, asked.priority, asked.owner_id)
""")
# for the statement of a claim
REACHED = """
    reached AS (
        INSERT INTO queue_app_round AS lane (model_id, priority, reached)
        SELECT model_id, priority, max(order_key) FROM queue_app_job WHERE id = ANY(%(jobs)s::bigint[]) GROUP BY 1, 2
            ON CONFLICT (model_id, priority) DO UPDATE SET reached = excluded.reached WHERE lane.reached < excluded.reached
    )"""
# An account's waiting pages of a lane keep their turns between them; the best takes the first. A page that is being claimed or
# changed keeps its own.
_EXCHANGE = Statement(f"""
    WITH waiting AS (
        SELECT job.*
          FROM unnest(%(models)s::text[], %(priorities)s::smallint[], %(owners)s::bigint[]) asked (model_id, priority, owner_id)
         CROSS JOIN LATERAL (
            SELECT job.id, job.model_id, job.priority, job.owner_id, job.order_key, job.score FROM queue_app_job job
             WHERE job.owner_id = asked.owner_id AND job.model_id = asked.model_id AND job.priority = asked.priority
               AND job.state = 'queued' AND NOT job.held AND job.not_before IS NULL AND job.score IS NOT NULL
             ORDER BY job.order_key DESC, job.id DESC LIMIT {EXCHANGED_MOST} FOR UPDATE SKIP LOCKED
         ) job
    ), places AS (
        SELECT *, row_number() OVER (PARTITION BY model_id, priority, owner_id ORDER BY order_key, id) AS place,
               row_number() OVER (PARTITION BY model_id, priority, owner_id ORDER BY score DESC, id) AS rank
          FROM waiting
    )
    UPDATE queue_app_job job SET order_key = other.order_key
      FROM places mine
      JOIN places other ON (other.model_id, other.priority, other.owner_id) = (mine.model_id, mine.priority, mine.owner_id)
                       AND other.place = mine.rank
     WHERE job.id = mine.id AND job.order_key <> other.order_key
""")  # noqa: S608 - no value in it
# the rounds are those of `fairness.rounds`, from where the account's jobs are
_OF_ACCOUNT = """
    UPDATE queue_app_job job SET order_key = floor(found.first + (found.number - 1) / found.weight)::bigint
      FROM (SELECT waiting.id, owner.share_weight::float8 AS weight,
                   greatest(coalesce(lane.reached, 0), min(waiting.order_key) OVER account) AS first,
                   row_number() OVER (account ORDER BY waiting.order_key, waiting.id) AS number
              FROM queue_app_job waiting
              JOIN queue_app_user owner ON owner.id = waiting.owner_id
              LEFT JOIN queue_app_round lane ON lane.model_id = waiting.model_id AND lane.priority = waiting.priority
             WHERE waiting.state = 'queued' AND waiting.owner_id = %(owner)s
            WINDOW account AS (PARTITION BY waiting.model_id, waiting.priority)) found
     WHERE found.id = job.id;
    INSERT INTO queue_app_turn (model_id, priority, owner_id, next)
    SELECT job.model_id, job.priority, job.owner_id, max(job.order_key) + 1 / min(owner.share_weight)::float8
      FROM queue_app_job job JOIN queue_app_user owner ON owner.id = job.owner_id
     WHERE job.state = 'queued' AND job.held_for = '' AND job.owner_id = %(owner)s GROUP BY 1, 2, 3
        ON CONFLICT (model_id, priority, owner_id) DO UPDATE SET next = excluded.next
"""


def lock(jobs: Iterable[Job]) -> None:
    """
    Lock the turns of the jobs' owners in their lanes until the transaction ends.

    Comes before :func:`take`; of new jobs also before they get their numbers, or a later one could get the earlier turn.
    """
    lock_lanes(_lane(job) for job in jobs)


def lock_lanes(lanes: Iterable[LaneOf]) -> None:
    """
    Lock the turns of these owners' lanes likewise. A transaction that queues jobs twice locks the lanes of both before: wallets
    are locked after turns.
    """
    _LOCK.run(**_columns(sorted({*lanes})))


def take(jobs: Sequence[Job]) -> bool:
    """
    Give each of these jobs its owner's next turn in its lane, in the given order, for the caller to save. Return whether there is
    fair share; without it each keeps its ``order_key``.

    A job that is ``held_for`` something gets the place of its owner's next turn and takes none: it takes one when it is released.
    """
    by_lane = _by_lane(jobs)
    turns: dict[LaneOf, float] = {}
    for *lane, kept, reached, last, weight, is_fair in _READ.run(**_columns(list(by_lane))):
        if not is_fair:
            return False
        own = by_lane[lane[0], lane[1], lane[2]]
        now = [job for job in own if not job.held_for]
        first = fairness.next_turn(kept, reached=reached, last=last, weight=weight)
        for job, number in zip(now, fairness.rounds(first, len(now), weight=weight), strict=True):
            job.order_key = number
        turns[lane[0], lane[1], lane[2]] = following = first + len(now) / weight
        for job in own:
            if job.held_for:
                (job.order_key,) = fairness.rounds(following, 1, weight=weight)
    if turns:
        _KEEP.run(**_columns(list(turns)), next=list(turns.values()))
    return bool(turns)


def rejoin(jobs: Sequence[Job]) -> list[Job]:
    """
    Give jobs that come back from a hold turns at their old places among their owner's jobs: the jobs behind them move back by as
    many turns. Return all that changed, for the caller to save. The caller holds the row locks, and the turns (`lock`).

    If more than `BEHIND_MOST` are behind them, they come back at the end of their owner's jobs.
    """
    places = {job.pk: (job.order_key, job.pk) for job in jobs}
    if not take(in_order(jobs)):
        return list(jobs)
    changed = []
    for (model, priority, owner), own in _by_lane(jobs).items():
        key, number = min(places[job.pk] for job in own)
        mine = Job.objects.filter(model=model, priority=priority, owner=owner, state=State.QUEUED, held_for="")
        later = mine.filter(Q(order_key__gt=key) | Q(order_key=key, pk__gt=number)).exclude(pk__in=places)
        behind = list(later.select_for_update(skip_locked=True).order_by("order_key", "pk")[: BEHIND_MOST + 1])
        moved = own if len(behind) > BEHIND_MOST else [*own, *behind]
        keys = sorted(job.order_key for job in moved)
        for job, turn in zip(sorted(moved, key=lambda job: places.get(job.pk, (job.order_key, job.pk))), keys, strict=True):
            job.order_key = turn
        changed += moved
    return changed


def catch_up(jobs: Sequence[Job]) -> None:
    """
    Let queued jobs that can start again `rejoin` if the round of their turn has passed: they do not all go first. Those whose
    turn is still to come keep it. The caller holds the row locks.
    """
    if not jobs:
        return
    reached = {(one.model_id, one.priority): one.reached for one in Round.objects.all()}
    late = [job for job in jobs if job.order_key < reached.get((job.model_id, job.priority), job.order_key)]
    if late and QueueSettings.objects.current().fair_share:
        lock(late)
        Job.objects.bulk_update(rejoin(late), ["order_key"], batch_size=RESORTED)


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Sort jobs as they would start: in this order each account's take their turns."""
    return sorted(jobs, key=lambda job: (-job.priority, job.order_key, job.pk))


def exchange_by_score(jobs: Iterable[Job]) -> None:
    """
    Let the waiting pages of these jobs' owners and lanes exchange their turns: the highest score takes the first. Jobs without
    a score, and other accounts, keep theirs.
    """
    if lanes := sorted({_lane(job) for job in jobs if job.score is not None}):
        _EXCHANGE.run(**_columns(lanes))


def next_of(owner: int, model: str, priority: int) -> tuple[float, float] | None:
    """Return the next turn of an account in a lane and its weight, as they are now; ``None`` without fair share."""
    return next_turns([(model, priority, owner)]).get((model, priority, owner))


def next_turns(lanes: Sequence[LaneOf]) -> dict[LaneOf, tuple[float, float]]:
    """Return the same for many accounts and lanes; empty without fair share. One statement."""
    rows = _READ.run(**_columns(lanes)) if lanes else []
    return {
        (model, priority, owner): (fairness.next_turn(kept, reached=reached, last=last, weight=weight), weight)
        for model, priority, owner, kept, reached, last, weight, is_fair in rows
        if is_fair
    }


def resort(*, at: datetime) -> None:
    """
    Place the next jobs anew after fair share was switched, in turns or in strict FIFO, some chunks of them. Each account's go by
    number then, and its pages by score. Until the last is done both kinds of places compare: rounds go on from job numbers.
    """
    for _ in range(RESORTED_CHUNKS):
        policy = QueueSettings.objects.current()
        if policy.resort_after is None:
            return
        last = _resort(policy.resort_after, fair=policy.fair_share)
        # by itself: who holds the claim lock may wait for jobs, so who holds jobs must not wait for that row
        QueueSettings.objects.filter(resort_after=policy.resort_after).update(resort_after=last)


@transaction.atomic
def _resort(after: int, *, fair: bool) -> int | None:
    jobs = list(Job.objects.open().filter(pk__gt=after).lock()[:RESORTED])
    waiting = [job for job in jobs if job.state == State.QUEUED]
    for job in jobs:
        job.order_key = job.pk
    if fair:
        lock(waiting)
        take(waiting)
    Job.objects.bulk_update(jobs, ["order_key"])
    exchange_by_score(waiting)
    return jobs[-1].pk if len(jobs) == RESORTED else None


def change_of(owner: int) -> bool:
    """
    Place an account's waiting jobs anew, after its weight has changed, and return whether it was done. The caller holds the claim
    lock; it is not done for more than `ACCOUNT_MOST`, whose next jobs alone have the new weight.
    """
    waiting = Job.objects.filter(owner=owner, state=State.QUEUED).order_by("id")
    ids = list(waiting.select_for_update().values_list("pk", flat=True)[: ACCOUNT_MOST + 1])
    if len(ids) > ACCOUNT_MOST:
        return False
    with connection.cursor() as cursor:
        cursor.execute(_OF_ACCOUNT, {"owner": owner})
    return True


def _lane(job: Job) -> LaneOf:
    return job.model_id, job.priority, job.owner_id


def _by_lane(jobs: Iterable[Job]) -> dict[LaneOf, list[Job]]:
    found: dict[LaneOf, list[Job]] = defaultdict(list)
    for job in jobs:
        found[_lane(job)].append(job)
    return found


def _columns(lanes: Sequence[LaneOf]) -> dict[str, list[object]]:
    models, priorities, owners = (list(column) for column in zip(*lanes, strict=True)) if lanes else ([], [], [])
    return {"models": models, "priorities": priorities, "owners": owners}
