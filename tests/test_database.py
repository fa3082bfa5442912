"""What counts as a lost connection, on a server of its own whose sessions are ended in every way, and what is done after it."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import Error, IntegrityError, OperationalError, connection, connections, transaction

from genqueue_site.db.embedded.base import DatabaseWrapper
from genqueue_site.db.embedded.server import EmbeddedPostgres, embedded
from queue_app import clock, database
from queue_app.runtime import processes
from tests.cuts import end_backend
from tests.processes import wait_for


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    home = Path(tempfile.mkdtemp(prefix="gq-cuts-"))  # not in pytest's directories, which only their owner may enter
    server = embedded(home, fast=True)
    server.ensure()
    yield server
    server.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(autouse=True)
def own_connection(server: EmbeddedPostgres, django_db_blocker: Any) -> Iterator[None]:
    """Point Django's connection to that server."""
    settings = {**connections["default"].settings_dict, "NAME": "postgres", "HOME": server.home, "FAST": True}
    settings["ENGINE"] = "genqueue_site.db.embedded"
    with django_db_blocker.unblock():
        before, connections["default"] = connections["default"], DatabaseWrapper(settings, "default")
        database.again(ask)  # the previous test may have crashed it
        yield
        connection.close()
        connections["default"] = before


def ask(sql: str = "SELECT 1") -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


def crash_another(server: EmbeddedPostgres) -> None:
    """
    Kill a session's process, upon which the server ends all others, because their shared memory may be damaged. The driver raises
    a plain `DatabaseError` if it still reads the server's last message, otherwise an `OperationalError`.
    """
    mine = connection.connection.info.backend_pid
    other = connection.get_new_connection(connection.get_connection_params())
    os.kill(other.info.backend_pid, signal.SIGKILL)
    wait_for(lambda: processes.look(mine) is None, of="the end of our session")
    other.close()


def terminate(server: EmbeddedPostgres) -> None:
    end_backend(connection.connection)


def stop(server: EmbeddedPostgres) -> None:
    server.stop()


def when_idle(cut: Callable[[], None]) -> None:
    ask()
    cut()
    ask()


def in_a_transaction(cut: Callable[[], None]) -> None:
    with transaction.atomic():
        ask()
        cut()
        ask()


def at_the_commit(cut: Callable[[], None]) -> None:
    with transaction.atomic():
        ask("SELECT pg_current_xact_id()")
        cut()


def raised_by(what: Callable[[], object]) -> Error:
    with pytest.raises(Error) as raised:
        what()
    return raised.value


class TestAConnectionThatIsGone:
    @pytest.mark.parametrize("when", [when_idle, in_a_transaction, at_the_commit])
    @pytest.mark.parametrize("how", [terminate, stop, crash_another])
    def test_is_known_however_it_went(
        self, server: EmbeddedPostgres, how: Callable[[EmbeddedPostgres], None], when: Callable[[Callable[[], None]], None]
    ) -> None:
        error = raised_by(lambda: when(lambda: how(server)))
        assert database.is_gone(error) and database.may_pass(error)

    def test_that_cannot_be_had_is_gone_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "USER", "nobody")
        assert database.is_gone(raised_by(ask))

    def test_is_known_to_another_thread(self, server: EmbeddedPostgres) -> None:
        """In the thread in which a web server prepares its answer."""
        error = raised_by(lambda: when_idle(lambda: terminate(server)))
        told: list[bool] = []
        thread = threading.Thread(target=lambda: told.append(database.is_gone(error)))
        thread.start()
        thread.join()
        assert told == [True]


class TestAConnectionThatIsThere:
    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT 1/0",
            "SELECT nonsense",
            "SET statement_timeout = '10ms'; SELECT pg_sleep(5)",
            "SELECT pg_cancel_backend(pg_backend_pid())",
        ],
    )
    def test_is_told_from_a_statement_that_failed(self, sql: str) -> None:
        assert not database.is_gone(raised_by(lambda: ask(sql)))

    def test_is_there_in_a_transaction_that_failed(self) -> None:
        with transaction.atomic():
            for _ in range(2):  # the second time: the transaction is aborted
                assert not database.is_gone(raised_by(lambda: ask("SELECT 1/0")))
            transaction.set_rollback(True)

    def test_says_no_at_a_commit(self) -> None:
        ask("CREATE TABLE IF NOT EXISTS once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")

        def twice() -> None:
            with transaction.atomic():
                ask("INSERT INTO once VALUES (1), (1)")

        error = raised_by(twice)
        assert isinstance(error, IntegrityError) and not database.may_pass(error)

    def test_is_waited_for_no_longer_than_told(self) -> None:
        ask("CREATE TABLE IF NOT EXISTS held (id int)")
        other = connection.get_new_connection(connection.get_connection_params())
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE held")
        with database.in_haste(lock_seconds=0.05, statement_seconds=5):
            error = raised_by(lambda: ask("SELECT * FROM held"))
        other.close()
        assert database.has_waited_in_vain(error) and not database.is_gone(error)
        assert ask("SHOW lock_timeout") == ("0",)


class TestAgain:
    def test_does_it_over_a_new_connection_and_asks_the_rows_what_it_came_to(self, server: EmbeddedPostgres) -> None:
        done: list[str] = []

        def do() -> str:
            done.append("done")
            if len(done) < 4:
                ask()
                terminate(server)
            ask()
            return "told"

        assert database.again(do, look=lambda: "found") == "found"
        assert len(done) == 4

    def test_believes_what_it_is_told_at_once(self) -> None:
        assert database.again(lambda: "told", look=lambda: "found") == "told"

    def test_does_it_once_more_at_least_and_then_no_longer_than_told(self, server: EmbeddedPostgres) -> None:
        done: list[str] = []

        def never() -> None:
            done.append("done")
            ask()
            terminate(server)
            ask()

        with pytest.raises(OperationalError):
            database.again(never, seconds=0)
        assert len(done) == 2

    def test_does_no_fault_again(self) -> None:
        done: list[str] = []

        def fault() -> None:
            done.append("done")
            ask("SELECT 1/0")

        with pytest.raises(Error):
            database.again(fault)
        assert len(done) == 1

    def test_does_nothing_again_inside_a_transaction(self, server: EmbeddedPostgres) -> None:
        done: list[str] = []

        def cut() -> None:
            done.append("done")
            terminate(server)
            ask()

        with pytest.raises(OperationalError), transaction.atomic():
            ask()
            database.again(cut)
        assert len(done) == 1

    def test_lets_the_clock_outlive_a_cut(self, server: EmbeddedPostgres) -> None:
        first = clock.now()
        terminate(server)
        assert clock.now() > first
