"""What the kernel knows of processes and process groups. A process is named by its number and its start: numbers are reused."""

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
class Seen:
    """A living process: ``started`` is the kernel's word for when, the same at every look and on one boot only its own."""

    pid: int
    parent: int
    group: int
    started: str

    def is_still_there(self) -> bool:
        now = look(self.pid)
        return now is not None and now.started == self.started


def look(pid: int) -> Seen | None:
    """Look at a process; None when it has ended, also if nobody has reaped it yet."""
    if not (_PROC / "self" / "stat").exists():
        return next(_from_ps("-p", str(pid)), None)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name in brackets may hold anything, brackets too
    state, parent, group, *rest = stat.rpartition(")")[2].split()
    return None if state in "ZX" else Seen(pid, int(parent), int(group), rest[16])


def myself() -> Seen:
    """This process."""
    seen = look(os.getpid())
    assert seen is not None
    return seen


def members(group: int) -> list[Seen]:
    """List the living processes of a process group."""
    if not (_PROC / "self" / "stat").exists():
        everybody: Iterator[Seen | None] = _from_ps("-A")
    else:
        everybody = (look(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit())
    return [seen for seen in everybody if seen and seen.group == group]


def command(pid: int) -> str:
    """Give a process's command line, words parted by spaces; empty when it has gone."""
    if (_PROC / "self" / "cmdline").exists():
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            return ""
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def end_group(group: int, *, within_seconds: float = 5) -> bool:
    """SIGKILL every process of a group and wait until all have gone; False if one stays (it hangs in the kernel)."""
    deadline = time.monotonic() + within_seconds
    while True:
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter where only zombies are left
            os.killpg(group, signal.SIGKILL)
        if not members(group):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)


def _from_ps(*whom: str) -> Iterator[Seen]:
    """Ask ps, where there is no /proc (macOS)."""
    fields = ["ps", "-ww", *whom, "-o", "pid=,ppid=,pgid=,stat=,lstart="]
    shown = subprocess.run(fields, capture_output=True, text=True, check=False, env={"LC_ALL": "C", "PATH": os.defpath})
    for line in shown.stdout.splitlines():
        pid, parent, group, state, *started = line.split()
        if not state.startswith("Z"):
            yield Seen(int(pid), int(parent), int(group), " ".join(started))
