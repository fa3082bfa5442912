"""
The statements that every job goes through, kept by the server: parsed and planned once for a connection, not once for a job.

Their SQL stands beside the verb that runs it. It names its columns, never ``*``: a migration that adds one must not change what a
kept plan gives. Where one changes a column's type, `database.again` goes on with a new connection. They need connections of one's
own: behind a pooler that gives each transaction another one they cannot be kept.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from django.db import connection, models

# Within a statement: its commit does not wait for the disk. The server's end may take back the last ones, but never one without
# those after it. It is for wake-ups, and for claims: what a claim leads to is begun in a commit that waits. A worker's right to
# act is no such thing: were its fence number taken back, somebody else could have the same.
LAZILY = "set_config('synchronous_commit', 'off', true)"
Row = TypeVar("Row", bound=models.Model)
_VALUE = re.compile(r"%\((\w+)\)s(::\w+(?:\[\])?)?")
# by the driver's connection, with which the server's plans go: how a statement is known there, "" after its first use
_known: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()
_all: "WeakSet[Statement]" = WeakSet()
_at_once = False  # whether this process runs them for long: each is kept from its first use on


class Statement:
    """
    SQL with named values, such as ``%(at)s``. Lists, and values whose type nothing else tells, need a cast, as in
    ``%(ids)s::bigint[]``.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        _all.add(self)

    def run(self, **values: Any) -> list[tuple[Any, ...]]:
        """
        Run it and give its rows. It is kept from its second use on a connection on: one that serves a request and is closed would
        pay for keeping and never use it.
        """
        with connection.cursor() as cursor:  # which may be one of a new connection
            known = _known.setdefault(connection.connection, {})
            if known.get(self._name, "" if _at_once else None) == "":
                self._keep(cursor, known)
            cursor.execute(known.setdefault(self._name, "") or self.sql, values)
            return cursor.fetchall() if cursor.description else []

    def _keep(self, cursor: Any, known: dict[str, str]) -> None:
        # without the setting the server plans most of them anew each time: it takes a plan for any values to be dearer than it is
        cursor.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE {self._name} AS {self._numbered}")
        known[self._name] = self._execute

    @cached_property
    def _values(self) -> dict[str, str]:
        """The names in their order, each with the first cast that stands behind it: without it a list of nothing has no type."""
        found = _VALUE.findall(self.sql)
        return {name: next((cast for other, cast in found if other == name and cast), "") for name, _ in found}

    @cached_property
    def _numbered(self) -> str:
        numbers = {name: number for number, name in enumerate(self._values, start=1)}
        return _VALUE.sub(lambda found: f"${numbers[found[1]]}{found[2] or ''}", self.sql)

    @cached_property
    def _name(self) -> str:
        return f"gq_{sha256(self.sql.encode()).hexdigest()[:16]}"

    @cached_property
    def _execute(self) -> str:
        given = ", ".join(f"%({name})s{cast}" for name, cast in self._values.items())
        return f"EXECUTE {self._name}" + (f" ({given})" if given else "")


def keep_all() -> None:
    """
    Have the server know and plan all that there are so far: a process that will run them for long does so before it has work.
    Those that are put together of parts come with their first use.
    """
    global _at_once
    _at_once = True
    with connection.cursor() as cursor:
        known = _known.setdefault(connection.connection, {})
        for one in list(_all):
            if not known.get(one._name):
                one._keep(cursor, known)
                cursor.execute(f"EXPLAIN {one._execute}", dict.fromkeys(one._values))  # which plans it and does not run it


class Part(NamedTuple):
    """Named parts of a WITH and their values: what is written in one statement with something else."""

    sql: str
    values: Mapping[str, Any]


NOTHING = Part("", {})

statement = lru_cache(maxsize=200)(Statement)  # for SQL that is put together of a few parts


def columns(model: type[models.Model], table: str) -> str:
    """A model's columns, as :func:`read` wants them."""
    return ", ".join(f"{table}.{field.column}" for field in model._meta.concrete_fields)


def read_some(model: type[Row], found: Mapping[str, Any]) -> Row:
    """Make an instance of some columns of a row, by name; the ORM reads the others when they are asked for."""
    fields = [field for field in model._meta.concrete_fields if field.column in found]
    values = [
        field.from_db_value(found[field.column], None, connection) if hasattr(field, "from_db_value") else found[field.column]
        for field in fields
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], values)


def read(model: type[Row], values: Iterator[Any]) -> Row:
    """Make an instance of the next columns of a row, as the ORM would."""
    fields = model._meta.concrete_fields
    found = [
        field.from_db_value(value, None, connection) if value is not None and hasattr(field, "from_db_value") else value
        for field, value in zip(fields, islice(values, len(fields)), strict=True)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], found)
