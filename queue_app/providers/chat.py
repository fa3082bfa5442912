"""
Text from any OpenAI-style ``/v1/chat/completions``: OpenAI, OpenRouter, LiteLLM, fal's router, vLLM and others.

One prompt becomes one user message; a route's codec may put other messages before it (``always``). A text that was cut off at the
model's limit is not delivered: asking again would cut it off again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from queue_app.providers.base import ErrorKind, ProviderError, Wire, encoded
from queue_app.providers.synchronous import AnswerResult, Synchronous, failed
from queue_app.rules.codec import Codec
from queue_app.rules.words import storable

CUT_OFF, FILTERED = {"length", "max_tokens"}, {"content_filter", "safety", "prohibited_content"}
CONTROLS = {code: None for code in [*range(32), 127] if chr(code) not in "\t\n\r"}
ABOUT_THE_ANSWER = ("most_tokens", "schema", "schema_name")
TEXT_PARTS = ("text", "output_text")


class Chat(Synchronous):
    """One account at an OpenAI-style chat API."""

    name = "chat"
    kinds = ("text", "page")

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        """
        Convert ``prompt`` to a message, and our parameters to wire fields. ``most_tokens``, ``schema`` and ``schema_name`` of the
        answer are for the codec's ``answer``.

        :raises ProviderError: INVALID_REQUEST, naming the parameter that this endpoint can't express.
        """
        ours = {name: value for name, value in inputs.items() if name not in ABOUT_THE_ANSWER}
        wire = encoded(endpoint_id, codec, ours)
        fields = dict(wire.inputs) | _about_the_answer(codec.get("answer", {}), inputs)
        prompt = fields.pop(codec.get("prompt", {}).get("field", "prompt"))
        messages = [*fields.pop("messages", []), {"role": "user", "content": prompt}]
        return Wire(wire.endpoint_id, {"model": wire.endpoint_id, "messages": messages, **fields})

    def path(self, inputs: Mapping[str, Any]) -> str:
        return "/chat/completions"

    def read(self, body: Mapping[str, Any]) -> AnswerResult | None:
        """Return the text of the first choice. An empty list means that the provider wrote none."""
        choices = body.get("choices")
        if not isinstance(choices, list):
            return None
        if not choices:
            return failed(body, "The provider sent no text.")
        first = choices[0]
        if not isinstance(first, dict):
            return None
        if first.get("error"):
            return failed(first, "The provider failed to write the text.")
        message = first.get("message")
        told = message if isinstance(message, dict) else first  # older servers: a text in place of the message
        return _judged(first, told)


def _about_the_answer(answer: Mapping[str, str], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that limit an answer and ask for its JSON."""
    fields: dict[str, Any] = {}
    if most := inputs.get("most_tokens"):
        fields[answer.get("limit", "max_tokens")] = most
    if (schema := inputs.get("schema")) and (form := answer.get("format")):
        named = {"json_schema": {"name": inputs["schema_name"], "schema": schema, "strict": True}}
        fields["response_format"] = {"type": form, **(named if form == "json_schema" else {})}
    return fields


def _judged(choice: Mapping[str, Any], message: Mapping[str, Any]) -> AnswerResult | None:
    refusal, ended = message.get("refusal"), str(choice.get("finish_reason") or "").lower()
    text = _text(message)
    if ended in FILTERED or (isinstance(refusal, str) and refusal.strip()):
        words = refusal if isinstance(refusal, str) and refusal.strip() else "Rejected by the provider's content policy."
        return AnswerResult(error=ProviderError(ErrorKind.REJECTED, words, code=ended or "refusal"))
    if ended in CUT_OFF:
        words = "The text was cut off at the model's limit. Ask for a shorter text."
        return AnswerResult(error=ProviderError(ErrorKind.INVALID_REQUEST, words, code="cut_off"))
    if ended == "error":
        return failed({}, "The provider failed to write the text.")
    if text is None:
        return None
    if not text.strip():
        return failed({}, "The provider sent an empty text.")
    return AnswerResult([text.encode()], content_type="text/plain")


def _text(message: Mapping[str, Any]) -> str | None:
    """Return the text of a message without control characters; ``None`` if it has no content that can be read."""
    content = message.get("content", message.get("text"))
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") in TEXT_PARTS]
        content = "".join(str(part.get("text") or "") for part in parts)
    elif content is None and "content" in message:
        content = ""
    return storable(content).translate(CONTROLS) if isinstance(content, str) else None
