"""OpenAI-style chat completions."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from queue_app.providers.base import ErrorKind, RemoteAsset, TaskState, Verdict
from tests.providers.vendors.vendor import Fields, Oddity, Vendor, odd, yes
from tests.providers.wire import Seen, answer

WORDS = "# A fox\n\nÜber the hill, 100 % 🦊."
SUCCEEDED, FAILED, REJECTED = TaskState.SUCCEEDED, TaskState.FAILED, TaskState.REJECTED
POLICY, MONEY = "Blocked by the content policy.", "Your account has insufficient credits."


def choice(content: Any = WORDS, reason: Any = "stop", **more: Any) -> Fields:
    message = {"role": "assistant", "content": content, "refusal": None, "annotations": []} | more
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}


def answered(number: Any = "chatcmpl-1", *choices: Any) -> Fields:
    usage = {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20}
    listed = list(choices) or [choice()]
    return {"id": number, "object": "chat.completion", "created": 1, "model": "gpt-x", "choices": listed, "usage": usage}


def says(*choices: Any, **more: Any) -> bytes:
    return yes(answered("chatcmpl-1", *choices) | more)


def is_text(text: str, reply: bytes) -> Oddity:
    content = text.encode()
    return odd("file", reply, size=len(content), sha256=hashlib.sha256(content).hexdigest(), content_type="text/plain")


def fails(reply: bytes, state: TaskState = FAILED, **expected: Any) -> Oddity:
    return odd("result", reply, state=state, assets=[], **expected)


def unreadable(reply: bytes) -> Oddity:
    return odd("create", reply, kind=ErrorKind.AMBIGUOUS, verdict=Verdict.UNKNOWN, code="unreadable")


def sent(seen: Seen) -> tuple[str, str]:
    body = json.loads(seen.body)
    (message,) = body["messages"]
    assert message["role"] == "user"
    return message["content"], body["model"]


PARTS = [
    {"type": "text", "text": "One, "},
    {"type": "image_url", "image_url": {"url": "x"}},
    {"type": "output_text", "text": "two."},
]
CHAT = Vendor(
    adapter="chat",
    endpoint_id="text-writer",
    codec={"seed": {"field": "seed"}, "negative_prompt": {"field": "avoid", "most": 10}},
    inputs={"seed": 7},
    medium="text",
    create_status=200,
    accepted=answered,
    error=lambda status, words: {"error": {"message": words, "type": "x", "param": None, "code": None}},
    sent=sent,
    doomed={"moderated_job": REJECTED, "no_output": FAILED, "dead_asset": FAILED, "removed_job": FAILED},
    unsayable={"seed": "7"},
    oddities={
        "a text": is_text(WORDS, says()),
        "both kinds of asset": odd(
            "result",
            says(),
            assets=[RemoteAsset("text", "answer:0", "text/plain"), RemoteAsset("page", "answer:0", "text/plain")],
        ),
        "content in parts": is_text("One, two.", says(choice(PARTS))),
        "a text in place of a message": is_text("Plain", says({"index": 0, "text": "Plain", "finish_reason": "stop"})),
        "two choices": is_text("First", says(choice("First"), choice("Second"))),
        "thoughts beside the text": is_text("Done", says(choice("Done", reasoning_content="Hm", thinking_blocks=[]))),
        "a fence around the text": is_text("```json\n{}\n```", says(choice("```json\n{}\n```"))),
        "lines as on Windows": is_text("a\r\nb\tc", says(choice("a\r\nb\tc"))),
        "a NUL in the text": is_text("ab", says(choice("a\0b"))),
        "signs that control": is_text("ab", says(choice("a\x1b\x07\x7fb"))),
        "half a pair": is_text("a?b", says(choice("a\ud800b"))),
        "a page of HTML": is_text("<html><script>x</script>", says(choice("<html><script>x</script>"))),
        "no reason to end": odd("result", says(choice(reason=None)), state=SUCCEEDED, error=None),
        "a reason that nobody knows": odd("result", says(choice(reason="eos_token")), state=SUCCEEDED, error=None),
        "a reason in capitals": odd("result", says(choice(reason="STOP")), state=SUCCEEDED, error=None),
        "a reason that is a number": odd("result", says(choice(reason=1)), state=SUCCEEDED, error=None),
        "a refusal of nothing": odd("result", says(choice(refusal="")), state=SUCCEEDED, error=None),
        "cut off": fails(says(choice(reason="length")), error__kind=ErrorKind.INVALID_REQUEST, error__code="cut_off"),
        "cut off, in another word": fails(says(choice(reason="MAX_TOKENS")), error__code="cut_off"),
        "cut off before the first word": fails(says(choice("", "length")), error__code="cut_off"),
        "filtered": fails(says(choice("", "content_filter")), REJECTED, error__kind=ErrorKind.REJECTED),
        "filtered, in another word": fails(says(choice(None, "SAFETY")), REJECTED, error__code="safety"),
        "filtered in the middle": fails(says(choice("Half a", "content_filter")), REJECTED),
        "a refusal": fails(
            says(choice(None, refusal="I can't help with that.")), REJECTED, error__message="I can't help with that."
        ),
        "ended by an error": fails(says(choice("Half a", "error")), error__kind=ErrorKind.RETRYABLE),
        "an error in the choice": fails(
            says({"index": 0, "error": {"code": 502, "message": "Upstream said no"}, "finish_reason": "error"}),
            error__message="Upstream said no",
            error__kind=ErrorKind.RETRYABLE,
        ),
        "an error in the choice, for its words": fails(says({"error": {"message": POLICY}}), REJECTED),
        "an error in the choice, for money": fails(says({"error": {"message": MONEY}}), error__kind=ErrorKind.QUOTA),
        "no text": fails(says(choice(None)), error__kind=ErrorKind.RETRYABLE),
        "an empty text": fails(says(choice("")), error__code="no_result"),
        "a blank text": fails(says(choice(" \n\t"))),
        "a text of signs that control": fails(says(choice("\x00\x01"))),
        "parts without text": fails(says(choice([{"type": "refusal"}, 7]))),
        "calls of tools alone": fails(says(choice(None, "tool_calls", tool_calls=[{"id": "1"}]))),
        "no choices": fails(yes(answered() | {"choices": []}), error__message="The provider sent no text."),
        "no choices, with a reason": fails(yes(answered() | {"choices": [], "error": {"message": POLICY}}), REJECTED),
        "choices that are null": unreadable(yes(answered() | {"choices": None})),
        "choices that are a text": unreadable(yes(answered() | {"choices": WORDS})),
        "a choice that is null": unreadable(says(None)),
        "a choice without a message": unreadable(says({"index": 0, "finish_reason": "stop"})),
        "a message that is a text": unreadable(says({"message": WORDS})),
        "content that is a number": unreadable(says(choice(7))),
        "content that is an object": unreadable(says(choice({"a": 1}))),
        "a stream": unreadable(yes(b'data: {"choices": [{"delta": {"content": "A"}}]}\n\ndata: [DONE]\n\n')),
        "too long a prompt": odd(
            "create",
            answer(
                400, {"error": {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192."}}
            ),
            kind=ErrorKind.INVALID_REQUEST,
            verdict=Verdict.REFUSED,
        ),
        "flagged before it began": odd(
            "create",
            answer(403, {"error": {"code": 403, "message": "Your input was flagged by moderation"}}),
            kind=ErrorKind.REJECTED,
            verdict=Verdict.REFUSED,
        ),
    },
)
