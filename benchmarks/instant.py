"""A provider without a network: tasks take the seconds given in their prompt and deliver a line of text."""

import hashlib
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO

from queue_app.providers.base import (
    AccountConfig,
    Capabilities,
    FetchedAsset,
    PollResult,
    RemoteAsset,
    RemoteRef,
    SubmitRequest,
    TaskState,
    WebhookEvent,
    WebhookRefused,
    Wire,
)
from queue_app.rules.codec import Codec
from queue_app.rules.lookup import Page

TEXT = b"done\n"


class Instant:
    """
    The adapter. A prompt ends with the seconds from the create call to the end, as in ``takes 1.25``.

    The task's id contains its end, so that nothing needs to be stored.
    """

    def __init__(self, account: AccountConfig) -> None:
        self.name = account.key
        self.caps = Capabilities(
            webhooks="none",
            cancel="none",
            orphan_search="none",
            lists="account",
            begins="with_call",
            progress=False,
            synchronous=True,
            actual_cost=False,
        )

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        return Wire(endpoint_id, dict(inputs))

    def submit(self, req: SubmitRequest) -> RemoteRef:
        seconds = float(req.inputs["prompt"].rsplit(" ", 1)[-1])
        return RemoteRef(self.name, f"{uuid.uuid4()} {time.time() + seconds}")

    def poll(self, ref: RemoteRef) -> PollResult:
        if time.time() < float(ref.remote_id.split(" ")[1]):
            return PollResult(TaskState.RUNNING)
        return PollResult(TaskState.SUCCEEDED, assets=[RemoteAsset("text")])

    def cancel(self, ref: RemoteRef) -> TaskState:
        return TaskState.RUNNING

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        text = TEXT + ref.remote_id.encode()  # each job's own: equal files are stored once, by one job after the other
        sink.write(text)
        return FetchedAsset("text", len(text), hashlib.sha256(text).hexdigest(), "text/plain")

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        return Page()

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        return RemoteRef(self.name, remote_id)

    def names(self, remote_id: str) -> frozenset[str]:
        return frozenset({remote_id})

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> WebhookEvent:
        raise WebhookRefused("There are no webhooks here.")

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        return None
