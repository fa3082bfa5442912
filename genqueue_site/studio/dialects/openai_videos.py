"""
The OpenAI-style Videos API under ``/v1/videos``.

Unlike OpenAI's own, it allows any ``size`` with even sides from 64 to 2048, ``seconds`` from 1 to 60 and a ``seed``, and DELETE
aborts a running job. An ``input_reference`` is accepted but not drawn.
"""

from __future__ import annotations

import math
import re
import secrets
import time

from genqueue_site.studio.dialects import openai
from genqueue_site.studio.floor import Floor, Order
from genqueue_site.studio.jobs import SPRITESHEET, THUMBNAIL, VIDEO, Job, Recipe
from genqueue_site.studio.reading import found, seed_of
from genqueue_site.studio.wire import Call, Dialect, Refused, Request, Response, fields_of, json_response

NAME = "openai_videos"
MODELS = ("sora-2", "sora-2-pro", "manim")
VARIANTS = {
    "video": (VIDEO, "video/mp4"),
    "thumbnail": (THUMBNAIL, "image/webp"),
    "spritesheet": (SPRITESHEET, "image/jpeg"),
}


def create(floor: Floor, request: Request) -> Response:
    """Accept a video."""
    fields = fields_of(request)
    prompt, model = openai.prompt(fields), openai.model(fields, MODELS, default=MODELS[0])
    seconds, size = _seconds(fields), _size(fields)
    recipe = Recipe(
        prompt=prompt,
        model=model,
        seed=_seed(fields, prompt),
        width=size[0],
        height=size[1],
        seconds=float(seconds),
        codec=floor.config.codec,
    )
    echo = {"seconds": seconds, "size": f"{size[0]}x{size[1]}"}
    number = f"video_{secrets.token_hex(16)}"
    return _answer(floor, openai.accepted(floor, Order(dialect=NAME, id=number, recipe=recipe, echo=echo, doom=request.doom)))


def retrieve(floor: Floor, request: Request) -> Response:
    """Return the status of a video."""
    return _answer(floor, _find(floor, request))


def listing(floor: Floor, request: Request) -> Response:
    """Return a page of videos, newest first unless ``order=asc``."""
    limit, order = request.query.get("limit", "20"), request.query.get("order", "desc")
    if not (limit.isascii() and limit.isdigit() and int(limit) <= 100):
        raise openai.bad_value("limit", limit, "a whole number from 0 to 100")
    if order not in ("asc", "desc"):
        raise openai.bad_value("order", order, "'asc' or 'desc'")
    jobs = floor.all_of(NAME)
    if order == "desc":
        jobs.reverse()
    if after := request.query.get("after"):
        ids = [job.id for job in jobs]
        if after not in ids:
            raise openai.bad_value("after", after, "the id of a video")
        jobs = jobs[ids.index(after) + 1 :]
    page = [_video(floor, job) for job in jobs[: int(limit)]]
    return json_response(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(jobs) > len(page),
        }
    )


def delete(floor: Floor, request: Request) -> Response:
    """Delete a video and abort it if it is running."""
    job = _find(floor, request)
    if not floor.delete(job):
        raise _not_found(request)
    return json_response({"id": job.id, "object": "video.deleted", "deleted": True})


def content(floor: Floor, request: Request) -> Response:
    """Return one of the three files of a completed video."""
    job = _find(floor, request)
    variant = request.query.get("variant", "video")
    if variant not in VARIANTS:
        raise openai.bad_value("variant", variant, "'video', 'thumbnail' or 'spritesheet'")
    if _status(job) != "completed":
        raise Refused(404, f"Video is not ready yet (status {_status(job)}). Use GET /v1/videos/{job.id} to check its status.")
    if job.doom in ("dead_asset", "no_output", "removed"):
        raise Refused(404, f"The {variant} of video '{job.id}' has expired.")
    name, content_type = VARIANTS[variant]
    try:
        return Response(body=floor.file_of(job, name), content_type=content_type)
    except FileNotFoundError as error:
        raise _not_found(request) from error


def _find(floor: Floor, request: Request) -> Job:
    return found(floor, request.target, dialect=NAME, missing=_not_found(request))


def _not_found(request: Request) -> Refused:
    return Refused(404, f"Video with id '{request.target}' not found.", code="not_found", param="video_id")


def _seconds(fields: dict[str, object]) -> str:
    value = fields.get("seconds", "4")
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 1 <= seconds <= 60:  # also false for nan
        raise openai.bad_value("seconds", value, "a number from 1 to 60")
    return text.strip()


def _size(fields: dict[str, object]) -> tuple[int, int]:
    size = fields.get("size", "720x1280")
    match = re.fullmatch(r"([0-9]{2,4})x([0-9]{2,4})", size) if isinstance(size, str) else None
    sides = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(64 <= side <= 2048 and side % 2 == 0 for side in sides):
        raise openai.bad_value("size", size, "WIDTHxHEIGHT with even sides from 64 to 2048")
    return sides


def _seed(fields: dict[str, object], prompt: str) -> int:
    value = fields.get("seed")
    if value is None:
        return seed_of(prompt)
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,19}", str(value)):
        raise openai.bad_value("seed", value, "a whole number")
    return int(str(value))


def _status(job: Job) -> str:
    if job.has_ended(time.time()):
        return "failed" if job.failure else "completed"
    return "in_progress" if job.rendering else "queued"


def _video(floor: Floor, job: Job) -> dict[str, object]:
    status = _status(job)
    ended = status in ("completed", "failed")
    return {
        "id": job.id,
        "object": "video",
        "model": job.model,
        "status": status,
        "progress": 100 if status == "completed" else _progress(floor, job),
        "created_at": int(job.accepted_at),
        "completed_at": int(job.ends_at) if status == "completed" and job.ends_at else None,
        "expires_at": None,
        "prompt": job.recipe.prompt,
        "size": job.echo["size"],
        "seconds": job.echo["seconds"],
        "remixed_from_video_id": None,
        "error": {"code": job.failure.code, "message": job.failure.message} if ended and job.failure else None,
    }


def _progress(floor: Floor, job: Job) -> int:
    """Return the passed share of the least time in percent, at most 99 until the render is done."""
    if not job.rendering:
        return 0
    share = (time.time() - job.accepted_at) / max(floor.config.least_seconds(job.recipe.seed), 1e-3)
    return min(99, max(0, int(100 * share)))


def _answer(floor: Floor, job: Job) -> Response:
    """Return the video with a hint for the next poll: at its least time, at most 2 seconds ahead, then every half second."""
    headers = {}
    if not job.has_ended(now := time.time()):
        left = job.accepted_at + floor.config.least_seconds(job.recipe.seed) - now
        headers["openai-poll-after-ms"] = str(int(1000 * min(2.0, max(0.1, left if left > 0 else 0.5))))
    return json_response(_video(floor, job), headers=headers)


DIALECT = Dialect(
    name=NAME,
    prefixes=("/v1/videos",),
    calls=(
        Call(kind="create", method="POST", path=re.compile(r"/v1/videos"), handle=create),
        Call(kind="list", method="GET", path=re.compile(r"/v1/videos"), handle=listing),
        Call(kind="retrieve", method="GET", path=re.compile(r"/v1/videos/([^/]+)"), handle=retrieve),
        Call(kind="delete", method="DELETE", path=re.compile(r"/v1/videos/([^/]+)"), handle=delete),
        Call(kind="content", method="GET", path=re.compile(r"/v1/videos/([^/]+)/content"), handle=content),
    ),
    error=openai.error,
    asked=openai.asked(MODELS[0]),
)
