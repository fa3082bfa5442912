"""What every test may lean on: a seeded PostgreSQL, clients of users, and rules that hold after each test."""

import functools
import gc
import importlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.cache.backends import base, locmem
from django.db import connection
from django.test import Client, TransactionTestCase
from hypothesis.internal.conjecture import providers as hypothesis_providers
from rest_framework.test import APIClient
from xdist.remote import Producer

from genqueue_site import urls  # noqa: F401 - with them the admin's pages register, which some tests list
from queue_app import caching, clock
from queue_app.forecast import estimates
from queue_app.insight import invariants, waiting
from queue_app.models import ApiKey, Job, QueueSettings, User
from queue_app.statements import Statement
from queue_app.work import submission
from tests import browser, database
from tests.lanes import Lanes
from tests.providers.wire import WireServer

Figures = Callable[[str], None]
# the same examples on every machine and in every order of the tests, and as long as they take; hypothesis also draws from the
# constants of whatever modules of ours are loaded by then, which is another matter in each process
assert callable(hypothesis_providers._get_local_constants)
hypothesis_providers._get_local_constants = lambda: hypothesis_providers._local_constants
hypothesis.settings.register_profile(
    "project", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("project")
# the files that take longest, in the order in which they are begun; all others follow
LONGEST = (
    *("test_kills", "test_demo", "test_processes", "test_campaign_form", "test_busy_worker", "test_batch_of_twelve"),
    *("test_admin_pages", "test_rights", "test_cuts", "test_oddities", "test_admin_dashboard", "test_admin_day"),
    *("test_campaign_page", "test_schema", "test_directions", "test_odd_text"),
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[None]:
    with database.server():
        yield


def pytest_xdist_auto_num_workers() -> int:
    """Of `-n auto`: two more than there are cores, as every second one mostly waits for processes."""
    return (os.cpu_count() or 1) + 2


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    return Lanes(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """
    Of several processes let each begin to load the files of tests at another one: what one has compiled the others only read. In
    a new checkout, where nothing is compiled yet, each would compile everything at the same time as the others.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None:
        return
    files = sorted(chain.from_iterable(Path(folder).rglob("test_*.py") for folder in session.config.args))
    first = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for file in files[first:] + files[:first]:
        with suppress(Exception):  # the collection itself says what is wrong with a file
            importlib.import_module(".".join(file.resolve().relative_to(session.config.rootpath).with_suffix("").parts))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    What takes long goes first, so that in the end nobody waits for it: the LONGEST files, then whatever starts an installation.
    No test is run a second time: each holds on any machine, however busy, or is wrong.
    Where there is no browser its tests are left out (`.ci/browser` says how to get one); in CI that is a fault.
    """
    items.sort(key=_turn)
    if browser.find() or os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
        return
    left_out = [item for item in items if item.get_closest_marker("e2e")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_collection_finish() -> None:
    """
    Leave what is loaded by now out of each collection of garbage: thousands of tests and all modules stay until the end. What the
    tests leave is collected seldom, which takes an eighth less time than at every 700 objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _turn(item: pytest.Item) -> tuple[int, bool]:
    return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST), not _is_among_processes(item)


def _is_among_processes(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("e2e", "processes"))


@pytest.fixture(scope="session")
def django_db_setup(
    postgres: None, django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[None]:
    """The test database, with the catalogue in it."""
    with django_db_blocker.unblock():
        database.create()
    if database.is_embedded():
        TransactionTestCase._fixture_teardown = lambda case: database.put_back()  # type: ignore[attr-defined]
    yield
    with django_db_blocker.unblock():
        database.drop()


@pytest.fixture(autouse=True)
def the_rules_hold(request: pytest.FixtureRequest, _django_db_marker: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Seed what a flush took, and after each test that left a job in the database ask every rule that can be asked.

    Rules that compare with the present are left out: tests hand down times of their own.
    """
    if "_django_db_helper" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("_django_db_helper")
    cache.clear()  # counts and curves that a test before this one has left there
    for module, name in ((caching, "CHEAP"), (caching, "DEAR"), (estimates, "DEAR")):
        monkeypatch.setattr(module, name, float("inf"))  # a thread of its own would not see the rows of a test's transaction
    # how many queries a page takes must not hang on the machine's speed: what is shared stays as young as it is, curves are cheap
    began = time.time()
    for keeper in (base, locmem, caching):
        monkeypatch.setattr(keeper, "time", SimpleNamespace(time=lambda: began, monotonic=lambda: began))
    monkeypatch.setattr(estimates, "WORTH", 0)
    monkeypatch.setattr(waiting, "SHARED_FOR", 0.0)
    if not QueueSettings.objects.exists():
        database.seed()
    yield
    if connection.needs_rollback or not Job.objects.exists():
        return
    offenders = invariants.check(at=None)
    if offenders:
        pytest.fail("\n".join(map(str, offenders)), pytrace=False)


@pytest.fixture
def time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's clock stays at its first answer: what a test says of seconds holds however slow the machine is."""
    monkeypatch.setattr(clock, "now", functools.cache(clock.now))
    # the one statement that compares with the server's own clock; 15 s of the machine's time would void every lease
    monkeypatch.setattr(submission, "_LEASE_LEFT", LeaseLeft())


class LeaseLeft:
    """What is left of a lease by a clock that stands still."""

    until = Statement("SELECT lease_until FROM queue_app_job WHERE id = %(id)s AND fence = %(fence)s")

    def run(self, **which: int) -> list[tuple[timedelta]]:
        return [(until - clock.now(),) for (until,) in self.until.run(**which)]


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Say what was measured; it is printed when the run ends, whichever worker measured it."""
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
    """Give a browser that is logged in as the user."""

    def logged_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return logged_in


@pytest.fixture
def api_for(db: None) -> Callable[..., APIClient]:
    """Give an API client that carries a key of the user with these scopes."""

    def with_key(user: User, *scopes: str) -> APIClient:
        _, key = ApiKey.objects.create(user, scopes=list(scopes or ("read", "submit")))
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        return client

    return with_key


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[WireServer]:
    """A server of a user's own that is called by webhooks."""
    with WireServer() as server:
        monkeypatch.setattr(settings, "WEBHOOK_TRUSTED_ORIGINS", [server.url])
        yield server


@pytest.fixture
def process_environment(transactional_db: None) -> Mapping[str, str]:
    """The environment for processes of the product that are to see this test's database and files."""
    return {**os.environ, "DATABASE_URL": database.url(), "SECRET_KEY": settings.SECRET_KEY}
