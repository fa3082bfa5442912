"""fal: a task that has ended is COMPLETED; if it failed, its error is next to the status, or only in the answer for results."""

from __future__ import annotations

import json
from typing import Any

from queue_app.providers.base import ErrorKind, RemoteAsset, TaskState, Verdict
from queue_app.work.catalogue import codecs
from tests.providers.vendors.vendor import MOMENT, PROMPT, Fields, Vendor, odd, yes
from tests.providers.wire import Seen, answer

ENDPOINT = "fal-ai/wan/v2.7/text-to-video"
ELSEWHERE = "https://evil.example/requests/t-1"
OPEN = {"IN_QUEUE", "IN_PROGRESS", "in_queue", "in_progress", None}
FILE = "https://v3.fal.media/files/a.mp4"
OVER = {"status": "COMPLETED", "request_id": "t-1"}
LOCKED = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."


def task(number: Any, word: Any, **more: Any) -> Fields:
    """Return a status with the other fields of a row of the list."""
    ended = None if word in OPEN else "2027-01-15T08:01:00Z"
    row = {"endpoint_id": ENDPOINT, "sent_at": MOMENT.isoformat(), "ended_at": ended, "json_input": {"prompt": PROMPT}}
    return {"status": word, "request_id": number, **row, **more}


def sent(seen: Seen) -> tuple[str, str]:
    return json.loads(seen.body)["prompt"], seen.target.partition("?")[0].removeprefix("/fal/")


def wrong(kind: str, words: str = "no") -> Fields:
    return {"detail": [{"loc": ["body", "prompt"], "msg": words, "type": kind, "url": "u", "ctx": {}, "input": "a nsfw sign"}]}


def over(**more: Any) -> bytes:
    return yes(OVER | more)


FAL = Vendor(
    adapter="fal",
    endpoint_id=ENDPOINT,
    codec=codecs.FAL_WAN_27 | {"duration": {"field": "duration", "as": "integer", "values": [2, 4]}},
    inputs={"duration": 2, "aspect_ratio": "1:1", "resolution": "720p", "seed": 7},
    words={TaskState.QUEUED: "IN_QUEUE", TaskState.RUNNING: "IN_PROGRESS", TaskState.SUCCEEDED: "COMPLETED"},
    create_status=200,
    accepted=lambda number: {"status": "IN_QUEUE", "request_id": number, "gateway_request_id": "g-1", "queue_position": 0},
    task=task,
    finished=lambda url: {"video": {"url": url, "content_type": "video/mp4"}},
    error=lambda status, words: {"detail": words},
    sent=sent,
    listing=lambda rows, more: {"items": rows, "next_cursor": "MTAw" if more else None, "has_more": more},
    public_files=True,
    doomed={
        "failed_job": TaskState.FAILED,
        "moderated_job": TaskState.REJECTED,
        "canceled_job": TaskState.CANCELED,
        "expired_job": TaskState.FAILED,
        "no_output": TaskState.FAILED,
        "removed_job": TaskState.LOST,
    },
    oddities={
        "a locked account": odd("create", answer(403, {"detail": LOCKED}), kind=ErrorKind.QUOTA, verdict=Verdict.NOT_ACCEPTED),
        "a client that left": odd(
            "create", answer(499, {"detail": "left", "error_type": "client_disconnected"}), kind=ErrorKind.AMBIGUOUS
        ),
        "a gateway that timed out": odd(
            "create", answer(504, {"detail": "late", "error_type": "request_timeout"}), kind=ErrorKind.AMBIGUOUS
        ),
        "a field refused, by its type": odd(
            "create",
            answer(422, wrong("literal_error")),
            kind=ErrorKind.INVALID_REQUEST,
            code="literal_error",
            verdict=Verdict.REFUSED,
        ),
        "a prompt refused, by its type": odd(
            "create", answer(422, wrong("content_policy_violation")), kind=ErrorKind.REJECTED, code="content_policy_violation"
        ),
        "addresses that lead elsewhere": odd(
            "create",
            yes({"request_id": "t-1", "status_url": ELSEWHERE, "response_url": ELSEWHERE, "cancel_url": 7}),
            remote_id="t-1",
            is_ours=True,
        ),
        "a place in the queue": odd("poll", yes(task("t-1", "IN_QUEUE", queue_position=3), 202), queue_position=3),
        "a place that is none": odd("poll", yes(task("t-1", "IN_QUEUE", queue_position=-1), 202), queue_position=None),
        "an error beside the state": odd(
            "poll",
            over(error="The runner broke.", error_type="runner_server_error"),
            state=TaskState.FAILED,
            error__kind=ErrorKind.RETRYABLE,
            error__code="runner_server_error",
            error__message="The runner broke.",
        ),
        "an error without a type": odd(
            "poll",
            over(error="Invalid status code: 422"),
            answer(422, wrong("content_policy_violation")),
            state=TaskState.REJECTED,
        ),
        "an error, and no result to be had": odd(
            "poll", over(error="It broke."), answer(500, b"<html>"), state=TaskState.FAILED, error__kind=ErrorKind.RETRYABLE
        ),
        "never begun": odd(
            "poll", over(error="Request timed out", error_type="request_timeout"), error__kind=ErrorKind.RETRYABLE
        ),
        "cancelled by us": odd(
            "poll",
            over(error="Cancelled", error_type="client_cancelled"),
            state=TaskState.CANCELED,
            error__kind=ErrorKind.CANCELED,
        ),
        "blocked, as its result alone tells": odd(
            "poll",
            over(),
            answer(422, wrong("content_policy_violation")),
            state=TaskState.REJECTED,
            error__kind=ErrorKind.REJECTED,
            error__code="content_policy_violation",
        ),
        "refused, as its result alone tells": odd(
            "poll",
            over(),
            answer(422, wrong("image_too_large", "nope")),
            state=TaskState.FAILED,
            error__kind=ErrorKind.INVALID_REQUEST,
            error__message="HTTP 422: nope",
        ),
        "refused for now": odd(
            "poll", over(), answer(422, wrong("busy"), {"X-Fal-Retryable": "true"}), error__kind=ErrorKind.RETRYABLE
        ),
        "a server error in place of the result": odd("poll", over(), answer(500, b"<html>"), kind=ErrorKind.RETRYABLE),
        "a server error in fal's words": odd(
            "poll", over(), answer(502, {"detail": "x", "error_type": "runner_incomplete_response"}), kind=ErrorKind.RETRYABLE
        ),
        "too many questions for the result": odd(
            "poll", over(), answer(429, {"detail": "slow"}, {"Retry-After": "4"}), kind=ErrorKind.RATE_LIMITED, retry_after=4.0
        ),
        "a result that is not there yet": odd(
            "poll", over(), answer(400, {"detail": "Request is still in progress"}), kind=ErrorKind.RETRYABLE
        ),
        "a result that is no JSON": odd("poll", over(), yes(b"<html>"), kind=ErrorKind.RETRYABLE, code="unreadable"),
        "a result that is gone": odd("poll", over(), answer(404, {"status": "NOT_FOUND"}), state=TaskState.LOST),
        "a result of a proxy": odd("poll", over(), answer(404, b"<html>"), kind=ErrorKind.RETRYABLE),
        "a result without a file": odd(
            "poll",
            over(),
            yes({"images": [], "description": "I can't draw that."}),
            state=TaskState.FAILED,
            error__code="no_file",
            error__message="I can't draw that.",
        ),
        "several pictures": odd(
            "poll",
            over(),
            yes({"images": [{"url": f"{FILE}.png", "content_type": "image/png"}, {"url": "data:image/png;base64,AA"}, FILE]}),
            assets=[RemoteAsset("image", f"{FILE}.png", "image/png"), RemoteAsset("image", FILE)],
        ),
        "a cancel before it began": odd("cancel", yes({"status": "OK"}), **{"is": TaskState.CANCELED}),
        "a cancel that is a wish": odd("cancel", yes({"status": "CANCELLATION_REQUESTED"}, 202), **{"is": TaskState.CANCELING}),
        "a cancel too late": odd(
            "cancel",
            answer(400, {"status": "ALREADY_COMPLETED"}),
            over(video={"url": FILE}),
            **{"is": TaskState.SUCCEEDED},
        ),
        "a cancel of nothing": odd("cancel", answer(404, {"status": "NOT_FOUND"}), **{"is": TaskState.LOST}),
        "a file that is locked away": odd("content", answer(403, b"<Error/>"), kind=ErrorKind.NOT_FOUND),
        "a file server that is busy": odd("content", answer(429, b""), kind=ErrorKind.RETRYABLE),
        "inputs as text": odd(
            "list",
            yes({"items": [{"request_id": "t-1", "json_input": '{"prompt": "x"}'}], "next_cursor": None}),
            rows__0__prompt="x",
        ),
        "inputs that are no JSON": odd("list", yes({"items": [{"request_id": "t-1", "json_input": "{"}]}), rows__0__prompt=None),
        "a list with a cursor": odd(
            "list", yes({"items": [], "next_cursor": "MTAw", "has_more": True}), cursor="MTAw", more=True
        ),
        "a list that says nothing of more": odd("list", yes({"items": []}), more=None, cursor=None),
    },
)
