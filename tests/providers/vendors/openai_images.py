"""OpenAI-style images. A real image is drawn by the studio (`test_synchronous`); here a few bytes stand for one."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any

from queue_app.providers.base import ErrorKind, RemoteAsset, TaskState, Verdict
from tests.providers.vendors.vendor import Fields, Oddity, Vendor, odd, yes
from tests.providers.wire import Seen, answer

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) + b"??>>~~"
BASE64 = b64encode(PICTURE).decode()
URL = "https://cdn.example/a.png?signature=x"
POLICY = {"code": "moderation_blocked", "message": "Your request was rejected by the safety system."}
SUCCEEDED, FAILED = TaskState.SUCCEEDED, TaskState.FAILED


def answered(number: Any = None) -> Fields:
    usage = {"input_tokens": 9, "output_tokens": 1056, "total_tokens": 1065, "input_tokens_details": {"text_tokens": 9}}
    return {"created": 1_800_000_000, "data": [{"b64_json": BASE64}], "output_format": "png", "size": "1024x1024", "usage": usage}


def images(*listed: Any, **more: Any) -> bytes:
    return yes(answered() | {"data": list(listed), **more})


def is_the_picture(**image: Any) -> Oddity:
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    return odd("file", images(image), size=len(PICTURE), sha256=sha256, content_type="image/png")


def unreadable(*listed: Any) -> Oddity:
    return odd("create", images(*listed), kind=ErrorKind.AMBIGUOUS, verdict=Verdict.UNKNOWN, code="unreadable")


def saved(place: int = 0, content_type: str | None = "image/png") -> RemoteAsset:
    return RemoteAsset("image", f"answer:{place}", content_type)


def sent(seen: Seen) -> tuple[str, str]:
    body = json.loads(seen.body)
    return body["prompt"], body["model"]


OPENAI_IMAGES = Vendor(
    adapter="openai_images",
    endpoint_id="gpt-image-2",
    codec={
        "aspect": {"field": "size", "sizes": {"1:1": "1024x1024"}},
        "quality": {"field": "quality", "values": ["low", "medium"]},
        "count": {"field": "n", "high": 10},
        "always": {"output_format": "webp"},
        "images": {"references": {"field": "images", "most": 16, "item": {"image_url": "{url}"}}},
    },
    inputs={"aspect_ratio": "1:1", "quality": "low"},
    medium="image",
    create_status=200,
    accepted=answered,
    error=lambda status, words: {"error": {"message": words, "type": "x", "param": None, "code": None}},
    sent=sent,
    doomed={"no_output": FAILED, "dead_asset": SUCCEEDED},  # half an image is found out when it is decoded
    unsayable={"count": 11},
    oddities={
        "an image": is_the_picture(b64_json=BASE64),
        "base64 in lines": is_the_picture(b64_json="\n".join(BASE64[start : start + 76] for start in range(0, len(BASE64), 76))),
        "base64 without padding": is_the_picture(b64_json=BASE64.rstrip("=")),
        "base64 for URLs": is_the_picture(b64_json=urlsafe_b64encode(PICTURE).decode()),
        "a data URL as base64": is_the_picture(b64_json=f"data:image/png;base64,{BASE64}"),
        "a data URL as a URL": is_the_picture(url=f"data:image/png;base64,{BASE64}"),
        "base64 beside a URL": is_the_picture(b64_json=BASE64, url=URL),
        "an image as a URL": odd("result", images({"url": URL}), assets=[RemoteAsset("image", URL, "image/png")]),
        "two images": odd("result", images({"b64_json": BASE64}, {"b64_json": BASE64}), assets=[saved(0), saved(1)]),
        "images of both sorts": odd(
            "result",
            images({"b64_json": BASE64}, {"url": URL}, {"b64_json": BASE64}),
            assets=[saved(0), RemoteAsset("image", URL, "image/png"), saved(1)],
        ),
        "more images than anyone asks for": odd(
            "result", images(*[{"b64_json": BASE64}] * 30), assets=[saved(place) for place in range(20)]
        ),
        "another name of the list": odd("result", yes({"images": [{"url": URL}]}), assets=[RemoteAsset("image", URL)]),
        "an envelope": odd("result", yes({"code": 0, "data": {"data": [{"b64_json": BASE64}]}}), assets=[saved(0, None)]),
        "an envelope with another name": odd(
            "result", yes({"data": {"images": [{"b64_json": BASE64}]}}), assets=[saved(0, None)]
        ),
        "another format": odd("result", images({"b64_json": BASE64}, output_format="webp"), assets=[saved(0, "image/webp")]),
        "a format that is a path": odd("result", images({"b64_json": BASE64}, output_format="../x"), assets=[saved(0, None)]),
        "a format that is a number": odd("result", images({"b64_json": BASE64}, output_format=7), assets=[saved(0, None)]),
        "no images": odd("result", images(), state=FAILED, assets=[], error__kind=ErrorKind.RETRYABLE, error__code="no_result"),
        "no images, with a reason": odd(
            "result",
            images(error=POLICY),
            state=TaskState.REJECTED,
            error__message="Your request was rejected by the safety system.",
        ),
        "no images, for money": odd(
            "result", images(error={"code": "insufficient_quota", "message": "x"}), state=FAILED, error__kind=ErrorKind.QUOTA
        ),
        "an image that failed": odd("result", images({"error": {"message": "GPU"}}), state=FAILED, error__message="GPU"),
        "an image that was rejected": odd("result", images({"error": POLICY}), state=TaskState.REJECTED),
        "one image of two failed": odd(
            "result", images({"error": POLICY}, {"b64_json": BASE64}), state=SUCCEEDED, assets=[saved()], error=None
        ),
        "one image of two unreadable": odd(
            "result", images({"b64_json": "%%%"}, {"b64_json": BASE64}), state=SUCCEEDED, assets=[saved()], error=None
        ),
        "an image that is null": unreadable(None),
        "an image that is a text": unreadable(BASE64),
        "an image of neither sort": unreadable({"file_id": "file-1"}),
        "base64 that is none": unreadable({"b64_json": "%%%"}),
        "base64 cut in a letter": unreadable({"b64_json": "A"}),
        "base64 of nothing": unreadable({"b64_json": ""}),
        "base64 that is a number": unreadable({"b64_json": 7}),
        "a file of ours as a URL": unreadable({"url": "file:///etc/passwd"}),
        "a URL of another protocol": unreadable({"url": "ftp://cdn.example/a.png"}),
        "a URL of 5,000 letters": unreadable({"url": "https://cdn.example/" + "a" * 5_000}),
        "a URL that is an object": unreadable({"url": {"a": 1}}),
        "a data URL that is a page": unreadable({"url": "data:text/html,<b>x</b>"}),
        "a list that is null": odd("create", yes(answered() | {"data": None}), kind=ErrorKind.AMBIGUOUS, code="unreadable"),
        "a list that is a text": odd("create", yes(answered() | {"data": "x"}), kind=ErrorKind.AMBIGUOUS, code="unreadable"),
        "an envelope without a list": odd("create", yes({"data": {"id": "t-1"}}), kind=ErrorKind.AMBIGUOUS, code="unreadable"),
        "a prompt that was rewritten": odd(
            "result", images({"b64_json": BASE64, "revised_prompt": "A red fox"}), raw={"revised_prompts": ["A red fox"]}
        ),
        "a prompt that was not rewritten": odd("result", images({"b64_json": BASE64, "revised_prompt": None}), raw={}),
        "blocked before it began": odd(
            "create", answer(400, {"error": POLICY | {"type": "image_generation_user_error"}}), kind=ErrorKind.REJECTED
        ),
        "an organisation that is not verified": odd(
            "create",
            answer(403, {"error": {"message": "Your organization must be verified to use the model `gpt-image-2`."}}),
            kind=ErrorKind.AUTH,
            verdict=Verdict.NOT_ACCEPTED,
        ),
        "a size that the model lacks": odd(
            "create",
            answer(400, {"error": {"code": "invalid_value", "message": "Invalid value: '64x64'."}}),
            kind=ErrorKind.INVALID_REQUEST,
            verdict=Verdict.REFUSED,
        ),
    },
)
