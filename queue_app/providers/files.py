"""The files of a task: their first bytes, and answers that are a message instead of a file. Shared by adapters."""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO

from queue_app.providers.base import ErrorKind, ProviderError, TaskState, names_policy
from queue_app.providers.calls import all_words, words_of
from queue_app.providers.tasks import ENDED_BADLY, STATES, task_in, word_in

NOT_READY = re.compile(
    r"\b(yet|still|pending|queued|generating|rendering)\b|\bbeing (generated|rendered|processed|made|prepared)\b"
    r"|in[ _-]progress|(?<![a-z])not[ _](ready|completed?|finished|done|available|start)|\btoo early\b",
    re.IGNORECASE,
)
NOT_READY_STATUSES = {400, 404, 409, 425}
HEAD_BYTES = 4_096  # of a file, to see what it is; messages are shorter
FILM = re.compile(
    rb"....(ftyp|moov|mdat|wide|free|skip)|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL
)  # MP4 and QuickTime, WebM, AVI


class Enough(Exception):
    """As much of a file has come as was wanted."""


class Head:
    """A sink that hands a file on and keeps its beginning; with ``is_enough`` the rest is not read."""

    def __init__(self, sink: BinaryIO, *, is_enough: bool = False) -> None:
        self._sink, self._is_enough, self.kept = sink, is_enough, b""

    def write(self, chunk: bytes) -> None:
        self._sink.write(chunk)
        self.kept += chunk[: HEAD_BYTES - len(self.kept)]
        if self._is_enough and len(self.kept) == HEAD_BYTES:
            raise Enough


def not_ready(error: ProviderError) -> ProviderError:
    """Return the failure of a download as one to wait for, if it says that the file is not there yet; else as it is."""
    if not _is_not_ready(error):
        return error
    return ProviderError(ErrorKind.RETRYABLE, error.message, code="not_ready", http_status=error.http_status)


def instead_of_a_file(head: bytes) -> ProviderError | None:
    """Return what an answer of 2xx means that holds a task's state: the file is not there yet, or never will be."""
    told = _object(head)
    if told is None:
        return None
    task = task_in(told)
    code, message = words_of(task)
    state = STATES.get(word_in(task))
    if state in ENDED_BADLY:  # for good: there is nothing to wait for
        kind = ErrorKind.REJECTED if names_policy(all_words(task)) else ErrorKind.INVALID_REQUEST
        return ProviderError(kind, message or f"The provider reported {state}.", code=code, http_status=200)
    if NOT_READY.search(message) or (state and not state.is_terminal):
        return ProviderError(ErrorKind.RETRYABLE, message or f"The provider reported {state}.", code="not_ready", http_status=200)
    return None


def _is_not_ready(error: ProviderError) -> bool:
    """Whether a refusal of a file says that it is not there yet, in words or by the state of its task."""
    if error.http_status not in NOT_READY_STATUSES or error.kind in {ErrorKind.REJECTED, ErrorKind.QUOTA}:
        return False
    state = STATES.get(word_in(task_in(_object(error.raw) or {})))
    if state is None or state is TaskState.SUCCEEDED:  # the words count; a whole object holds the prompt, too
        words = error.message if error.raw.lstrip().startswith("{") else f"{error.message} {error.raw}"
        return NOT_READY.search(f"{error.code or ''} {words}") is not None
    return not state.is_terminal


def _object(text: str | bytes) -> dict[str, Any] | None:
    """Return a JSON object; nothing for anything else."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
