"""What a server's two lock files say: ``postmaster.pid`` beside the data and the lock beside the socket."""

import os
import subprocess
from pathlib import Path

PROC = Path("/proc")
STATUS_LINE = 7  # of postmaster.pid, from 0; PostgreSQL's own pg_ctl reads it too


def postmaster(data: Path) -> int | None:
    """Name the process of the living server of ``data``: ready, starting, recovering or stopping."""
    process = _process_in(data / "postmaster.pid")
    return process if process and _serves(process, data) else None


def says_ready(data: Path) -> bool:
    """Whether the server last said that it takes connections; it may have died since."""
    lines = _lines(data / "postmaster.pid")
    return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"


def defuse(lock: Path, data: Path) -> None:
    """
    Make a dead server's ``lock`` harmless.

    PostgreSQL takes any living process of that number for its predecessor: a zombie nobody reaped (containers without
    an init) or a stranger who got the number after a reboot. Only the number is replaced, by one that is surely dead: by
    the rest of the file PostgreSQL still protects itself from backends that outlived their server.
    """
    process = _process_in(lock)
    if process is None or _serves(process, data):
        return
    dead = subprocess.Popen(["true"])
    dead.wait()
    lock.write_text("\n".join([str(dead.pid), *_lines(lock)[1:], ""]))


def _serves(process: int, data: Path) -> bool:
    """Whether ``process`` lives and has ``data`` on its command line; a zombie has none."""
    if (PROC / "self" / "cmdline").exists():  # not macOS, but slim containers without ps
        try:
            return os.fsencode(data) in (PROC / str(process) / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has gone
            return False
    shown = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(process)], capture_output=True, text=True, check=False)
    return f" -D {data} " in f"{shown.stdout.strip()} "


def _process_in(lock: Path) -> int | None:
    number = "".join(_lines(lock)[:1]).strip()
    return int(number) if number.isdigit() and int(number) > 0 else None


def _lines(lock: Path) -> list[str]:
    try:
        return lock.read_text().splitlines()
    except FileNotFoundError:
        return []
