"""
Signatures of inbound webhooks, one function per scheme. Each verifies the raw bytes before it parses them, and refuses all
without a secret (I38).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from queue_app.providers.base import AccountConfig, WebhookRefused

TOLERANCE = 300.0  # seconds by which a signature may be too old or in the future
SignedEvent = tuple[str, dict[str, Any]]  # an id that is the same on every delivery, and the event


def standard(account: AccountConfig, headers: Mapping[str, str], raw: bytes) -> SignedEvent:
    """
    Verify and parse a Standard Webhook.

    :raises WebhookRefused: no secret is set, or the event is not signed with it, too old or unreadable.
    """
    secret = _secret(account)
    try:
        event = Webhook(secret).verify(raw, dict(headers))
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError, OverflowError) as error:
        raise _not_genuine(account, type(error).__name__) from error
    if not isinstance(event, dict):
        raise _not_genuine(account, "no object")
    return _header(headers, "webhook-id"), event


def openrouter(account: AccountConfig, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> SignedEvent:
    """
    Verify and parse a webhook of OpenRouter. Its signature is ``t=seconds,v1=hex``: HMAC-SHA256 of time, comma and body, with the
    secret as text.

    :raises WebhookRefused: no secret is set, or the event is not signed with it, too old or unreadable.
    """
    secret = _secret(account)
    match = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", _header(headers, "x-openrouter-signature"))
    if not match:
        raise _not_genuine(account, "no signature")
    due = hmac.new(secret.encode(), match[1].encode() + b"," + raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(match[2], due):
        raise _not_genuine(account, "wrong signature")
    if abs(at.timestamp() - int(match[1])) > TOLERANCE:
        raise _not_genuine(account, "too old")
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _not_genuine(account, "no JSON") from error
    number = _header(headers, "x-openrouter-idempotency-key")
    if not isinstance(event, dict) or not number:
        raise _not_genuine(account, "no object" if number else "no idempotency key")
    return number, event


def _secret(account: AccountConfig) -> str:
    if not account.webhook_secret:
        raise WebhookRefused(f"Account {account.key} has no webhook secret, so no webhook can be trusted.")
    return account.webhook_secret


def _not_genuine(account: AccountConfig, why: str) -> WebhookRefused:
    return WebhookRefused(f"Not a webhook of account {account.key}: {why}.")


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for given, value in headers.items() if given.lower() == name), "")
