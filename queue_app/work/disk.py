"""Files on their way into the storage: a temporary directory on its disk, and saves that survive a power cut."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, default_storage


class Saved(NamedTuple):
    """A file in the storage: its name there, its size in bytes and its hash."""

    name: str
    size: int
    sha256: str


class Digest(NamedTuple):
    """What two equal files have in common: their size in bytes and their hash."""

    size: int
    sha256: str


@contextmanager
def workroom() -> Iterator[Path]:
    """Provide a temporary directory for one job's files, on the disk of the media, so that files are moved and not copied."""
    _temporary().mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="store-", dir=_temporary(), ignore_cleanup_errors=True) as room:
        yield Path(room)


def remove_workrooms(before: datetime) -> int:
    """Remove the temporary directories of killed workers, last changed before this time; return their number."""
    removed = 0
    for room in _temporary().glob("store-*"):
        with suppress(FileNotFoundError):  # its worker has just removed it
            if datetime.fromtimestamp(room.stat().st_mtime, UTC) < before:
                shutil.rmtree(room, ignore_errors=True)
                removed += 1
    return removed


def digest(path: Path) -> Digest:
    with path.open("rb") as file:
        return Digest(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def save(path: Path, name: str, of: Digest | None = None) -> Saved:
    """
    Move a file into the storage, whole and durably. The storage chooses another name if this one is taken. ``of`` is the file's
    digest, if it is known.

    :raises OSError: it was not saved.
    """
    size, sha256 = of or digest(path)
    with path.open("rb") as file:
        os.fsync(file.fileno())
        saved_as = default_storage.save(name, _Moved(file, str(path)))
    _sync_folder(saved_as)
    return Saved(saved_as, size, sha256)


def delete(names: Iterable[str]) -> None:
    for name in names:
        default_storage.delete(name)


def names_in(folder: str) -> Iterator[str]:
    """Yield the names of all files below a folder of the storage."""
    folders, files = listed(folder)
    for inner in folders:
        yield from names_in(f"{folder}/{inner}")
    for file in files:
        yield f"{folder}/{file}"


def listed(folder: str) -> tuple[list[str], list[str]]:
    """Return the names of the folders and of the files in a folder of the storage; none if there is no such folder."""
    try:
        return default_storage.listdir(folder)
    except FileNotFoundError:
        return [], []


def open_from(name: str, first: int) -> BinaryIO:
    """
    Open a file of the storage for reading from this byte on.

    :raises OSError: there is no such file, or the storage can't be read.
    """
    if hasattr(default_storage, "open_from"):
        return default_storage.open_from(name, first)  # type: ignore[no-any-return]
    file: BinaryIO = default_storage.open(name)  # type: ignore[assignment]
    file.seek(first)
    return file


def is_older(name: str, before: datetime) -> bool:
    """Whether a file was stored before this time; false if it has been removed since it was listed."""
    try:
        return bool(default_storage.get_modified_time(name) < before)
    except FileNotFoundError:
        return False


class _Moved(File):  # type: ignore[type-arg]
    """A file that the storage may move instead of copying it."""

    def temporary_file_path(self) -> str:
        return str(self.name)


def _temporary() -> Path:
    return Path(settings.MEDIA_ROOT) / "tmp"


def _sync_folder(name: str) -> None:
    """Make the file's directory entry durable, too, if the storage is a local disk."""
    if isinstance(default_storage, FileSystemStorage):
        folder = os.open(Path(default_storage.path(name)).parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
