"""
Whose turn it is: a job's place in its lane, the queued jobs of one model and priority.

The place is ``order_key``, then the id. In strict FIFO it is the job's number. With fair share it is the round of the turn that
its owner has taken for it in its lane (`rules.fairness`), written when it is queued: claims, positions and forecasts read it from
the index. Within an account both are FIFO.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import connection
from django.db.models import Q

from queue_app.models import Job, State
from queue_app.models.job import OPEN_STATES, sql_of
from queue_app.rules import fairness
from queue_app.statements import Statement

LaneOf = tuple[str, int, int]  # model, priority, owner
SWITCH = 716_211  # advisory lock: shared by who takes turns, exclusive to who changes all of them
EXCHANGED_MOST = 1_000  # waiting jobs of an account and lane that exchange their turns

# Rows, so that two requests of one account take their turns, and then their numbers, one after the other.
_LOCK = Statement(f"""
    WITH mode AS MATERIALIZED (SELECT pg_advisory_xact_lock_shared({SWITCH}))
    INSERT INTO queue_app_turn AS turn (model_id, priority, owner_id, next)
    SELECT asked.*, 0
      FROM unnest(%(models)s::text[], %(priorities)s::smallint[], %(owners)s::bigint[]) asked, mode ORDER BY 1, 2, 3
        ON CONFLICT (model_id, priority, owner_id) DO UPDATE SET next = turn.next
""")  # noqa: S608 - no value in it
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
               AND job.state = 'queued' AND job.held_for = '' AND job.score IS NOT NULL
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
_TO_FIFO = f"UPDATE queue_app_job SET order_key = id WHERE state IN {sql_of(OPEN_STATES)}"  # noqa: S608 - constants
# The rounds are those of `fairness.rounds`: of all accounts from the first one on, of one account from where its jobs are. Jobs
# in flight come first if they are put back.
_TO_TURNS = f"""
    DELETE FROM queue_app_round WHERE %(owner)s::bigint IS NULL;
    DELETE FROM queue_app_turn WHERE %(owner)s IS NULL;
    UPDATE queue_app_job SET order_key = 0 WHERE %(owner)s IS NULL AND state IN {sql_of(OPEN_STATES)} AND state <> 'queued';
    UPDATE queue_app_job job SET order_key = floor(found.first + (found.number - 1) / found.weight)::bigint
      FROM (SELECT waiting.id, owner.share_weight::float8 AS weight,
                   CASE WHEN %(owner)s IS NULL THEN 0
                        ELSE greatest(coalesce(lane.reached, 0), min(waiting.order_key) OVER account) END AS first,
                   row_number() OVER (account ORDER BY waiting.order_key, waiting.id) AS number
              FROM queue_app_job waiting
              JOIN queue_app_user owner ON owner.id = waiting.owner_id
              LEFT JOIN queue_app_round lane ON lane.model_id = waiting.model_id AND lane.priority = waiting.priority
             WHERE waiting.state = 'queued' AND waiting.owner_id = coalesce(%(owner)s, waiting.owner_id)
            WINDOW account AS (PARTITION BY waiting.model_id, waiting.priority, waiting.owner_id)) found
     WHERE found.id = job.id;
    INSERT INTO queue_app_turn (model_id, priority, owner_id, next)
    SELECT job.model_id, job.priority, job.owner_id, max(job.order_key) + 1 / min(owner.share_weight)::float8
      FROM queue_app_job job JOIN queue_app_user owner ON owner.id = job.owner_id
     WHERE job.state = 'queued' AND job.held_for = '' AND job.owner_id = coalesce(%(owner)s, job.owner_id) GROUP BY 1, 2, 3
        ON CONFLICT (model_id, priority, owner_id) DO UPDATE SET next = excluded.next
"""  # noqa: S608 - constants


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
    """
    places = {job.pk: (job.order_key, job.pk) for job in jobs}
    if not take(jobs):
        return list(jobs)
    changed = []
    for lane in sorted({_lane(job) for job in jobs}):
        own = [job for job in jobs if _lane(job) == lane]
        first = min(places[job.pk] for job in own)
        model, priority, owner = lane
        mine = Job.objects.filter(model=model, priority=priority, owner=owner, state=State.QUEUED, held_for="")
        behind = mine.filter(Q(order_key__gt=first[0]) | Q(order_key=first[0], pk__gt=first[1])).exclude(pk__in=places)
        moved = [*own, *behind.select_for_update(skip_locked=True).order_by("order_key", "pk")[:EXCHANGED_MOST]]
        keys = sorted(job.order_key for job in moved)
        for job, key in zip(sorted(moved, key=lambda job: places.get(job.pk, (job.order_key, job.pk))), keys, strict=True):
            job.order_key = key
        changed += moved
    return changed


def catch_up(jobs: Sequence[Job]) -> list[Job]:
    """
    Let queued jobs whose pause has ended go on in the round that their lane has reached, one turn after the other, instead of all
    going first. Those whose turn is still to come keep it. Return the ones that changed, for the caller to save.
    """
    by_lane = _by_lane(sorted(jobs, key=lambda job: (job.order_key, job.pk)))
    changed = []
    for model, priority, owner, _, reached, _, weight, is_fair in _READ.run(**_columns(list(by_lane))):
        late = [job for job in by_lane[model, priority, owner] if is_fair and job.order_key < reached]
        for job, number in zip(late, fairness.rounds(reached, len(late), weight=weight), strict=True):
            job.order_key = number
        changed += late
    return changed


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


def change_all(*, fair: bool) -> None:
    """
    Place all waiting jobs anew, in turns or in strict FIFO; in turns, each account's in the order that they have. The caller
    holds the claim lock.
    """
    _change(_TO_TURNS if fair else _TO_FIFO, owner=None)


def change_of(owner: int) -> None:
    """Place an account's waiting jobs anew, after its weight has changed. The caller holds the claim lock."""
    _change(_TO_TURNS, owner=owner)


def _change(sql: str, *, owner: int | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SWITCH])
        cursor.execute(sql, {"owner": owner})


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
