"""
Adapter for the OpenAI-style Videos API (``/v1/videos``) at any base URL: OpenAI, LiteLLM, vLLM-Omni, resellers, the studio.

Gateways differ. This adapter, and the modules that all adapters share, handle the known differences: a failed task answered with
5xx, ids that are numbers or base64, answers in an envelope, other words for the same states, thumbnails that are the video
itself, and a "completed" whose video is not ready yet or fails only when it is downloaded.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode

from queue_app import http
from queue_app.providers import calls, listing, signatures
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
)
from queue_app.providers.calls import Caller, date_of, number
from queue_app.providers.files import FILM, Enough, FileHead, downloaded
from queue_app.providers.listing import Listing
from queue_app.providers.tasks import STATES, Task, accepted, id_in, looked_at, moment, standing, task_in, word_in
from queue_app.rules.codec import Codec
from queue_app.rules.lookup import Page, Row, task_id

ASSETS = [RemoteAsset("video"), RemoteAsset("thumbnail", required=False), RemoteAsset("spritesheet", required=False)]
PAGE_SIZE = 100
LISTS = ("data", "videos", "items", "list", "results")
CREATED = ("created_at", "created", "create_time", "createTime", "submit_time")
LARGEST = 2**40  # bytes; a probe stops long before


class OpenAIVideos:
    """One account at one ``/v1/videos`` server."""

    name = "openai_videos"

    def __init__(self, account: AccountConfig) -> None:
        self._account = account
        self._encoding = account.options.get("request_encoding", "multipart")
        self._delete_stops = bool(account.options.get("cancel_by_delete", account.preview))  # DELETE cancels at the studio
        self._api = Caller(account, default_path="/v1", headers=calls.auth_headers(account))

    @property
    def caps(self) -> Capabilities:
        return Capabilities(
            webhooks="per_account" if self._account.webhook_secret and not self._account.preview else "none",
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
        Convert ``prompt`` and our parameters to wire fields.

        :raises ProviderError: INVALID_REQUEST; the message names the parameter that can't be expressed.
        """
        wire = encoded(endpoint_id, codec, inputs)
        if self._encoding != "json" and any(isinstance(value, dict | list) for value in wire.inputs.values()):
            words = "Images need an account with request_encoding json."
            raise ProviderError(ErrorKind.INVALID_REQUEST, words, code="invalid_parameter")
        return replace(wire, inputs={"model": wire.endpoint_id, **wire.inputs})

    def submit(self, req: SubmitRequest) -> RemoteRef:
        """
        Send the create call, once.

        :raises ProviderError: see `base.accepted_verdict`; AMBIGUOUS if a task may exist.
        """
        if self._encoding == "json":
            sent: dict[str, Any] = {"json": req.inputs}
        else:
            texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in req.inputs.items()}
            sent = {"files": [(name, (None, text)) for name, text in texts.items()]}
        answer = self._api.call("POST", "/videos", purpose="submit", create=True, total_timeout=calls.CREATE_SECONDS, **sent)
        return accepted(self._api, answer, account=self._account.key)

    def poll(self, ref: RemoteRef) -> PollResult:
        """
        Return the status of a task. The body takes precedence over the HTTP status.

        :raises ProviderError: there was no usable answer; nothing is known about the task.
        """
        answer = self._api.call("GET", _path(ref), purpose="poll", total_timeout=calls.CHECK_SECONDS)
        return looked_at(self._api, answer, ref, lambda task, word: self._result(ref, task, word, answer))

    def _result(self, ref: RemoteRef, task: Task, word: str, answer: http.Response) -> PollResult:
        result = standing(task, word, answer, unknown=lambda: self._state_of_unknown_word(ref, task))
        percent, hint = number(task.get("progress")), number(answer.headers.get("openai-poll-after-ms"))
        wait = result.next_poll_after if hint is None or result.state.is_terminal else max(0.0, hint / 1000)
        return replace(
            result,
            progress=None if percent is None else min(1.0, max(0.0, percent / 100)),
            assets=list(ASSETS) if result.state is TaskState.SUCCEEDED else [],
            next_poll_after=wait,
            expires_at=moment(task.get("expires_at")),
        )

    def _state_of_unknown_word(self, ref: RemoteRef, task: Task) -> TaskState:
        """Return the state for an unknown status: failed (error and end time), succeeded (the video is there), else running."""
        if task.get("error"):
            return TaskState.FAILED if task.get("completed_at") else TaskState.RUNNING
        return TaskState.SUCCEEDED if self._has_film(ref) else TaskState.RUNNING

    def _has_film(self, ref: RemoteRef) -> bool:
        """Whether the video can be downloaded; reads only its beginning."""
        head = FileHead(BytesIO(), is_enough=True)
        with suppress(ProviderError, Enough):
            path = f"{_path(ref)}/content"
            self._api.download(path, head, purpose="probe video", max_bytes=LARGEST, total_timeout=calls.CHECK_SECONDS)
        return FILM.match(head.kept) is not None

    def cancel(self, ref: RemoteRef) -> TaskState:
        """
        Cancel a task by DELETE if the account's options say that this cancels it; otherwise return RUNNING.

        Polls first, because DELETE would also remove a finished result.

        :raises ProviderError: the provider did not answer, or refused.
        """
        if not self._delete_stops:
            return TaskState.RUNNING
        now = self.poll(ref).state
        if now.is_terminal:
            return now
        answer = self._api.call("DELETE", _path(ref), purpose="cancel", total_timeout=calls.CHECK_SECONDS)
        body = self._api.body(answer)
        if 200 <= answer.status < 300:
            return TaskState.CANCELED if body and body.get("deleted") is True else TaskState.CANCELING
        if answer.status in {404, 410} and body is not None:
            return TaskState.LOST
        if answer.status == 409:  # it is being cancelled already
            return TaskState.CANCELING
        raise self._api.failure(answer)

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        """
        Stream one variant of the result into ``sink``.

        :raises ProviderError: NOT_FOUND for a thumbnail or spritesheet that this gateway does not have. For the video, any kind
            except RETRYABLE, RATE_LIMITED, AUTH and QUOTA is final: some gateways report only here that the task failed.
        """
        path = f"{_path(ref)}/content"
        if asset.kind == "video":
            return downloaded(self._api, path, asset, sink, max_bytes=max_bytes, with_key=True)
        path += "?" + urlencode({"variant": asset.kind})
        purpose, seconds = f"fetch {asset.kind}", calls.EXTRA_SECONDS
        try:
            got = self._api.download(path, sink, purpose=purpose, max_bytes=max_bytes, total_timeout=seconds)
        except ProviderError as error:
            if error.kind in {ErrorKind.INVALID_REQUEST, ErrorKind.REJECTED, ErrorKind.NOT_FOUND}:
                raise _no_variant(asset, error.message) from error
            raise
        if got.content_type.startswith("video/"):
            raise _no_variant(asset, "it sent the video instead")
        return FetchedAsset(asset.kind, got.size, got.sha256, got.content_type)

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        """
        Return one page of ``GET /videos``, newest first.

        :raises ProviderError: the page could not be read.
        """
        asked = rows or PAGE_SIZE
        query = {"limit": asked, "order": "desc"} | ({"after": after} if after else {})
        path = f"/videos?{urlencode(query)}"
        fresh = {"Cache-Control": "no-cache"}  # an old copy would lack new tasks
        answer = self._api.call("GET", path, purpose="look up", headers=fresh, max_bytes=calls.LIST_BYTES, total_timeout=seconds)
        body = self._api.body(answer)
        if not 200 <= answer.status < 300:
            raise self._api.failure(answer)
        if body is None or (found := _rows(body)) is None:
            raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no list in the answer")
        more = body.get("has_more", body["data"].get("has_more") if isinstance(body.get("data"), dict) else None)
        return Page(
            rows=[self._row(task_in(row)) if isinstance(row, dict) else Row(None) for row in found],
            asked=asked,
            more=more if isinstance(more, bool) else None,
            date=date_of(answer.headers),
        )

    def _row(self, task: Task) -> Row:
        remote_id = id_in(task)
        prompt, model, inner = task.get("prompt"), task.get("model"), task.get("input")
        if prompt is None and isinstance(inner, dict):
            prompt = inner.get("prompt")
        return Row(
            id=remote_id,
            made=next((task[name] for name in CREATED if task.get(name)), None),
            prompt=prompt if isinstance(prompt, str) else None,
            model=_model_in(remote_id) or (model if isinstance(model, str) else None),
            names=self.names(remote_id) if remote_id else frozenset(),
            ended=state.is_terminal if (state := STATES.get(word_in(task))) else None,
        )

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        return self._ref_of(remote_id)

    def names(self, remote_id: str) -> frozenset[str]:
        """
        Return the id and, for an id of LiteLLM, the upstream's id with its provider.

        LiteLLM encodes the upstream's id, and may do so differently in each answer. Two upstreams behind one gateway may use the
        same id.
        """
        inside = _decoded(remote_id)
        inner = [f"{inside.get('custom_llm_provider', '')}:{inside['video_id']}"] if "video_id" in inside else []
        return frozenset([remote_id, *inner])

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> WebhookEvent:
        """
        Verify a Standard Webhook with the account's secret and parse it. Its ``type`` is a hint, not a state.

        :raises WebhookRefused: no secret is set, or the event is not signed with it, too old or unreadable.
        """
        signed = signatures.verified("standard", self._account, headers, raw, at=at)
        kind, data = signed.event.get("type"), signed.event.get("data")
        if not isinstance(kind, str):
            raise WebhookRefused(f"A webhook of account {self._account.key} has no type.")
        return WebhookEvent(signed.id, kind, task_id(data.get("id")) if isinstance(data, dict) else None, signed.event)

    def test_connection(self) -> str:
        """
        Read one row of the task list.

        :raises ProviderError: no answer, or a refusal.
        """
        self.list_tasks(None, endpoint_id="", rows=1, seconds=calls.CHECK_SECONDS)
        return ""

    def catalogue(self, endpoints: Collection[str]) -> Listing:
        """
        Ask which models the server lists.

        :raises ProviderError: no answer, or a refusal.
        """
        return listing.named(endpoints, calls.listed_models(self._api))

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """Return ``None``: this API reports no cost."""
        return None

    def _ref_of(self, remote_id: str) -> RemoteRef:
        return RemoteRef(provider=self._account.key, remote_id=remote_id)


def _path(ref: RemoteRef) -> str:
    return f"/videos/{quote(ref.remote_id, safe='')}"


def _rows(body: dict[str, Any]) -> list[Any] | None:
    """Return the list in an answer, under any of the names that gateways use; ``None`` without one."""
    inner = body.get("data")
    holders = [body, inner] if isinstance(inner, dict) else [body]
    return next((holder[name] for holder in holders for name in LISTS if isinstance(holder.get(name), list)), None)


def _decoded(remote_id: str) -> dict[str, str]:
    """Return the fields in an id of LiteLLM (``video_`` + base64 of ``litellm:name:value;…``); empty for other ids."""
    try:
        text = b64decode(remote_id.removeprefix("video_") + "==", validate=False).decode()
    except ValueError:
        return {}
    if not remote_id.startswith("video_") or not text.startswith("litellm:"):
        return {}
    parts = (part.partition(":") for part in text.removeprefix("litellm:").split(";"))
    return {name: value for name, _, value in parts if value}


def _model_in(remote_id: str | None) -> str | None:
    return _decoded(remote_id).get("model_id") if remote_id else None


def _no_variant(asset: RemoteAsset, why: str) -> ProviderError:
    return ProviderError(ErrorKind.NOT_FOUND, f"This gateway has no {asset.kind}: {why}.", code="no_variant")
