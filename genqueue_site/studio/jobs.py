"""
The jobs that the studio has accepted, stored as files, so that they survive a crash.

``<home>/jobs/<id>.json`` is a job; ``<home>/media/<id>/`` contains its files once they are complete: a video and its two stills,
the images ``image-0.webp``, ``image-1.webp`` and so on, or a text.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

VIDEO, THUMBNAIL, SPRITESHEET, TEXT = "video.mp4", "thumbnail.webp", "spritesheet.jpg", "text.txt"
CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
PICTURE_ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}  # by codec


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """
    Parameters of a render. ``width`` and ``height`` are as requested, in pixels. ``codec`` decides what is made: a video of
    ``seconds`` (vp9, h264), ``count`` images (png, jpeg, webp) or a text (text).
    """

    prompt: str
    model: str
    seed: int
    width: int
    height: int
    seconds: float
    codec: str
    count: int = 1

    def size_within(self, longer_side: int) -> tuple[int, int]:
        """Return the size scaled so that its longer side is at most ``longer_side``; both sides even, as codecs require."""
        scale = min(1.0, longer_side / max(self.width, self.height))
        return max(16, round(self.width * scale / 2) * 2), max(16, round(self.height * scale / 2) * 2)

    def within(self, longer_side: int) -> Recipe:
        """Return the same recipe at this size; the recipe itself if it is no larger."""
        if max(self.width, self.height) <= longer_side:
            return self
        width, height = self.size_within(longer_side)
        return replace(self, width=width, height=height)

    @property
    def files(self) -> list[str]:
        """The names of the requested files, without the stills of a video."""
        if self.codec == "text":
            return [TEXT]
        ending = PICTURE_ENDINGS.get(self.codec)
        return [f"image-{number}{ending}" for number in range(self.count)] if ending else [VIDEO]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Reason why a job ended without files, in the words of the simulated API."""

    code: str
    message: str


@dataclass(kw_only=True)
class Job:
    """
    An accepted job. Times are Unix seconds.

    ``ends_at`` is set when the render is done, and may be in the future: the job ends at that time. A cancel or the ``deadline``
    may end it earlier. ``echo`` is what its dialect needs to answer as the vendor would; ``webhook`` is the URL at which its
    client wants webhooks. ``doom`` is a fault that is to happen to the job.
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
        """Whether the job has ended at this time."""
        return self.ends_at is not None and at >= self.ends_at


class Shelf:
    """The files of all jobs. The caller makes sure that no two threads write the same job."""

    def __init__(self, home: Path) -> None:
        self._jobs, self._media = home / "jobs", home / "media"
        for folder in (self._jobs, self._media):
            folder.mkdir(parents=True, exist_ok=True)

    def load(self) -> list[Job]:
        """Return all jobs, oldest first, after removing what a killed studio left half written or half deleted."""
        deleted = [folder for folder in self._media.iterdir() if not (self._jobs / f"{folder.name}.json").exists()]
        for leftover in [*self._jobs.glob("*.tmp"), *deleted]:
            _remove(leftover)
        jobs = [job for path in self._jobs.glob("*.json") if (job := _read(path))]
        return sorted(jobs, key=lambda job: (job.accepted_at, job.id))

    def write(self, job: Job) -> None:
        """Write the job to disk, atomically and durably."""
        record = asdict(job)
        del record["rendering"]  # belongs to this process, not to the job
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
        """Delete the job, then its files, so that a crash never leaves a job without its files."""
        (self._jobs / f"{job_id}.json").unlink(missing_ok=True)
        _sync(self._jobs)
        shutil.rmtree(self._media / job_id, ignore_errors=True)

    def bench(self) -> Path:
        """Create and return an empty folder to render into."""
        return Path(tempfile.mkdtemp(suffix=".tmp", dir=self._media))

    def discard(self, bench: Path) -> None:
        """Delete a rendered folder."""
        shutil.rmtree(bench, ignore_errors=True)

    def keep(self, bench: Path, job_id: str) -> None:
        """Turn the rendered folder into the job's media, durably."""
        for path in [*bench.iterdir(), bench]:
            _sync(path)
        target = self._media / job_id
        shutil.rmtree(target, ignore_errors=True)  # left by a studio that crashed between here and the job's end
        bench.replace(target)
        _sync(self._media)

    def clear(self, job_id: str) -> None:
        """Delete the job's files and keep the job."""
        shutil.rmtree(self._media / job_id, ignore_errors=True)

    def read(self, job_id: str, name: str) -> bytes:
        """
        Return the content of a file of a job.

        :raises FileNotFoundError: the job has been deleted in the meantime.
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
