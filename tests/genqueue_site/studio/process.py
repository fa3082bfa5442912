"""The studio as a real process, for tests that need a provider which can be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import requests

CHECKOUT = Path(__file__).resolve().parents[3]


class StudioProcess:
    """
    A running studio on a free port, with its files in ``var``.

    ``longer_side`` is that of its files in pixels: small ones take a third of the time, and are as long and of the shape that was
    asked for. ``faults`` is a seed for random faults; faults may always be queued by name (``queue_faults``). ``url`` has no
    trailing slash.
    """

    def __init__(
        self,
        var: Path,
        *,
        seconds_per_job: float = 0.2,
        longer_side: int = 160,
        faults: int | str | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.env = {
            **os.environ,
            "GENQUEUE_VAR": str(var),
            "STUDIO_SECONDS_PER_JOB": str(seconds_per_job),
            "STUDIO_TEST_FAULTS": "1",
            "STUDIO_LONGER_SIDE": str(longer_side),
            **(env or {}),
        }
        self.faults = faults
        self.port = 0
        self._start()

    @property
    def url(self) -> str:
        """Return its URL, which a restart does not change."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> dict[str, Any]:
        """Return the studio's log: ``running``, ``peak`` and ``creates``."""
        answer = requests.get(f"{self.url}/_studio/log", timeout=10)
        answer.raise_for_status()
        return dict(answer.json())

    def queue_faults(self, **names: list[str]) -> None:
        """Queue faults for the next calls: ``queue_faults(create=["reset_after_accept"])``."""
        answer = requests.post(f"{self.url}/_studio/faults", json=names, timeout=10)
        assert answer.ok, answer.text

    def has_met_all_faults(self) -> bool:
        """Whether each queued fault has begun."""
        return bool(requests.get(f"{self.url}/_studio/faults", timeout=10).json()["left"] == 0)

    def wait_until_idle(self, seconds: float = 60) -> None:
        """Wait until no job is running."""
        deadline = time.monotonic() + seconds
        while self.log()["running"]:
            assert time.monotonic() < deadline, f"still running after {seconds} s: {self.log()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it as by ``kill -9``."""
        self._process.kill()
        self._reap()

    def stop(self, *, thread: int | None = None) -> int:
        """Stop it by a signal to its main thread or to another one; return its exit status."""
        if self._process.poll() is None:
            os.kill(thread or self.pid, signal.SIGTERM)
        return self._reap()

    def restart(self) -> None:
        """Restart it at the same URL."""
        self.stop()
        self._start()

    def _reap(self) -> int:
        try:
            status = self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            assert self._process.stdout is not None
            self._process.stdout.close()
        return status

    def _start(self) -> None:
        command = [sys.executable, "-m", "genqueue_site.studio", "--port", str(self.port)]
        if self.faults is not None:
            command += ["--faults", str(self.faults)]
        self._process = subprocess.Popen(command, cwd=CHECKOUT, env=self.env, stdout=subprocess.PIPE, text=True)
        impatience = threading.Timer(60, self._process.kill)
        impatience.start()
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        impatience.cancel()
        found = re.search(r"http://[^:]+:([0-9]+)", line)
        assert found, f"the studio did not start: it said {line!r} and ended with {self._process.poll()}"
        self.port = int(found[1])
