"""The OpenAI-style Videos API. `tests/work/test_oddities.py` runs more oddities of its gateways through the queue."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook

from queue_app.providers.base import ErrorKind, TaskState, Verdict
from tests.providers.vendors.vendor import PROMPT, Fields, Vendor, odd, yes
from tests.providers.wire import Seen, answer

POLICY = {"code": "moderation_blocked", "message": "no"}


def task(number: Any, word: Any, **more: Any) -> Fields:
    plain = {
        "id": number, "object": "video", "model": "sora-2", "status": word, "progress": 0, "created_at": 1_800_000_000,
        "completed_at": None, "expires_at": None, "prompt": PROMPT, "size": "64x64", "seconds": "1", "error": None,
    }  # fmt: skip
    return plain | more


def sign(body: bytes, at: datetime, secret: str) -> dict[str, str]:
    signature = Webhook(secret).sign("evt_1", at, body.decode("utf-8", "replace"))
    return {"Webhook-Id": "evt_1", "Webhook-Timestamp": str(int(at.timestamp())), "Webhook-Signature": signature}


def event(number: str, word: str) -> bytes:
    return json.dumps({"id": "evt_1", "object": "event", "type": f"video.{word}", "data": {"id": number}}).encode()


def sent(seen: Seen) -> tuple[str, str]:
    form = seen.form()
    return form["prompt"], form["model"]


OPENAI_VIDEOS = Vendor(
    adapter="openai_videos",
    options={"cancel_by_delete": True},
    endpoint_id="sora-2",
    codec={
        "duration": {"field": "seconds", "as": "string", "values": [1, 4]},
        "aspect": {"field": "size", "sizes": {"1:1": "64x64"}},
        "seed": {"field": "seed"},
    },
    inputs={"duration": 1, "aspect_ratio": "1:1"},
    words={
        TaskState.QUEUED: "queued",
        TaskState.RUNNING: "in_progress",
        TaskState.SUCCEEDED: "completed",
        TaskState.FAILED: "failed",
        TaskState.CANCELED: "cancelled",
    },
    create_status=200,
    accepted=lambda number: task(number, "queued"),
    task=task,
    finished=lambda url: {"progress": 100},
    error=lambda status, words: {"error": {"message": words, "type": "x", "param": None, "code": None}},
    sent=sent,
    listing=lambda rows, more: {"object": "list", "data": rows, "has_more": more},
    event=event,
    hook=sign,
    cancel_call="delete",
    doomed={
        "failed_job": TaskState.FAILED,
        "moderated_job": TaskState.REJECTED,
        "canceled_job": TaskState.FAILED,  # the format has no word for these two
        "expired_job": TaskState.FAILED,
    },
    oddities={
        "an envelope": odd("create", yes({"code": 0, "data": task("t-1", "queued")}), remote_id="t-1"),
        "an error of no kind": odd("create", yes({"error": {"message": "try later"}}), kind=ErrorKind.AMBIGUOUS),
        "an upstream that was slow": odd("create", yes({"status": "timed_out"}), kind=ErrorKind.AMBIGUOUS),
        "a prompt about payment, sent back": odd(
            "create",
            answer(422, {"detail": [{"msg": "Field required", "input": {"prompt": "A sign: payment required"}}]}),
            kind=ErrorKind.INVALID_REQUEST,
            verdict=Verdict.REFUSED,
        ),
        "a status in error.code": odd(
            "poll",
            answer(400, task("t-1", "failed", error={"code": 400, "message": "CUDA"})),
            state=TaskState.FAILED,
            error__kind=ErrorKind.INVALID_REQUEST,
            error__code="400",
        ),
        "blocked, by its code": odd("poll", yes(task("t-1", "failed", error=POLICY)), state=TaskState.REJECTED),
        "a state in another member": odd("poll", yes(task("t-1", None, task_status="succeed")), state=TaskState.SUCCEEDED),
        "progress of 250 percent": odd("poll", yes(task("t-1", "in_progress", progress=250)), progress=1.0),
        "no progress": odd("poll", yes(task("t-1", "in_progress", progress=None)), progress=None),
        "when to ask again, in milliseconds": odd(
            "poll", yes(task("t-1", "queued"), openai_poll_after_ms="2500", Retry_After="9"), next_poll_after=2.5
        ),
        "a list without has_more": odd("list", yes({"data": [task("t-1", "queued")]}), more=None),
        "a list in an envelope": odd(
            "list", yes({"code": 0, "data": {"items": [task("t-1", "queued")], "has_more": True}}), more=True, rows__0__id="t-1"
        ),
    },
)
