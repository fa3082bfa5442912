"""
OpenAI-style chat completions under ``/v1/chat/completions``: the answer to the call is the text. ``/v1/models`` lists models.

Takes any model name, since the API has many servers and each has its own. Texts follow the last message of the user; JSON fits
the schema of ``response_format``, and a component of a page is JSON in any case. Streams, tools and audio are refused.
"""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from typing import Any

from genqueue_site.studio import pages, prose
from genqueue_site.studio.dialects import openai, openai_images, openai_videos
from genqueue_site.studio.floor import Floor, Order
from genqueue_site.studio.jobs import TEXT, Job, Recipe
from genqueue_site.studio.reading import seed_of
from genqueue_site.studio.wire import Call, Dialect, Refused, Request, Response, fields_of, json_response

NAME = "chat"
ROLES = ("developer", "system", "user", "assistant", "tool")
KNOWN = (
    "model", "messages", "max_tokens", "max_completion_tokens", "n", "stop", "seed", "temperature", "top_p",
    "presence_penalty", "frequency_penalty", "response_format", "reasoning_effort", "verbosity", "stream", "store",
    "metadata", "user", "safety_identifier", "prompt_cache_key", "service_tier", "logprobs", "top_logprobs",
    "logit_bias",
)  # fmt: skip
LONGEST_NAME, MOST_CHOICES, MOST_TOKENS, LETTERS_OF_A_TOKEN = 200, 8, 1_000_000, 4
ANY_OBJECT: prose.Schema = {"type": "object", "properties": {"text": {"type": "string"}}}
REFUSAL = "I'm sorry, but I can't help with that."
Fields = Mapping[str, Any]


def create(floor: Floor, request: Request) -> Response:
    """Write a text and return it."""
    fields = fields_of(request)
    openai.known_only(fields, KNOWN)
    model, messages = _model(fields), _messages(fields)
    _check_numbers(fields)
    schema, prompt = _schema(fields), _prompt(messages)
    seed = fields.get("seed")
    recipe = Recipe(
        prompt=prompt,
        model=model,
        seed=seed if isinstance(seed, int) else seed_of(prompt),
        width=0,
        height=0,
        seconds=0,
        codec="text",
    )
    number = f"chatcmpl-{secrets.token_hex(14)}"
    job = openai.finished(floor, Order(dialect=NAME, id=number, recipe=recipe, echo={}, doom=request.doom), but=("moderated",))
    choices = [_choice(floor, job, fields, schema, place) for place in range(_count(fields))]
    return json_response(_completion(job, messages, [] if job.doom == "no_output" else choices))


def models(floor: Floor, request: Request) -> Response:
    """List the models of images and videos; texts can be written by a model of any name."""
    names = (*openai_images.MODELS, *openai_videos.MODELS)
    rows = [{"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "studio"} for name in names]
    return json_response({"object": "list", "data": rows})


def asked(request: Request) -> tuple[str | None, str | None]:
    """Return model and prompt of a create call that may be malformed."""
    try:
        fields = fields_of(request)
        return _model(fields), _prompt(_messages(fields))
    except Refused:
        return None, None


def _model(fields: Fields) -> str:
    model = openai.text(fields, "model")
    if not model:
        raise openai.missing("model")
    if len(model) > LONGEST_NAME or not re.fullmatch(r"[\w./:@+-]+", model):
        words = f"The model `{model[:60]}` does not exist or you do not have access to it."
        raise Refused(404, words, code="model_not_found", param="model")
    return model


def _messages(fields: Fields) -> list[dict[str, Any]]:
    messages = fields.get("messages")
    if messages is None:
        raise openai.missing("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "Invalid 'messages': expected an array with at least one object.", param="messages")
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict):
            raise Refused(400, f"Invalid type for '{where}': expected an object.", code="invalid_type", param=where)
        if message.get("role") not in ROLES:
            raise openai.bad_value(f"{where}.role", message.get("role"), f"one of {', '.join(ROLES)}")
        if not isinstance(message.get("content"), str | list):
            words = f"Invalid type for '{where}.content': expected a string or an array of parts."
            raise Refused(400, words, code="invalid_type", param=f"{where}.content")
    return messages


def _prompt(messages: list[dict[str, Any]]) -> str:
    """Return the text of the user's last message, or of the last message of all."""
    last = next((message for message in reversed(messages) if message["role"] == "user"), messages[-1])
    return _text_of(last)


def _text_of(message: Mapping[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("type") == "text")


def _check_numbers(fields: Fields) -> None:
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1), ("presence_penalty", -2, 2), ("frequency_penalty", -2, 2)):
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high):
            raise openai.bad_value(name, value, f"a number from {low} to {high}")
    for name, most in (("max_tokens", MOST_TOKENS), ("max_completion_tokens", MOST_TOKENS), ("n", MOST_CHOICES)):
        value = fields.get(name)
        if value is not None and (type(value) is not int or not 1 <= value <= most):
            raise openai.bad_value(name, value, f"a whole number from 1 to {most:,}")
    if fields.get("stream"):
        raise Refused(400, "The studio does not stream. Leave 'stream' out.", code="unsupported_value", param="stream")


def _count(fields: Fields) -> int:
    return int(fields.get("n") or 1)


def _schema(fields: Fields) -> prose.Schema | None:
    """Return the schema of the requested JSON, or ``None`` for plain text."""
    wanted = fields.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else "text" if wanted is None else None
    if kind == "text":
        return None
    if kind == "json_object":
        return ANY_OBJECT
    named = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if kind != "json_schema" or not isinstance(named, dict) or not isinstance(named.get("schema"), dict):
        raise openai.bad_value("response_format", kind, "text, json_object or json_schema with its schema")
    return dict(named["schema"])


def _choice(floor: Floor, job: Job, fields: Fields, schema: prose.Schema | None, place: int) -> dict[str, Any]:
    content: str | None
    page, seed = pages.read(job.recipe.prompt), job.recipe.seed + place
    if job.doom == "moderated":
        return _as_choice(place, None, "content_filter", refusal=REFUSAL)
    if job.doom in ("dead_asset", "removed"):
        return _as_choice(place, "" if job.doom == "dead_asset" else None, "stop")
    if page is not None:
        content = pages.answer(page, seed, job.doom or "")
    elif schema is not None:
        content = prose.write_json(job.recipe.prompt, seed, schema)
    elif place:
        content = prose.write(job.recipe.prompt, seed)
    else:
        content = floor.file_of(job, TEXT).decode()
    stops = [fields["stop"]] if isinstance(fields.get("stop"), str) else fields.get("stop") or []
    for stop in stops:
        content = content.split(stop)[0]
    most = fields.get("max_completion_tokens") or fields.get("max_tokens")
    if most and _tokens(content) > most:
        return _as_choice(place, content[: most * LETTERS_OF_A_TOKEN], "length")
    return _as_choice(place, content, "length" if page and job.doom == pages.CUT_OFF else "stop")


def _as_choice(place: int, content: str | None, reason: str, *, refusal: str | None = None) -> dict[str, Any]:
    message: Fields = {"role": "assistant", "content": content, "refusal": refusal, "annotations": []}
    return {"index": place, "message": message, "logprobs": None, "finish_reason": reason}


def _completion(job: Job, messages: list[dict[str, Any]], choices: list[dict[str, Any]]) -> dict[str, Any]:
    written = sum(_tokens(choice["message"]["content"] or "") for choice in choices)
    read = sum(_tokens(_text_of(message)) for message in messages)
    return {
        "id": job.id,
        "object": "chat.completion",
        "created": int(job.accepted_at),
        "model": job.model,
        "choices": choices,
        "usage": {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _tokens(text: str) -> int:
    return math.ceil(len(text) / LETTERS_OF_A_TOKEN)


DIALECT = Dialect(
    name=NAME,
    prefixes=("/v1/chat",),
    calls=(
        Call(kind="create", method="POST", path=re.compile(r"/v1/chat/completions"), handle=create),
        Call(kind="about", method="GET", path=re.compile(r"/v1/models"), handle=models),
    ),
    error=openai.error,
    asked=asked,
)
