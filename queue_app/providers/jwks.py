"""Public keys of a JSON Web Key Set, read through the guarded client. No key of ours is sent there."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from queue_app import http
from queue_app.providers.keyring import Keyring, KeysUnavailable

SECONDS, MOST_BYTES, MOST_KEYS = 5.0, 64 * 1024, 20
RING: Keyring[Ed25519PublicKey] = Keyring()


def ed25519_keys(url: str, *, fresh: bool) -> Sequence[Ed25519PublicKey]:
    """
    Return the Ed25519 keys that a URL publishes. See `Keyring.keys`.

    :raises KeysUnavailable: they can't be read.
    """
    return RING.keys(url, partial(_read, url), fresh=fresh)


def _read(url: str) -> list[Ed25519PublicKey]:
    try:
        answer = http.request(
            "GET", url, purpose="read webhook keys", total_timeout=SECONDS, max_bytes=MOST_BYTES, allow_trusted=True
        )
        told = answer.json() if answer.status == 200 else None
    except (http.HttpError, ValueError, RecursionError) as error:
        raise KeysUnavailable(f"The keys can't be read: {error}") from error
    listed = told.get("keys") if isinstance(told, dict) else None
    keys = [key for row in (listed if isinstance(listed, list) else [])[:MOST_KEYS] if (key := _key(row))]
    if not keys:
        raise KeysUnavailable(f"{http.origin(url)} published no Ed25519 keys (HTTP {answer.status}).")
    return keys


def _key(row: Any) -> Ed25519PublicKey | None:
    if not isinstance(row, dict) or (row.get("kty"), row.get("crv")) != ("OKP", "Ed25519") or not isinstance(row.get("x"), str):
        return None
    with suppress(ValueError):
        return Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(row["x"] + "=" * (-len(row["x"]) % 4)))
    return None
