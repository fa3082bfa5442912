"""Providers that call us: accounts with keys, jobs at them, and webhooks as they would sign them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import Client

from queue_app import clock
from queue_app.models import (
    Attempt,
    InboundWebhook,
    Job,
    JobEvent,
    LedgerEntry,
    ModelRoute,
    OutboxMessage,
    ProviderAccount,
    Reservation,
    ReviewItem,
    Wallet,
)
from queue_app.providers import registry
from queue_app.work import accounts
from tests.factories import make_job
from tests.providers.vendors import VENDORS
from tests.providers.wire import Seen, WireServer, answer

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret, also long enough").decode()
USER = "user-1"
KEYS = {
    "OPENAI_VIDEOS_API_KEY": "sk-12345678",
    "FAL_KEY": "fal-12345678",
    "REPLICATE_API_TOKEN": "r8-12345678",
    "OPENROUTER_API_KEY": "or-12345678",
    "OPENAI_WEBHOOK_SECRET": SECRET,
    "REPLICATE_WEBHOOK_SECRET": SECRET,
    "OPENROUTER_WEBHOOK_SECRET": SECRET,
}
TABLES = (
    Job,
    Attempt,
    JobEvent,
    InboundWebhook,
    ProviderAccount,
    ModelRoute,
    Reservation,
    ReviewItem,
    Wallet,
    LedgerEntry,
    OutboxMessage,
)
Headers = dict[str, str]


def fal_key(secret: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(secret.encode()).digest())


def key_set(*secrets: str) -> dict[str, Any]:
    """Return the public keys of these secrets as fal publishes them."""
    raw = [fal_key(secret).public_key().public_bytes_raw() for secret in secrets]
    rows = [{"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(one).decode().rstrip("=")} for one in raw]
    return {"keys": rows}


def sign_as_fal(body: bytes, at: datetime, secret: str, *, number: str | None = None, user: str = USER) -> Headers:
    moment = str(int(at.timestamp()))
    try:
        named = json.loads(body).get("request_id")
    except (ValueError, AttributeError, RecursionError):
        named = "t-1"
    told = [number or str(named), user, moment]
    lines = "\n".join([*told, hashlib.sha256(body).hexdigest()])
    names = ("Request-Id", "User-Id", "Timestamp")
    return {f"X-Fal-Webhook-{name}": value for name, value in zip(names, told, strict=True)} | {
        "X-Fal-Webhook-Signature": fal_key(secret).sign(lines.encode()).hex()
    }


def fal_event(number: str, word: str) -> bytes:
    return json.dumps({"request_id": number, "gateway_request_id": "g-1", "status": word, "payload": None}).encode()


@dataclass(frozen=True)
class Speaker:
    """A provider that calls us. ``done`` is its word for a task that succeeded; ``model`` is sold there."""

    account: str
    model: str
    done: str
    event: Callable[[str, str], bytes]
    sign: Callable[[bytes, datetime, str], Headers]
    per_attempt: bool = True

    def job(self, state: str = "running", *, remote_id: str | None = "t-1", **fields: Any) -> Job:
        """Make a job that was sent to this provider."""
        ModelRoute.objects.filter(model=self.model).update(active=False)
        ModelRoute.objects.filter(model=self.model, account=self.account).update(active=True)
        job = make_job(state, at=fields.pop("at", clock.now()), model_id=self.model, remote_id=remote_id, **fields)
        for attempt in Attempt.objects.filter(job=job, remote_id__isnull=False).select_related("account"):
            ref = registry.get(accounts.config(attempt)).ref(str(attempt.remote_id), endpoint_id=attempt.endpoint_id)
            Attempt.objects.filter(pk=attempt.pk).update(remote=ref.to_json())
        return job

    def address(self, attempt: Attempt) -> str:
        return f"/hooks/{self.account}/{attempt.token if self.per_attempt else ''}"

    def body(self, number: str = "t-1", word: str | None = None) -> bytes:
        return self.event(number, word or self.done)

    def signed(self, body: bytes, *, at: datetime | None = None, secret: str = SECRET) -> Headers:
        return self.sign(body, at or now(), secret)

    def call(
        self, attempt: Attempt, body: bytes | None = None, *, headers: Headers | None = None, address: str | None = None
    ) -> Any:
        """Post a webhook about an attempt; return the answer."""
        body = self.body() if body is None else body
        headers = self.signed(body) if headers is None else headers
        where = self.address(attempt) if address is None else address
        return Client().post(where, body, content_type="application/json", headers=headers)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def of_vendor(account: str, model: str, done: str, **more: Any) -> Speaker:
    vendor = VENDORS[account]
    assert vendor.event and vendor.hook
    return Speaker(account, model, done, vendor.event, vendor.hook, **more)


SPEAKERS = {
    speaker.account: speaker
    for speaker in (
        of_vendor("openai_videos", "sora-2", "completed", per_attempt=False),
        of_vendor("replicate", "seedance-2.0", "succeeded"),
        of_vendor("openrouter", "seedance-2.0", "completed"),
        Speaker("fal", "veo-3.1", "OK", fal_event, sign_as_fal),
    )
}


class Vendor(WireServer):
    """Answers for all accounts: fal's keys at their address, and whatever it is told to say anywhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = answer(200, key_set(SECRET))

    def reply_to(self, request: Seen) -> Any:
        return self.keys if request.target.endswith("/jwks.json") else super().reply_to(request)

    def asked(self, part: str) -> int:
        """Return how many requests were about this."""
        return sum(part in seen.target for seen in self.seen)


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return everything that a webhook could change."""
    return {table.__name__: list(table._default_manager.order_by("pk").values()) for table in TABLES}
