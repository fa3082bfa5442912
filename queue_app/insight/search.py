"""
A page of search results, newest first, at a cost that does not depend on how frequent the words are.

Rare words are looked up and their jobs sorted. Frequent words are looked for block by block of ids, until a page is full: the
index holds each job's block beside its words, so a block without them costs a few pages of the index and none of the table. At
worst, for words that only the oldest jobs have, each block is read: one for 4,096 jobs.
"""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, Func, Q

from queue_app.models.job import BLOCK, WORDS, JobQuerySet, named_by

# jobs by the planner's estimate up to which words are rare; it believes that half a percent have a word it does not know
RARE, UNKNOWN = 10_000, 0.0051

# OFFSET 0: the planner must not walk the jobs in order, reading every prompt
_ALL = "SELECT id FROM ({found} OFFSET 0) found ORDER BY id {order} LIMIT %s OFFSET %s"
# blocks are read one after the other; a block in which the other filters leave no job is skipped before its words are read
_WALK = """
    SELECT found.id
      FROM generate_series({blocks}) AS walk(block)
     CROSS JOIN LATERAL (SELECT id FROM ({found} OFFSET 0) matching ORDER BY id {order} LIMIT %s) found
     WHERE ({there}) IS NOT NULL
     LIMIT %s OFFSET %s
"""
_NEWEST, _OLDEST = "(SELECT max(id) FROM queue_app_job)", "(SELECT min(id) FROM queue_app_job)"


def _holds(sql: str) -> Q:
    return Q(Func(template=sql, output_field=BooleanField()))


_IN_BLOCK = _holds(f"queue_app_job.id BETWEEN walk.block * {BLOCK} AND walk.block * {BLOCK} + {BLOCK - 1}")
_OF_BLOCK = _holds(f"ARRAY[queue_app_job.id / {BLOCK}] @> ARRAY[walk.block]")  # as in the index


def first(
    jobs: JobQuerySet, words: str, most: int, *, skip: int = 0, beyond: int | None = None, rising: bool = False
) -> list[int]:
    """
    Return the ids of the first of these jobs that `JobQuerySet.search` finds: newest first, or with ``rising`` oldest first.

    :param jobs: narrowed by anything but the words.
    :param beyond: an id; only jobs that follow it in this order.
    """
    try:
        sql, values = statement(jobs, words, most, skip=skip, beyond=beyond, rising=rising)
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [pk for (pk,) in cursor.fetchall()]


def statement(
    jobs: JobQuerySet, words: str, most: int, *, skip: int = 0, beyond: int | None = None, rising: bool = False
) -> tuple[str, list[Any]]:
    """
    Return the statement of `first`, with its values.

    :raises EmptyResultSet: there are no such jobs, whatever their words.
    """
    if beyond is not None:
        jobs = jobs.filter(pk__gt=beyond) if rising else jobs.filter(pk__lt=beyond)
    order = "" if rising else "DESC"
    found, values = _sql(jobs.search(words).order_by())
    if _is_rare(found, values):
        return _ALL.format(found=found, order=order), [*values, most, skip]
    found, values = _sql(_matching(jobs, words).order_by())
    there, there_values = _sql(jobs.filter(_IN_BLOCK).order_by("id")[:1])
    sql = _WALK.format(blocks=_blocks(beyond, rising=rising), found=found, there=there, order=order)
    return sql, [*values, skip + most, *there_values, most, skip]


def _sql(jobs: JobQuerySet) -> tuple[str, Sequence[Any]]:
    return jobs.values_list("id").query.sql_with_params()


def _is_rare(sql: str, values: Sequence[Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", values)
        plan: list[dict[str, Any]] = cursor.fetchone()[0]
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'queue_app_job'::regclass")
        (jobs,) = cursor.fetchone()
    return bool(plan[0]["Plan"]["Plan Rows"] <= max(RARE, UNKNOWN * jobs))


def _matching(jobs: JobQuerySet, words: str) -> JobQuerySet:
    """Narrow the jobs to those that the search finds in one block."""
    return jobs.alias(_words=WORDS).filter((Q(_words=words) & _OF_BLOCK) | (_IN_BLOCK & named_by(words)))


def _blocks(beyond: int | None, *, rising: bool) -> str:
    """Return the blocks in order, from the first that may hold a result."""
    begin, end, step = (_OLDEST, _NEWEST, 1) if rising else (_NEWEST, _OLDEST, -1)
    if beyond is not None:
        begin = f"{'greatest' if rising else 'least'}({begin}, {beyond:d})"
    return f"{begin} / {BLOCK}, {end} / {BLOCK}, {step}"
