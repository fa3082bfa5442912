"""
A separate installation of real processes with its own home, database server and ports.

``Site`` starts and kills the product's programs as an operator or a power cut would. Inside ``with site.orm():`` Django's models
use the site's database.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.db import connections

from genqueue_site.db.embedded.base import DatabaseWrapper
from genqueue_site.db.embedded.server import EmbeddedPostgres, embedded
from queue_app.models import WorkerProcess
from queue_app.runtime import processes
from queue_app.runtime.queues import Queue
from tests import database
from tests.genqueue_site.studio.process import StudioProcess

CHECKOUT = Path(__file__).resolve().parents[1]
MOST_KEPT = 2  # prepared databases of earlier sources: a run that began before a change may still copy one
PREPARE = """
import django; django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0); call_command("seed_catalogue", verbosity=0)
"""


def wait_for(what: Callable[[], Any], *, seconds: float = 60, of: str = "") -> Any:
    """Call ``what`` until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"{of or what} did not come true in {seconds} s"
        time.sleep(0.05)
    return found


def free_port() -> int:
    """Return a port below the kernel's ephemeral range, so that no other program gets it before the intended one."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as asked, suppress(OSError):
            asked.bind(("127.0.0.1", port))
            return port


class Program:
    """A program of the product in its own session; its output goes to a file."""

    def __init__(self, name: str, command: Sequence[str], *, env: dict[str, str], log: Path) -> None:
        self.name, self._command, self._env, self.log = name, list(command), env, log
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def start(self) -> None:
        """Start or restart it."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=CHECKOUT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill only its main process, as `kill -9` would."""
        self._process.kill()
        self._process.wait()

    def stop(self, *, seconds: float = 90, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Send SIGTERM or another signal; return the exit status and the seconds until its end."""
        began = time.monotonic()
        self._process.send_signal(number)
        return self._process.wait(seconds), time.monotonic() - began

    def wait(self, *, seconds: float) -> int:
        """Wait until it ends on its own; return the exit status."""
        return self._process.wait(seconds)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def children(self) -> list[int]:
        """Return the living child processes."""
        seen = (processes.look(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return sorted(process.pid for process in seen if process and process.parent == self.pid)


@cache
def prepared() -> Path:
    """Return the home of a stopped database with the catalogue, made once for each state of the sources and only copied."""
    homes = settings.VAR / "prepared"
    homes.mkdir(parents=True, exist_ok=True)
    home: Path = homes / database.sources()
    with database.alone(settings.VAR / "prepared.lock"):
        if not home.exists():
            for old in sorted(homes.iterdir(), key=lambda found: found.stat().st_mtime)[:-MOST_KEPT]:
                shutil.rmtree(old)
            unfinished = homes / "unfinished"
            with closing(Site()) as made:
                subprocess.run([sys.executable, "-c", PREPARE], cwd=CHECKOUT, env=made.env, check=True, timeout=180)
                made.database.stop()
                shutil.rmtree(unfinished, ignore_errors=True)
                subprocess.run(["cp", "-a", made.database.home, unfinished], check=True, timeout=180)
            unfinished.rename(home)
    return home


class Site:
    """
    An installation in ``home``. Nothing runs at first; `close()` ends everything that it started.

    Keyword arguments are further environment variables, such as ``TIME_SCALE="0.1"``.
    """

    def __init__(self, **env: str) -> None:
        # not pytest's directories: only their owner may enter them, and root's database server runs as another user
        self.home = Path(tempfile.mkdtemp(prefix="gq-site-")).resolve()
        ours = ("PATH", "HOME", "LANG", "TZ", "TMPDIR")
        self.env = {name: os.environ[name] for name in ours if name in os.environ} | {
            "DJANGO_SETTINGS_MODULE": "genqueue_site.settings",
            "GENQUEUE_VAR": str(self.home),
            "EMBEDDED_FAST": "1",
            "ALLOW_STUDIO": "1",
            "DATABASE_URL": "",
            "REDIS_URL": "",
            "OPENAI_VIDEOS_API_KEY": "",
            "WORKERS": "2",
            "LONG_WORKERS": "1",
            **env,
        }
        self.programs: list[Program] = []
        self.studio: StudioProcess | None = None
        self._groups: set[int] = set()

    @property
    def database(self) -> EmbeddedPostgres:
        """Return the site's server; ``status().process`` is the process to kill."""
        return embedded(self.home / "pg18", fast=True)

    def prepare(self) -> None:
        """Create the database with the catalogue, as a copy of the one that is prepared."""
        subprocess.run(["cp", "-a", prepared(), self.database.home], check=True, timeout=180)

    def manage(self, *arguments: str) -> str:
        """Run a management command; return its standard output."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=CHECKOUT, env=self.env, check=True, timeout=180, stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()

    def start_studio(self, **options: Any) -> StudioProcess:
        """Start the studio; all programs started later use it."""
        self.studio = StudioProcess(self.home, env=self.env, **options)
        self.env["STUDIO_URL"] = self.studio.url
        return self.studio

    def start_worker(self, **env: str) -> Program:
        """Start a `runworker`; call `wait_until_working()` to wait until it is up."""
        return self.start("worker", ["manage.py", "runworker"], env)

    def start_web(self, **env: str) -> Program:
        """Start the web server and wait until it responds; its URL is ``site.url``."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = ["-m", "uvicorn", "genqueue_site.asgi:application", "--port", str(port), "--log-level", "warning"]
        web = self.start("web", command, env)
        wait_for(self._web_answers, seconds=60, of="the web")
        return web

    @contextmanager
    def orm(self) -> Iterator[None]:
        """Let Django's models use this site's database in the block."""
        settings = {**connections["default"].settings_dict, "NAME": "genqueue", "HOME": self.home / "pg18", "FAST": True}
        before, connections["default"] = connections["default"], DatabaseWrapper(settings, "default")
        try:
            yield
        finally:
            connections["default"].close()
            connections["default"] = before
            self.database.release()  # the programs hold it, too: the last to release it stops the server

    def registry(self, **which: Any) -> list[WorkerProcess]:
        """Return the site's rows of the process registry."""
        with self.orm():
            rows = list(WorkerProcess.objects.filter(**which).order_by("id"))
        self._groups |= {row.group_id for row in rows if row.role == WorkerProcess.Role.CLUSTER}
        return rows

    def wait_until_working(self, worker: Program, *, seconds: float = 180) -> None:
        """Wait until a canary has passed each cluster of this worker, so that they take tasks."""
        wait_for(lambda: self._is_working(worker), seconds=seconds, of=f"worker {worker.pid}")

    def cluster(self, queue: str, worker: Program) -> WorkerProcess:
        """Return the row of the cluster that the worker now runs for this queue."""
        mine = set(worker.children())
        (found,) = [row for row in self.registry(role="cluster", queue=queue) if row.pid in mine]
        return found

    def living(self) -> list[int]:
        """Return all living processes of this site, except the database's."""
        everybody = {entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()}
        return sorted(int(pid) for pid in everybody if self._is_mine(pid) and processes.look(int(pid)))

    def kill(self, pid: int) -> None:
        """Kill any process with SIGKILL."""
        os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop everything and remove the home."""
        for program in self.programs:
            if program.is_running:
                self._groups |= set(program.children())
                program.kill()
        if self.studio is not None:
            with suppress(ProcessLookupError):
                self.studio.kill()
        for group in self._groups:
            processes.end_group(group)
        for pid in self.living():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        home = self.database.home
        self.database.stop()
        for place in {home, self.home}:
            shutil.rmtree(place, ignore_errors=True)

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Program:
        """Start a Python program, given the arguments after `python`."""
        log = self.home / f"{name}-{len(self.programs)}.log"
        self.programs.append(Program(name, [sys.executable, *command], env=self.env | (env or {}), log=log))
        return self.programs[-1]

    def _is_working(self, worker: Program) -> bool:
        assert worker.is_running, worker.said()
        mine = set(worker.children())
        clusters = [row for row in self.registry(role="cluster") if row.pid in mine]
        return len(clusters) == len(Queue) and all(row.canary_taken_at for row in clusters)

    def _web_answers(self) -> bool:
        with suppress(requests.ConnectionError, requests.Timeout):
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        return False

    def _is_mine(self, pid: str) -> bool:
        try:
            environment, name = (Path(f"/proc/{pid}/{told}").read_bytes() for told in ("environ", "comm"))
        except OSError:
            return False
        return f"GENQUEUE_VAR={self.home}".encode() in environment.split(b"\0") and b"postgres" not in name
