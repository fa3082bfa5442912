"""Who stands next to a queued job in its lane."""

from dataclasses import dataclass

from django.db import connection

from queue_app.models import Job, State

# one probe of the waiting index for each of the four: a priority's other jobs, and those of other priorities beyond them
_NEXT = """
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


@dataclass(frozen=True)
class Neighbour:
    """A job and how many places after the one asked for it stands; before it when negative."""

    job: Job
    offset: int


def of(job: Job, *, most: int = 2) -> list[Neighbour]:
    """At most ``most`` before and ``most`` after, in order, owners loaded; none for a job that is not queued."""
    if job.state != State.QUEUED:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"model": job.model_id, "priority": job.priority, "key": job.order_key, "id": job.pk, "most": most})
        found = cursor.fetchall()
    near = Job.objects.select_related("owner").in_bulk([pk for pk, _, _ in found])
    sides: dict[int, list[Job]] = {-1: [], 1: []}
    for step in (0, 1):
        for side, jobs in sides.items():
            jobs += _in_order([near[pk] for pk, *at in found if at == [side, step] and pk in near], side)
    return [
        *(Neighbour(one, -place) for place, one in reversed(list(enumerate(sides[-1][:most], 1)))),
        *(Neighbour(one, place) for place, one in enumerate(sides[1][:most], 1)),
    ]


def _in_order(jobs: list[Job], side: int) -> list[Job]:
    """The nearest first."""
    return sorted(jobs, key=lambda job: (-job.priority, job.order_key, job.pk), reverse=side < 0)
