"""Downloads, shared by all adapters: the beginning of a file, and answers that are a message instead of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, BinaryIO

from queue_app.providers import calls
from queue_app.providers.base import ErrorKind, FetchedAsset, ProviderError, RemoteAsset, TaskState, names_policy
from queue_app.providers.calls import Caller, all_words, words_of
from queue_app.providers.tasks import ENDED_BADLY, STATES, task_in, word_in

NOT_READY = re.compile(
    r"\b(yet|still|pending|queued|generating|rendering)\b|\bbeing (generated|rendered|processed|made|prepared)\b"
    r"|in[ _-]progress|(?<![a-z])not[ _](ready|completed?|finished|done|available|start)|\btoo early\b",
    re.IGNORECASE,
)
NOT_READY_STATUSES = {400, 404, 409, 425}
HEAD_BYTES = 4_096  # read of a file to recognize its type; error messages are shorter
FILM = re.compile(
    rb"....(ftyp|moov|mdat|wide|free|skip)|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL
)  # MP4 and QuickTime, WebM, AVI


class Enough(Exception):
    """Enough of the file has been read."""


class FileHead:
    """A sink that passes a file on to ``sink`` and keeps its beginning; with ``is_enough`` it stops after that."""

    def __init__(self, sink: BinaryIO, *, is_enough: bool = False) -> None:
        self._sink, self._is_enough, self.kept = sink, is_enough, b""

    def write(self, chunk: bytes) -> None:
        self._sink.write(chunk)
        self.kept += chunk[: HEAD_BYTES - len(self.kept)]
        if self._is_enough and len(self.kept) == HEAD_BYTES:
            raise Enough


def downloaded(
    api: Caller,
    url: str,
    asset: RemoteAsset,
    sink: BinaryIO,
    *,
    max_bytes: int,
    with_key: bool,
    meaning: Callable[[ProviderError], ProviderError] | None = None,
) -> FetchedAsset:
    """
    Download a file into ``sink``. ``meaning`` says what a refusal means, by default `not_ready`.

    :raises ProviderError: the file is not available, or the answer was a task instead of a file.
    """
    head, purpose = FileHead(sink), f"fetch {asset.kind}"
    try:
        got = api.download(url, head, purpose=purpose, max_bytes=max_bytes, total_timeout=calls.FILE_SECONDS, with_key=with_key)
    except ProviderError as error:
        meant = (meaning or not_ready)(error)
        if meant is error:  # with its own cause, such as a timeout
            raise
        raise meant from error
    if problem := instead_of_a_file(head.kept):
        raise problem
    return FetchedAsset(asset.kind, got.size, got.sha256, got.content_type)


def not_ready(error: ProviderError) -> ProviderError:
    """Return the error of a refused download, RETRYABLE with code ``not_ready`` if it means that the file is not ready yet."""
    if not _is_not_ready(error):
        return error
    return ProviderError(ErrorKind.RETRYABLE, error.message, code="not_ready", http_status=error.http_status)


def instead_of_a_file(head: bytes) -> ProviderError | None:
    """Return the error if a 2xx answer to a download is not a file but a task that is not ready or has failed."""
    body = _object(head)
    if body is None:
        return None
    task = task_in(body)
    code, message = words_of(task)
    state = STATES.get(word_in(task))
    if state in ENDED_BADLY:  # final: nothing to wait for
        kind = ErrorKind.REJECTED if names_policy(all_words(task)) else ErrorKind.INVALID_REQUEST
        return ProviderError(kind, message or f"The provider reported {state}.", code=code, http_status=200)
    if NOT_READY.search(message) or (state and not state.is_terminal):
        return ProviderError(ErrorKind.RETRYABLE, message or f"The provider reported {state}.", code="not_ready", http_status=200)
    return None


def _is_not_ready(error: ProviderError) -> bool:
    """Whether a refused download means that the file is not ready yet, by its words or by the state of the task."""
    if error.http_status not in NOT_READY_STATUSES or error.kind in {ErrorKind.REJECTED, ErrorKind.QUOTA}:
        return False
    state = STATES.get(word_in(task_in(_object(error.raw) or {})))
    if state is None or state is TaskState.SUCCEEDED:  # search the words only: a whole object contains the prompt, too
        words = error.message if error.raw.lstrip().startswith("{") else f"{error.message} {error.raw}"
        return NOT_READY.search(f"{error.code or ''} {words}") is not None
    return not state.is_terminal


def _object(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON object in a text, or ``None``."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
