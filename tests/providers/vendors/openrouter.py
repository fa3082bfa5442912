"""OpenRouter."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from queue_app.providers.base import ErrorKind, RemoteAsset, TaskState, Verdict
from tests.providers.vendors.vendor import MOMENT, Fields, Vendor, odd, yes
from tests.providers.wire import Seen, answer

SLUG = "alibaba/wan-2.7"
API, STORED = "https://openrouter.ai/api/v1/videos/t-1/content?index=0", "https://storage.example/a.mp4?signature=x"


def task(number: Any, word: Any, **more: Any) -> Fields:
    return {"id": number, "polling_url": f"/api/v1/videos/{number}", "status": word, **more}


def done(**more: Any) -> bytes:
    return yes(task("t-1", "completed", **{"unsigned_urls": [API], **more}))


def error(status: int, words: str) -> Fields:
    return {"error": {"code": status, "message": words, "metadata": None}}


def sent(seen: Seen) -> tuple[str, str]:
    body = json.loads(seen.body)
    return body["prompt"], body["model"]


def sign(body: bytes, at: datetime, secret: str) -> dict[str, str]:
    moment = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), moment.encode() + b"," + body, hashlib.sha256).hexdigest()
    return {"X-OpenRouter-Idempotency-Key": "t-1-completed", "X-OpenRouter-Signature": f"t={moment},v1={digest}"}


def event(number: str, word: str) -> bytes:
    data = {"id": number, "status": word, "generation_id": None, "model": None}
    return json.dumps({"type": f"video.generation.{word}", "created_at": "x", "data": data}).encode()


OPENROUTER = Vendor(
    adapter="openrouter",
    endpoint_id=SLUG,
    codec={
        "duration": {"field": "duration", "as": "integer", "values": [2, 5]},
        "aspect": {"field": "aspect_ratio", "values": ["1:1", "16:9"]},
        "resolution": {"field": "resolution", "values": ["720p"]},
        "audio": {"field": "generate_audio"},
        "seed": {"field": "seed"},
    },
    inputs={"duration": 2, "aspect_ratio": "1:1", "resolution": "720p", "audio": False},
    words={
        TaskState.QUEUED: "pending",
        TaskState.RUNNING: "in_progress",
        TaskState.SUCCEEDED: "completed",
        TaskState.FAILED: "failed",
        TaskState.CANCELED: "cancelled",
    },
    create_status=202,
    accepted=lambda number: task(number, "pending"),
    task=task,
    finished=lambda url: {"unsigned_urls": [url]},
    error=error,
    sent=sent,
    event=event,
    hook=sign,
    doomed={
        "failed_job": TaskState.FAILED,
        "moderated_job": TaskState.REJECTED,
        "canceled_job": TaskState.CANCELED,
        "expired_job": TaskState.FAILED,
    },
    oddities={
        "an absolute way to ask": odd(
            "create", yes({"id": "t-1", "polling_url": "https://evil.example/x", "status": "pending"}, 202), remote_id="t-1"
        ),
        "no way to ask": odd("create", yes({"id": "t-1"}, 202), remote_id="t-1"),
        "accepted, and failed at once": odd(
            "create", yes(task("t-1", "failed", error="boom"), 202), verdict=Verdict.NOT_ACCEPTED, task="t-1"
        ),
        "no credit": odd("create", answer(402, error(402, "Insufficient credits")), kind=ErrorKind.QUOTA, code="402"),
        "flagged before it began": odd(
            "create",
            answer(403, error(403, "Your chosen model requires moderation and your input was flagged")),
            kind=ErrorKind.REJECTED,
            verdict=Verdict.REFUSED,
        ),
        "a value that the model lacks": odd(
            "create",
            answer(400, error(400, "duration: 7 is not supported")),
            kind=ErrorKind.INVALID_REQUEST,
            verdict=Verdict.REFUSED,
        ),
        "no model of that name": odd(
            "create", answer(404, error(404, "Model x not found")), kind=ErrorKind.NOT_FOUND, verdict=Verdict.REFUSED
        ),
        "a provider that is overloaded": odd("create", answer(529, error(529, "Overloaded")), verdict=Verdict.UNKNOWN),
        "expired": odd("poll", yes(task("t-1", "expired")), state=TaskState.FAILED, error__kind=ErrorKind.RETRYABLE),
        "an error that is a text": odd(
            "poll", yes(task("t-1", "failed", error="Upstream said no")), error__message="Upstream said no"
        ),
        "an error that is an object": odd(
            "poll",
            yes(task("t-1", "failed", error={"code": 400, "message": "bad frame"})),
            error__message="bad frame",
            error__kind=ErrorKind.INVALID_REQUEST,
        ),
        "a cost": odd("poll", done(usage={"cost": 0.25, "is_byok": False}), cost=Decimal("0.25")),
        "a cost of nothing": odd("poll", done(usage={"cost": 0}), cost=Decimal(0)),
        "a cost that is null": odd("poll", done(usage={"cost": None}), cost=None),
        "a cost below nothing": odd("poll", done(usage={"cost": -1}), cost=None),
        "a cost in words": odd("poll", done(usage={"cost": "free"}), cost=None),
        "a part of a cost, with a key of our own": odd("poll", done(usage={"cost": 0.01, "is_byok": True}), cost=None),
        "a cost of what has failed": odd(
            "poll", yes(task("t-1", "failed", usage={"cost": "0.5"})), state=TaskState.FAILED, cost=Decimal("0.5")
        ),
        "a cost while it runs": odd("poll", yes(task("t-1", "in_progress", usage={"cost": 0.1})), cost=None),
        "usage that is none": odd("poll", done(usage=[]), cost=None, state=TaskState.SUCCEEDED),
        "links through the API and stored": odd(
            "poll", done(urls=[STORED], expires_at=1_800_000_000), assets=[RemoteAsset("video", API)], expires_at=MOMENT
        ),
        "stored links alone": odd(
            "poll", done(unsigned_urls=None, urls=[STORED]), assets=[RemoteAsset("video", STORED)], expires_at=None
        ),
        "no links": odd("poll", done(unsigned_urls=[]), state=TaskState.SUCCEEDED, assets=[]),
        "links that are none": odd("poll", done(unsigned_urls=[None, 7, ""]), assets=[]),
        "a new word with a link": odd(
            "poll", yes(task("t-1", "cooked", unsigned_urls=[API])), state=TaskState.SUCCEEDED, word="cooked"
        ),
        "a new word with an error": odd("poll", yes(task("t-1", "kaput", error="GPU")), state=TaskState.RUNNING, word="kaput"),
        "no progress": odd("poll", yes(task("t-1", "in_progress", progress=40)), progress=None),
        "409 of an output": odd(
            "content", answer(409, error(409, "Video generation is not completed. Current status: pending")), code="not_ready"
        ),
        "410 of an output": odd("content", answer(410, error(410, "No longer available")), kind=ErrorKind.NOT_FOUND),
        "502 of an output": odd("content", answer(502, error(502, "Upstream")), kind=ErrorKind.RETRYABLE),
    },
)
