"""
Verification of inbound webhooks: one function per scheme, in the table `SCHEMES` (providers sign in different ways).

Each verifies the raw bytes in constant time before it parses them. Without a key nothing is believed (I38). What is believed is
only a hint that a task may have changed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from queue_app.providers.base import AccountConfig, WebhookRefused, WebhookUnverifiable
from queue_app.providers.keyring import KeysUnavailable

TOLERANCE = 300.0  # seconds by which a signature may be too old or in the future
Keys = Callable[[bool], Sequence[Any]]  # fresh ones? → keys
Headers = Mapping[str, str]  # names in lower case


@dataclass(frozen=True)
class Signed:
    """
    A verified event. ``id`` is the same on every delivery; ``sender`` names the customer that the provider calls, where the
    signature alone does not tell.
    """

    id: str
    event: dict[str, Any]
    sender: str = ""


class _Wrong(Exception):
    """Not a genuine webhook; the text says why."""


class _WrongKey(_Wrong):
    """Not signed with this key."""


def verified(
    scheme: str, account: AccountConfig, headers: Mapping[str, str], raw: bytes, *, at: datetime, keys: Keys | None = None
) -> Signed:
    """
    Verify and parse a webhook.

    An account that allows ``unsigned_webhooks`` and has no secret trusts the secret token in the address, which the caller has
    checked.

    :param keys: returns the keys that the provider publishes; without it the account's webhook secret is used.
    :raises WebhookRefused: there is no key, or the event is not signed with one, too old or unreadable.
    :raises WebhookUnverifiable: the provider's keys can't be read now.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if keys is None and not account.webhook_secret:
        if not account.options.get("unsigned_webhooks"):
            raise WebhookRefused(f"Account {account.key} has no webhook secret, so no webhook can be trusted.")
        return _checked(account, "token", given, raw, None, at)
    why = "no key"
    for fresh in (False, True):
        for key in _keys(account, keys, fresh):
            try:
                return _checked(account, scheme, given, raw, key, at)
            except _WrongKey as error:
                why = str(error)
        if keys is None:
            break
    raise _refused(account, why)


def _checked(account: AccountConfig, scheme: str, headers: Headers, raw: bytes, key: Any, at: datetime) -> Signed:
    try:
        return SCHEMES[scheme](headers, raw, key, at)
    except _WrongKey:
        raise
    except _Wrong as error:
        raise _refused(account, str(error)) from error


def _keys(account: AccountConfig, keys: Keys | None, fresh: bool) -> Sequence[Any]:
    if keys is None:
        return [account.webhook_secret]
    try:
        return keys(fresh)
    except KeysUnavailable as error:
        raise WebhookUnverifiable(f"Account {account.key} has no webhook secret or key: {error}") from error


def _standard(headers: Headers, raw: bytes, secret: str, at: datetime) -> Signed:
    """Standard Webhooks: HMAC-SHA256 over id, time and body; the id is the same on every delivery."""
    try:
        event = Webhook(secret).verify(raw, dict(headers))
    except (WebhookVerificationError, EmptyWebhookSecretError, ValueError, OverflowError, RecursionError) as error:
        raise _WrongKey(type(error).__name__) from error
    return Signed(headers.get("webhook-id", ""), _object(event))


def _openrouter(headers: Headers, raw: bytes, secret: str, at: datetime) -> Signed:
    """OpenRouter: ``t=seconds,v1=hex``, HMAC-SHA256 over time, comma and body, with the secret as text."""
    match = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", headers.get("x-openrouter-signature", ""))
    if not match:
        raise _Wrong("no signature")
    due = hmac.new(secret.encode(), match[1].encode() + b"," + raw, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(match[2], due):
        raise _WrongKey("wrong signature")
    _check_age(match[1], at)
    number = headers.get("x-openrouter-idempotency-key")
    if not number:
        raise _Wrong("no idempotency key")
    return Signed(number, _parsed(raw))


def _fal(headers: Headers, raw: bytes, key: Ed25519PublicKey, at: datetime) -> Signed:
    """
    fal: ED25519 over four lines, its own request id, the user's id, the time, and the body's hash in hex. fal signs so for all of
    its users: the caller must compare the sender and the request.
    """
    told = [headers.get(f"x-fal-webhook-{name}", "") for name in ("request-id", "user-id", "timestamp")]
    number, sender, moment = told
    signature = headers.get("x-fal-webhook-signature", "")
    if not (number and sender and re.fullmatch("[0-9]{1,12}", moment) and re.fullmatch("[0-9a-f]{128}", signature)):
        raise _Wrong("no signature")
    lines = "\n".join([*told, hashlib.sha256(raw).hexdigest()])
    try:
        key.verify(bytes.fromhex(signature), lines.encode())
    except InvalidSignature as error:
        raise _WrongKey("wrong signature") from error
    _check_age(moment, at)
    return Signed(number, _parsed(raw), sender)


def _token(headers: Headers, raw: bytes, key: None, at: datetime) -> Signed:
    """No signature: only the provider knows the token in the address."""
    return Signed(headers.get("x-openrouter-idempotency-key") or hashlib.sha256(raw).hexdigest(), _parsed(raw))


SCHEMES: dict[str, Callable[[Headers, bytes, Any, datetime], Signed]] = {
    "standard": _standard,
    "openrouter": _openrouter,
    "fal": _fal,
    "token": _token,
}


def _check_age(seconds: str, at: datetime) -> None:
    if abs(at.timestamp() - int(seconds)) > TOLERANCE:
        raise _Wrong("too old")


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(raw))
    except (ValueError, RecursionError) as error:
        raise _Wrong("no JSON") from error


def _object(event: Any) -> dict[str, Any]:
    if not isinstance(event, dict):
        raise _Wrong("no object")
    return event


def _refused(account: AccountConfig, why: str) -> WebhookRefused:
    return WebhookRefused(f"Not a webhook of account {account.key}: {why}.")
