"""The task in a provider's answer, shared by all adapters: its id, its state, and an immediate refusal."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from queue_app import http
from queue_app.providers.base import (
    ErrorKind,
    PollResult,
    ProviderError,
    RemoteRef,
    TaskState,
    kind_of_answer,
    kind_of_words,
    names_money,
    names_policy,
)
from queue_app.providers.calls import Caller, all_words, number, retry_after, words_of
from queue_app.rules.lookup import LONGEST_ID, NO_ID, task_id
from queue_app.rules.words import storable

Task = dict[str, Any]
# the words of all known vendors and gateways
WORDS = {
    TaskState.QUEUED: "queued pending submitted created accepted waiting queuing queueing in_queue not_start scheduled preparing "
    "starting throttled",
    TaskState.RUNNING: "in_progress processing running generating rendering dreaming uploading retrying",
    TaskState.SUCCEEDED: "completed complete succeeded succeed success successful done finished ready",
    TaskState.FAILED: "failed fail failure error errored expired timeout timed_out incomplete rejected budget_exceeded",
    TaskState.REJECTED: "blocked moderated content_filtered nsfw",
    TaskState.CANCELED: "cancelled canceled aborted terminated revoked",
}
STATES = {word: state for state, words in WORDS.items() for word in words.split()}
ENDED_BADLY = {TaskState.FAILED, TaskState.REJECTED, TaskState.CANCELED}
SURELY_REFUSED = {"failed", "fail", "failure", "error", "errored", "rejected"}  # no timeouts: the upstream may still be working
IDS, ENVELOPES = ("id", "task_id", "video_id"), ("data", "task", "video")


def task_in(body: Task) -> Task:
    """Return the task in an answer; some gateways wrap it in an envelope."""
    if id_in(body) and word_in(body):
        return body
    inner: Task = next((body[name] for name in ENVELOPES if isinstance(body.get(name), dict)), {})
    if not id_in(inner) and not word_in(inner):
        return body
    return {**inner, **body} if id_in(body) else {**body, **inner}


def id_in(task: Task) -> str | None:
    """Return the id of a task, or ``None`` if it has none that can be stored."""
    return next((found for name in IDS if (found := task_id(task.get(name)))), None)


def word_in(task: Task) -> str:
    """Return the status of a task in lower case with underscores; empty if there is none."""
    status = next((task[name] for name in ("status", "task_status", "state") if isinstance(task.get(name), str)), "")
    return re.sub(r"[\s-]+", "_", status.strip().lower())


def accepted(api: Caller, answer: http.Response, *, account: str) -> RemoteRef:
    """
    Return the reference in the answer to a create call. ``account`` is the account's key.

    :raises ProviderError: the task was not plainly accepted; AMBIGUOUS if it may exist nevertheless.
    """
    body = api.body(answer)
    if not 200 <= answer.status < 300:
        raise api.failure(answer, create=True)
    task = task_in(body or {})
    if kind := immediate_refusal(task):
        raise api.refusal(answer, task, kind, task=id_in(task))
    if remote_id := id_in(task):
        return RemoteRef(provider=account, remote_id=remote_id)
    raise api.unreadable(answer, ErrorKind.AMBIGUOUS, f"accepted, but {_id_problem(task)}")


def looked_at(api: Caller, answer: http.Response, ref: RemoteRef, read: Callable[[Task, str], PollResult]) -> PollResult:
    """
    Return the result in the answer to a poll. The body takes precedence over the HTTP status, as some providers answer 500 for a
    failed task. ``read`` converts a task and its status to a result.

    :raises ProviderError: there was no usable answer; nothing is known about the task.
    """
    body, well = api.body(answer), 200 <= answer.status < 300
    task = task_in(body or {})
    if word := word_in(task):
        result = read(task, word)
        is_this = task.get("object") == "video" or id_in(task) == ref.remote_id
        if well or (is_this and result.state.is_terminal):
            return result
    if answer.status in {404, 410} and body is not None:  # a 404 without JSON may come from a proxy in between
        return PollResult(TaskState.LOST, error=api.failure(answer), raw=body)
    if well:
        raise api.unreadable(answer, ErrorKind.RETRYABLE, "no status in the answer")
    raise api.failure(answer)


def standing(task: Task, word: str, answer: http.Response, *, unknown: Callable[[], TaskState]) -> PollResult:
    """
    Return the result by a task's status (``word``), without assets and progress. ``unknown`` returns the state for an unknown
    status.
    """
    state = STATES.get(word) or unknown()
    code, message = words_of(task)
    error = None
    if state in ENDED_BADLY:
        if state is TaskState.FAILED and names_policy(all_words(task)):
            state = TaskState.REJECTED
        error = _error(state, code, message or f"The provider reported {word} without a reason.", answer.status)
    elif word not in STATES and task.get("error"):
        error = _error(TaskState.FAILED, code, message or f"The provider reported {word}.", answer.status)
    return PollResult(
        state=state,
        error=error,
        next_poll_after=None if state.is_terminal else retry_after(answer.headers),
        word=None if word in STATES else storable(word)[:40],
        raw=task,
    )


def immediate_refusal(task: Task) -> ErrorKind | None:
    """
    Return the kind of refusal in a 2xx answer to a create call, or ``None`` if it does not surely refuse.

    An answer refuses by a failed state, with or without an id, or by its words if it has neither an id nor a known state. Without
    an id, a state such as a timeout, which may only be the gateway's own, does not refuse.
    """
    word = word_in(task)
    state = STATES.get(word)
    is_worded = bool(task.get("error")) or isinstance(task.get("code"), str)
    said = kind_of_words(f"{word if state in ENDED_BADLY else ''} {all_words(task) if is_worded else ''}")
    named = any(str(task.get(name) or NO_ID) != NO_ID for name in IDS)
    if state in ENDED_BADLY and (said or named or state is TaskState.REJECTED or word in SURELY_REFUSED):
        return said or (ErrorKind.REJECTED if state is TaskState.REJECTED else ErrorKind.RETRYABLE)
    return None if named or state is not None else said


def moment(value: Any) -> datetime | None:
    """Convert seconds since 1970 or ISO 8601, or return ``None``; gateways send 0 and null for unknown."""
    if isinstance(value, str):
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError:
            return None
        return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    seconds = number(value)
    if not seconds or not 0 < seconds < 1e11:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _id_problem(task: Task) -> str:
    named = next((task[name] for name in IDS if task.get(name) is not None), None)
    if isinstance(named, str) and len(named) > LONGEST_ID:
        return f"its id has {len(named):,} characters, more than can be kept"
    return "without a readable id"


def _error(state: TaskState, code: str | None, message: str, http_status: int) -> ProviderError:
    """Build the error of a failed task. Some gateways put an HTTP status in ``error.code``."""
    kinds = {TaskState.REJECTED: ErrorKind.REJECTED, TaskState.CANCELED: ErrorKind.CANCELED}
    if state is TaskState.FAILED and names_money(f"{code} {message}"):
        kinds = {TaskState.FAILED: ErrorKind.QUOTA}
    status = int(code) if code and re.fullmatch("[45][0-9][0-9]", code) else 400 if code and code.startswith("invalid") else 500
    kind = kinds.get(state) or kind_of_answer(status, create=False)
    return ProviderError(kind, message, code=code, http_status=http_status)
