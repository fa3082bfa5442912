"""
A page of what a search finds, newest first, at a cost that follows neither the number of jobs nor how frequent its words are.

What is rare is looked up and sorted at once. What is frequent is asked for block by block of ids, until a page is full: the index
holds each job's block beside its words, so a block without them costs a few pages of the index and none of the table.
"""

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL

from queue_app.models.job import BLOCK, WORDS, JobQuerySet
from queue_app.rules import numbers

RARE = 50_000  # jobs by the planner's estimate, which is half a percent for a word that it does not know

# OFFSET 0: the planner must not walk the jobs in order, reading every prompt
_ALL = "SELECT id FROM ({found} OFFSET 0) found ORDER BY id {order} LIMIT %s OFFSET %s"
# blocks are asked one after the other; one in which the other filters leave nothing is passed over before its words are looked at
_WALK = """
    SELECT found.id
      FROM generate_series({blocks}) AS walk(block)
     CROSS JOIN LATERAL (SELECT id FROM ({found} OFFSET 0) matching ORDER BY id {order} LIMIT %s) found
     WHERE ({there}) IS NOT NULL
     LIMIT %s OFFSET %s
"""
_NEWEST, _OLDEST = (f"(SELECT {end}(id) FROM queue_app_job)" for end in ("max", "min"))
_IN_BLOCK = Q(
    RawSQL(
        f"queue_app_job.id BETWEEN walk.block * {BLOCK} AND walk.block * {BLOCK} + {BLOCK - 1}", [], output_field=BooleanField()
    )
)
_OF_BLOCK = Q(RawSQL(f"ARRAY[queue_app_job.id / {BLOCK}] @> ARRAY[walk.block]", [], output_field=BooleanField()))  # as indexed


def first(
    jobs: JobQuerySet, words: str, most: int, *, skip: int = 0, beyond: int | None = None, rising: bool = False
) -> list[int]:
    """
    The ids of the first of these jobs that `JobQuerySet.search` finds: newest first, or oldest first where ``rising``.

    :param beyond: an id; only those that follow it in this order.
    """
    if beyond is not None:
        jobs = jobs.filter(pk__gt=beyond) if rising else jobs.filter(pk__lt=beyond)
    order = "" if rising else "DESC"
    try:
        found, values = jobs.search(words).order_by().values_list("id").query.sql_with_params()
    except EmptyResultSet:
        return []
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {found}", values)
        if cursor.fetchone()[0][0]["Plan"]["Plan Rows"] <= RARE:
            cursor.execute(_ALL.format(found=found, order=order), [*values, most, skip])
        else:
            matching, values = _matching(jobs, words).order_by().values_list("id").query.sql_with_params()
            there, there_values = jobs.filter(_IN_BLOCK).order_by("id").values_list("id")[:1].query.sql_with_params()
            sql = _WALK.format(blocks=_blocks(beyond, rising=rising), found=matching, there=there, order=order)
            cursor.execute(sql, [*values, skip + most, *there_values, most, skip])
        return [pk for (pk,) in cursor.fetchall()]


def _matching(jobs: JobQuerySet, words: str) -> JobQuerySet:
    """Of one block."""
    number = numbers.of_row(words)
    by_words = Q(_words=words) & _OF_BLOCK
    return jobs.alias(_words=WORDS).filter(by_words | Q(_IN_BLOCK, pk=number) if number else by_words)


def _blocks(beyond: int | None, *, rising: bool) -> str:
    """The blocks in order, from the one with the first job that may be meant."""
    begin, end, step = (_OLDEST, _NEWEST, 1) if rising else (_NEWEST, _OLDEST, -1)
    if beyond is not None:
        begin = f"{'greatest' if rising else 'least'}({begin}, {beyond:d})"
    return f"{begin} / {BLOCK}, {end} / {BLOCK}, {step}"
