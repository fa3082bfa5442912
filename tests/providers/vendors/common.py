"""Oddities that any vendor or a proxy in between may show, made from a vendor's plain answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from queue_app.providers.base import ErrorKind, TaskState, Verdict
from tests.providers.vendors.vendor import KEY, Oddity, Vendor, odd, yes
from tests.providers.wire import answer, cut

NOT_ACCEPTED, REFUSED, UNKNOWN = Verdict.NOT_ACCEPTED, Verdict.REFUSED, Verdict.UNKNOWN
POLICY = "Blocked by the content policy."
MONEY = "Your account has insufficient credits."
HTML = b"<html><body>502 Bad Gateway</body></html>"
DEEP = b"[" * 100_000


def oddities_of(vendor: Vendor) -> dict[str, Oddity]:
    """Return all rows of a vendor: the common ones and its own."""
    rows = creates(vendor) | (results(vendor) if vendor.is_synchronous else ids(vendor))
    if vendor.words:
        rows |= polls(vendor)
    if TaskState.FAILED in vendor.words:
        rows |= failures(vendor)
    rows |= contents(vendor)
    if vendor.caps()["cancel"] != "none":
        rows |= cancels(vendor)
    if vendor.listing:
        rows |= lists(vendor)
    return rows | dict(vendor.oddities)


def creates(vendor: Vendor) -> dict[str, Oddity]:
    error = vendor.error
    return {
        "refused inside a yes, for its words": odd(
            "create",
            yes({"id": None, "status": "failed", "error": POLICY}),
            kind=ErrorKind.REJECTED,
            verdict=REFUSED,
        ),
        "refused inside a yes, for money": odd(
            "create", yes({"id": None, "status": "failed", "error": MONEY}), kind=ErrorKind.QUOTA, verdict=NOT_ACCEPTED
        ),
        "400 for money": odd("create", answer(400, error(400, MONEY)), kind=ErrorKind.QUOTA, verdict=NOT_ACCEPTED),
        "403 for money": odd("create", answer(403, error(403, MONEY)), kind=ErrorKind.QUOTA, verdict=NOT_ACCEPTED),
        "403 for its words": odd("create", answer(403, error(403, POLICY)), kind=ErrorKind.REJECTED, verdict=REFUSED),
        "503 with money in it": odd("create", answer(503, error(503, MONEY)), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN),
        "a page of a proxy": odd("create", answer(502, HTML), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN),
        "a redirect": odd("create", answer(307, b"", {"Location": "/elsewhere"}), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN),
        "a yes that is a page": odd("create", yes(HTML), kind=ErrorKind.AMBIGUOUS, code="unreadable"),
        "a yes that is half": odd("create", yes(b'{"id": "t-1", "sta'), kind=ErrorKind.AMBIGUOUS, code="unreadable"),
        "a yes that is too deep": odd("create", yes(DEEP), kind=ErrorKind.AMBIGUOUS, code="unreadable"),
        "a yes that is too long": odd("create", yes(b" " * 5_000_000), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN),
        "429 that names seconds in words": odd(
            "create",
            answer(429, error(429, "Request was throttled. Your rate limit resets in ~30s.")),
            kind=ErrorKind.RATE_LIMITED,
            retry_after=30.0,
        ),
        "a refusal that quotes the key": odd(
            "create",
            answer(401, error(401, f"Incorrect API key provided: {KEY}.")),
            kind=ErrorKind.AUTH,
            message="HTTP 401: Incorrect API key provided: [key].",
        ),
    }


def ids(vendor: Vendor) -> dict[str, Oddity]:
    """Return the rows of a vendor whose answer to a create call is the id of a task."""
    accepted, status = vendor.accepted, vendor.create_status

    def plain(task: Any, **more: Any) -> bytes:
        return yes(accepted(task) | more, status)

    rows = {
        "an id that is a number": odd("create", plain(770_001), remote_id="770001"),
        "an id of 3,000 letters": odd("create", plain("v" * 3_000), remote_id="v" * 3_000),
        "an id with signs of base64": odd("create", plain("v_a+/=="), remote_id="v_a+/=="),
        "members that nobody knows": odd("create", plain("t-1", trace={"a": [1]}, beta=None), remote_id="t-1"),
        "a yes labelled as text": odd("create", yes(accepted("t-1"), status, Content_Type="text/plain"), remote_id="t-1"),
        "a yes with another 2xx": odd("create", yes(accepted("t-1"), 203), remote_id="t-1"),
    }
    for name, task in {
        "null": None, "true": True, "0": 0, "empty": "", "an object": {"a": 1}, "of 9,000 letters": "v" * 9_000, "1.5": 1.5,
        "with a NUL": "a\0b", "of half a pair": "a\ud800",
    }.items():  # fmt: skip
        rows[f"an id that is {name}"] = odd("create", plain(task), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN)
    return rows


def results(vendor: Vendor) -> dict[str, Oddity]:
    """Return the rows of a vendor whose answer to a create call is the result."""
    accepted, status, done = vendor.accepted, vendor.create_status, {"state": TaskState.SUCCEEDED, "error": None}
    usage = {"prompt_tokens": 7, "completion_tokens": 3.0, "input_tokens": "5", "output_tokens": -1, "total_tokens": None}
    odd_cost = {"in words": "free", "below nothing": -1, "that is null": None, "that is a list": [1]}

    def plain(**more: Any) -> bytes:
        return yes(accepted("t-1") | more, status)

    def costs(cost: Any, **more: Any) -> bytes:
        return plain(usage={"cost": cost, **more})

    rows = {
        "members that nobody knows": odd("result", plain(trace={"a": [1]}, beta=None), **done),
        "a yes labelled as text": odd("result", yes(accepted("t-1"), status, Content_Type="text/plain"), **done),
        "a yes with another 2xx": odd("result", yes(accepted("t-1"), 203), **done),
        "a yes without an id": odd("result", plain(id=None), **done),
        "an id that is an object": odd("result", plain(id={"a": 1}), **done),
        "usage": odd("result", plain(usage=usage), usage={"prompt_tokens": 7, "completion_tokens": 3, "input_tokens": 5}),
        "no usage": odd("result", plain(usage=None), usage={}, **done),
        "usage that is a list": odd("result", plain(usage=[7]), usage={}, **done),
        "usage without end": odd("result", plain(usage={"total_tokens": float("inf")}), usage={}, **done),
        "a cost": odd("result", costs(0.0125), cost=Decimal("0.0125")),
        "a cost as text": odd("result", costs("0.0125"), cost=Decimal("0.0125")),
        "a tiny cost": odd("result", costs(1e-05), cost=Decimal("0.00001")),
        "a cost of nothing": odd("result", costs(0), cost=Decimal(0)),
        "a part of a cost, with a key of our own": odd("result", costs(0.01, is_byok=True), cost=None),
        "a cost in a header": odd(
            "result", yes(accepted("t-1"), status, x_litellm_response_cost="0.25"), cost=Decimal("0.25"), **done
        ),
        "a cost in a header, in words": odd("result", yes(accepted("t-1"), status, x_litellm_response_cost="None"), cost=None),
        "an error of no kind": odd("create", yes({"error": {"message": "try later"}}), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN),
        "an error with an id, for money": odd(
            "create", yes({"id": "gen-1", "error": {"code": 402, "message": MONEY}}), kind=ErrorKind.QUOTA, verdict=NOT_ACCEPTED
        ),
        "an error with an id, for its words": odd(
            "create", yes({"id": "gen-1", "error": {"message": POLICY}}), kind=ErrorKind.REJECTED, verdict=REFUSED
        ),
        "an upstream that was slow": odd("create", yes({"status": "timed_out"}), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN),
        "a task in place of a result": odd("create", yes({"id": "t-1", "status": "queued"}), kind=ErrorKind.AMBIGUOUS),
        "an unreadable yes": odd("create", yes(b"<b>77</b>"), kind=ErrorKind.AMBIGUOUS, code="unreadable", raw="<b>77</b>"),
        "524 of a proxy": odd("create", answer(524, HTML), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN),
        "529 overloaded": odd("create", answer(529, vendor.error(529, "Overloaded")), kind=ErrorKind.AMBIGUOUS, verdict=UNKNOWN),
        "no model of that name": odd(
            "create", answer(404, vendor.error(404, "Model x not found")), kind=ErrorKind.NOT_FOUND, verdict=REFUSED
        ),
    }
    return rows | {f"a cost {name}": odd("result", costs(cost), cost=None, **done) for name, cost in odd_cost.items()}


def polls(vendor: Vendor) -> dict[str, Oddity]:
    words, task, error = vendor.words, vendor.task, vendor.error
    running = vendor.word(TaskState.RUNNING)

    def says(word: Any, **more: Any) -> bytes:
        return yes(task("t-1", word, **more))

    rows = {
        f"the state {word}, written {how}": odd("poll", says(write(word), **_done(vendor, state)), state=state)
        for state, word in words.items()
        for how, write in {
            "plainly": str,
            "in capitals": str.upper,
            "with hyphens": _hyphens,
            "with blanks around": _blanks,
        }.items()
    }
    return rows | {
        "a state that nobody knows": odd("poll", says("Pondering-Hard"), state=TaskState.RUNNING, word="pondering_hard"),
        "no state": odd("poll", says(None), kind=ErrorKind.RETRYABLE, code="unreadable"),
        "a state that is a number": odd("poll", says(3), kind=ErrorKind.RETRYABLE, code="unreadable"),
        "members that nobody knows, when asked": odd("poll", says(running, trace={"a": [1]}), state=TaskState.RUNNING),
        "a running task in a 503": odd("poll", answer(503, task("t-1", running)), kind=ErrorKind.RETRYABLE),
        "404 in the format": odd(
            "poll", answer(404, error(404, "Not found")), state=TaskState.LOST, error__kind=ErrorKind.NOT_FOUND
        ),
        "410 in the format": odd("poll", answer(410, error(410, "Gone")), state=TaskState.LOST),
        "404 of a proxy": odd("poll", answer(404, HTML), kind=ErrorKind.NOT_FOUND),
        "401 when asked": odd("poll", answer(401, error(401, "Bad key")), kind=ErrorKind.AUTH),
        "429 with seconds": odd(
            "poll", answer(429, error(429, "Slow"), {"Retry-After": "7"}), kind=ErrorKind.RATE_LIMITED, retry_after=7.0
        ),
        "a page instead of a state": odd("poll", yes(HTML), kind=ErrorKind.RETRYABLE, code="unreadable"),
        "nothing instead of a state": odd("poll", yes(b""), kind=ErrorKind.RETRYABLE, code="unreadable"),
        "half a state": odd("poll", yes(b'{"status": "succ'), kind=ErrorKind.RETRYABLE, code="unreadable"),
        "a list instead of a state": odd("poll", yes([]), kind=ErrorKind.RETRYABLE, code="unreadable"),
        "a state too deep": odd("poll", yes(DEEP), kind=ErrorKind.RETRYABLE, code="unreadable"),
        "when to ask again": odd("poll", yes(task("t-1", running), Retry_After="9"), next_poll_after=9.0),
    }


def failures(vendor: Vendor) -> dict[str, Oddity]:
    """Return rows for a vendor that has a status for failed tasks."""
    task, failed = vendor.task, vendor.word(TaskState.FAILED)
    return {
        "failed for its words": odd(
            "poll", yes(task("t-1", failed, error=POLICY)), state=TaskState.REJECTED, error__kind=ErrorKind.REJECTED
        ),
        "failed for money": odd(
            "poll", yes(task("t-1", failed, error=MONEY)), state=TaskState.FAILED, error__kind=ErrorKind.QUOTA
        ),
        "failed without a reason": odd(
            "poll", yes(task("t-1", failed, error=None)), state=TaskState.FAILED, error__kind=ErrorKind.RETRYABLE
        ),
        "a failed task in a 500": odd("poll", answer(500, task("t-1", failed, error="CUDA error")), state=TaskState.FAILED),
    }


def contents(vendor: Vendor) -> dict[str, Oddity]:
    error = vendor.error
    film = b"\0\0\0\x18ftypisom" + bytes(500)
    return {
        "a file": odd("content", answer(200, film, {"Content-Type": "video/mp4"}), size=len(film), content_type="video/mp4"),
        "a file without a type": odd("content", answer(200, film, {"Content-Type": ""}), size=len(film)),
        "a state instead of a file": odd(
            "content", yes({"id": "t-1", "status": "processing"}), kind=ErrorKind.RETRYABLE, code="not_ready"
        ),
        "words instead of a file": odd("content", yes({"message": "not ready"}), kind=ErrorKind.RETRYABLE, code="not_ready"),
        "a failure instead of a file": odd(
            "content", yes({"status": "failed", "error": "generation failed"}), kind=ErrorKind.INVALID_REQUEST
        ),
        "a blocked file": odd("content", yes({"status": "failed", "error": POLICY}), kind=ErrorKind.REJECTED),
        "409 not ready": odd("content", answer(409, error(409, "The output is not ready")), code="not_ready"),
        "425 too early": odd("content", answer(425, error(425, "Too early")), code="not_ready"),
        "404 of a file": odd("content", answer(404, error(404, "No such file")), kind=ErrorKind.NOT_FOUND),
        "404 of a storage": odd("content", answer(404, b"<Error><Code>NoSuchKey</Code></Error>"), kind=ErrorKind.NOT_FOUND),
        "500 of a file": odd("content", answer(500, HTML), kind=ErrorKind.RETRYABLE),
        "a file that is too large": odd("content", answer(200, bytes(200_000)), kind=ErrorKind.INVALID_REQUEST, code="too_large"),
        "a file announced too large": odd(
            "content", answer(200, b"", {"Content-Length": "9000000"}), kind=ErrorKind.INVALID_REQUEST, code="too_large"
        ),
        "a file cut off": odd("content", cut(answer(200, film, {"Content-Length": "900"})), kind=ErrorKind.RETRYABLE),
        "no bytes": odd("content", answer(200, b""), size=0),
    }


def cancels(vendor: Vendor) -> dict[str, Oddity]:
    running = vendor.word(TaskState.RUNNING)
    canceled = vendor.words.get(TaskState.CANCELED, "cancelled")
    return {
        "a cancel that takes its time": odd(
            "cancel", yes(vendor.task("t-1", running)), yes(vendor.task("t-1", running)), **{"is": TaskState.CANCELING}
        ),
        "a cancel of a task that is gone": odd("cancel", answer(404, vendor.error(404, "Not found")), **{"is": TaskState.LOST}),
        "a cancel that fails": odd("cancel", answer(500, HTML), kind=ErrorKind.RETRYABLE),
        "a cancel with a bad key": odd("cancel", answer(401, vendor.error(401, "Bad key")), kind=ErrorKind.AUTH),
        "a cancel of what is canceled": odd(
            "cancel", yes(vendor.task("t-1", canceled)), yes(vendor.task("t-1", canceled)), **{"is": TaskState.CANCELED}
        ),
    }


def lists(vendor: Vendor) -> dict[str, Oddity]:
    assert vendor.listing is not None
    listing, task = vendor.listing, vendor.task
    row = task("t-1", vendor.word(TaskState.RUNNING))
    return {
        "a list": odd("list", yes(listing([row], False)), more=False, rows__0__id="t-1"),
        "a list that goes on": odd("list", yes(listing([row], True)), more=True),
        "an empty list": odd("list", yes(listing([], False)), more=False, rows=[]),
        "entries that are none": odd("list", yes(listing(["t-9", row, None], False)), rows__0__id=None, rows__1__id="t-1"),  # type: ignore[list-item]
        "entries without an id": odd("list", yes(listing([task(None, "failed")], False)), rows__0__id=None, rows__0__ended=True),
        "ids that are numbers": odd("list", yes(listing([task(77, "failed")], False)), rows__0__id="77"),
        "no list": odd("list", answer(404, vendor.error(404, "Not found")), kind=ErrorKind.NOT_FOUND),
        "a list that fails": odd("list", answer(500, HTML), kind=ErrorKind.RETRYABLE),
        "a list of words": odd("list", yes(HTML), kind=ErrorKind.RETRYABLE),
        "a list that is null": odd("list", yes(listing(None, False)), kind=ErrorKind.RETRYABLE),  # type: ignore[arg-type]
    }


def _done(vendor: Vendor, state: TaskState) -> dict[str, Any]:
    return vendor.finished("https://cdn.example/a.mp4") if state is TaskState.SUCCEEDED else {}


def _hyphens(word: str) -> str:
    return word.replace("_", "-").capitalize()


def _blanks(word: str) -> str:
    return f" {word.replace('_', ' ')} "
