"""
The jobs the studio has accepted, as files: what is written here outlives any death of the program.

``<home>/jobs/<id>.json`` is one job; ``<home>/media/<id>/`` holds its files once they are whole.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

VIDEO, THUMBNAIL, SPRITESHEET = "video.mp4", "thumbnail.webp", "spritesheet.jpg"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """
    What to draw; equal recipes give equal bytes. Width and height are as asked, in pixels; ``seconds`` is the length of a film.
    ``images``: so many pictures in place of a film, in ``format``: png, jpeg or webp.
    """

    prompt: str
    model: str
    seed: int
    width: int
    height: int
    seconds: float = 0.0
    codec: str = "vp9"
    images: int = 0
    format: str = "png"

    @property
    def picture_names(self) -> list[str]:
        """The files of its pictures."""
        return [f"image-{number}.{self.format}" for number in range(1, self.images + 1)]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job ended without files, in the words the vendor would use."""

    code: str
    message: str


@dataclass(kw_only=True)
class Job:
    """
    One accepted job. Times are unix seconds.

    ``ends_at`` is set once, when its rendering is through, and may lie ahead: the job has ended when that moment has come.
    ``start_by``: it never begins after that moment.
    ``echo`` is what its dialect gives back as it was asked. ``doom`` is a fault that a test laid on it.
    """

    id: str
    dialect: str
    model: str
    recipe: Recipe
    echo: dict[str, str]
    accepted_at: float
    doom: str | None = None
    start_by: float | None = None
    ends_at: float | None = None
    failure: Failure | None = None
    rendering: bool = field(default=False, compare=False)

    def has_ended(self, at: float) -> bool:
        """Whether nothing more will happen to it."""
        return self.ends_at is not None and at >= self.ends_at


class Shelf:
    """The files of all jobs. Its caller sees to it that no two threads write the same job."""

    def __init__(self, home: Path) -> None:
        self._jobs, self._media = home / "jobs", home / "media"
        for folder in (self._jobs, self._media):
            folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> list[Job]:
        """Read every job, oldest first, and clear what a killed studio left half written or half deleted."""
        deleted = [folder for folder in self._media.iterdir() if not (self._jobs / f"{folder.name}.json").exists()]
        for leftover in [*self._jobs.glob("*.tmp"), *deleted]:
            _remove(leftover)
        jobs = [job for path in self._jobs.glob("*.json") if (job := _read(path))]
        return sorted(jobs, key=lambda job: (job.accepted_at, job.id))

    def write(self, job: Job) -> None:
        """Put the job on disk so that it is whole and durable when this returns."""
        record = asdict(job)
        del record["rendering"]  # a state of this process, not of the job
        path = self._jobs / f"{job.id}.json"
        fresh = path.with_suffix(".tmp")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                json.dump(record, file)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        _sync(self._jobs)

    def remove(self, job_id: str) -> None:
        """Forget the job and its files; the job first, so that no death leaves a job whose files are gone."""
        (self._jobs / f"{job_id}.json").unlink(missing_ok=True)
        _sync(self._jobs)
        shutil.rmtree(self._media / job_id, ignore_errors=True)

    def bench(self) -> Path:
        """Make an empty folder to render into."""
        return Path(tempfile.mkdtemp(suffix=".tmp", dir=self._media))

    def discard(self, bench: Path) -> None:
        """Throw a rendered folder away."""
        shutil.rmtree(bench, ignore_errors=True)

    def keep(self, bench: Path, job_id: str) -> None:
        """Make the rendered folder the job's media, durably."""
        for path in [*bench.iterdir(), bench]:
            _sync(path)
        target = self._media / job_id
        shutil.rmtree(target, ignore_errors=True)  # of a studio that died between this and the job's end
        bench.replace(target)
        _sync(self._media)

    def read(self, job_id: str, name: str) -> bytes:
        """
        Give the bytes of one file of a job.

        :raises FileNotFoundError: the job was deleted meanwhile.
        """
        return (self._media / job_id / name).read_bytes()


def _read(path: Path) -> Job | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        failure = record.pop("failure")
        return Job(**record | {"recipe": Recipe(**record["recipe"]), "failure": Failure(**failure) if failure else None})
    except (ValueError, TypeError, KeyError) as error:
        print(f"Studio leaves out {path}, which is not one of its jobs: {error}", file=sys.stderr, flush=True)
        return None


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
