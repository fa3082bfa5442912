"""Replicate."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from queue_app.providers.base import ErrorKind, RemoteAsset, TaskState, Verdict
from tests.providers.vendors.openai_videos import sign
from tests.providers.vendors.vendor import MOMENT, PROMPT, Fields, Vendor, odd, yes
from tests.providers.wire import Seen, answer

SLUG = "bytedance/seedance-2.0"
FILE = "https://replicate.delivery/xezq/a.mp4"
ENDED = "2027-01-15T08:00:00.000000Z"  # MOMENT
BAR = "Using seed: 7\n 10%|█         | 1/10 [00:00<00:09]\n 45%|████▌     | 9/20 [00:04<00:05]"


def task(number: Any, word: Any, **more: Any) -> Fields:
    plain = {
        "id": number, "model": SLUG, "version": "hidden", "status": word, "input": {"prompt": PROMPT, "duration": 4},
        "output": None, "logs": "", "error": None, "metrics": {}, "created_at": ENDED, "started_at": None, "completed_at": None,
        "deadline": None, "data_removed": False, "source": "api", "urls": {"get": f"https://api.replicate.com/v1/predictions/{number}"},
    }  # fmt: skip
    return plain | more


def error(status: int, words: str) -> Fields:
    return {"title": "Problem", "detail": words, "status": status}


def listing(rows: Any, more: bool) -> Fields:
    link = "https://api.replicate.com/v1/predictions?cursor=cD0yMDI%3D&x=1" if more else None
    return {"previous": None, "next": link, "results": rows}


def sent(seen: Seen) -> tuple[str, str]:
    return json.loads(seen.body)["input"]["prompt"], seen.target.removeprefix("/v1/models/").removesuffix("/predictions")


def failed(text: str) -> bytes:
    return yes(task("t-1", "failed", error=text))


def done(output: Any, **more: Any) -> bytes:
    return yes(task("t-1", "succeeded", output=output, **more))


REPLICATE = Vendor(
    adapter="replicate",
    endpoint_id=SLUG,
    codec={
        "duration": {"field": "duration", "as": "integer", "values": [1, 4]},
        "aspect": {"field": "aspect_ratio", "values": ["1:1", "16:9"]},
        "resolution": {"field": "resolution", "values": ["480p", "720p"]},
        "seed": {"field": "seed"},
    },
    inputs={"duration": 1, "aspect_ratio": "1:1", "resolution": "480p"},
    words={
        TaskState.QUEUED: "starting",
        TaskState.RUNNING: "processing",
        TaskState.SUCCEEDED: "succeeded",
        TaskState.FAILED: "failed",
        TaskState.CANCELED: "canceled",
    },
    create_status=201,
    accepted=lambda number: task(number, "starting"),
    task=task,
    finished=lambda url: {"output": url, "completed_at": ENDED},
    error=error,
    sent=sent,
    listing=listing,
    event=lambda number, word: json.dumps(task(number, word)).encode(),
    hook=sign,
    doomed={
        "failed_job": TaskState.FAILED,
        "moderated_job": TaskState.REJECTED,
        "canceled_job": TaskState.CANCELED,
        "expired_job": TaskState.CANCELED,
        "no_output": TaskState.FAILED,
    },
    oddities={
        "aborted before it began": odd("poll", yes(task("t-1", "aborted")), state=TaskState.CANCELED),
        "accepted, and over at once": odd("create", yes(task("t-1", "succeeded", output=FILE), 201), remote_id="t-1"),
        "accepted, and failed at once": odd(
            "create", yes(task("t-1", "failed", error="boom"), 201), verdict=Verdict.NOT_ACCEPTED, task="t-1"
        ),
        "throttled, in one second": odd(
            "create",
            answer(429, error(429, "Request was throttled. Your rate limit resets in 1 second.")),
            kind=ErrorKind.RATE_LIMITED,
            retry_after=1.0,
        ),
        "a version that is gone": odd(
            "create",
            answer(
                422,
                {"title": "Invalid version or not permitted", "detail": "The specified version does not exist", "status": 422},
            ),
            kind=ErrorKind.INVALID_REQUEST,
            verdict=Verdict.REFUSED,
        ),
        "flagged as sensitive": odd(
            "poll",
            failed("The input or output was flagged as sensitive. Please try again with different inputs. (E005)"),
            state=TaskState.REJECTED,
            error__code="E005",
            error__kind=ErrorKind.REJECTED,
        ),
        "NSFW": odd("poll", failed("NSFW content detected. Try running it again."), state=TaskState.REJECTED),
        "an unknown error": odd(
            "poll",
            failed("Prediction failed (E1000)"),
            state=TaskState.FAILED,
            error__code="E1000",
            error__kind=ErrorKind.RETRYABLE,
        ),
        "out of memory": odd(
            "poll", failed("CUDA out of memory (E1001)"), error__code="E1001", error__kind=ErrorKind.INVALID_REQUEST
        ),
        "an output of one URL": odd("poll", done(FILE), assets=[RemoteAsset("video", FILE)]),
        "an output of several URLs": odd(
            "poll",
            done(["https://replicate.delivery/0.webp", "https://replicate.delivery/1.PNG?x=.mp4"]),
            assets=[
                RemoteAsset("image", "https://replicate.delivery/0.webp"),
                RemoteAsset("image", "https://replicate.delivery/1.PNG?x=.mp4"),
            ],
        ),
        "an output of any JSON": odd(
            "poll", done({"video": {"url": FILE, "seed": 7}, "notes": ["none"]}), assets=[RemoteAsset("video", FILE)]
        ),
        "an output without an ending": odd(
            "poll",
            done("https://replicate.delivery/pbxt/out"),
            assets=[RemoteAsset(kind, "https://replicate.delivery/pbxt/out") for kind in ("video", "image")],
        ),
        "an output that is nothing": odd("poll", done(None), state=TaskState.FAILED, error__code="no_output"),
        "an output that is an empty list": odd("poll", done([]), state=TaskState.FAILED, error__code="no_output"),
        "an output that was removed": odd("poll", done(None, data_removed=True), state=TaskState.SUCCEEDED, assets=[]),
        "an output of words": odd("poll", done("a poem"), state=TaskState.SUCCEEDED, assets=[]),
        "an output too deep": odd("poll", done([[[[[[[FILE]]]]]]]), state=TaskState.SUCCEEDED, assets=[]),
        "kept for an hour": odd("poll", done(FILE, completed_at=ENDED), expires_at=MOMENT + timedelta(hours=1), cost=None),
        "an end that is no time": odd("poll", done(FILE, completed_at="soon"), expires_at=None),
        "a bar in the logs": odd("poll", yes(task("t-1", "processing", logs=BAR)), progress=0.45),
        "a bar beyond its end": odd("poll", yes(task("t-1", "processing", logs="120%|███| 6/5")), progress=1.0),
        "no bar in the logs": odd("poll", yes(task("t-1", "processing", logs="45% of it")), progress=None),
        "no logs": odd("poll", yes(task("t-1", "processing", logs=None)), progress=None),
        "a new word, and an error with an end": odd(
            "poll", yes(task("t-1", "kaput", error="GPU", completed_at=ENDED)), state=TaskState.FAILED, word="kaput"
        ),
        "a new word, and an output with an end": odd(
            "poll", yes(task("t-1", "cooked", output=FILE, completed_at=ENDED)), state=TaskState.SUCCEEDED, word="cooked"
        ),
        "a new word, and part of an output": odd("poll", yes(task("t-1", "cooking", output=FILE)), state=TaskState.RUNNING),
        "a cancel of what has succeeded": odd(
            "cancel", yes(task("t-1", "succeeded", output=FILE)), **{"is": TaskState.SUCCEEDED}
        ),
        "a cancel refused, for it has ended": odd(
            "cancel", answer(422, error(422, "The prediction has ended")), done(FILE), **{"is": TaskState.SUCCEEDED}
        ),
        "a list that names the way on": odd("list", yes(listing([], True)), cursor="cD0yMDI=", more=True),
        "a list whose way on is none": odd(
            "list", yes({"results": [], "next": "https://evil.example/"}), kind=ErrorKind.RETRYABLE
        ),
        "a list that says nothing of more": odd("list", yes({"results": []}), more=None, cursor=None),
        "rows of the playground": odd("list", yes(listing([task("w-1", "succeeded", source="web")], False)), rows=[]),
        "rows whose data was removed": odd(
            "list",
            yes(listing([task("t-1", "succeeded", input={}, data_removed=True)], False)),
            rows__0__prompt=None,
            rows__0__made=ENDED,
            rows__0__ended=True,
        ),
    },
)
assert MOMENT.isoformat() == "2027-01-15T08:00:00+00:00"
