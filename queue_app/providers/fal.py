"""
Adapter for fal's queue: create, status, result and cancel at ``queue.fal.run``; lists of requests and their cost at
``api.fal.ai``.

A task that has ended is ``COMPLETED``, even if it failed: the reason is in an error next to the status, or only in the answer to
the request for its result. So a poll of such a task reads both. Files are on public servers, which do not get the key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit

from queue_app import http
from queue_app.providers import calls, jwks, signatures
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
    kind_of_words,
    names_policy,
)
from queue_app.providers.calls import Caller, all_words, date_of, retry_after
from queue_app.providers.fal_platform import Platform
from queue_app.providers.files import downloaded, not_ready
from queue_app.providers.listing import Listing
from queue_app.providers.tasks import word_in
from queue_app.rules.codec import Codec
from queue_app.rules.lookup import Page, Row, task_id
from queue_app.rules.words import storable

HOSTS = {"queue.fal.run", "queue.falrun.com"}  # the second is a fallback for the first
PLATFORM, STUDIO_PATH, STUDIO_PLATFORM = "https://api.fal.ai/v1", "/fal", "/fal/v1"
KEYS, STUDIO_KEYS = "https://rest.fal.ai/.well-known/jwks.json", "/fal/.well-known/jwks.json"  # that webhooks are signed with
THREE_PARTS = {"workflows", "comfy"}  # owners whose applications have a name of three parts
STATES = {"in_queue": TaskState.QUEUED, "in_progress": TaskState.RUNNING}
OVER = "completed"
STOPPED = {"ok", "cancelled", "canceled"}  # answers to a cancel of a task that has not begun
# types of errors: those that may pass, and those that a cancel causes
PASSING = re.compile(r"request_timeout|startup_timeout|runner_\w+|internal_error|downstream_service_\w+|generation_timeout")
CANCELLED = {"client_cancelled", "client_disconnected"}
NOT_OF_THE_TASK = {401, 403, 408, 409, 425, 429}  # statuses about our account or about a passing state, not about the task
NOT_READY = re.compile(r"still in (progress|queue)|not (ready|completed)", re.IGNORECASE)
# kinds of files by their names in results
FILES = {"video": "video", "videos": "video", "image": "image", "images": "image"}
COST_SECONDS = 5.0
PAGE_SIZE = 100


class Fal:
    """One account at fal."""

    name = "fal"

    def __init__(self, account: AccountConfig) -> None:
        self._account = account
        headers = {"Authorization": f"Key {account.api_key}"} if account.api_key else {}
        # the studio and other substitutes have everything below one address
        is_fal = urlsplit(account.base_url).hostname in HOSTS
        base = account.base_url.rstrip("/")
        self._api = Caller(account, default_path="" if is_fal else STUDIO_PATH, headers=headers)
        self._platform = PLATFORM if is_fal else base.removesuffix(STUDIO_PATH) + STUDIO_PLATFORM
        self._lists = Platform(self._api, self._platform)
        self._keys_url = KEYS if is_fal else base.removesuffix(STUDIO_PATH) + STUDIO_KEYS

    @property
    def caps(self) -> Capabilities:
        return Capabilities(
            webhooks="per_request",
            cancel="best_effort",
            orphan_search="list_with_input",
            lists="endpoint",
            begins="by_start_deadline",
            progress=False,
            synchronous=False,
            actual_cost=True,
        )

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        """
        Convert ``prompt`` and our parameters to the fields of the endpoint.

        :raises ProviderError: INVALID_REQUEST; the message names the parameter that can't be expressed.
        """
        return encoded(endpoint_id, codec, inputs)

    def submit(self, req: SubmitRequest) -> RemoteRef:
        """
        Send the create call, once. The task may wait in fal's queue until the start deadline; fal may not use another endpoint.

        :raises ProviderError: see `base.accepted_verdict`; AMBIGUOUS if a task may exist.
        """
        headers = {"X-Fal-Tags": f"attempt={req.attempt_id}", "x-app-fal-disable-fallback": "true"}
        if req.start_deadline_s:
            seconds = f"{req.start_deadline_s:g}"
            headers |= {"X-Fal-Request-Start-Timeout": seconds, "X-Fal-Request-Timeout": seconds}
        path = f"/{quote(req.endpoint_id)}"
        if req.webhook_url:
            path += f"?{urlencode({'fal_webhook': req.webhook_url})}"
        answer = self._api.call(
            "POST", path, purpose="submit", create=True, json=req.inputs, headers=headers, total_timeout=calls.CREATE_SECONDS
        )
        body = self._api.body(answer)
        if not 200 <= answer.status < 300:
            raise self._refused(answer)
        if body and (remote_id := task_id(body.get("request_id"))):
            return self._ref_of(remote_id, req.endpoint_id, body)
        if body and (kind := kind_of_words(all_words(body))):
            raise self._api.refusal(answer, body, kind)
        raise self._api.unreadable(answer, ErrorKind.AMBIGUOUS, "accepted, but without a readable request_id")

    def _refused(self, answer: http.Response) -> ProviderError:
        error = self._api.failure(answer, create=True)
        if answer.status == 499:  # it says that the client has closed the connection, not what became of the request
            error.kind = ErrorKind.AMBIGUOUS
        return error

    def poll(self, ref: RemoteRef) -> PollResult:
        """
        Return the status of a task. If it has ended, read its result, too.

        :raises ProviderError: there was no usable answer; nothing is known about the task.
        """
        answer = self._ask(ref.status_url, "poll")
        body = self._api.body(answer)
        word = word_in(body or {})
        if answer.status in {404, 410} and body is not None:  # a 404 without JSON may come from a proxy in between
            return PollResult(TaskState.LOST, error=self._api.failure(answer), raw=body)
        if not 200 <= answer.status < 300:
            raise self._api.failure(answer)
        if not body or not word:
            raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no status in the answer")
        if word == OVER:
            return self._ended(ref, body, answer)
        place = body.get("queue_position")
        return PollResult(
            state=STATES.get(word, TaskState.RUNNING),
            queue_position=place if isinstance(place, int) and not isinstance(place, bool) and place >= 0 else None,
            next_poll_after=retry_after(answer.headers),
            word=None if word in STATES else storable(word)[:40],
            raw=body,
        )

    def _ended(self, ref: RemoteRef, body: dict[str, Any], answer: http.Response) -> PollResult:
        """
        Return the result of a task that has ended: by the error next to its status, else by the answer to the request for its
        result. A server error in place of the result says nothing about the task, so it is read again: the task may be paid for.
        """
        kind = str(body.get("error_type") or "")
        if kind in CANCELLED or PASSING.fullmatch(kind):
            return self._failed(answer, body, kind)
        result = self._ask(ref.result_url, "fetch result")
        output = self._api.body(result)
        if 200 <= result.status < 300 and output is not None and (assets := list(_files(output))):
            return PollResult(TaskState.SUCCEEDED, assets=assets, raw=body)
        if kind or body.get("error"):
            return self._failed(answer, body, kind) if result.status < 400 else self._failed(result, output or body, kind)
        if result.status in {404, 410} and output is not None:  # it was kept for an hour and is deleted
            return PollResult(TaskState.LOST, error=self._api.failure(result), raw=output)
        if output is None:
            raise self._api.unreadable(result, ErrorKind.RETRYABLE, "no result in the answer")
        if result.status < 300:
            words = str(output.get("description") or "The provider finished without a file.")
            return PollResult(TaskState.FAILED, error=ProviderError(ErrorKind.RETRYABLE, words[:500], code="no_file"), raw=body)
        return self._refused_result(result, output)

    def _refused_result(self, result: http.Response, output: dict[str, Any]) -> PollResult:
        error = self._api.failure(result)
        if NOT_READY.search(error.message):
            error.kind = ErrorKind.RETRYABLE
            raise error
        if result.status >= 500 or result.status in NOT_OF_THE_TASK:
            raise error
        return self._failed(result, output, error.code or "")

    def _failed(self, answer: http.Response, body: dict[str, Any], kind: str) -> PollResult:
        """Return the result of a failed task. fal asks clients to use the type of its error, not its words."""
        error = self._api.failure(answer) if answer.status >= 400 else self._api.refusal(answer, body, ErrorKind.INVALID_REQUEST)
        kind = kind or error.code or ""
        error.code = storable(kind)[:60] or error.code
        if kind in CANCELLED:
            state, error.kind = TaskState.CANCELED, ErrorKind.CANCELED
        elif names_policy(kind):
            state, error.kind = TaskState.REJECTED, ErrorKind.REJECTED
        else:
            state = TaskState.FAILED
            may_pass = PASSING.fullmatch(kind) or answer.status >= 500 or answer.headers.get("x-fal-retryable") == "true"
            error.kind = ErrorKind.RETRYABLE if may_pass else error.kind
        return PollResult(state, error=error, raw=body)

    def cancel(self, ref: RemoteRef) -> TaskState:
        """
        Cancel a task. One that waits never runs; a running one may continue, and is billed then.

        :raises ProviderError: the provider did not answer, or refused.
        """
        answer = self._ask(ref.cancel_url, "cancel", method="PUT")
        body = self._api.body(answer)
        word = word_in(body or {})
        if word == "already_completed":
            return self.poll(ref).state
        if word == "not_found" or (answer.status in {404, 410} and body is not None):
            return TaskState.LOST
        if 200 <= answer.status < 300:
            return TaskState.CANCELED if word in STOPPED else TaskState.CANCELING
        raise self._api.failure(answer)

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        """
        Stream one file into ``sink`` from its public address, without the key.

        :raises ProviderError: NOT_FOUND if it is deleted. An answer of a file server says nothing about the account.
        """
        if not asset.url:
            raise ProviderError(ErrorKind.NOT_FOUND, f"The provider named no {asset.kind}.", code="no_asset")
        return downloaded(self._api, asset.url, asset, sink, max_bytes=max_bytes, with_key=False, meaning=_of_a_file)

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        """
        Return one page of the endpoint's requests, newest first by creation.

        :raises ProviderError: the page could not be read.
        """
        asked = rows or PAGE_SIZE
        query = {"endpoint_id": endpoint_id, "only_api_requests": "true", "expand": "payloads", "limit": asked}
        path = f"{self._platform}/models/requests/search?{urlencode(query | ({'cursor': after} if after else {}))}"
        fresh = {"Cache-Control": "no-cache"}  # an old copy would lack new tasks
        answer = self._api.call("GET", path, purpose="look up", headers=fresh, max_bytes=calls.LIST_BYTES, total_timeout=seconds)
        body = self._api.body(answer)
        if not 200 <= answer.status < 300:
            raise self._api.failure(answer)
        if body is None or not isinstance(body.get("items"), list):
            raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no list in the answer")
        cursor, more = body.get("next_cursor"), body.get("has_more")
        return Page(
            rows=[_row(row) if isinstance(row, dict) else Row(None) for row in body["items"]],
            asked=asked,
            more=False if "next_cursor" in body and cursor is None else more if isinstance(more, bool) else None,
            date=date_of(answer.headers),
            cursor=cursor if isinstance(cursor, str) else None,
        )

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        return self._ref_of(remote_id, endpoint_id, {})

    def names(self, remote_id: str) -> frozenset[str]:
        return frozenset([remote_id])

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> WebhookEvent:
        """
        Verify a webhook with fal's public keys. They sign the webhooks of all its users: the caller compares the sender.

        :raises WebhookRefused: not signed by fal, too old, unreadable, or about another request than it is signed for.
        """
        signed = signatures.verified("fal", self._account, headers, raw, at=at, keys=self._public_keys)
        number = task_id(signed.event.get("request_id"))
        if number != signed.id:
            raise WebhookRefused(f"A webhook of account {self._account.key} names another request than its signature.")
        word = storable(str(signed.event.get("status")))[:20].lower()
        return WebhookEvent(signed.id, f"request.{word}", number, signed.event, sender=signed.sender)

    def _public_keys(self, fresh: bool) -> Sequence[Any]:
        return jwks.ed25519_keys(self._keys_url, fresh=fresh)

    def test_connection(self) -> str:
        """
        Ask for the account and its credit.

        :raises ProviderError: no answer, or a refusal.
        """
        return self._lists.account()

    def catalogue(self, endpoints: Collection[str]) -> Listing:
        """
        Ask for the schema, state and base price of these endpoints.

        :raises ProviderError: no answer, or a refusal.
        """
        return self._lists.catalogue(endpoints)

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """
        Return what fal has billed for a task in USD; ``None`` if it does not report it yet, or not to this key.

        :raises ProviderError: the provider did not answer.
        """
        path = f"{self._platform}/models/billing-events?{urlencode({'request_id': ref.remote_id})}"
        answer = self._api.call("GET", path, purpose="read cost", max_bytes=calls.TASK_BYTES, total_timeout=COST_SECONDS)
        events = (self._api.body(answer) or {}).get("billing_events")
        if not 200 <= answer.status < 300 or not isinstance(events, list):
            return None
        costs = [cost for event in events if isinstance(event, dict) and (cost := _cost(event)) is not None]
        return sum(costs, Decimal(0)) if costs else None

    # --- addresses ------------------------------------------------------------------------------------------------------

    def _ask(self, url: str | None, purpose: str, *, method: str = "GET") -> http.Response:
        if not url or not self._is_fals(url):
            raise ProviderError(ErrorKind.NOT_FOUND, "There is no address to ask for this task.", code="no_address")
        return self._api.call(method, url, purpose=purpose, max_bytes=calls.TASK_BYTES, total_timeout=calls.CHECK_SECONDS)

    def _ref_of(self, remote_id: str, endpoint_id: str, body: Mapping[str, Any]) -> RemoteRef:
        """Build a reference with the addresses that fal returned, except those of another origin, which must not get the key."""
        parts = endpoint_id.split("/")
        app = "/".join(parts[: 3 if parts[0] in THREE_PARTS else 2])
        root = f"{self._api.root}/{quote(app)}/requests/{quote(remote_id, safe='')}"
        named = {name: body.get(name) for name in ("status_url", "response_url", "cancel_url")}
        given = {name: url for name, url in named.items() if isinstance(url, str) and self._is_fals(url)}
        return RemoteRef(
            provider=self._account.key,
            remote_id=remote_id,
            status_url=given.get("status_url", f"{root}/status"),
            result_url=given.get("response_url", root),
            cancel_url=given.get("cancel_url", f"{root}/cancel"),
        )

    def _is_fals(self, url: str) -> bool:
        with suppress(ValueError):
            ours = http.origin(self._api.root)
            return http.origin(url) == ours or (ours in _ORIGINS and http.origin(url) in _ORIGINS)
        return False


_ORIGINS = {f"https://{host}:443" for host in HOSTS}


def _of_a_file(error: ProviderError) -> ProviderError:
    """Return the error of a failed download: the file is not ready yet, is deleted, or may come with another try."""
    waits = not_ready(error)
    if waits is error and error.http_status and error.code != "too_large":
        gone = 400 <= error.http_status < 500 and error.http_status not in {408, 425, 429}
        error.kind = ErrorKind.NOT_FOUND if gone else ErrorKind.RETRYABLE
    return waits


def _files(output: Mapping[str, Any]) -> Iterator[RemoteAsset]:
    """Yield the files in a result: ``{"video": {"url"}}``, ``{"images": [{"url"}]}``, or a plain URL in place of an object."""
    for name, kind in FILES.items():
        found = output.get(name)
        for file in found if isinstance(found, list) else [found]:
            url = file.get("url") if isinstance(file, dict) else file
            if isinstance(url, str) and url.startswith(("https://", "http://")):
                claim = file.get("content_type") if isinstance(file, dict) else None
                yield RemoteAsset(kind, url=url, content_type=claim if isinstance(claim, str) else None)


def _row(row: Mapping[str, Any]) -> Row:
    inputs = row.get("json_input")
    if isinstance(inputs, str):
        with suppress(ValueError, RecursionError):
            inputs = json.loads(inputs)
    prompt = inputs.get("prompt") if isinstance(inputs, dict) else None
    model = row.get("endpoint_id")
    return Row(
        id=task_id(row.get("request_id")),
        made=row.get("sent_at") or row.get("started_at"),
        prompt=prompt if isinstance(prompt, str) else None,
        model=model if isinstance(model, str) else None,
        ended=row["ended_at"] is not None if "ended_at" in row else None,
    )


def _cost(event: Mapping[str, Any]) -> Decimal | None:
    try:
        if event.get("cost_total") is not None:
            cost = Decimal(str(event["cost_total"]))
        else:
            cost = Decimal(str(event.get("cost_estimate_nano_usd"))) / 1_000_000_000
    except InvalidOperation:
        return None
    return cost if cost.is_finite() and cost >= 0 else None
