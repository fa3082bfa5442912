"""The child programs of the demo: started, restarted when they exit, and stopped with it."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from queue_app.runtime import processes, registry

STOP_SECONDS = 26  # `runworker` takes at most 25
RESTART_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
WENT_WELL_SECONDS = 20


class Child:
    """A program in its own session, so that Ctrl-C reaches only the demo. Its output goes to ``log``."""

    def __init__(self, name: str, command: Sequence[str], *, logs: Path) -> None:
        self.name, self.log = name, logs / f"{name}.log"
        self._command = [sys.executable, *command]
        self._pause = RESTART_SECONDS
        self._start_at: float | None = None
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def start(self) -> None:
        self._started_at, self._start_at = time.monotonic(), None
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=settings.ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def tend(self) -> str:
        """
        Restart the program if it has exited, after growing pauses if it keeps exiting soon.

        Return a message when it has exited, else an empty string.
        """
        if self.is_running:
            return ""
        now = time.monotonic()
        if self._start_at is None:
            self._pause = (
                RESTART_SECONDS if now - self._started_at > WENT_WELL_SECONDS else min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            )
            self._start_at = now + self._pause
            return f"{self.name} exited with status {self._process.returncode}. Restarting. See {self.log}."
        if now >= self._start_at:
            self.start()
        return ""

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait for its end until ``deadline`` (monotonic seconds), then kill the rest of its process group."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0, deadline - time.monotonic()))
        processes.end_group(self.pid)
        self._process.wait()


class Crew:
    """The demo's studio, worker and web server."""

    def __init__(self, *, port: int, studio_port: int) -> None:
        self.logs = settings.VAR / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        web = ["-m", "uvicorn", "genqueue_site.asgi:application", "--host", "127.0.0.1", "--port", str(port), "--lifespan", "off"]
        quietly = ["--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "5"]  # live pages stay connected
        self.ports = {"studio": studio_port, "web": port}
        self.studio = Child("studio", ["-m", "genqueue_site.studio", "--port", str(studio_port)], logs=self.logs)
        self.worker = Child("worker", ["manage.py", "runworker"], logs=self.logs)
        self.web = Child("web", [*web, *quietly], logs=self.logs)
        self.all = [self.studio, self.worker, self.web]

    def tend(self) -> list[str]:
        return [line for child in self.all if (line := child.tend())]

    def who_is_not_up(self) -> list[str]:
        """Return the names of the programs that do not respond yet."""
        silent = [name for name, port in self.ports.items() if not is_taken(port)]
        return silent if registry.is_working(socket.gethostname(), self.worker.pid) else [*silent, "worker"]

    def stop(self) -> None:
        """Stop all programs, the studio last, so that the worker can finish its calls."""
        for child in (self.worker, self.web):
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_SECONDS
        for child in (self.worker, self.web):
            child.end(deadline)
        self.studio.ask_to_stop()
        self.studio.end(time.monotonic() + 5)
        # kill clusters left by a worker that was killed, if its successor had no time to do it
        with suppress(DatabaseError, InterfaceError):  # without a database they end on their own, 25 s after their worker
            registry.end_predecessors(socket.gethostname())


def is_taken(port: int) -> bool:
    """Whether a program listens on this port of this machine."""
    with socket.socket() as caller:
        caller.settimeout(1)
        return caller.connect_ex(("127.0.0.1", port)) == 0
