"""
Adapter for OpenRouter's video jobs: the paths of the OpenAI-style Videos API with other bodies.

There is no cancel and no list, so a create call whose answer was lost is resolved by its webhook or by a person. The cost is
reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO
from urllib.parse import quote, urljoin

from queue_app import http
from queue_app.providers import calls, signatures
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
from queue_app.providers.calls import Caller, number
from queue_app.providers.files import downloaded
from queue_app.providers.listing import ListedEndpoint, Listing, usd
from queue_app.providers.tasks import Task, accepted, looked_at, moment, standing
from queue_app.rules.codec import Codec
from queue_app.rules.lookup import Page, task_id

MOST_FILES = 20
# fields of a create → where the list of models says what they may be
CHOICES = {"duration": "supported_durations", "resolution": "supported_resolutions", "aspect_ratio": "supported_aspect_ratios"}


class OpenRouter:
    """One account at OpenRouter."""

    name = "openrouter"

    def __init__(self, account: AccountConfig) -> None:
        self._account = account
        headers = {"Authorization": f"Bearer {account.api_key}"} if account.api_key else {}
        self._api = Caller(account, default_path="/api/v1", headers=headers)

    @property
    def _can_verify(self) -> bool:
        return bool(self._account.webhook_secret or self._account.options.get("unsigned_webhooks"))

    @property
    def caps(self) -> Capabilities:
        return Capabilities(
            webhooks="per_request" if self._can_verify else "none",
            cancel="none",
            orphan_search="none",
            lists="account",
            begins="with_call",
            progress=False,
            synchronous=False,
            actual_cost=True,
        )

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        """
        Convert ``prompt`` and our parameters to the fields of a create call.

        :raises ProviderError: INVALID_REQUEST; the message names the parameter that can't be expressed.
        """
        wire = encoded(endpoint_id, codec, inputs)
        return replace(wire, inputs={"model": wire.endpoint_id, **wire.inputs})

    def submit(self, req: SubmitRequest) -> RemoteRef:
        """
        Send the create call, once.

        :raises ProviderError: see `base.accepted_verdict`; AMBIGUOUS if a task may exist.
        """
        body = req.inputs | ({"callback_url": req.webhook_url} if req.webhook_url else {})
        answer = self._api.call("POST", "/videos", purpose="submit", create=True, json=body, total_timeout=calls.CREATE_SECONDS)
        return accepted(self._api, answer, account=self._account.key)

    def poll(self, ref: RemoteRef) -> PollResult:
        """
        Return the status of a video job.

        :raises ProviderError: there was no usable answer; nothing is known about the task.
        """
        answer = self._api.call("GET", _path(ref), purpose="poll", total_timeout=calls.CHECK_SECONDS)
        return looked_at(self._api, answer, ref, lambda task, word: _result(task, word, answer))

    def cancel(self, ref: RemoteRef) -> TaskState:
        """Return RUNNING: OpenRouter can't cancel a job."""
        return TaskState.RUNNING

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        """
        Stream one output into ``sink``: from the API with the key, from other hosts without it.

        :raises ProviderError: the output could not be downloaded.
        """
        where = urljoin(f"{self._api.root}/", asset.url or f"{_path(ref)[1:]}/content?index=0")
        return downloaded(self._api, where, asset, sink, max_bytes=max_bytes, with_key=self._api.is_own(where))

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        """
        Refuse: there is no list.

        :raises ProviderError: always.
        """
        raise ProviderError(ErrorKind.NOT_FOUND, "OpenRouter has no list of video jobs.", code="no_list")

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        return RemoteRef(provider=self._account.key, remote_id=remote_id)

    def names(self, remote_id: str) -> frozenset[str]:
        return frozenset([remote_id])

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> WebhookEvent:
        """
        Verify and parse a webhook. Its type is a hint, not a state.

        :raises WebhookRefused: no secret is set, or the event is not signed with it, too old or unreadable.
        """
        signed = signatures.verified("openrouter", self._account, headers, raw, at=at)
        kind, data = signed.event.get("type"), signed.event.get("data")
        if not isinstance(kind, str):
            raise WebhookRefused(f"A webhook of account {self._account.key} has no type.")
        return WebhookEvent(signed.id, kind, task_id(data.get("id")) if isinstance(data, dict) else None, signed.event)

    def test_connection(self) -> str:
        """
        Ask about our own key.

        :raises ProviderError: no answer, or a refusal.
        """
        told = self._api.read("/key", purpose="test connection", seconds=calls.CHECK_SECONDS).get("data")
        left = usd(told.get("limit_remaining")) if isinstance(told, dict) else None
        return f"${left:,.2f} left on the key" if left is not None else ""

    def catalogue(self, endpoints: Collection[str]) -> Listing:
        """
        Read the list of video models, which is public.

        :raises ProviderError: no answer, or a refusal.
        """
        body = self._api.read("/videos/models", purpose="list models", seconds=calls.CHECK_SECONDS, max_bytes=calls.LIST_BYTES)
        rows = body.get("data")
        listed = {
            row["id"]: _listed(row)
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict) and isinstance(row.get("id"), str)
        }
        found = {name: listed[name] for name in endpoints if name in listed}
        return Listing(found, others=tuple(sorted(listed.keys() - found.keys())))

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """
        Return the cost of the job in USD; ``None`` if it is not reported, or if the upstream was paid with our own key.

        :raises ProviderError: there was no usable answer.
        """
        return self.poll(ref).cost


def _listed(row: Mapping[str, Any]) -> ListedEndpoint:
    """Translate an entry of the list of models. Null means that it is not known, never that there is none."""
    fields = {name: {"enum": row[told]} if isinstance(row.get(told), list) else {} for name, told in CHOICES.items()}
    switches = {
        name: {"type": "boolean" if name == "generate_audio" else "integer"}
        for name in ("generate_audio", "seed")
        if row.get(name) is not False
    }
    skus = row.get("pricing_skus")
    prices = {name: usd(price) for name, price in skus.items()} if isinstance(skus, Mapping) else {}
    return ListedEndpoint(
        fields={"prompt": {}, "negative_prompt": {}, "frame_images": {}, "input_references": {}, **fields, **switches},
        prices={name: price for name, price in prices.items() if price is not None},
    )


def _path(ref: RemoteRef) -> str:
    return f"/videos/{quote(ref.remote_id, safe='')}"


def _result(task: Task, word: str, answer: http.Response) -> PollResult:
    result = standing(task, word, answer, unknown=lambda: _state_of_unknown_word(task))
    has_ended = result.state.is_terminal
    return replace(
        result,
        assets=_assets(task) if result.state is TaskState.SUCCEEDED else [],
        cost=_cost(task.get("usage")) if has_ended else None,
        expires_at=moment(task.get("expires_at")) if has_ended else None,
    )


def _state_of_unknown_word(task: Task) -> TaskState:
    """Return the state for an unknown status: succeeded (outputs and no error), else running."""
    return (
        TaskState.SUCCEEDED
        if not task.get("error") and (_links(task, "unsigned_urls") or _links(task, "urls"))
        else TaskState.RUNNING
    )


def _assets(task: Task) -> list[RemoteAsset]:
    """Return the outputs: by their addresses in the API, else by their signed links."""
    return [RemoteAsset("video", url) for url in _links(task, "unsigned_urls") or _links(task, "urls")][:MOST_FILES]


def _links(task: Task, name: str) -> list[str]:
    links = task.get(name)
    return [link for link in links if isinstance(link, str) and link] if isinstance(links, list) else []


def _cost(usage: Any) -> Decimal | None:
    """Return the whole cost. With our own key at the upstream (``is_byok``) the vendor reports only its own part, so ``None``."""
    if not isinstance(usage, dict) or usage.get("is_byok") is True:
        return None
    cost = usage.get("cost")
    amount = number(cost)
    return Decimal(str(cost)) if amount is not None and amount >= 0 else None
