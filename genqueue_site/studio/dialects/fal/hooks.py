"""fal's webhooks: what they say of a request that is over, and their signature by a key that everyone may read."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from genqueue_site.studio.dialects.fal.answer import ENDS, output, problem
from genqueue_site.studio.floor import Floor
from genqueue_site.studio.jobs import Job
from genqueue_site.studio.wire import Hook, Moment, Request, Response, json_response

USER = "studio"  # whose requests all of them are


def hook(floor: Floor, job: Job, moment: Moment) -> Hook | None:
    """Return the webhook of a request that is over, if its client wants one."""
    if job.webhook is None or moment != "end":
        return None
    return Hook(url=job.webhook, body=json.dumps(_event(job)).encode(), sign=partial(_sign, job.id))


def key_set(floor: Floor, request: Request) -> Response:
    """Return the public key of the signatures."""
    public = _key(floor.config.webhook_secret).public_key().public_bytes_raw()
    row = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "x": urlsafe_b64encode(public).decode().rstrip("=")}
    return json_response({"keys": [row]})


def _event(job: Job) -> dict[str, Any]:
    told: dict[str, Any] = {"request_id": job.id, "gateway_request_id": job.id}
    if job.failure is None:
        return told | {"status": "OK", "payload": output(job)}
    if job.failure.code in ENDS:
        return told | {"status": "ERROR", "error": job.failure.message, "payload": None}
    wrong = problem("prompt", job.failure.message, "content_policy_violation", job.recipe.prompt)
    return told | {"status": "ERROR", "error": "Invalid status code: 422", "payload": {"detail": [wrong]}}


def _sign(number: str, body: bytes, at: float, secret: str) -> Mapping[str, str]:
    moment = str(int(at))
    lines = "\n".join([number, USER, moment, hashlib.sha256(body).hexdigest()])
    return {
        "X-Fal-Webhook-Request-Id": number,
        "X-Fal-Webhook-User-Id": USER,
        "X-Fal-Webhook-Timestamp": moment,
        "X-Fal-Webhook-Signature": _key(secret).sign(lines.encode()).hex(),
    }


@cache
def _key(secret: str) -> Ed25519PrivateKey:
    """Return the private key that belongs to the studio's webhook secret: it outlives a restart, as the secret does."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b64decode(secret.removeprefix("whsec_"))).digest())
