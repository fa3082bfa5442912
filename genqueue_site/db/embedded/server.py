"""The life of one embedded server: started by whoever comes first, stopped by the last one out."""

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

PORT = 5432  # names the socket's file; nothing listens on the network
SOCKET = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH = 100  # bytes; the kernels allow 103 (macOS) and 107 (Linux)
LOOK_AGAIN_SECONDS = 0.05
STOP_SECONDS = 30
BUILTIN_LOCALES_SINCE = 17
# not synchronous_commit=off: it loses the last commits to a mere kill of the server, and gains 4 % once fsync is off
FAST_OPTIONS = {"fsync": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Status:
    """What is known of a server without starting it."""

    running: bool  # it would answer a connection now
    process: int | None
    version: str  # major version that made the data; empty before the first start
    home: Path


class EmbeddedPostgres:
    """
    The server whose data live under ``home``.

    ``fast`` survives a kill of the server but no power cut (tests); ``max_connections`` counts from the next start.
    Nothing is touched before the first ``attach()`` or ``ensure()``. Forked processes keep their parent's hold on the server.
    """

    def __init__(self, home: Path, *, fast: bool = False, max_connections: int = 100) -> None:
        self._asked_home = Path(home).resolve()
        self._fast = fast
        self._max_connections = max_connections
        self._hold: IO[str] | None = None

    # --- where things are ---------------------------------------------------------------------------------------

    @cached_property
    def account(self) -> Account:
        return account_for(self._asked_home / "data")

    @cached_property
    def home(self) -> Path:
        """The home asked for; a directory under /var/tmp where the account that root hands the server to cannot reach it."""
        asked = self._asked_home
        if self.account.is_us or (asked / "data").exists():
            return asked
        moved = binaries.SHARED / f"genqueue-{self._digest}"
        if (moved / "data").exists():  # once moved it stays there, or its rows would seem lost
            return moved
        asked.parent.mkdir(parents=True, exist_ok=True)
        return asked if self.account.can_execute(asked.parent) else moved

    @property
    def data(self) -> Path:
        return self.home / "data"

    @cached_property
    def socket_directory(self) -> Path:
        """Where the server listens: under ``home``, else under /tmp where that path is too long, or has a list's comma."""
        beside = self.home / "s"
        if len(os.fsencode(beside / SOCKET)) <= LONGEST_SOCKET_PATH and not set(str(beside)) & set(',"'):
            return beside
        # not $TMPDIR: every process must come to the same answer
        return Path("/tmp") / f"gq-{self.account.uid}-{self._digest}"  # noqa: S108 - its owner is checked

    @cached_property
    def _digest(self) -> str:
        return hashlib.sha256(os.fsencode(self._asked_home)).hexdigest()[:12]

    def bin_directory(self) -> Path:
        """
        Find ``psql``, ``pg_dump`` and the rest.

        :raises EmbeddedPostgresError: this machine has none.
        """
        return binaries.bin_directory(self.account)

    def url(self, database: str = "genqueue") -> str:
        """Write the address of ``database``, good for DATABASE_URL, psql and any libpq program."""
        return f"postgresql://postgres@/{quote(database)}?host={quote(str(self.socket_directory))}"

    # --- what goes on -------------------------------------------------------------------------------------------

    def alive(self) -> bool:
        """Whether a connection would be answered now. A server that starts, recovers or stops takes calls to refuse them."""
        if not lockfiles.says_ready(self.data):
            return False
        with socket.socket(socket.AF_UNIX) as caller:
            caller.settimeout(2)
            try:
                caller.connect(str(self.socket_directory / SOCKET))
            except BlockingIOError:  # its queue of callers is full, so somebody listens
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
        """Count this process, and those it forks, among the server's users until ``release()`` or their end."""
        if self._hold is None:
            self.account.private_directory(self.home)
            hold = (self.home / "attached.lock").open("a")
            fcntl.flock(hold, fcntl.LOCK_SH)  # the kernel drops it for us, even on SIGKILL
            self._hold = hold

    def stay_attached_through_exec(self) -> None:
        """Keep the hold when this process becomes another program."""
        self.attach()
        assert self._hold is not None
        os.set_inheritable(self._hold.fileno(), True)

    def ensure(self, *, timeout_seconds: float = 60) -> None:
        """
        Attach, and start the server unless it answers already.

        :raises EmbeddedPostgresError: it does not come up in time, or not at all.
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
                if lockfiles.postmaster(self.data):  # on its way up or down by another's hand
                    time.sleep(LOOK_AGAIN_SECONDS)
                else:
                    self._start(deadline)

    def stop(self) -> bool:
        """
        Stop the server, whoever uses it; the next ``ensure()`` of any of them starts it again.

        :return: False when none was running.
        :raises EmbeddedPostgresError: it goes on after 30 s.
        """
        if not self.data.exists():
            return False
        with self._sole_starter():
            if lockfiles.postmaster(self.data) is None:  # pg_ctl would signal whoever has that number now
                return False
            done = self._pg_ctl("-m", "fast", "-w", "-t", str(STOP_SECONDS), "stop")
            if done.returncode:
                raise EmbeddedPostgresError(f"The embedded PostgreSQL under {self.home} does not stop: {done.stdout.strip()}")
            return True

    def release(self) -> bool:
        """Give up this process's hold; the last one out stops the server, and only then is the answer True."""
        if self._hold is None:
            return False
        # a forked child shares our lock, so converting it would ask nobody: let go of it and knock anew
        self._hold.close()
        self._hold = None
        with (self.home / "attached.lock").open("a") as door:
            try:
                fcntl.flock(door, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return self.stop()  # newcomers wait at the door meanwhile

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
        said_before = log.stat().st_size if log.exists() else 0
        seconds = max(1, round(deadline - time.monotonic()))
        done = self._pg_ctl("-w", "-t", str(seconds), "-l", str(log), "-o", self._options(), "start", programs=programs)
        if done.returncode == 0 or lockfiles.postmaster(self.data):
            return
        said = log.read_bytes()[said_before:].decode(errors="replace") if log.exists() else ""
        if "shared memory block" in said:  # backends of a killed server still finish what they were at
            time.sleep(LOOK_AGAIN_SECONDS)
            return
        raise EmbeddedPostgresError(f"The embedded PostgreSQL under {self.home} does not start.\n{done.stdout}{said[-2000:]}")

    def _create_cluster(self, programs: Path, version: int) -> None:
        """Make the data directory; half of one never counts, since it gets its name last."""
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedPostgresError(f"{self.data} holds files but no PostgreSQL cluster. Move it away, or set DATABASE_URL.")
        unfinished = self.home / "init.tmp"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self.account.private_directory(unfinished)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions"]
        if version >= BUILTIN_LOCALES_SINCE:  # plain C sorts alike but leaves É and é two letters to every search
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
    """Give this process's one handle of the server under ``home``; the first caller's choices count."""
    return _servers.setdefault(Path(home).resolve(), EmbeddedPostgres(home, fast=fast, max_connections=max_connections))
