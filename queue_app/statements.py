"""
Prepared statements for the hot path: the server parses and plans them once per connection, not once per job.

Their SQL is defined beside the verb that runs it. It names its columns, never ``*``, so that a migration that adds a column does
not change the result of a prepared plan. If a migration changes a column's type, `database.again` continues on a new connection.
They need session pooling: behind a pooler that assigns a connection per transaction, statements can't stay prepared.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary, WeakSet

from django.db import connection, models

# SQL for a statement whose commit must not wait for the disk. A crash of the server may undo the latest of these commits, but
# never one without all later ones. Safe for wake-ups, and for claims, because a worker begins each claim in a commit that waits.
# Not safe for beginning a lease: if its fence number were undone, another worker could get the same number.
LAZILY = "set_config('synchronous_commit', 'off', true)"
Row = TypeVar("Row", bound=models.Model)
_VALUE = re.compile(r"%\((\w+)\)s(::\w+(?:\[\])?)?")
# Driver connection → statement name → how to execute it there; "" after the first use, before it is prepared. Keyed by the
# connection because the prepared plans end with it.
_known: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()
_all: "WeakSet[Statement]" = WeakSet()
_at_once = False  # prepare at the first use: set in processes that run the statements for long


class Statement:
    """
    SQL with named parameters, such as ``%(at)s``. Lists, and values whose type PostgreSQL can't infer, need a cast, as in
    ``%(ids)s::bigint[]``.
    """

    def __init__(self, sql: str) -> None:
        self.sql = sql
        _all.add(self)

    def run(self, **values: Any) -> list[tuple[Any, ...]]:
        """
        Execute the statement and return its rows.

        It is prepared at its second use on a connection, since a connection that serves one request would never profit; at the
        first use after `keep_all`.
        """
        with connection.cursor() as cursor:  # may open a new connection, so look it up afterwards
            known = _known.setdefault(connection.connection, {})
            if known.get(self._name, "" if _at_once else None) == "":
                self._keep(cursor, known)
            cursor.execute(known.setdefault(self._name, "") or self.sql, values)
            return cursor.fetchall() if cursor.description else []

    def _keep(self, cursor: Any, known: dict[str, str]) -> None:
        # Without this setting the server plans most statements on every run, because it overestimates the generic plan's cost.
        # The driver's own cursor: this is upkeep of the connection, and not one of the caller's queries.
        with connection.wrap_database_errors:
            cursor.cursor.execute(f"SET plan_cache_mode = force_generic_plan; PREPARE {self._name} AS {self._numbered}")
        known[self._name] = self._execute

    @cached_property
    def _values(self) -> dict[str, str]:
        """Return the parameter names in order, each with its first cast: an empty list has no type without one."""
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
    Prepare and plan all statements defined so far, for a process that will run them for long. Later ones, such as those built
    from parts, are prepared at their first use.
    """
    global _at_once
    _at_once = True
    with connection.cursor() as cursor:
        known = _known.setdefault(connection.connection, {})
        for one in list(_all):
            if not known.get(one._name):
                one._keep(cursor, known)
                cursor.execute(f"EXPLAIN {one._execute}", dict.fromkeys(one._values))  # plans it without running it


class Part(NamedTuple):
    """Common table expressions (``name AS (…)``) with their values, for writing into another verb's statement."""

    sql: str
    values: Mapping[str, Any]


NOTHING = Part("", {})

statement = lru_cache(maxsize=200)(Statement)  # for SQL built from a few parts


def columns(model: type[models.Model], table: str) -> str:
    """Return a model's columns as SQL, in the order that `read` expects."""
    return ", ".join(f"{table}.{field.column}" for field in model._meta.concrete_fields)


def read_some(model: type[Row], found: Mapping[str, Any]) -> Row:
    """Build a model instance from some columns of a row, by name; the other columns are deferred."""
    fields = {str(field.column): field for field in model._meta.concrete_fields if field.column in found}
    values = [
        field.from_db_value(found[column], None, connection) if hasattr(field, "from_db_value") else found[column]
        for column, field in fields.items()
    ]
    return model.from_db(connection.alias, [field.attname for field in fields.values()], values)


def read(model: type[Row], values: Iterator[Any]) -> Row:
    """Build a model instance from the next columns of a row, as the ORM would."""
    fields = model._meta.concrete_fields
    found = [
        field.from_db_value(value, None, connection) if value is not None and hasattr(field, "from_db_value") else value
        for field, value in zip(fields, islice(values, len(fields)), strict=True)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], found)
