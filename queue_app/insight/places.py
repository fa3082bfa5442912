"""Where queued jobs stand in their lanes: the first thousands counted, places beyond counted from milestones that all share."""

from bisect import bisect
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from django.db import connection

from queue_app.insight import counts
from queue_app.insight.shared import without_waiting
from queue_app.models import Job
from queue_app.statements import Statement

EXACT_UP_TO = 10_000  # farther down, what started or came in the last second or so may not be in yet
STEP = 500  # places between two milestones
KEPT = 1.0  # seconds that a lane's milestones serve at least

# One count of what is above, for each lane and priority asked for; then only the steps from one asked job to the next.
_COUNTED = Statement("""
    WITH asked AS (
        SELECT id, model_id, priority, order_key, lag(order_key) OVER place AS key_before, lag(id) OVER place AS id_before
          FROM queue_app_job WHERE id = ANY(%(ids)s::bigint[]) AND state = 'queued'
        WINDOW place AS (PARTITION BY model_id, priority ORDER BY order_key, id)
    ), above AS (
        SELECT lane.*, (SELECT count(*) FROM (
                          SELECT FROM queue_app_job job
                           WHERE job.state = 'queued' AND job.model_id = lane.model_id AND job.priority > lane.priority
                           LIMIT %(far)s::bigint + 1) higher) AS jobs
          FROM (SELECT DISTINCT model_id, priority FROM asked) lane
    ), steps AS (
        SELECT asked.*, (SELECT count(*) FROM (
                           SELECT FROM queue_app_job job
                            WHERE job.state = 'queued' AND job.model_id = asked.model_id AND job.priority = asked.priority
                              AND (job.order_key, job.id) > (coalesce(key_before, -9223372036854775808), coalesce(id_before, 0))
                              AND (job.order_key, job.id) <= (asked.order_key, asked.id)
                            LIMIT %(far)s::bigint + 1) step) AS jobs
          FROM asked
    )
    SELECT model_id, priority, steps.order_key, steps.id,
           above.jobs + sum(steps.jobs) OVER (PARTITION BY model_id, priority ORDER BY steps.order_key, steps.id)
      FROM steps JOIN above USING (model_id, priority)
""")
_MILESTONES = """
    SELECT order_key, id FROM (
        SELECT order_key, id, row_number() OVER (ORDER BY order_key, id) AS place
          FROM queue_app_job WHERE state = 'queued' AND model_id = %(model)s AND priority = %(priority)s) lane
     WHERE place %% %(step)s = 0 ORDER BY order_key, id
"""
_STEPS = Statement("""
    SELECT (SELECT count(*) FROM queue_app_job job
             WHERE job.state = 'queued' AND job.model_id = asked.model AND job.priority = asked.priority
               AND (job.order_key, job.id) > (asked.key_before, asked.id_before)
               AND (job.order_key, job.id) <= (asked.key, asked.id))
      FROM unnest(%(models)s::text[], %(priorities)s::smallint[], %(keys_before)s::bigint[], %(ids_before)s::bigint[],
                  %(keys)s::bigint[], %(ids)s::bigint[])
           WITH ORDINALITY AS asked(model, priority, key_before, id_before, key, id, number)
     ORDER BY number
""")
Point = tuple[int, int]  # order key and id: what orders a lane of one priority
_BEGIN: Point = (-(1 << 63), 0)


def positions(ids: Iterable[int], *, far: int | None = None) -> dict[int, int]:
    """
    The place of each of these jobs in its lane, 1-based; what is not queued is left out.

    :param far: count no farther: a place beyond it is told as some number above it.
    """
    listed = list(ids)
    if not listed:
        return {}
    counted = _COUNTED.run(ids=listed, far=EXACT_UP_TO if far is None else far)
    found = {_Asked(*row[:-1]): int(row[-1]) for row in counted}
    if far is None and any(place > EXACT_UP_TO for place in found.values()):
        _count_on(found)
    return {asked.id: place for asked, place in found.items()}


def position(job: Job) -> int | None:
    """The job's place in its lane, 1-based and dense; ``None`` when it is not queued."""
    return positions([job.pk]).get(job.pk)


class _Asked(NamedTuple):
    model: str
    priority: int
    key: int
    id: int


def _count_on(found: dict[_Asked, int]) -> None:
    """
    Put right what was not counted to its end: on from the asked job before it in its lane, so that one answer has no gap and no
    repeat (I18), and from a milestone where there is none.
    """
    beyond: list[_Asked] = []
    begins: list[Point] = []
    bases: list[int | None] = []  # the place at which each begins; none where that is the one counted before it
    for _, lane in groupby(sorted(found), key=lambda asked: asked[:2]):
        begin: Point | None = None
        base: int | None = None
        for asked in lane:
            if found[asked] > EXACT_UP_TO:
                if begin is None:
                    begin, base = _last_milestone(asked)
                beyond.append(asked)
                begins.append(begin)
                bases.append(base)
                base = None
            else:
                base = found[asked]
            begin = asked[2:]
    place = 0
    for asked, base, step in zip(beyond, bases, _steps(beyond, begins), strict=True):
        place = found[asked] = (place if base is None else base) + step


def _last_milestone(asked: _Asked) -> tuple[Point, int]:
    """The last milestone before this job, or the begin of its priority, and the place of that in the lane."""
    milestones = _milestones(asked.model, asked.priority)
    passed = bisect(milestones, asked[2:])
    above = sum(jobs for (model, level), jobs in counts.waiting().items() if model == asked.model and level > asked.priority)
    return milestones[passed - 1] if passed else _BEGIN, above + passed * STEP


def _milestones(model: str, priority: int) -> list[Point]:
    """Every so many places of a lane's priority, the job that stands there."""

    def walk() -> list[Point]:
        with connection.cursor() as cursor:
            cursor.execute(_MILESTONES, {"model": model, "priority": priority, "step": STEP})
            return list(cursor.fetchall())

    return without_waiting(counts.WORTH, f"places:{model}:{priority}", walk, at_least=KEPT)


def _steps(jobs: list[_Asked], begins: list[Point]) -> list[int]:
    """How many places lie between each of these points and the job that is counted from it, its own included."""
    models, priorities, keys, ids = (list(column) for column in zip(*jobs, strict=True))
    keys_before, ids_before = (list(column) for column in zip(*begins, strict=True))
    ends = {"models": models, "priorities": priorities, "keys": keys, "ids": ids}
    return [count for (count,) in _STEPS.run(**ends, keys_before=keys_before, ids_before=ids_before)]
