"""The one clock: the database's, so that all machines agree (I26)."""

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """Ask PostgreSQL for the time, aware and in UTC; it moves on inside a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
