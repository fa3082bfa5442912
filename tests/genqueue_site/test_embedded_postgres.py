"""The embedded server and its engine, with real processes. Each server has its own home."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from genqueue_site import checks
from genqueue_site.db.embedded import EmbeddedPostgresError, lockfiles
from genqueue_site.db.embedded.account import Account
from genqueue_site.db.embedded.server import SOCKET, EmbeddedPostgres

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.processes
IS_ROOT = os.geteuid() == 0

# programs for other processes; their first argument is the home
ATTACH = """
import sys
from pathlib import Path
from genqueue_site.db.embedded.server import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), fast=True)
server.ensure()
print(server.status().process, flush=True)
"""
ATTACH_AND_LIVE_ON = ATTACH + "sys.stdin.read()"
DJANGO = """
import sys
from pathlib import Path
import django
from django.conf import settings
from django.core.management import CommandError, call_command, execute_from_command_line
served = {"ENGINE": "genqueue_site.db.embedded", "NAME": "genqueue", "USER": "postgres", "HOME": Path(sys.argv[1]), "FAST": True}
settings.configure(DATABASES={"default": served}, INSTALLED_APPS=["genqueue_site.apps.SiteConfig"], USE_TZ=True)
django.setup()
from django.db import connection
from genqueue_site.db.embedded.base import server_for
"""
COMMAND = DJANGO + "execute_from_command_line(['manage.py', 'db_embedded', *sys.argv[2:]])"


@pytest.fixture
def home() -> Iterator[Path]:
    # not tmp_path: only its owner may enter its parent directory, and root's server runs as another user
    path = Path(tempfile.mkdtemp(prefix="gq-test-")).resolve()
    yield path
    EmbeddedPostgres(path).stop()
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def new_cluster() -> Iterator[Path]:
    """The home of a server that has run before, shared because creating one takes longer than most of these tests."""
    path = Path(tempfile.mkdtemp(prefix="gq-test-")).resolve()
    server = EmbeddedPostgres(path, fast=True)
    server.ensure()
    server.release()
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def cluster(new_cluster: Path) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="gq-test-")).resolve()
    subprocess.run(["cp", "-a", f"{new_cluster}/.", str(path)], check=True)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def server(cluster: Path) -> Iterator[EmbeddedPostgres]:
    """A stopped server, whose data persist between tests."""
    server = EmbeddedPostgres(cluster, fast=True)
    yield server
    server.release()
    server.stop()


@pytest.fixture
def copy(new_cluster: Path, home: Path) -> EmbeddedPostgres:
    """A stopped, empty server that a test may damage."""
    subprocess.run(["cp", "-a", f"{new_cluster}/.", str(home)], check=True)
    return EmbeddedPostgres(home, fast=True)


def python(program: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # two dozen of them import Django: with cached bytecode each is a second faster
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
    )


def said(process: subprocess.Popen[str], *, status: int = 0) -> str:
    output, errors = process.communicate(timeout=30)
    assert process.returncode == status, errors
    return output.strip() if status == 0 else errors.strip()


def ask(server: EmbeddedPostgres, query: str, database: str = "postgres") -> list[tuple[object, ...]]:
    with closing(psycopg2.connect(server.url(database))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(query)
        return cursor.fetchall() if cursor.description else []


def kill_server(server: EmbeddedPostgres) -> None:
    process = server.status().process
    assert process
    os.kill(process, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while server.alive() and time.monotonic() < deadline:
        time.sleep(0.01)


class TestTheFirstStart:
    def test_an_empty_directory_becomes_a_server_that_answers(self, home: Path) -> None:
        server = EmbeddedPostgres(home, fast=True, max_connections=17)

        server.ensure()

        assert ask(server, "SELECT current_setting('max_connections'), current_setting('listen_addresses')") == [("17", "")]
        assert ask(server, "SELECT lower('É')") == [("é",)]
        assert (home / "data").stat().st_mode & 0o777 == 0o700
        assert server.release()

    def test_making_a_handle_touches_nothing(self, home: Path) -> None:
        server = EmbeddedPostgres(home / "var" / "pg18")

        assert not server.alive()
        assert not server.stop()
        assert not server.status().running
        assert not (home / "var" / "pg18").exists()

    def test_eight_processes_at_once_start_one_server_and_half_a_cluster_does_not_count(self, home: Path) -> None:
        (home / "init.tmp").mkdir()
        (home / "init.tmp" / "PG_VERSION").write_text("18\n")
        racers = [python(ATTACH_AND_LIVE_ON, home) for _ in range(8)]
        servers = {racer.stdout.readline().strip() for racer in racers if racer.stdout}
        for racer in racers:
            said(racer)

        assert servers == {str(EmbeddedPostgres(home).status().process)}

    def test_a_long_home_gets_its_socket_elsewhere(self, home: Path) -> None:
        server = EmbeddedPostgres(home / ("d" * 90))

        assert len(str(server.socket_directory / SOCKET)) < 100
        assert server.socket_directory == EmbeddedPostgres(home / ("d" * 90)).socket_directory


class TestJoining:
    def test_a_second_process_joins_the_running_server(self, server: EmbeddedPostgres) -> None:
        server.ensure()

        assert said(python(ATTACH, server.home)) == str(server.status().process)

    def test_the_last_one_out_stops_the_server(self, server: EmbeddedPostgres) -> None:
        other = python(ATTACH_AND_LIVE_ON, server.home)
        assert other.stdout and other.stdout.readline()
        server.ensure()

        assert not server.release()
        assert server.alive()

        server.ensure()
        said(other)
        assert server.release()
        assert not server.alive()

    def test_a_holder_that_was_killed_does_not_keep_it(self, server: EmbeddedPostgres) -> None:
        other = python(ATTACH_AND_LIVE_ON, server.home)
        assert other.stdout and other.stdout.readline()
        server.ensure()

        other.kill()
        other.communicate()

        assert server.release()
        assert not server.alive()

    def test_a_forked_child_keeps_it(self, server: EmbeddedPostgres) -> None:
        server.ensure()
        forked = python(ATTACH + "import os\nif os.fork(): os._exit(0)\nsys.stdin.read()", server.home)
        assert forked.stdout and forked.stdout.readline()
        forked.wait(timeout=10)

        assert not server.release()

        server.ensure()
        forked.communicate()
        deadline = time.monotonic() + 30
        while not server.release() and time.monotonic() < deadline:
            server.attach()
        assert not server.alive()


class TestAfterACrash:
    @pytest.mark.parametrize("fast", [False, True])
    def test_every_committed_row_is_there_again(self, server: EmbeddedPostgres, fast: bool) -> None:
        server = EmbeddedPostgres(server.home, fast=fast)
        server.ensure()
        ask(server, f"CREATE TABLE kept_{fast} AS SELECT generate_series(1, 2000) AS number")
        first = server.status().process

        with closing(psycopg2.connect(server.url("postgres"))):
            kill_server(server)
            server.ensure()

        assert server.status().process != first
        assert ask(server, f"SELECT count(*) FROM kept_{fast}") == [(2000,)]
        assert server.release()

    def test_a_backend_that_outlives_its_server_is_waited_for(self, server: EmbeddedPostgres) -> None:
        server.ensure()
        busy = subprocess.Popen(
            [server.bin_directory() / "psql", server.url("postgres"), "-c", "SELECT sum(n) FROM generate_series(1, 4000000) n"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while ask(server, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT sum%'") == [(0,)]:
            time.sleep(0.01)
        kill_server(server)

        server.ensure()

        assert ask(server, "SELECT 1") == [(1,)]
        assert "shared memory block" in (server.home / "server.log").read_text()
        busy.wait(timeout=10)

    def test_lock_files_that_name_a_living_stranger_do_not_stop_it(self, server: EmbeddedPostgres) -> None:
        server.ensure()
        pid_file, socket_lock = server.data / "postmaster.pid", server.socket_directory / f"{SOCKET}.lock"
        left = {file: file.read_text().split("\n", 1)[1] for file in (pid_file, socket_lock)}
        kill_server(server)
        # run as the server's user: PostgreSQL ignores processes of other users on its own
        owner = None if server.account.is_us else server.account.uid
        stranger = subprocess.Popen(["sleep", "60"], user=owner)
        try:
            for file, rest in left.items():
                file.write_text(f"{stranger.pid}\n{rest}")

            assert server.status().process is None
            assert not server.stop()
            server.ensure()

            assert ask(server, "SELECT 1") == [(1,)]
            assert stranger.poll() is None
        finally:
            stranger.kill()
            stranger.wait()

    def test_a_live_servers_lock_is_left_alone(self, server: EmbeddedPostgres) -> None:
        server.ensure()
        before = (server.data / "postmaster.pid").read_text()

        lockfiles.defuse(server.data / "postmaster.pid", server.data)

        assert (server.data / "postmaster.pid").read_text() == before

    @pytest.mark.skipif(shutil.which("ps") is None, reason="slim machine; it has /proc")
    def test_without_proc_ps_is_asked(self, server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        server.ensure()
        process = server.status().process

        monkeypatch.setattr(lockfiles, "PROC", tmp_path)

        assert process
        assert server.status().process == process
        assert lockfiles.postmaster(server.home) is None

    def test_a_server_that_does_not_take_connections_yet_is_waited_for(self, server: EmbeddedPostgres) -> None:
        server.ensure()
        pid_file = server.data / "postmaster.pid"
        ready = pid_file.read_text()
        pid_file.write_text(ready.replace("ready", "starting"))

        with pytest.raises(EmbeddedPostgresError, match=r"is not responding after 0\.2s"):
            server.ensure(timeout_seconds=0.2)

        pid_file.write_text(ready)
        server.ensure()


class TestRefusals:
    def test_data_of_another_version_are_left_alone_and_explained(self, copy: EmbeddedPostgres) -> None:
        (copy.data / "PG_VERSION").write_text("15\n")

        with pytest.raises(EmbeddedPostgresError, match=r"created by PostgreSQL 15, but this is PostgreSQL 1\d"):
            copy.ensure()

    def test_a_directory_with_other_files_is_left_alone(self, home: Path) -> None:
        (home / "data").mkdir()
        (home / "data" / "thesis.txt").write_text("precious")

        with pytest.raises(EmbeddedPostgresError, match="holds files but no PostgreSQL cluster"):
            EmbeddedPostgres(home).ensure()

        assert (home / "data" / "thesis.txt").read_text() == "precious"

    def test_a_start_that_fails_shows_the_servers_own_words(self, copy: EmbeddedPostgres) -> None:
        with (copy.data / "postgresql.conf").open("a") as conf:
            conf.write("no_such_option = 1\n")

        with pytest.raises(EmbeddedPostgresError, match="no_such_option"):
            copy.ensure()

    @pytest.mark.skipif(not IS_ROOT, reason="only root can own what others may not")
    def test_a_planted_directory_of_somebody_else_is_refused(self, home: Path) -> None:
        os.chown(home, 12345, 12345)

        with pytest.raises(EmbeddedPostgresError, match="belongs to user number 12345"):
            Account(os.geteuid(), os.getegid()).private_directory(home)


@pytest.mark.skipif(not IS_ROOT, reason="what root does")
class TestAsRoot:
    def test_the_server_runs_as_an_account_without_rights(self, server: EmbeddedPostgres) -> None:
        server.ensure()

        assert server.data.stat().st_uid == server.account.uid != 0

    def test_a_home_in_a_private_directory_moves_and_the_directory_stays_private(self, home: Path) -> None:
        private = home / "private"
        private.mkdir(mode=0o700)
        server = EmbeddedPostgres(private / "pg18", fast=True)
        try:
            server.ensure()

            assert server.home.parent == Path("/var/tmp")
            assert private.stat().st_mode & 0o777 == 0o700
            private.chmod(0o755)
            assert EmbeddedPostgres(private / "pg18").home == server.home
            assert server.release()
        finally:
            shutil.rmtree(server.home)

    def test_programs_in_a_private_directory_are_copied(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from genqueue_site.db.embedded import binaries

        wheel = binaries._wheel()
        if wheel is None:
            pytest.skip("the server here is the system's")
        private, shared = home / "private", home / "shared"
        private.mkdir(mode=0o700)
        shared.mkdir(mode=0o755)
        home.chmod(0o755)
        for part in binaries.PARTS:
            if (wheel / part).exists():
                shutil.copytree(wheel / part, private / part, symlinks=True)
        monkeypatch.setattr(binaries, "_wheel", lambda: private)
        monkeypatch.setattr(binaries, "SHARED", shared)
        account = EmbeddedPostgres(home).account

        found = binaries.bin_directory(account)

        assert found.is_relative_to(shared)
        assert binaries.major_version(found, account) >= 16
        assert account.run(found / "psql", "--version").returncode == 0
        assert binaries.bin_directory(account) == found
        assert len(list(shared.iterdir())) == 1


class TestTheEngine:
    def test_the_first_connection_starts_the_server_and_makes_the_database(self, copy: EmbeddedPostgres) -> None:
        program = DJANGO + "c = connection.cursor(); c.execute('SELECT current_database()'); print(c.fetchone()[0])"

        racers = [python(program, copy.home) for _ in range(3)]

        assert [said(racer) for racer in racers] == ["genqueue"] * 3

    def test_a_server_that_died_under_a_connection_is_back_at_the_next_one(self, server: EmbeddedPostgres) -> None:
        program = """
import os, signal
connection.ensure_connection()
os.kill(server_for(connection.settings_dict).status().process, signal.SIGKILL)
connection.close()
cursor = connection.cursor()
cursor.execute("SELECT 'back'")
print(cursor.fetchone()[0])
"""
        assert said(python(DJANGO + program, server.home)) == "back"

    def test_its_parameters_serve_connections_beside_djangos(self, server: EmbeddedPostgres) -> None:
        program = """
import psycopg2
connection.ensure_connection()
print(psycopg2.connect(**connection.get_connection_params()).info.dbname)
"""
        assert said(python(DJANGO + program, server.home)) == "genqueue"

    def test_a_server_that_cannot_be_had_is_an_operational_error(self, home: Path) -> None:
        (home / "data").mkdir()
        (home / "data" / "PG_VERSION").write_text("9.6\n")
        program = """
try:
    connection.ensure_connection()
except django.db.OperationalError as error:
    print(error)
"""
        assert "was created by PostgreSQL 9.6" in said(python(DJANGO + program, home))

    def test_the_test_runner_makes_and_drops_its_database(self, server: EmbeddedPostgres) -> None:
        program = """
from django.test.utils import get_runner
name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
connection.ensure_connection()
connection.creation.destroy_test_db("genqueue", verbosity=0)
print(name)
"""
        assert said(python(DJANGO + program, server.home)) == "test_genqueue"
        server.ensure()
        assert ("test_genqueue",) not in ask(server, "SELECT datname FROM pg_database")


class TestTheCommand:
    def test_start_status_url_and_stop(self, server: EmbeddedPostgres) -> None:
        program = "for action in ['status', 'start', 'status', 'url', 'stop', 'stop']: call_command('db_embedded', action)"

        stopped, started, running, url, *ends = said(python(DJANGO + program, server.home)).splitlines()

        assert stopped.startswith("Stopped: data of PostgreSQL 1")
        assert started == running
        assert running.startswith("Running: PostgreSQL 1")
        assert url == f"postgresql://postgres@/genqueue?host={server.home}/s"
        assert ends == ["Stopped.", "Not running."]
        assert not server.alive()

    def test_start_leaves_the_server_running(self, server: EmbeddedPostgres) -> None:
        said(python(COMMAND, server.home, "start"))

        assert server.alive()
        server.attach()

    def test_psql_and_dump(self, server: EmbeddedPostgres, tmp_path: Path) -> None:
        server.ensure()
        made = said(
            python(COMMAND, server.home, "psql", "-qAt", "-c", "CREATE TABLE kept AS SELECT 7 AS number", "-c", "TABLE kept")
        )
        dumps = python(
            DJANGO + "call_command('db_embedded', 'dump'); call_command('db_embedded', 'dump', output=Path(sys.argv[2]))",
            server.home,
            tmp_path / "dump.sql",
        )

        assert made == "7"
        assert "CREATE TABLE public.kept" in said(dumps)
        assert "CREATE TABLE public.kept" in (tmp_path / "dump.sql").read_text()

    def test_setting_up_django_and_asking_for_the_status_start_nothing(self, home: Path) -> None:
        assert said(python(COMMAND, home, "status")) == f"Stopped: no data yet under {home}."
        assert list(home.iterdir()) == []


class TestADatabaseUrl:
    def test_is_used_as_it_is(self, server: EmbeddedPostgres, home: Path) -> None:
        server.ensure()
        program = """
from django.conf import settings
from django.db import connection
cursor = connection.cursor()
cursor.execute("SELECT current_database()")
print(cursor.fetchone()[0], connection.settings_dict["ENGINE"])
"""
        environment = {"DATABASE_URL": server.url("postgres"), "GENQUEUE_VAR": str(home / "var")}

        answer = said(python(program, DJANGO_SETTINGS_MODULE="genqueue_site.settings", **environment))

        assert answer == "postgres django.db.backends.postgresql"
        assert not (home / "var" / "pg18").exists()

    def test_leaves_the_command_nothing_to_do(self, home: Path) -> None:
        program = """
for action in ["start", "stop", "status", "url", "psql", "dump"]:
    try:
        call_command("db_embedded", action)
    except CommandError as refusal:
        print(refusal.returncode, refusal)
"""
        stock = DJANGO.replace('"genqueue_site.db.embedded"', '"django.db.backends.postgresql"', 1)

        refusals = said(python(stock + program, home)).splitlines()

        assert refusals == ["1 DATABASE_URL is set, so there is no embedded server. Unset DATABASE_URL to use one."] * 6
        assert list(home.iterdir()) == []


class TestTheDriver:
    def test_psycopg_3_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert checks.psycopg_3_is_absent(None) == []

        monkeypatch.setattr(checks, "find_spec", lambda _: object())

        [refusal] = checks.psycopg_3_is_absent(None)
        assert refusal.id == "genqueue.E001"
        assert refusal.hint
