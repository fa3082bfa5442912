"""Requests to providers and their answers, as far as they are stored, for staff with the right to see them; no secrets (I36)."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.conf import settings

from queue_app.admin import lookups
from queue_app.models import Attempt, Job
from queue_app.providers.base import ProviderError
from queue_app.providers.registry import AdapterMissing
from queue_app.rules import nesting
from queue_app.rules.words import INPUT_TOKENS
from queue_app.ui import display
from queue_app.work import pipeline, submission

MASK = "•••"
TOO_DEEP = "… deeper levels not shown"
_SECRET = re.compile(
    r"token$|secret|passw|(^|[_-])(api[_-]?)?key$|(^|[_-])(auth|sig)$|authorization|signature|credential|cookie", re.IGNORECASE
)
_SHORTEST = 8  # key, in characters, that is looked for in texts


def of_attempts(job: Job, attempts: Iterable[Attempt], *, looks: bool = True) -> list[dict[str, Any]]:
    """
    Return for each attempt its create call and the stored answers, as text or as indented JSON.

    :param looks: whether to include lookups; some pages show them elsewhere.
    """
    return [
        {
            "number": attempt.number,
            "request": _request(job, attempt),
            "remote": _pretty(attempt.remote) if attempt.remote else "",
            "error_kind": attempt.error_kind,
            "error": masked(attempt.error_message),
            "lookups": lookups.shown(attempt) if looks else [],
        }
        for attempt in attempts
    ]


def masked(value: Any, levels: int = nesting.KEPT_MOST) -> Any:
    """
    Return the value without secrets: members and query parameters named like one, and our own API keys anywhere.

    :param levels: deeper values are left out, so that every value can be shown.
    """
    if isinstance(value, (Mapping, list, tuple)) and not levels:
        return TOO_DEEP
    if isinstance(value, Mapping):
        return {name: MASK if _SECRET.search(str(name)) and inner else masked(inner, levels - 1) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner, levels - 1) for inner in value]
    return _masked_text(value) if isinstance(value, str) else value


def _masked_text(text: str) -> str:
    for key in filter(None, settings.PROVIDER_KEYS.values()):
        if len(key) >= _SHORTEST:
            text = text.replace(key, MASK)
    text = INPUT_TOKENS.sub(MASK, text)
    return re.sub(r"https?://[^\s\"'<>]+", lambda found: _masked_address(found[0]), text)


def _masked_address(address: str) -> str:
    try:
        parts = urlsplit(address)
        user, at, host = parts.netloc.rpartition("@")
        asked = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:  # unbalanced brackets: its parts are not known
        return MASK
    query = [(name, MASK if _SECRET.search(name) else value) for name, value in asked]
    return urlunsplit(parts._replace(netloc=f"{MASK if user else ''}{at}{host}", query=urlencode(query, safe=MASK)))


def _request(job: Job, attempt: Attempt) -> str:
    """Return the inputs of the create call: those of a whole job follow from the job alone and never change."""
    if pipeline.of(job.kind_id):
        return "Each of its calls is written from the stages before it. What was sent is not kept."
    try:
        return _pretty(submission.request_for(job, attempt).inputs)
    except (ProviderError, AdapterMissing) as refusal:
        return f"Can't build the request for this provider: {refusal}"


def _pretty(value: Any) -> str:
    return display.as_json(masked(value), sort_keys=True)
