"""One embedded server: started by its first user, stopped when its last user leaves."""

import fcntl
import hashlib
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO
from urllib.parse import quote

from genqueue_site.db.embedded import EmbeddedPostgresError, binaries, lockfiles
from genqueue_site.db.embedded.account import Account, account_for

PORT = 5432  # only part of the socket's name; the server does not listen on the network
SOCKET = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH = 100  # bytes; the kernels allow 103 (macOS) and 107 (Linux)
LOOK_AGAIN_SECONDS = 0.05
STOP_SECONDS = 30
BUILTIN_LOCALES_SINCE = 17
# not synchronous_commit=off: with it, a mere kill of the server loses the last commits, and without fsync it saves only 4%
FAST_OPTIONS = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Status:
    """Status of a server, read without starting it."""

    running: bool  # it accepts connections now
    process: int | None
    version: str  # major version that created the data; empty before the first start
    home: Path


class EmbeddedPostgres:
    """
    The server with its data in ``home``.

    With ``fast`` (for tests) its data survive a kill of the server but not a power cut. ``max_connections`` applies from the next
    start. Nothing is created before the first ``attach()`` or ``ensure()``. Forked processes share their parent's hold on the
    server.
    """

    def __init__(self, home: Path, *, fast: bool = False, max_connections: int = 100) -> None:
        self._asked_home = Path(home).resolve()
        self._fast = fast
        self._max_connections = max_connections
        self._hold: IO[str] | None = None

    # --- paths --------------------------------------------------------------------------------------------------

    @cached_property
    def account(self) -> Account:
        return account_for(self._asked_home / "data")

    @cached_property
    def home(self) -> Path:
        """Return the requested home, or a directory in /var/tmp if the server's user (when we are root) can't reach it."""
        asked = self._asked_home
        if self.account.is_us or (asked / "data").exists():
            return asked
        moved = binaries.SHARED / f"genqueue-{self._digest}"
        if (moved / "data").exists():  # once it is there it stays there, or its data would seem lost
            return moved
        asked.parent.mkdir(parents=True, exist_ok=True)
        return asked if self.account.can_execute(asked.parent) else moved

    @property
    def data(self) -> Path:
        return self.home / "data"

    @cached_property
    def socket_directory(self) -> Path:
        """Return the directory of the socket: in ``home``, or in /tmp if that path is too long or has a comma or quote."""
        beside = self.home / "s"
        if len(os.fsencode(beside / SOCKET)) <= LONGEST_SOCKET_PATH and not set(str(beside)) & set(',"'):
            return beside
        # not $TMPDIR: every process must get the same path
        return Path("/tmp") / f"gq-{self.account.uid}-{self._digest}"  # noqa: S108 - its owner is checked

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(os.fsencode(self._asked_home)).hexdigest()[:12]

    def bin_directory(self) -> Path:
        """
        Return the directory of ``psql``, ``pg_dump`` and the other programs.

        :raises EmbeddedPostgresError: this machine has no such programs.
        """
        return binaries.bin_directory(self.account)

    def url(self, database: str = "genqueue") -> str:
        """Return the URL of ``database`` for DATABASE_URL, psql and other libpq programs."""
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self.socket_directory))}"

    # --- status -------------------------------------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether the server accepts connections now. While it starts, recovers or stops it listens but refuses them."""
        if not lockfiles.says_ready(self.data):
            return False
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(2)
            try:
                caller.connect(str(self.socket_directory / SOCKET))
            except BlockingIOError:  # its backlog is full, so it listens
                return True
            except OSError:
                return False
        return True

    def status(self) -> Status:
        made_by = self.data / "PG_VERSION"
        version = made_by.read_text().strip() if made_by.exists() else ""
        return Status(running=self.alive(), process=lockfiles.postmaster(self.data), version=version, home=self.home)

    # --- start and stop -----------------------------------------------------------------------------------------

    def attach(self) -> None:
        """Register this process and its forks as users of the server until ``release()`` or until they end."""
        if self._hold is None:
            self.account.private_directory(self.home)
            hold = (self.home / "attached.lock").open("a")
            fcntl.flock(hold, fcntl.LOCK_SH)  # the kernel releases it when we end, even by SIGKILL
            self._hold = hold

    def stay_attached_through_exec(self) -> None:
        """Stay registered when this process executes another program."""
        self.attach()
        assert self._hold is not None
        os.set_inheritable(self._hold.fileno(), True)

    def ensure(self, *, timeout_seconds: float = 60) -> None:
        """
        Attach, and start the server unless it already accepts connections.

        :raises EmbeddedPostgresError: it does not start, or not in time.
        """
        self.attach()
        if self.alive():
            return
        with self._sole_starter():
            deadline = time.monotonic() + timeout_seconds
            while not self.alive():
                if time.monotonic() > deadline:
                    raise EmbeddedPostgresError(
                        f"The embedded PostgreSQL under {self.home} is not responding after {timeout_seconds:g}s. It may still "
                        f"be recovering: see {self.home / 'server.log'}. To stop it, run `manage.py db_embedded stop`."
                    )
                if lockfiles.postmaster(self.data):  # another process is starting or stopping it
                    time.sleep(LOOK_AGAIN_SECONDS)
                else:
                    self._start(deadline)

    def stop(self) -> bool:
        """
        Stop the server, even if it is in use. The next ``ensure()`` starts it again.

        :return: False if it was not running.
        :raises EmbeddedPostgresError: it is still running after 30 seconds.
        """
        if not self.data.exists():
            return False
        with self._sole_starter():
            if lockfiles.postmaster(self.data) is None:  # pg_ctl would signal any process with that pid
                return False
            done = self._pg_ctl("-m", "fast", "-w", "-t", str(STOP_SECONDS), "stop")
            if done.returncode:
                raise EmbeddedPostgresError(f"The embedded PostgreSQL under {self.home} does not stop: {done.stdout.strip()}")
            return True

    def release(self) -> bool:
        """Unregister this process, and stop the server if it was the last user. Return whether this stopped the server."""
        if self._hold is None:
            return False
        # a forked child shares our lock, so converting it would always succeed: release it and take a new one
        self._hold.close()
        self._hold = None
        with (self.home / "attached.lock").open("a") as door:
            try:
                fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return self.stop()  # new users wait for this lock until then

    @contextmanager
    def _sole_starter(self) -> Iterator[None]:
        with (self.home / "start.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _start(self, deadline: float) -> None:
        programs = self.bin_directory()
        version = binaries.major_version(programs, self.account)
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster(programs, version)
        self._check_version(version)
        self.account.private_directory(self.socket_directory)
        for lock in (self.data / "postmaster.pid", self.socket_directory / f"{SOCKET}.lock"):
            lockfiles.defuse(lock, self.data)
        log = self.home / "server.log"
        old_size = log.stat().st_size if log.exists() else 0
        seconds = max(1, round(deadline - time.monotonic()))
        done = self._pg_ctl("-w", "-t", str(seconds), "-l", str(log), "-o", self._options(), "start", programs=programs)
        if done.returncode == 0 or lockfiles.postmaster(self.data):
            return
        output = log.read_bytes()[old_size:].decode(errors="replace") if log.exists() else ""
        if "shared memory block" in output:  # backends of a killed server are still finishing
            time.sleep(LOOK_AGAIN_SECONDS)
            return
        raise EmbeddedPostgresError(f"The embedded PostgreSQL under {self.home} does not start.\n{done.stdout}{output[-2000:]}")

    def _create_cluster(self, programs: Path, version: int) -> None:
        """Create the data directory. It gets its final name last, so that an unfinished one is never used."""
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedPostgresError(f"{self.data} holds files but no PostgreSQL cluster. Move it away, or set DATABASE_URL.")
        unfinished = self.home / "init.tmp"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self.account.private_directory(unfinished)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"]
        if version >= BUILTIN_LOCALES_SINCE:  # plain C sorts the same, but does not match É and é in searches that ignore case
            options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        if self._fast:
            options.append("--no-sync")
        done = self.account.run(programs / "initdb", "-D", unfinished, *options)
        if done.returncode:
            raise EmbeddedPostgresError(f"The embedded PostgreSQL can't create its data directory {unfinished}.\n{done.stdout}")
        unfinished.rename(self.data)

    def _check_version(self, version: int) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != str(version):
            raise EmbeddedPostgresError(
                f"{self.data} was created by PostgreSQL {made_by}, but this is PostgreSQL {version}. Dump it with "
                f"version {made_by} and load it into a new one, move {self.home} away to start fresh, or set DATABASE_URL."
            )

    def _options(self) -> str:
        options = {
            "listen_addresses": "",
            "port": str(PORT),
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
            "max_connections": str(self._max_connections),
            "shared_buffers": "64MB",
            "logging_collector": "off",
            "log_checkpoints": "off",
            "timezone": "UTC",
        }
        if self._fast:
            options |= FAST_OPTIONS
        return " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())

    def _pg_ctl(self, *arguments: str, programs: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.account.run((programs or self.bin_directory()) / "pg_ctl", "-D", self.data, *arguments)


_servers: dict[Path, EmbeddedPostgres] = {}


def embedded(home: Path, *, fast: bool = False, max_connections: int = 100) -> EmbeddedPostgres:
    """Return this process's single handle of the server in ``home``; the options of the first call apply."""
    return _servers.setdefault(Path(home).resolve(), EmbeddedPostgres(home, fast=fast, max_connections=max_connections))
