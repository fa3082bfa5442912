"""The system user that runs the server. PostgreSQL refuses to run as root, so root uses an unprivileged user."""

import os
import pwd
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from genqueue_site.db.embedded import EmbeddedPostgresError


@dataclass(frozen=True)
class Account:
    """The system user that owns the data and runs the server: the current user, unless that is root."""

    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run ``command`` as this user; ``stdout`` of the result contains both streams."""
        # a file, not a pipe: the server inherits our streams and keeps a pipe open as long as it runs
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                # not our environment: PGPORT, PGDATA and the like would affect the server
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,  # Ctrl-C in our terminal must not reach the server
                check=False,
                user=None if self.is_us else self.uid,
                group=None if self.is_us else self.gid,
                extra_groups=None if self.is_us else [],
            )
            output.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read().decode(errors="replace"))

    def can_execute(self, path: Path) -> bool:
        """Whether this user may run the file ``path`` or enter the directory ``path``."""
        return self.run("test", "-x", path).returncode == 0

    def private_directory(self, path: Path) -> None:
        """
        Create the directory ``path`` and its parents if missing, and let only this user enter it.

        :raises EmbeddedPostgresError: another user owns it, which may happen in a shared /tmp.
        """
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {self.uid, os.geteuid()}:
            raise EmbeddedPostgresError(
                f"{path} belongs to user number {found.st_uid}, and the embedded PostgreSQL would run as {self.uid}. "
                "Run as that user, remove the directory, or set DATABASE_URL."
            )
        if found.st_uid != self.uid:
            os.chown(path, self.uid, self.gid)
        path.chmod(0o700)


def account_for(data: Path) -> Account:
    """
    Return the user for the server of ``data``: the current one; for root the owner of ``data``, else ``postgres`` or ``nobody``.

    :raises EmbeddedPostgresError: we are root and none of these exists.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known.get("nobody")
    if entry is None:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and this machine has neither a user `postgres` nor `nobody`. "
            "Run as another user, or set DATABASE_URL."
        )
    return Account(entry.pw_uid, entry.pw_gid)
