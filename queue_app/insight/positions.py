"""
The order of jobs: positions in a model's queue, neighbours there, and the jobs that run and that come next.

The first thousands of positions are counted; positions beyond them are counted from milestones that all callers share.
"""

from bisect import bisect
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from queue_app.caching import without_waiting
from queue_app.insight import counts
from queue_app.models import Job, State, Status, User
from queue_app.models.job import JobQuerySet
from queue_app.statements import Statement
from queue_app.work import reorder

EXACT_UP_TO = 10_000  # beyond, jobs that started or came within the last moments may not be counted yet
STEP = 500  # positions between two milestones
KEPT = 1.0  # seconds for which a lane's milestones are used at least
FIRST = 100  # jobs of a list
# the columns of a job in short
IN_SHORT = (
    *("state", "kind", "model", "prompt", "priority", "base_priority", "progress", "preview"),
    *("owner__username", "batch", "queued_at", "started_at"),
)

# One count of the jobs of higher priority for each lane and priority; then only the steps from one requested job to the next.
# Jobs that somebody has to release are ahead of none; each of them is told the position that it would have now.
_COUNTED = Statement("""
    WITH asked AS (
        SELECT id, model_id, priority, order_key, held_for,
               lag(order_key) OVER place AS key_before, lag(id) OVER place AS id_before
          FROM queue_app_job WHERE id = ANY(%(ids)s::bigint[]) AND state = 'queued'
        WINDOW place AS (PARTITION BY model_id, priority ORDER BY order_key, id)
    ), above AS (
        SELECT lane.*, (SELECT count(*) FROM (
                          SELECT FROM queue_app_job job
                           WHERE job.state = 'queued' AND job.held_for = '' AND job.model_id = lane.model_id
                             AND job.priority > lane.priority
                           LIMIT %(far)s::bigint + 1) higher) AS jobs
          FROM (SELECT DISTINCT model_id, priority FROM asked) lane
    ), steps AS (
        SELECT asked.*, (SELECT count(*) FROM (
                           SELECT FROM queue_app_job job
                            WHERE job.state = 'queued' AND job.held_for = ''
                              AND job.model_id = asked.model_id AND job.priority = asked.priority
                              AND (job.order_key, job.id) > (coalesce(key_before, -9223372036854775808), coalesce(id_before, 0))
                              AND (job.order_key, job.id) <= (asked.order_key, asked.id)
                            LIMIT %(far)s::bigint + 1) step) AS jobs
          FROM asked
    )
    SELECT model_id, priority, steps.order_key, steps.id,
           above.jobs + sum(steps.jobs) OVER (PARTITION BY model_id, priority ORDER BY steps.order_key, steps.id)
                      + (steps.held_for <> '')::int
      FROM steps JOIN above USING (model_id, priority)
""")
_MILESTONES = """
    SELECT order_key, id FROM (
        SELECT order_key, id, row_number() OVER (ORDER BY order_key, id) AS place
          FROM queue_app_job
         WHERE state = 'queued' AND held_for = '' AND model_id = %(model)s AND priority = %(priority)s) lane
     WHERE place %% %(step)s = 0 ORDER BY order_key, id
"""
_STEPS = Statement("""
    SELECT (SELECT count(*) FROM queue_app_job job
             WHERE job.state = 'queued' AND job.held_for = '' AND job.model_id = asked.model AND job.priority = asked.priority
               AND (job.order_key, job.id) > (asked.key_before, asked.id_before)
               AND (job.order_key, job.id) <= (asked.key, asked.id))
      FROM unnest(%(models)s::text[], %(priorities)s::smallint[], %(keys_before)s::bigint[], %(ids_before)s::bigint[],
                  %(keys)s::bigint[], %(ids)s::bigint[])
           WITH ORDINALITY AS asked(model, priority, key_before, id_before, key, id, number)
     ORDER BY number
""")
# one probe of the waiting index for each of the four: the priority's other jobs, and jobs of other priorities beyond them
_AROUND = """
    (SELECT id, -1 AS side, 0 AS step FROM queue_app_job
      WHERE state = 'queued' AND model_id = %(model)s AND priority = %(priority)s AND (order_key, id) < (%(key)s, %(id)s)
      ORDER BY order_key DESC, id DESC LIMIT %(most)s)
    UNION ALL
    (SELECT id, -1, 1 FROM queue_app_job
      WHERE state = 'queued' AND model_id = %(model)s AND priority > %(priority)s
      ORDER BY priority, order_key DESC, id DESC LIMIT %(most)s)
    UNION ALL
    (SELECT id, 1, 0 FROM queue_app_job
      WHERE state = 'queued' AND model_id = %(model)s AND priority = %(priority)s AND (order_key, id) > (%(key)s, %(id)s)
      ORDER BY order_key, id LIMIT %(most)s)
    UNION ALL
    (SELECT id, 1, 1 FROM queue_app_job
      WHERE state = 'queued' AND model_id = %(model)s AND priority < %(priority)s
      ORDER BY priority DESC, order_key, id LIMIT %(most)s)
"""
# the heads of all lanes, merged: one probe of the waiting index for each lane
_NEXT = """
    SELECT head.id FROM queue_app_generationmodel model
     CROSS JOIN LATERAL (
        SELECT job.id, job.priority, job.order_key FROM queue_app_job job
         WHERE job.state = 'queued' AND job.model_id = model.key {owner}
         ORDER BY job.priority DESC, job.order_key, job.id LIMIT %(first)s
     ) head
     ORDER BY head.priority DESC, head.order_key, head.id LIMIT %(first)s
"""
Point = tuple[int, int]  # order key and id: the order of a lane within one priority
_BEGIN: Point = (-(1 << 63), 0)


def of_jobs(ids: Iterable[int], *, far: int | None = None) -> dict[int, int]:
    """
    Return the position of each of these jobs in its model's queue, from 1; jobs that are not queued are left out.

    :param far: count no further; a position beyond it is some number above it.
    """
    listed = list(ids)
    if not listed:
        return {}
    counted = _COUNTED.run(ids=listed, far=EXACT_UP_TO if far is None else far)
    found = {_Asked(*row[:-1]): int(row[-1]) for row in counted}
    if far is None and any(place > EXACT_UP_TO for place in found.values()):
        _count_on(found)
    return {asked.id: place for asked, place in found.items()}


def of_job(job: Job) -> int | None:
    """Return the job's position in its model's queue, from 1 and without gaps; ``None`` if it is not queued."""
    return of_jobs([job.pk]).get(job.pk) if job.state == State.QUEUED else None


@dataclass(frozen=True)
class Neighbour:
    """A job, and how many positions after a given one it stands; before it if negative."""

    job: Job
    offset: int


def neighbours(job: Job, *, most: int = 2) -> list[Neighbour]:
    """Return up to ``most`` jobs before and after this one, in order, with owners; none for a job that is not queued."""
    if job.state != State.QUEUED:
        return []
    with connection.cursor() as cursor:
        place: dict[str, int | str] = {"model": job.model_id, "priority": job.priority, "key": job.order_key, "id": job.pk}
        cursor.execute(_AROUND, place | {"most": most})
        found = cursor.fetchall()
    near = Job.objects.select_related("owner").in_bulk([pk for pk, _, _ in found])
    sides: dict[int, list[Job]] = {-1: [], 1: []}
    for step in (0, 1):
        for side, jobs in sides.items():
            jobs += _nearest_first([near[pk] for pk, *at in found if at == [side, step] and pk in near], side)
    return [
        *(Neighbour(one, -place) for place, one in reversed(list(enumerate(sides[-1][:most], 1)))),
        *(Neighbour(one, place) for place, one in enumerate(sides[1][:most], 1)),
    ]


@dataclass(frozen=True)
class OwnPlace:
    """The place of a queued job among its owner's of the same model and priority, and the ids right ``before`` and ``after``."""

    place: int
    of: int
    before: int | None
    after: int | None


def among_own(job: Job) -> OwnPlace | None:
    """Return the place of a job among those that it may change places with; ``None`` if it is not queued, or on hold."""
    if job.state != State.QUEUED or job.held_for:
        return None
    lane = reorder.own_lane(job)
    ahead = lane.filter(Q(order_key__lt=job.order_key) | Q(order_key=job.order_key, pk__lt=job.pk))
    behind = lane.filter(Q(order_key__gt=job.order_key) | Q(order_key=job.order_key, pk__gt=job.pk))
    before = ahead.order_by("-order_key", "-pk").values_list("pk", flat=True).first()
    after = behind.order_by("order_key", "pk").values_list("pk", flat=True).first()
    return OwnPlace(ahead.count() + 1, lane.count(), before, after)


def behind_own(jobs: Iterable[Job]) -> set[int]:
    """Return those of these jobs that another one of their owner's in the same lane goes before: one query."""
    ids = [job.pk for job in jobs if job.state == State.QUEUED and not job.held_for]
    same = {name: OuterRef(name) for name in ("owner", "model", "priority")}
    ahead = Q(order_key__lt=OuterRef("order_key")) | Q(order_key=OuterRef("order_key"), pk__lt=OuterRef("pk"))
    found = Job.objects.filter(ahead, **same, state=State.QUEUED, held_for="")
    return set(Job.objects.filter(Exists(found), pk__in=ids).values_list("pk", flat=True)) if ids else set()


def in_progress(viewer: User, first: int = FIRST) -> list[Job]:
    """Return the first jobs in progress that the viewer may see, the longest running first."""
    jobs = Job.objects.of(viewer).with_status(Status.PROCESSING)
    return list(_in_short(jobs).order_by("started_at", "id")[:first])


def coming_next(viewer: User, first: int = FIRST) -> list[Job]:
    """Return the first queued jobs that the viewer may see, in dispatch order over all lanes, held and delayed jobs included."""
    owner = "" if viewer.is_staff else "AND job.owner_id = %(owner)s"
    with connection.cursor() as cursor:
        cursor.execute(_NEXT.format(owner=owner), {"first": first, "owner": viewer.pk})
        ids = [pk for (pk,) in cursor.fetchall()]
    found = _in_short(Job.objects.all()).in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


def _in_short(jobs: JobQuerySet) -> JobQuerySet:
    return jobs.select_related("owner").only(*IN_SHORT)


def _nearest_first(jobs: list[Job], side: int) -> list[Job]:
    return sorted(jobs, key=lambda job: (-job.priority, job.order_key, job.pk), reverse=side < 0)


class _Asked(NamedTuple):
    model: str
    priority: int
    key: int
    id: int


def _count_on(found: dict[_Asked, int]) -> None:
    """
    Count on where counting stopped: from the requested job before it in its lane, so that one answer has no gap and no repeat
    (I18), or from a milestone if there is none.
    """
    beyond: list[_Asked] = []
    begins: list[Point] = []
    bases: list[int | None] = []  # the position at which each begins; none if that is the job counted before it
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
    """Return the last milestone before this job, or the begin of its priority, with its position in the lane."""
    milestones = _milestones(asked.model, asked.priority)
    passed = bisect(milestones, asked[2:])
    above = sum(jobs for (model, level), jobs in counts.waiting().items() if model == asked.model and level > asked.priority)
    return milestones[passed - 1] if passed else _BEGIN, above + passed * STEP


def _milestones(model: str, priority: int) -> list[Point]:
    """Return the job at every `STEP`-th position of a lane's priority."""

    def walk() -> list[Point]:
        with connection.cursor() as cursor:
            cursor.execute(_MILESTONES, {"model": model, "priority": priority, "step": STEP})
            return list(cursor.fetchall())

    return without_waiting(counts.WORTH, f"places:{model}:{priority}", walk, at_least=KEPT)


def _steps(jobs: list[_Asked], begins: list[Point]) -> list[int]:
    """Return the number of positions from each of these points to the job that is counted from it."""
    models, priorities, keys, ids = (list(column) for column in zip(*jobs, strict=True))
    keys_before, ids_before = (list(column) for column in zip(*begins, strict=True))
    ends = {"models": models, "priorities": priorities, "keys": keys, "ids": ids}
    return [count for (count,) in _STEPS.run(**ends, keys_before=keys_before, ids_before=ids_before)]
