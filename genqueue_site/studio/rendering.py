"""
A render in its own process, so that a crash of native code or an endless film costs one job and not the studio.

The child has its own session, so that Ctrl-C reaches only the studio. It reads a pipe from the studio and exits when the pipe
closes, so that even a studio killed with SIGKILL leaves no render behind.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path

from genqueue_site.studio.config import CHECKOUT
from genqueue_site.studio.jobs import Recipe

TIME_LIMIT_SECONDS = 180


class RenderFailed(Exception):
    """The render ended without its files. The message is its status and last line, or the reason."""


class Rendering:
    """One run of the renderer. Any thread may kill it, even before it has started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    def run(self, recipe: Recipe, folder: Path) -> None:
        """
        Render the files of a recipe into a folder.

        :raises RenderFailed: it crashed, was killed, or took longer than ``TIME_LIMIT_SECONDS``.
        """
        with tempfile.TemporaryFile() as complaints:
            with self._lock:
                if self._killed:
                    raise RenderFailed("The render was stopped before it started.")
                self._process = process = subprocess.Popen(
                    [sys.executable, "-m", "genqueue_site.studio.render", str(folder.resolve())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    cwd=CHECKOUT,
                    start_new_session=True,
                )
            with process:  # closes the pipe and reaps the child on every way out
                status = self._wait(process, recipe)
            if status != 0:
                complaints.seek(0)
                last = complaints.read().decode("utf-8", "replace").strip().splitlines()[-1:]
                raise RenderFailed(f"The render exited with status {status}: {last[0] if last else 'no message'}")

    def kill(self) -> None:
        """Kill the render, or keep it from starting."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def _wait(self, process: subprocess.Popen[bytes], recipe: Recipe) -> int:
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(asdict(recipe)).encode() + b"\n")
            process.stdin.flush()
            return process.wait(TIME_LIMIT_SECONDS)
        except BrokenPipeError:
            return process.wait(TIME_LIMIT_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise RenderFailed(f"The render took longer than {TIME_LIMIT_SECONDS} s.") from error
