"""Fixtures of all tests: a seeded PostgreSQL, clients of users, and a check of the invariants after each test."""

import functools
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import hypothesis
import psycopg2
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends import base, locmem
from django.db import connection
from django.test import Client
from hypothesis.internal.conjecture import providers as hypothesis_providers
from psycopg2 import sql
from rest_framework.test import APIClient

from campaigns import catalogue as dimensions
from genqueue_site.db.embedded.base import MAINTENANCE_DATABASE, server_for
from queue_app import clock
from queue_app.insight import forecast, invariants, shared, waiting
from queue_app.models import ApiKey, Job, QueueSettings, User
from queue_app.work import catalogue
from tests import browser

Figures = Callable[[str], None]
# The same examples on every machine and in every order of the tests, without a time limit. Hypothesis also uses constants of our
# loaded modules, which differ between processes, so we turn that off.
assert callable(hypothesis_providers._get_local_constants)
hypothesis_providers._get_local_constants = lambda: hypothesis_providers._local_constants
hypothesis.settings.register_profile(
    "project", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("project")
TEST_DATABASE = "test_genqueue_"
LONGEST = ("test_kills", "test_demo", "test_processes", "test_campaign_form", "test_busy_worker", "test_admin_pages")


def is_embedded() -> bool:
    return bool(settings.DATABASES["default"]["ENGINE"].endswith("embedded"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[None]:
    """Provide the tests' server, which the last run stops. Drop databases that killed runs have left behind."""
    if not is_embedded():
        yield
        return
    server = server_for(settings.DATABASES["default"])
    server.ensure()
    with closing(psycopg2.connect(server.url(MAINTENANCE_DATABASE))) as maintenance, maintenance.cursor() as cursor:
        maintenance.autocommit = True
        cursor.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [TEST_DATABASE + "%"])
        for (name,) in cursor.fetchall():
            if not is_running(int(name.removeprefix(TEST_DATABASE).partition("_")[0])):
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    yield
    server.release()


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def pytest_xdist_auto_num_workers() -> int:
    """Return the workers of `-n auto`: cores plus one, because many tests wait for processes; this saves a tenth of the time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    Run long tests first, so that the end of the run does not wait for them: the LONGEST files, then tests that start processes.

    No test is repeated: a test that fails on a busy machine is wrong. Without a browser its tests are left out (`.ci/browser`
    installs one), except in CI, where they fail.
    """
    items.sort(key=_turn)
    if browser.find() or os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        return
    left_out = [item for item in items if item.get_closest_marker("e2e")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _turn(item: pytest.Item) -> tuple[int, bool]:
    return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST), not _is_among_processes(item)


def _is_among_processes(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("e2e", "processes"))


@pytest.fixture(scope="session")
def django_db_setup(postgres: None, django_db_setup: None, django_db_blocker: Any) -> None:
    """Create the test database with the catalogue. Ids start at 10,001, so that every page shows long numbers."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        seed()
        cursor.execute("SELECT setval(seqrelid, 10000) FROM pg_sequence WHERE seqtypid = 'bigint'::regtype")


def seed() -> None:
    catalogue.seed()
    dimensions.seed()


@pytest.fixture(autouse=True)
def the_rules_hold(request: pytest.FixtureRequest, _django_db_marker: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Seed the catalogue again after a flush, and check the invariants after each test that leaves jobs in the database.

    Rules that compare with the current time are left out, because tests use times of their own.
    """
    if "_django_db_helper" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("_django_db_helper")
    cache.clear()  # counts and curves of an earlier test
    for module, name in ((shared, "CHEAP"), (shared, "DEAR"), (forecast, "DEAR")):
        monkeypatch.setattr(module, name, float("inf"))  # threads would not see the rows of a test's transaction
    # the number of queries must not depend on the machine's speed: cached values do not expire, and curves count as cheap
    began = time.time()
    for backend in (base, locmem):
        monkeypatch.setattr(backend, "time", SimpleNamespace(time=lambda: began))
    monkeypatch.setattr(forecast, "WORTH", 0)
    monkeypatch.setattr(waiting, "SHARED_FOR", 0.0)
    if not QueueSettings.objects.exists():
        seed()
    yield
    if connection.needs_rollback or not Job.objects.exists():
        return
    offenders = invariants.check(at=None)
    if offenders:
        pytest.fail("\n".join(map(str, offenders)), pytrace=False)


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Freeze the product's clock at its first answer, so that assertions about seconds do not depend on the machine."""
    monkeypatch.setattr(clock, "now", functools.cache(clock.now))


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Collect a measured figure, which is printed at the end of the run."""
    return functools.partial(record_property, "figures")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("passed")
    said = [value for report in reports for name, value in report.user_properties if name == "figures"]
    if said:
        terminalreporter.section("figures")
    for words in said:
        terminalreporter.write_line(str(words))


@pytest.fixture
def client_for(db: None) -> Callable[[User], Client]:
    """Return a function that makes a client which is logged in as a user."""

    def logged_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return logged_in


@pytest.fixture
def api_for(db: None) -> Callable[..., APIClient]:
    """Return a function that makes an API client with a user's key and these scopes."""

    def with_key(user: User, *scopes: str) -> APIClient:
        _, key = ApiKey.objects.create(user, scopes=list(scopes or ("read", "submit")))
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        return client

    return with_key


@pytest.fixture
def process_environment(transactional_db: None) -> Mapping[str, str]:
    """Return the environment for the product's processes with this test's database and files."""
    return {**os.environ, "DATABASE_URL": database_url(), "SECRET_KEY": settings.SECRET_KEY}


def database_url() -> str:
    name = str(connection.settings_dict["NAME"])
    if is_embedded():
        return server_for(settings.DATABASES["default"]).url(name)
    given = os.environ["DATABASE_URL"]
    address, _, options = given.partition("?")
    return f"{address.rpartition('/')[0]}/{quote(name)}" + (f"?{options}" if options else "")
