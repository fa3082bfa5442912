"""The queue's clock is the database's, so that all machines agree (I26)."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func

from queue_app import database

offset = timedelta()  # how far ahead of the database we are: zero, except in the simulated day of the benchmarks, which moves it
SQL = "clock_timestamp()"  # for a statement that reads the time with its rows, which saves a query; without the offset


def now() -> datetime:
    """Return PostgreSQL's time, aware and in UTC. It advances within a transaction. Retries once after a cut connection."""
    return database.again(_ask, seconds=0)


def _ask() -> datetime:
    with connection.cursor() as cursor:
        return read(cursor)


def read(cursor: Any) -> datetime:
    """Return PostgreSQL's time by a cursor of any connection."""
    cursor.execute(f"SELECT {SQL}")
    moment: datetime = cursor.fetchone()[0]
    return moment + offset


class ReadAt(Func):
    """PostgreSQL's time as an ORM expression."""

    template = SQL
    output_field = DateTimeField()
