"""
The OpenAI-style Videos API (``/v1/videos``) at any base URL: OpenAI's own, LiteLLM, vLLM-Omni, resellers, the studio.

The gateways differ; each difference known is met here (`providers.md` §1): a failed job answered with 5xx, ids that are numbers
or base64, answers in an envelope, other words for the same states, thumbnails that are really the video, a "completed" whose film
is not there yet, or that fails only when it is fetched.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from queue_app import http
from queue_app.providers.base import (
    AccountConfig,
    Capabilities,
    ErrorKind,
    FetchedAsset,
    PollResult,
    ProviderError,
    RemoteAsset,
    RemoteRef,
    SubmitRequest,
    TaskState,
    WebhookEvent,
    WebhookRefused,
    Wire,
    encoded,
    kind_of_answer,
    kind_of_words,
    names_money,
    names_policy,
)
from queue_app.providers.calls import Caller, all_words, number, retry_after, words_of
from queue_app.rules.codec import Codec
from queue_app.rules.lookup import LONGEST_ID, NO_ID, Page, Row, task_id
from queue_app.rules.words import storable

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
ASSETS = [RemoteAsset("video"), RemoteAsset("thumbnail", required=False), RemoteAsset("spritesheet", required=False)]
PAGE_SIZE = 100
IDS, ENVELOPES = ("id", "task_id", "video_id"), ("data", "task", "video")
LISTS = ("data", "videos", "items", "list", "results")
CREATED = ("created_at", "created", "create_time", "createTime", "submit_time")
# wall clock; a task that makes these calls has 60 s, one that stores a job's files 300 s
CREATE_SECONDS, CHECK_SECONDS = 30.0, 15.0
VIDEO_SECONDS, EXTRA_SECONDS = 200.0, 30.0
LARGEST = 2**40  # bytes; a probe stops long before
LIST_BYTES = 16 * 1024 * 1024  # a page of prompts of 32,000 characters each


class _Enough(Exception):
    """All that was wanted of a file has come."""


class _Head:
    """Hands a file on to ``sink`` and keeps its beginning; with ``is_enough`` it is not read further."""

    def __init__(self, sink: BinaryIO, *, is_enough: bool = False) -> None:
        self._sink, self._is_enough, self.kept = sink, is_enough, b""

    def write(self, chunk: bytes) -> None:
        self._sink.write(chunk)
        self.kept += chunk[: HEAD_BYTES - len(self.kept)]
        if self._is_enough and len(self.kept) == HEAD_BYTES:
            raise _Enough


class OpenAIVideos:
    """One account at one ``/v1/videos`` server."""

    name = "openai_videos"

    def __init__(self, account: AccountConfig) -> None:
        self._account = account
        self._encoding = account.options.get("request_encoding", "multipart")
        self._delete_stops = bool(account.options.get("cancel_by_delete", account.preview))  # it does at the studio
        self._api = Caller(account, default_path="/v1", headers=_auth(account))

    @property
    def caps(self) -> Capabilities:
        return Capabilities(
            webhooks="per_account" if self._account.webhook_secret else "none",
            cancel="hard" if self._delete_stops else "none",
            orphan_search="list_with_input",
            lists="account",
            begins="with_call",
            progress=True,
            synchronous=False,
            actual_cost=False,
        )

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        """
        Turn ``prompt`` and our parameters into wire fields.

        :raises ProviderError: INVALID_REQUEST, saying which parameter cannot be expressed here.
        """
        wire = encoded(endpoint_id, codec, inputs)
        if self._encoding != "json" and any(isinstance(value, dict | list) for value in wire.inputs.values()):
            words = "Images need an account with request_encoding json."
            raise ProviderError(ErrorKind.INVALID_REQUEST, words, code="invalid_parameter")
        return replace(wire, inputs={"model": wire.endpoint_id, **wire.inputs})

    def submit(self, req: SubmitRequest) -> RemoteRef:
        """
        Send the create, once.

        :raises ProviderError: see :func:`~queue_app.providers.base.accepted_verdict`; AMBIGUOUS where a task may exist.
        """
        if self._encoding == "json":
            sent: dict[str, Any] = {"json": req.inputs}
        else:
            texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in req.inputs.items()}
            sent = {"files": [(name, (None, text)) for name, text in texts.items()]}
        answer = self._api.call("POST", "/videos", purpose="submit", create=True, total_timeout=CREATE_SECONDS, **sent)
        body = self._api.body(answer)
        if not 200 <= answer.status < 300:
            raise self._api.failure(answer, create=True)
        task = _task(body or {})
        if kind := _refused_at_once(task):
            raise self._api.refusal(answer, task, kind, task=_id(task))
        if remote_id := _id(task):
            return self._ref_of(remote_id)
        raise self._api.unreadable(answer, ErrorKind.AMBIGUOUS, f"accepted, but {_no_id(task)}")

    def poll(self, ref: RemoteRef) -> PollResult:
        """
        Ask how a task stands; the body counts before the HTTP status.

        :raises ProviderError: the question was not answered; nothing is known about the task.
        """
        answer = self._api.call("GET", _path(ref), purpose="poll", total_timeout=CHECK_SECONDS)
        body = self._api.body(answer)
        well = 200 <= answer.status < 300
        task = _task(body or {})
        if word := _word(task):
            result = self._result(ref, task, word, answer)
            if well or (task.get("object") == "video" and result.state.is_terminal):
                return result
        if answer.status in {404, 410} and body is not None:  # a bare 404 page may come from a proxy in between
            return PollResult(TaskState.LOST, error=self._api.failure(answer), raw=body)
        if well:
            raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no status in the answer")
        raise self._api.failure(answer)

    def _result(self, ref: RemoteRef, task: dict[str, Any], word: str, answer: http.Response) -> PollResult:
        state = STATES.get(word) or self._of_unknown_word(ref, task)
        code, message = words_of(task)
        error = None
        if state in ENDED_BADLY:
            if state is TaskState.FAILED and names_policy(all_words(task)):
                state = TaskState.REJECTED
            error = _task_error(state, (code, message or f"The provider reported {word} without a reason."), answer.status)
        elif word not in STATES and task.get("error"):
            error = _task_error(TaskState.FAILED, (code, message or f"The provider reported {word}."), answer.status)
        percent, hint = number(task.get("progress")), number(answer.headers.get("openai-poll-after-ms"))
        return PollResult(
            state=state,
            progress=None if percent is None else min(1.0, max(0.0, percent / 100)),
            assets=list(ASSETS) if state is TaskState.SUCCEEDED else [],
            error=error,
            next_poll_after=None if state.is_terminal else retry_after(answer.headers) if hint is None else max(0.0, hint / 1000),
            expires_at=_moment(task.get("expires_at")),
            word=None if word in STATES else storable(word)[:40],
            raw=task,
        )

    def _of_unknown_word(self, ref: RemoteRef, task: dict[str, Any]) -> TaskState:
        """What a word that nobody knows stands for, by what stands beside it; a film that can be had ends all doubt."""
        if task.get("error"):
            return TaskState.FAILED if task.get("completed_at") else TaskState.RUNNING
        return TaskState.SUCCEEDED if self._has_film(ref) else TaskState.RUNNING

    def _has_film(self, ref: RemoteRef) -> bool:
        """Whether the content can be had; only its beginning is read."""
        head = _Head(BytesIO(), is_enough=True)
        with suppress(ProviderError, _Enough):
            path = f"{_path(ref)}/content"
            self._api.download(path, head, purpose="probe video", max_bytes=LARGEST, total_timeout=CHECK_SECONDS)
        return FILM.match(head.kept) is not None

    def cancel(self, ref: RemoteRef) -> TaskState:
        """
        Stop a task by DELETE where the account says that this stops it; else RUNNING, for it cannot be stopped.

        Asks first: DELETE would also throw away a result that is already there.

        :raises ProviderError: the provider did not answer, or refused.
        """
        if not self._delete_stops:
            return TaskState.RUNNING
        now = self.poll(ref).state
        if now.is_terminal:
            return now
        answer = self._api.call("DELETE", _path(ref), purpose="cancel", total_timeout=CHECK_SECONDS)
        body = self._api.body(answer)
        if 200 <= answer.status < 300:
            return TaskState.CANCELED if body and body.get("deleted") is True else TaskState.CANCELING
        if answer.status in {404, 410} and body is not None:
            return TaskState.LOST
        if answer.status == 409:  # a cancel is already under way
            return TaskState.CANCELING
        raise self._api.failure(answer)

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        """
        Stream one variant into ``sink``.

        :raises ProviderError: NOT_FOUND for a thumbnail or spritesheet that this gateway does not have. For the video any
            kind but RETRYABLE, RATE_LIMITED, AUTH and QUOTA is final: some gateways tell only here that the task failed.
        """
        main = asset.kind == "video"
        path = f"{_path(ref)}/content" + ("" if main else "?" + urlencode({"variant": asset.kind}))
        seconds = VIDEO_SECONDS if main else EXTRA_SECONDS
        head = _Head(sink)
        try:
            got = self._api.download(path, head, purpose=f"fetch {asset.kind}", max_bytes=max_bytes, total_timeout=seconds)
        except ProviderError as error:
            if main and _is_not_ready(error):
                raise ProviderError(
                    ErrorKind.RETRYABLE, error.message, code="not_ready", http_status=error.http_status
                ) from error
            if not main and error.kind in {ErrorKind.INVALID_REQUEST, ErrorKind.REJECTED, ErrorKind.NOT_FOUND}:
                raise _no_variant(asset, error.message) from error
            raise
        if main and (problem := _instead_of_a_film(head.kept)):
            raise problem
        if not main and got.content_type.startswith("video/"):
            raise _no_variant(asset, "it sent the video instead")
        return FetchedAsset(asset.kind, got.size, got.sha256, got.content_type)

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        """
        Translate one page of ``GET /videos``, newest first.

        :raises ProviderError: the page is not to be had.
        """
        asked = rows or PAGE_SIZE
        query = {"limit": asked, "order": "desc"} | ({"after": after} if after else {})
        path = f"/videos?{urlencode(query)}"
        fresh = {"Cache-Control": "no-cache"}  # an old copy would not show a task that is there
        answer = self._api.call("GET", path, purpose="look up", headers=fresh, max_bytes=LIST_BYTES, total_timeout=seconds)
        body = self._api.body(answer)
        if not 200 <= answer.status < 300:
            raise self._api.failure(answer)
        if body is None or (found := _rows(body)) is None:
            raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no list in the answer")
        more = body.get("has_more", body["data"].get("has_more") if isinstance(body.get("data"), dict) else None)
        return Page(
            rows=[self._row(_task(row)) if isinstance(row, dict) else Row(None) for row in found],
            asked=asked,
            more=more if isinstance(more, bool) else None,
            date=_date(answer.headers.get("date")),
        )

    def _row(self, task: dict[str, Any]) -> Row:
        remote_id = _id(task)
        prompt, model, inner = task.get("prompt"), task.get("model"), task.get("input")
        if prompt is None and isinstance(inner, dict):
            prompt = inner.get("prompt")
        return Row(
            id=remote_id,
            made=next((task[name] for name in CREATED if task.get(name)), None),
            prompt=prompt if isinstance(prompt, str) else None,
            model=_model_in(remote_id) or (model if isinstance(model, str) else None),
            names=self.names(remote_id) if remote_id else frozenset(),
            ended=state.is_terminal if (state := STATES.get(_word(task))) else None,
        )

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        return self._ref_of(remote_id)

    def names(self, remote_id: str) -> frozenset[str]:
        """
        An id of LiteLLM's holds the upstream's, and may be encoded anew, without its model, in each answer. Two upstreams behind
        one gateway may give the same id.
        """
        inside = _inside(remote_id)
        inner = [f"{inside.get('custom_llm_provider', '')}:{inside['video_id']}"] if "video_id" in inside else []
        return frozenset([remote_id, *inner])

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes) -> WebhookEvent:
        """
        Verify a Standard Webhook against the account's secret, then read it. Its ``type`` is a hint, never a state.

        :raises WebhookRefused: no secret is set, or the event is not signed with it, too old, or unreadable.
        """
        if not self._account.webhook_secret:
            raise WebhookRefused(f"Account {self._account.key} has no webhook secret, so no webhook can be trusted.")
        try:
            event = Webhook(self._account.webhook_secret).verify(raw, dict(headers))
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError, OverflowError) as error:
            raise WebhookRefused(f"Not a webhook of account {self._account.key}: {type(error).__name__}.") from error
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            raise WebhookRefused(f"A webhook of account {self._account.key} has no type.")
        data = event.get("data")
        remote_id = data.get("id") if isinstance(data, dict) else None
        event_id = next(value for name, value in headers.items() if name.lower() == "webhook-id")
        return WebhookEvent(event_id, event["type"], task_id(remote_id), event)

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """Tell nothing: this format has no price."""
        return None

    def _ref_of(self, remote_id: str) -> RemoteRef:
        return RemoteRef(provider=self._account.key, remote_id=remote_id)


def _auth(account: AccountConfig) -> dict[str, str]:
    if not account.api_key:
        return {}
    if account.options.get("auth_style") == "api-key":
        return {"api-key": account.api_key}
    return {"Authorization": f"Bearer {account.api_key}"}


def _path(ref: RemoteRef) -> str:
    return f"/videos/{quote(ref.remote_id, safe='')}"


def _task(body: dict[str, Any]) -> dict[str, Any]:
    """The task in an answer, which some gateways put into an envelope."""
    if _id(body) and _word(body):
        return body
    inner: dict[str, Any] = next((body[name] for name in ENVELOPES if isinstance(body.get(name), dict)), {})
    if not _id(inner) and not _word(inner):
        return body
    return {**inner, **body} if _id(body) else {**body, **inner}


def _id(task: dict[str, Any]) -> str | None:
    return next((found for name in IDS if (found := task_id(task.get(name)))), None)


def _no_id(task: dict[str, Any]) -> str:
    named = next((task[name] for name in IDS if task.get(name) is not None), None)
    if isinstance(named, str) and len(named) > LONGEST_ID:
        return f"its id has {len(named):,} characters, more than can be kept"
    return "without a readable id"


def _word(task: dict[str, Any]) -> str:
    said = next((task[name] for name in ("status", "task_status", "state") if isinstance(task.get(name), str)), "")
    return re.sub(r"[\s-]+", "_", said.strip().lower())


def _refused_at_once(task: dict[str, Any]) -> ErrorKind | None:
    """
    What an answer of 2xx says that it refuses: by a last state, whatever id stands beside it, else by its words where there is no
    id. Then nothing is being made. Without an id, a state that may only tell of the gateway's own patience refuses nothing.
    """
    word = _word(task)
    state = STATES.get(word)
    is_worded = bool(task.get("error")) or isinstance(task.get("code"), str)
    said = kind_of_words(f"{word if state in ENDED_BADLY else ''} {all_words(task) if is_worded else ''}")
    named = any(str(task.get(name) or NO_ID) != NO_ID for name in IDS)
    if state in ENDED_BADLY and (said or named or state is TaskState.REJECTED or word in SURELY_REFUSED):
        return said or (ErrorKind.REJECTED if state is TaskState.REJECTED else ErrorKind.RETRYABLE)
    return None if named or state is not None else said


def _rows(body: dict[str, Any]) -> list[Any] | None:
    """The list in an answer, under any of the names that gateways give it."""
    inner = body.get("data")
    holders = [body, inner] if isinstance(inner, dict) else [body]
    return next((holder[name] for holder in holders for name in LISTS if isinstance(holder.get(name), list)), None)


def _inside(remote_id: str) -> dict[str, str]:
    """What an id of LiteLLM's says: base64 of ``litellm:name:value;…`` behind ``video_``; nothing for any other."""
    try:
        text = b64decode(remote_id.removeprefix("video_") + "==", validate=False).decode()
    except ValueError:
        return {}
    if not remote_id.startswith("video_") or not text.startswith("litellm:"):
        return {}
    parts = (part.partition(":") for part in text.removeprefix("litellm:").split(";"))
    return {name: value for name, _, value in parts if value}


def _model_in(remote_id: str | None) -> str | None:
    return _inside(remote_id).get("model_id") if remote_id else None


def _date(told: str | None) -> float | None:
    """When the server says that it answered, in seconds since 1970."""
    try:
        return parsedate_to_datetime(told or "").timestamp()
    except (ValueError, OverflowError, TypeError):
        return None


def _is_not_ready(error: ProviderError) -> bool:
    """Whether a refusal of the content says that it is not there yet, in words or by the state of the task."""
    if error.http_status not in NOT_READY_STATUSES or error.kind in {ErrorKind.REJECTED, ErrorKind.QUOTA}:
        return False
    state = STATES.get(_word(_task(_object(error.raw) or {})))
    if state is None or state is TaskState.SUCCEEDED:  # the words count; a whole object holds the prompt, too
        words = error.message if error.raw.lstrip().startswith("{") else f"{error.message} {error.raw}"
        return NOT_READY.search(f"{error.code or ''} {words}") is not None
    return not state.is_terminal


def _instead_of_a_film(head: bytes) -> ProviderError | None:
    """What an answer of 2xx to a film's address means that tells the task's state: it is not there yet, or never will be."""
    told = _object(head)
    if told is None:
        return None
    task = _task(told)
    code, message = words_of(task)
    state = STATES.get(_word(task))
    if state in ENDED_BADLY:  # for good: there is nothing to wait for
        kind = ErrorKind.REJECTED if names_policy(all_words(task)) else ErrorKind.INVALID_REQUEST
        return ProviderError(kind, message or f"The provider reported {state}.", code=code, http_status=200)
    if NOT_READY.search(message) or (state and not state.is_terminal):
        return ProviderError(ErrorKind.RETRYABLE, message or f"The provider reported {state}.", code="not_ready", http_status=200)
    return None


def _object(text: str | bytes) -> dict[str, Any] | None:
    """A JSON object; nothing for anything else."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _no_variant(asset: RemoteAsset, why: str) -> ProviderError:
    return ProviderError(ErrorKind.NOT_FOUND, f"This gateway has no {asset.kind}: {why}.", code="no_variant")


def _task_error(state: TaskState, said: tuple[str | None, str], http_status: int) -> ProviderError:
    """What a task that ended badly means; gateways put an HTTP status in ``error.code``."""
    code, message = said
    kinds = {TaskState.REJECTED: ErrorKind.REJECTED, TaskState.CANCELED: ErrorKind.CANCELED}
    if state is TaskState.FAILED and names_money(f"{code} {message}"):
        kinds = {TaskState.FAILED: ErrorKind.QUOTA}
    status = int(code) if code and re.fullmatch("[45][0-9][0-9]", code) else 400 if code and code.startswith("invalid") else 500
    kind = kinds.get(state) or kind_of_answer(status, create=False)
    return ProviderError(kind, message, code=code, http_status=http_status)


def _moment(value: Any) -> datetime | None:
    """Read seconds since 1970; gateways send 0 and null for "not known"."""
    seconds = number(value)
    if not seconds or not 0 < seconds < 1e11:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
