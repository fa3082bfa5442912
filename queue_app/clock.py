"""The one clock: the database's, so that all machines agree (I26)."""

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import DateTimeField, Func

from queue_app import database

SQL = "clock_timestamp()"  # the same beside the rows of a statement, which saves one


def now() -> datetime:
    """Ask PostgreSQL for the time, aware and in UTC; it moves on inside a transaction. A cut is outlived."""
    return database.again(_ask, seconds=0)


def _ask() -> datetime:
    with connection.cursor() as cursor:
        return read(cursor)


def read(cursor: Any) -> datetime:
    """The same by a cursor of whatever connection."""
    cursor.execute(f"SELECT {SQL}")
    moment: datetime = cursor.fetchone()[0]
    return moment


class ReadAt(Func):
    """The same for the ORM."""

    template = SQL
    output_field = DateTimeField()
