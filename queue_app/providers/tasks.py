"""A task in a provider's answer: its id, its state in whatever word, and whether it was refused at once. Shared by adapters."""

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
# the words of all vendors and gateways known (`providers.md` §1.4, §7.3)
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
SURELY_REFUSED = {"failed", "fail", "failure", "error", "errored", "rejected"}  # not a timeout: the upstream may be at work
IDS, ENVELOPES = ("id", "task_id", "video_id"), ("data", "task", "video")


def task_in(body: Task) -> Task:
    """Return the task in an answer, which some gateways put into an envelope."""
    if id_in(body) and word_in(body):
        return body
    inner: Task = next((body[name] for name in ENVELOPES if isinstance(body.get(name), dict)), {})
    if not id_in(inner) and not word_in(inner):
        return body
    return {**inner, **body} if id_in(body) else {**body, **inner}


def id_in(task: Task) -> str | None:
    """Return the id of a task, if it has one that can be kept."""
    return next((found for name in IDS if (found := task_id(task.get(name)))), None)


def word_in(task: Task) -> str:
    """Return the word for a task's state, in lower case and with underscores; empty if there is none."""
    said = next((task[name] for name in ("status", "task_status", "state") if isinstance(task.get(name), str)), "")
    return re.sub(r"[\s-]+", "_", said.strip().lower())


def accepted(api: Caller, answer: http.Response, *, account: str) -> RemoteRef:
    """
    Read the answer to a create call.

    :raises ProviderError: it is no plain yes. AMBIGUOUS where a task may exist all the same.
    """
    body = api.body(answer)
    if not 200 <= answer.status < 300:
        raise api.failure(answer, create=True)
    task = task_in(body or {})
    if kind := refused_at_once(task):
        raise api.refusal(answer, task, kind, task=id_in(task))
    if remote_id := id_in(task):
        return RemoteRef(provider=account, remote_id=remote_id)
    raise api.unreadable(answer, ErrorKind.AMBIGUOUS, f"accepted, but {_no_id(task)}")


def looked_at(api: Caller, answer: http.Response, ref: RemoteRef, read: Callable[[Task, str], PollResult]) -> PollResult:
    """
    Read the answer to a poll. The body counts before the HTTP status: a failed task may come with 500. ``read`` turns a task and
    the word for its state into a result.

    :raises ProviderError: the question was not answered; nothing is known about the task.
    """
    body, well = api.body(answer), 200 <= answer.status < 300
    task = task_in(body or {})
    if word := word_in(task):
        result = read(task, word)
        is_this = task.get("object") == "video" or id_in(task) == ref.remote_id
        if well or (is_this and result.state.is_terminal):
            return result
    if answer.status in {404, 410} and body is not None:  # a bare 404 page may come from a proxy in between
        return PollResult(TaskState.LOST, error=api.failure(answer), raw=body)
    if well:
        raise api.unreadable(answer, ErrorKind.RETRYABLE, "no status in the answer")
    raise api.failure(answer)


def standing(task: Task, word: str, answer: http.Response, *, unknown: Callable[[], TaskState]) -> PollResult:
    """Return how a task stands by its word, without assets and progress. ``unknown`` decides for a word that nobody knows."""
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


def refused_at_once(task: Task) -> ErrorKind | None:
    """
    Return what an answer of 2xx refuses: by a last state, whatever id stands beside it, else by its words where there is no id.
    Then nothing is being made. Without an id, a state that may only tell of the gateway's own patience refuses nothing.
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
    """Read seconds since 1970, or ISO 8601; 0, null and anything else mean that it is not known."""
    if isinstance(value, str):
        try:
            told = datetime.fromisoformat(value)
        except ValueError:
            return None
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    seconds = number(value)
    if not seconds or not 0 < seconds < 1e11:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _no_id(task: Task) -> str:
    named = next((task[name] for name in IDS if task.get(name) is not None), None)
    if isinstance(named, str) and len(named) > LONGEST_ID:
        return f"its id has {len(named):,} characters, more than can be kept"
    return "without a readable id"


def _error(state: TaskState, code: str | None, message: str, http_status: int) -> ProviderError:
    """Word a task that ended badly; gateways put an HTTP status in ``error.code``."""
    kinds = {TaskState.REJECTED: ErrorKind.REJECTED, TaskState.CANCELED: ErrorKind.CANCELED}
    if state is TaskState.FAILED and names_money(f"{code} {message}"):
        kinds = {TaskState.FAILED: ErrorKind.QUOTA}
    status = int(code) if code and re.fullmatch("[45][0-9][0-9]", code) else 400 if code and code.startswith("invalid") else 500
    kind = kinds.get(state) or kind_of_answer(status, create=False)
    return ProviderError(kind, message, code=code, http_status=http_status)
