"""
The jobs the studio has accepted, as files: what is written here outlives any death of the program.

``<home>/jobs/<id>.json`` is one job; ``<home>/media/<id>/`` holds its files once they are whole: a video with its two stills, or
pictures, ``image-0.webp``, ``image-1.webp`` and so on.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VIDEO, THUMBNAIL, SPRITESHEET = "video.mp4", "thumbnail.webp", "spritesheet.jpg"
CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".png": "image/png",
}
PICTURE_ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}  # by codec


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """
    What to draw; equal recipes give equal bytes. Width and height are as requested, in pixels. The codec decides what it is: a
    video of so many ``seconds`` (vp9, h264), or ``count`` pictures (png, jpeg, webp).
    """

    prompt: str
    model: str
    seed: int
    width: int
    height: int
    seconds: float
    codec: str
    count: int = 1

    @property
    def files(self) -> list[str]:
        """The names of the files that were ordered; the stills of a video are not among them."""
        ending = PICTURE_ENDINGS.get(self.codec)
        return [f"image-{number}{ending}" for number in range(self.count)] if ending else [VIDEO]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why a job ended without files, in the words the vendor would use."""

    code: str
    message: str


@dataclass(kw_only=True)
class Job:
    """
    One accepted job. Times are unix seconds.

    ``ends_at`` is set when its rendering is through, and may lie ahead: the job has ended when that moment has come. A cancel or
    its ``deadline`` may end it sooner. ``echo`` is what its dialect needs to answer as the vendor would; ``webhook`` is the URL
    that its client wants to be called at. ``doom`` is a fault that a test laid on it.
    """

    id: str
    dialect: str
    model: str
    recipe: Recipe
    echo: dict[str, Any]
    accepted_at: float
    webhook: str | None = None
    deadline: float | None = None
    doom: str | None = None
    started_at: float | None = None
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

    def clear(self, job_id: str) -> None:
        """Throw the job's files away and keep the job."""
        shutil.rmtree(self._media / job_id, ignore_errors=True)

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
