"""The two lock files of a server: ``postmaster.pid`` with its data, and the lock next to its socket."""

import os
import subprocess
from pathlib import Path

PROC = Path("/proc")
STATUS_LINE = 7  # line of postmaster.pid, from 0, which PostgreSQL's pg_ctl also reads


def postmaster(data: Path) -> int | None:
    """Return the process id of the server of ``data`` (ready, starting, recovering or stopping), or ``None``."""
    process = _process_in(data / "postmaster.pid")
    return process if process and _serves(process, data) else None


def says_ready(data: Path) -> bool:
    """Whether the server last reported that it accepts connections. It may have died since."""
    lines = _lines(data / "postmaster.pid")
    return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"


def defuse(lock: Path, data: Path) -> None:
    """
    Make the ``lock`` of a dead server harmless.

    PostgreSQL takes any living process with the pid in the file for its predecessor, such as a zombie (in containers without an
    init) or an unrelated process after a reboot. We replace only the pid, by one that is certainly dead. The rest of the file
    still protects PostgreSQL from backends that outlived their server.
    """
    process = _process_in(lock)
    if process is None or _serves(process, data):
        return
    dead = subprocess.Popen(["true"])
    dead.wait()
    lock.write_text("\n".join([str(dead.pid), *_lines(lock)[1:], ""]))


def _serves(process: int, data: Path) -> bool:
    """Whether ``process`` lives and has ``data`` on its command line. A zombie has no command line."""
    if (PROC / "self" / "cmdline").exists():  # exists in slim containers without ps, but not on macOS
        try:
            return os.fsencode(data) in (PROC / str(process) / "cmdline").read_bytes().split(b"\0")
        except OSError:  # the process has ended
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
