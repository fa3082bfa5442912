"""HTTP calls shared by all adapters; failures are raised as `ProviderError`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from queue_app import http
from queue_app.providers.base import AccountConfig, ErrorKind, ProviderError, kind_of_answer

MESSAGE_CHARACTERS = 500
RAW_CHARACTERS = 4_000
UNREAD_CHARACTERS = 64_000  # kept of an unreadable answer to a create call: it may be the only trace of the task
CODE_CHARACTERS = 60
BESIDE = ("code", "type", "error_type")  # names of a code next to a message
WAIT_IN_WORDS = re.compile(r"\b(?:in|after) ~?(\d{1,6}(?:\.\d{1,3})?) ?(ms|s|m)(?:ec(?:ond)?s?|in(?:ute)?s?)?\b", re.IGNORECASE)
UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
LONGEST_WAIT = 24 * 3600.0  # seconds; a larger value is a timestamp or an error
# wall clock; the task of a create call or a check has 60 s, the one of a long create call 230 s, the one that stores files 300 s
CREATE_SECONDS, CHECK_SECONDS, LONG_CREATE_SECONDS = 30.0, 15.0, 170.0
FILE_SECONDS, EXTRA_SECONDS = 200.0, 30.0
LIST_BYTES = 16 * 1024 * 1024  # a page of prompts of 32,000 characters each
TASK_BYTES = 4 * 1024 * 1024  # a task with a long log or input
ANSWER_BYTES = 256 * 1024 * 1024  # ten images of 4K as base64
AUTH_STYLES = {"bearer": ("Authorization", "Bearer {}"), "key": ("Authorization", "Key {}"), "api-key": ("api-key", "{}")}


class Caller:
    """HTTP calls for one account. ``default_path`` is appended to a base URL without a path."""

    def __init__(self, account: AccountConfig, *, default_path: str, headers: Mapping[str, str]) -> None:
        base = account.base_url.rstrip("/")
        self.root = base if urlsplit(base).path else base + default_path
        self._account = account
        self._headers = dict(headers)

    def call(self, method: str, path: str, *, purpose: str, create: bool = False, **kwargs: Any) -> http.Response:
        """
        Send one call, once, and return the answer with any status. ``path`` is below ``root``, or a whole URL that may get the
        key.

        :raises ProviderError: there was no complete answer; AMBIGUOUS for a ``create`` that may have arrived.
        """
        headers = self._headers | dict(kwargs.pop("headers", {}))
        try:
            return http.request(method, self._url(path), purpose=purpose, headers=headers, allow_trusted=True, **kwargs)
        except http.HttpError as error:
            raise self._no_answer(error, create=create) from error

    def read(self, where: str, *, purpose: str, seconds: float, max_bytes: int = TASK_BYTES) -> dict[str, Any]:
        """
        Ask a question that may be repeated, and return the JSON object in the answer.

        :raises ProviderError: no answer of 2xx, or no JSON object in it.
        """
        answer = self.call("GET", where, purpose=purpose, max_bytes=max_bytes, total_timeout=seconds)
        body = self.body(answer)
        if not 200 <= answer.status < 300:
            raise self.failure(answer)
        if body is None:
            raise self.unreadable(answer, ErrorKind.RETRYABLE, "no JSON object in the answer")
        return body

    def download(
        self, where: str, sink: http.Sink, *, purpose: str, max_bytes: int, total_timeout: float, with_key: bool = True
    ) -> http.Downloaded:
        """
        Stream one of the provider's files into ``sink``, from a path of its API or from a whole URL. The key is sent only
        ``with_key``.

        :raises ProviderError: the file is not complete; ``code`` is ``too_large`` if it exceeds ``max_bytes``.
        """
        try:
            return http.download(
                self._url(where),
                sink,
                purpose=purpose,
                headers=self._headers if with_key else None,
                max_bytes=max_bytes,
                total_timeout=total_timeout,
                allow_trusted=True,
            )
        except http.BadStatus as error:
            raise self.failure(error.response) from error
        except http.HttpError as error:
            raise self._no_answer(error, create=False) from error

    def _url(self, where: str) -> str:
        return self.root + where if where.startswith("/") else where

    def is_own(self, url: str) -> bool:
        """Whether a URL has the origin of this API, so that it may get the key."""
        try:
            return http.origin(url) == http.origin(self.root)
        except ValueError:
            return False

    def _no_answer(self, error: http.HttpError, *, create: bool) -> ProviderError:
        if create and error.sent:
            return ProviderError(ErrorKind.AMBIGUOUS, str(error), code="no_answer")
        if isinstance(error, http.TooLarge):
            return ProviderError(ErrorKind.INVALID_REQUEST, str(error), code="too_large")
        return ProviderError(ErrorKind.RETRYABLE, str(error), code="no_answer" if error.sent else "not_sent")

    def body(self, answer: http.Response) -> dict[str, Any] | None:
        """Return the answer's JSON object with our key removed, or ``None`` if it is not a JSON object."""
        try:
            parsed = json.loads(self._text(answer))
        except (ValueError, RecursionError):
            return None
        return parsed if isinstance(parsed, dict) else None

    def failure(self, answer: http.Response, *, create: bool = False) -> ProviderError:
        """Build the error for an answer with an unexpected status."""
        body = self.body(answer)
        code, message = words_of(body or {})
        vouched = self._account.not_accepted_statuses
        return ProviderError(
            kind_of_answer(answer.status, all_words(body or {}), create=create, vouched=vouched),
            f"HTTP {answer.status}: {message}" if message else f"HTTP {answer.status} without a message",
            code=code,
            http_status=answer.status,
            retry_after=_seconds_to_wait(answer, message),
            request_id=_request_id(answer),
            raw=self._text(answer)[:RAW_CHARACTERS],
        )

    def refusal(
        self, answer: http.Response, body: Mapping[str, Any], kind: ErrorKind, *, task: str | None = None
    ) -> ProviderError:
        """Build the error for a refusal in a 2xx answer, which may contain the id of the refused ``task``."""
        code, message = words_of(body)
        request_id, raw = _request_id(answer), self._text(answer)[:RAW_CHARACTERS]
        message = message or "The provider refused the request without a reason."
        status = answer.status
        return ProviderError(kind, message, code=code, http_status=status, request_id=request_id, raw=raw, task=task)

    def unreadable(self, answer: http.Response, kind: ErrorKind, why: str) -> ProviderError:
        """Build the error for a 2xx answer without the expected content. Keeps more of its body, for staff to read."""
        raw, request_id = self._text(answer)[:UNREAD_CHARACTERS], _request_id(answer)
        message = f"HTTP {answer.status}: {why}."
        return ProviderError(kind, message, code="unreadable", http_status=answer.status, request_id=request_id, raw=raw)

    def _text(self, answer: http.Response) -> str:
        text = answer.body.decode("utf-8", "replace")
        key = self._account.api_key
        return text.replace(key, "[key]") if key and len(key) >= 8 else text  # some providers repeat the key (I36)


def auth_headers(account: AccountConfig) -> dict[str, str]:
    """Return the header that carries the account's key, in its ``auth_style``; none without a key."""
    name, value = AUTH_STYLES.get(str(account.options.get("auth_style")), AUTH_STYLES["bearer"])
    return {name: value.format(account.api_key)} if account.api_key else {}


def _request_id(answer: http.Response) -> str | None:
    """Return the provider's id of this call, for its support."""
    return answer.headers.get("x-request-id") or answer.headers.get("x-fal-request-id")


def words_of(body: Mapping[str, Any]) -> tuple[str | None, str]:
    """
    Return code and message of a refusal: OpenAI's ``error`` object or text, FastAPI's ``detail`` text or list, or a ``message``
    with a textual ``code`` next to it.
    """
    error = _error_in(body)
    if not isinstance(error, dict):
        beside = next((body[name] for name in BESIDE if body.get(name)), None)
        code = beside[:CODE_CHARACTERS] if isinstance(beside, str) and not beside.isdigit() else None
        return code, str(error)[:MESSAGE_CHARACTERS]
    code = error.get("code") or error.get("type")
    return None if code is None else str(code)[:CODE_CHARACTERS], str(error.get("message") or "")[:MESSAGE_CHARACTERS]


def all_words(body: Mapping[str, Any]) -> str:
    """Return all words of a refusal in one text to search: code, type and message of its error, and those next to it."""
    error = _error_in(body)
    named = [error.get(name) for name in ("code", "type", "message")] if isinstance(error, dict) else [error]
    named += [body.get(name) for name in BESIDE]
    return " ".join(str(one)[:MESSAGE_CHARACTERS] for one in named if one is not None)


def _error_in(body: Mapping[str, Any]) -> Any:
    """
    Return the error object or text of an answer; of FastAPI's list the type of the first problem and all messages, as the rest
    repeats a user's input.
    """
    error = next((body[name] for name in ("error", "detail", "message", "msg") if body.get(name)), "")
    if not isinstance(error, list):
        return error
    messages = "; ".join(str(item.get("msg") or "") if isinstance(item, dict) else str(item) for item in error)
    kinds = [item["type"] for item in error if isinstance(item, dict) and isinstance(item.get("type"), str)]
    return {"code": kinds[0], "message": messages} if kinds else messages


def _seconds_to_wait(answer: http.Response, message: str) -> float | None:
    """
    Return the seconds to wait by the headers, or by the words of a 429 without them: "resets in ~30s", "try again in 2 minutes".
    """
    seconds = retry_after(answer.headers)
    if seconds is not None or answer.status != 429:
        return seconds
    match = WAIT_IN_WORDS.search(message)
    return min(LONGEST_WAIT, float(match[1]) * UNIT_SECONDS[match[2].lower()]) if match else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """
    Return the seconds to wait, at most a day, from ``retry-after-ms`` or ``retry-after``; ``None`` without either.

    A date in ``retry-after`` is compared with the answer's own date.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = number(headers.get(name))
        if seconds is not None:
            return min(LONGEST_WAIT, max(0.0, seconds * scale))
    try:
        until, at = parsedate_to_datetime(headers["retry-after"]), parsedate_to_datetime(headers["date"])
        return min(LONGEST_WAIT, max(0.0, (until - at).total_seconds()))
    except (KeyError, ValueError, OverflowError, TypeError):  # TypeError: one of the dates has no time zone
        return None


def date_of(headers: Mapping[str, str]) -> float | None:
    """Return the time in the ``date`` header in seconds since 1970, or ``None``."""
    try:
        return parsedate_to_datetime(headers.get("date") or "").timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def number(value: Any) -> float | None:
    """Return a finite number from JSON or a header, or ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if abs(read) < 1e15 else None  # also excludes nan


def listed_models(api: Caller) -> frozenset[str]:
    """
    Return the names in the list of models that OpenAI-style servers have.

    :raises ProviderError: no answer, or a refusal.
    """
    body = api.read("/models", purpose="list models", seconds=CHECK_SECONDS, max_bytes=LIST_BYTES)
    rows = body.get("data")
    names = (row.get("id") for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()
    return frozenset(name for name in names if isinstance(name, str))
