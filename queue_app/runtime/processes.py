"""Processes and process groups as the kernel reports them. Ids are reused, so a process is identified by id and start time."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LOOK_AGAIN_SECONDS = 0.02


@dataclass(frozen=True)
class LivingProcess:
    """A living process. ``started`` is the kernel's start time as text; with the pid it is unique until the next boot."""

    pid: int
    parent: int
    group: int
    started: str

    def is_still_there(self) -> bool:
        now = look(self.pid)
        return now is not None and now.started == self.started


def look(pid: int) -> LivingProcess | None:
    """
    Return a process, or ``None`` if it has ended, even if it is still a zombie.

    A zombie with more than one thread has not ended: until its last thread has, it holds its files and their locks.
    """
    if not (_PROC / "self" / "stat").exists():
        return next(_from_ps("-p", str(pid)), None)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name in parentheses may contain any character, even parentheses
    state, parent, group, *rest = stat.rpartition(")")[2].split()
    threads, started = int(rest[14]), rest[16]
    return None if state in "ZX" and threads <= 1 else LivingProcess(pid, int(parent), int(group), started)


def myself() -> LivingProcess:
    """Return this process."""
    seen = look(os.getpid())
    assert seen is not None
    return seen


def members(group: int) -> list[LivingProcess]:
    """Return the living processes of a process group."""
    if not (_PROC / "self" / "stat").exists():
        everybody: Iterator[LivingProcess | None] = _from_ps("-A")
    else:
        everybody = (look(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [seen for seen in everybody if seen and seen.group == group]


def command(pid: int) -> str:
    """Return a process's command line, arguments joined by spaces; empty if it has ended."""
    if (_PROC / "self" / "cmdline").exists():
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def end_group(group: int, *, within_seconds: float = 5) -> bool:
    """Send SIGKILL to a process group and wait until all have ended. Return false if one has not (it hangs in the kernel)."""
    deadline = time.monotonic() + within_seconds
    while True:
        with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter if only zombies are left
            os.killpg(group, signal.SIGKILL)
        if not members(group):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)


def _from_ps(*whom: str) -> Iterator[LivingProcess]:
    """Yield processes from ps, on systems without /proc (macOS)."""
    fields = ["ps", "-ww", *whom, "-o", "pid=,ppid=,pgid=,stat=,lstart="]
    shown = subprocess.run(fields, capture_output=True, text=True, check=False, env={"LC_ALL": "C", "PATH": os.defpath})
    for line in shown.stdout.splitlines():
        pid, parent, group, state, *started = line.split()
        if not state.startswith("Z"):
            yield LivingProcess(int(pid), int(parent), int(group), " ".join(started))
