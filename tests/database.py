"""
The database of the tests.

On the embedded server each process has a copy of a template, which is made once for each state of the sources. What a test has
committed is taken back by a function in the template, in a hundredth of the time that emptying and seeding all tables takes.
Elsewhere Django makes, empties and drops the database.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
from django.conf import settings
from django.db import connection
from psycopg2 import sql

from campaigns import catalogue as dimensions
from genqueue_site.db.embedded.base import MAINTENANCE_DATABASE, server_for
from queue_app.work import catalogue

ROOT = Path(__file__).resolve().parent.parent
TEST_DATABASE = "test_genqueue_"
TEMPLATE = "test_template_"
# rows that each test begins with; triggers and foreign keys rest, as the rows were checked when they were written the first time
KEEP = """
CREATE SCHEMA kept;
DO $$
DECLARE named text;
BEGIN
    FOR named IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'django_migrations' LOOP
        EXECUTE format('CREATE TABLE kept.%1$I AS TABLE public.%1$I', named);
    END LOOP;
END $$;
CREATE FUNCTION kept.put_back() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS $$
DECLARE
    named text;
    tables text[] := ARRAY(SELECT tablename FROM pg_tables WHERE schemaname = 'kept' ORDER BY tablename);
BEGIN
    EXECUTE 'LOCK TABLE ' || (SELECT string_agg(format('public.%I', one), ', ') FROM unnest(tables) one) || ' IN EXCLUSIVE MODE';
    FOREACH named IN ARRAY tables LOOP
        EXECUTE format('DELETE FROM public.%1$I', named);
        EXECUTE format('INSERT INTO public.%1$I TABLE kept.%1$I', named);
    END LOOP;
END $$;
"""


def is_embedded() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"].endswith("embedded"))


def url() -> str:
    """Return the URL of this process's database, for other processes."""
    name = str(connection.settings_dict["NAME"])
    if is_embedded():
        return server_for(settings.DATABASES["default"]).url(name)
    given = os.environ["DATABASE_URL"]
    address, _, options = given.partition("?")
    return f"{address.rpartition('/')[0]}/{quote(name)}" + (f"?{options}" if options else "")


@contextmanager
def server() -> Iterator[None]:
    """The server of the tests; the last run out stops it. Databases that killed runs left behind are dropped."""
    if not is_embedded():
        yield
        return
    server = server_for(settings.DATABASES["default"])
    server.ensure()
    for name in _names(TEST_DATABASE):
        if not _is_running(int(name.removeprefix(TEST_DATABASE).partition("_")[0])):
            _drop(name)
    yield
    server.release()


def create() -> None:
    """Create this process's database, with the catalogue in it, and use it."""
    if not is_embedded():
        _make()
        return
    name = _own_name()
    _drop(name)
    with alone(settings.VAR / "template.lock"):
        _execute("CREATE DATABASE {} TEMPLATE {}", name, _template())
    _use(name)


def drop() -> None:
    connection.close()
    name = str(connection.settings_dict["NAME"])
    if is_embedded():
        _drop(name)
    else:
        connection.creation.destroy_test_db(name, verbosity=0)


def put_back() -> None:
    """Take back what a test has committed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT kept.put_back()")


def plan_of(query: str) -> str:
    """Return how the server would execute a query on a table so large that it reads an index, with its pages in memory."""
    with connection.cursor() as cursor:
        for setting in ("enable_seqscan = off", "enable_bitmapscan = off", "random_page_cost = 1"):
            cursor.execute(f"SET LOCAL {setting}")
        cursor.execute(f"EXPLAIN {query}")
        return "\n".join(line for (line,) in cursor.fetchall())


def seed() -> None:
    catalogue.seed()
    dimensions.seed()


def _make() -> None:
    """Let Django create the database named in the settings; rows are numbered from 10,001: so long numbers are on every page."""
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    seed()
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval(seqrelid, 10000) FROM pg_sequence WHERE seqtypid = 'bigint'::regtype")


def _template() -> str:
    """Return the name of the template for the present sources; make it if it is missing, and drop those of other sources."""
    name, own_name = TEMPLATE + sources(), _own_name()
    others = _names(TEMPLATE)
    if name in others:
        return name
    for other in others:
        _drop(other)
    unfinished = f"{name}_unfinished"
    settings.DATABASES["default"]["TEST"]["NAME"] = unfinished
    try:
        _make()
        with connection.cursor() as cursor:
            cursor.execute(KEEP)
    finally:
        settings.DATABASES["default"]["TEST"]["NAME"] = own_name
        connection.close()  # nobody may be connected to what is renamed or copied
    _execute("ALTER DATABASE {} RENAME TO {}", unfinished, name)
    return name


@cache
def sources() -> str:
    """Return what stands for all that an empty installation is made of: our sources and the releases of others'."""
    ours = [path for folder in ("campaigns", "genqueue_site", "queue_app") for path in sorted((ROOT / folder).rglob("*.py"))]
    made_of = hashlib.sha256()
    for path in [*ours, ROOT / "requirements" / "base.lock", Path(__file__)]:
        made_of.update(path.read_bytes())
    return made_of.hexdigest()[:12]


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Let one process at a time into the block."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _own_name() -> str:
    return str(settings.DATABASES["default"]["TEST"]["NAME"])


def _use(name: str) -> None:
    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name


def _names(beginning: str) -> list[str]:
    rows = _execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", values=[beginning])
    return [str(name) for (name,) in rows]


def _drop(name: str) -> None:
    _execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _execute(statement: str, *names: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """Execute a statement beside all databases of the tests."""
    address = server_for(settings.DATABASES["default"]).url(MAINTENANCE_DATABASE)
    with closing(psycopg2.connect(address)) as maintenance, maintenance.cursor() as cursor:
        maintenance.autocommit = True
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)), values)
        return cursor.fetchall() if cursor.description else []


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
