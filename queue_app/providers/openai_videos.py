"""
The OpenAI-style Videos API (``/v1/videos``) at any base URL: OpenAI's own, LiteLLM, vLLM-Omni, resellers, the studio.

The gateways differ; each difference known is met here: a failed job answered with 5xx, ids that are base64, missing
times and progress, thumbnails that are really the video, a "completed" that fails only when it is fetched.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
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
    kind_of_answer,
    names_policy,
)
from queue_app.providers.calls import Caller, number, retry_after, words_of
from queue_app.providers.openai_inputs import wire_fields
from queue_app.rules.words import storable

logger = logging.getLogger(__name__)

STATES = {
    **dict.fromkeys(("queued", "pending", "submitted", "created"), TaskState.QUEUED),
    **dict.fromkeys(("in_progress", "processing", "running", "generating"), TaskState.RUNNING),
    **dict.fromkeys(("completed", "succeeded", "success"), TaskState.SUCCEEDED),
    **dict.fromkeys(("failed", "error", "expired", "rejected"), TaskState.FAILED),
    **dict.fromkeys(("cancelled", "canceled"), TaskState.CANCELED),
}
ASSETS = [RemoteAsset("video"), RemoteAsset("thumbnail", required=False), RemoteAsset("spritesheet", required=False)]
PAGE_SIZE, MAX_PAGES = 100, 20
# wall clock; a task that makes these calls has 60 s, one that stores a job's files 300 s
CREATE_SECONDS, CHECK_SECONDS, LOOKUP_SECONDS = 30.0, 15.0, 40.0
VIDEO_SECONDS, EXTRA_SECONDS = 200.0, 30.0
LIST_BYTES = 16 * 1024 * 1024  # a page of prompts of 32,000 characters each


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
            progress=True,
            synchronous=False,
            actual_cost=False,
        )

    def validate(self, endpoint_id: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """
        Turn ``prompt`` and our parameters into wire fields.

        :raises ProviderError: INVALID_REQUEST, saying which parameter cannot be expressed here.
        """
        return wire_fields(endpoint_id, inputs, encoding=self._encoding)

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
        remote_id = body.get("id") if body else None
        if not isinstance(remote_id, str) or not remote_id or storable(remote_id) != remote_id:
            raise self._api.unreadable(answer, ErrorKind.AMBIGUOUS, "accepted, but without a readable id")
        return self._ref(remote_id)

    def poll(self, ref: RemoteRef) -> PollResult:
        """
        Ask how a task stands; the body counts before the HTTP status.

        :raises ProviderError: the question was not answered; nothing is known about the task.
        """
        answer = self._api.call("GET", _path(ref), purpose="poll", total_timeout=CHECK_SECONDS)
        body = self._api.body(answer)
        well = 200 <= answer.status < 300
        if body is not None and isinstance(body.get("status"), str):
            result = self._result(body, answer)
            if well or (body.get("object") == "video" and result.state.is_terminal):
                return result
        if answer.status in {404, 410} and body is not None:  # a bare 404 page may come from a proxy in between
            return PollResult(TaskState.LOST, error=self._api.failure(answer), raw=body)
        if well:
            raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no status in the answer")
        raise self._api.failure(answer)

    def _result(self, body: dict[str, Any], answer: http.Response) -> PollResult:
        word = body["status"].lower()
        state = STATES.get(word)
        if state is None:
            logger.warning("account %s: unknown video status %.40r, taken as running", self._account.key, word)
            state = TaskState.RUNNING
        error = None
        if state in {TaskState.FAILED, TaskState.CANCELED}:
            code, message = words_of(body)
            if state is TaskState.FAILED and names_policy(f"{code} {message}"):
                state = TaskState.REJECTED
            error = _task_error(state, (code, message or f"The provider says {word} and gives no reason."), answer)
        percent, hint = number(body.get("progress")), number(answer.headers.get("openai-poll-after-ms"))
        return PollResult(
            state=state,
            progress=None if percent is None else min(1.0, max(0.0, percent / 100)),
            assets=list(ASSETS) if state is TaskState.SUCCEEDED else [],
            error=error,
            next_poll_after=None if state.is_terminal else retry_after(answer.headers) if hint is None else max(0.0, hint / 1000),
            expires_at=_moment(body.get("expires_at")),
            raw=body,
        )

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
        try:
            got = self._api.download(path, sink, purpose=f"fetch {asset.kind}", max_bytes=max_bytes, total_timeout=seconds)
        except ProviderError as error:
            if not main and error.kind in {ErrorKind.INVALID_REQUEST, ErrorKind.REJECTED, ErrorKind.NOT_FOUND}:
                raise _no_variant(asset, error.message) from error
            raise
        if not main and got.content_type.startswith("video/"):
            raise _no_variant(asset, "it sent the video instead")
        return FetchedAsset(asset.kind, got.size, got.sha256, got.content_type)

    def find_orphans(self, req: SubmitRequest, since: datetime, until: datetime) -> list[RemoteRef]:
        """
        Find videos with this prompt and model made in the window, oldest first. A video without a time counts as in it.

        :raises ProviderError: the list is not to be had or cannot prove that there is none (too long, or without prompts).
        """
        found: list[tuple[float, str]] = []
        first, last = since.timestamp() - 1, until.timestamp() + 1  # their times are whole seconds
        for video in self._listed(first):
            made = number(video.get("created_at")) or None
            if video.get("model") not in {None, "", req.endpoint_id} or (made is not None and not first <= made <= last):
                continue
            if not isinstance(video.get("prompt"), str):
                raise ProviderError(ErrorKind.NOT_FOUND, "This gateway lists no prompts.", code="prompt_not_listed")
            if video["prompt"] == req.inputs["prompt"] and isinstance(video.get("id"), str):
                found.append((made or first, video["id"]))
        return [self._ref(remote_id) for _, remote_id in sorted(found)]

    def _listed(self, first: float) -> Iterator[dict[str, Any]]:
        """Walk the list, newest first, until a video older than ``first`` (seconds since 1970) was seen."""
        after, ends = "", time.monotonic() + LOOKUP_SECONDS
        for _ in range(MAX_PAGES):
            query = {"limit": PAGE_SIZE, "order": "desc"} | ({"after": after} if after else {})
            path, left = f"/videos?{urlencode(query)}", max(1.0, ends - time.monotonic())
            answer = self._api.call("GET", path, purpose="find orphans", max_bytes=LIST_BYTES, total_timeout=left)
            body = self._api.body(answer)
            if not 200 <= answer.status < 300:
                raise self._api.failure(answer)
            if body is None or not isinstance(body.get("data"), list):
                raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no list in the answer")
            videos = [video for video in body["data"] if isinstance(video, dict)]
            yield from videos
            times = [number(video.get("created_at")) or None for video in videos]
            if not body.get("has_more") or not videos or any(made is not None and made < first for made in times):
                return
            after = str(body.get("last_id") or videos[-1].get("id"))
        raise ProviderError(ErrorKind.RETRYABLE, f"More than {PAGE_SIZE * MAX_PAGES} videos since then.", code="list_too_long")

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
        return WebhookEvent(event_id, event["type"], remote_id if isinstance(remote_id, str) else None, event)

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """Tell nothing: this format has no price."""
        return None

    def _ref(self, remote_id: str) -> RemoteRef:
        return RemoteRef(provider=self._account.key, remote_id=remote_id)


def _auth(account: AccountConfig) -> dict[str, str]:
    if not account.api_key:
        return {}
    if account.options.get("auth_style") == "api-key":
        return {"api-key": account.api_key}
    return {"Authorization": f"Bearer {account.api_key}"}


def _path(ref: RemoteRef) -> str:
    return f"/videos/{quote(ref.remote_id, safe='')}"


def _no_variant(asset: RemoteAsset, why: str) -> ProviderError:
    return ProviderError(ErrorKind.NOT_FOUND, f"This gateway has no {asset.kind}: {why}.", code="no_variant")


def _task_error(state: TaskState, said: tuple[str | None, str], answer: http.Response) -> ProviderError:
    """What a task that ended badly means; gateways put an HTTP status in ``error.code``."""
    code, message = said
    kinds = {TaskState.REJECTED: ErrorKind.REJECTED, TaskState.CANCELED: ErrorKind.CANCELED}
    status = int(code) if code and re.fullmatch("[45][0-9][0-9]", code) else 400 if code and code.startswith("invalid") else 500
    kind = kinds.get(state) or kind_of_answer(status, create=False)
    request_id = answer.headers.get("x-request-id")
    return ProviderError(kind, message, code=code, http_status=answer.status, request_id=request_id)


def _moment(value: Any) -> datetime | None:
    """Read seconds since 1970; gateways send 0 and null for "not known"."""
    seconds = number(value)
    if not seconds or not 0 < seconds < 1e11:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
