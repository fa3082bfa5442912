"""
The outbox channel that calls our users' servers: webhooks as of Standard Webhooks, thin, signed, by the guarded client only.

The body of a message is the same on every try, and so is its id; the time and with it the signature are those of the try.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from standardwebhooks import Webhook

from queue_app import clock, database, http
from queue_app.http.errors import HttpError
from queue_app.models import DeliveryTry, OutboxMessage, State, WebhookEndpoint
from queue_app.models.job import STATUS_OF_STATE
from queue_app.outbox.delivery import TRIES, WAITS, NotDelivered
from queue_app.rules.words import storable
from queue_app.work import endpoints

CONNECT_SECONDS = 5.0
ANSWER_MOST = 64_000  # bytes; of an answer only the status counts
GONE = 410
A_DAY = timedelta(seconds=sum(WAITS))  # all tries of a message take so long, unless somebody asked for them earlier


def deliver(message_id: int) -> None:
    """
    Make one try to deliver a message, and note the receiver's answer. The database connection is closed while it waits.

    :raises NotDelivered: the receiver did not answer with 2xx.
    """
    message = OutboxMessage.objects.select_related("endpoint", "job", "batch").get(pk=message_id)
    at = clock.now()
    url, secrets = _receiver(message, at)
    body = json.dumps(body_of(message), ensure_ascii=False, separators=(",", ":"))
    headers = {"Content-Type": "application/json", **_signature(message, body, secrets, at)}
    database.release()
    try:
        response = http.request(
            "POST",
            url,
            purpose="webhook",
            headers=headers,
            data=body.encode(),
            connect_timeout=min(CONNECT_SECONDS, settings.TIMES.delivery),
            total_timeout=settings.TIMES.delivery,
            max_bytes=ANSWER_MOST,
            trusted_origins=settings.WEBHOOK_TRUSTED_ORIGINS,
        )
    except HttpError as error:
        _note(message, at, error=str(error))
        _failed(message, at)
        raise NotDelivered(str(error)) from None
    answer = storable(response.body[:2_000].decode(errors="replace"))
    if 200 <= response.status < 300:
        _note(message, at, status=response.status, answer=answer)
        WebhookEndpoint.objects.filter(messages=message).exclude(failing_since=None).update(failing_since=None)
        return
    words = f"Answered {response.status}."
    _note(message, at, status=response.status, answer=answer, error=words)
    if response.status == GONE and message.endpoint:
        endpoints.turn_off(message.endpoint, at=clock.now(), reason="The server answered 410 Gone.")
    else:
        _failed(message, at)
    raise NotDelivered(words, wait=_asked_wait(response.headers.get("Retry-After", "")), is_final=response.status == GONE)


def body_of(message: OutboxMessage) -> dict[str, Any]:
    """Return the body of a message: what happened, when, to what, and where to read about it. It is the same on every try."""
    created = message.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return {"type": message.event, "timestamp": created, "data": _data(message)}


def _data(message: OutboxMessage) -> dict[str, Any]:
    facts = dict(message.payload)
    if message.job is None and message.batch is None:
        return {**facts, "links": {"wallet": _address("wallet")}} if "available" in facts else facts
    batch = message.batch
    links = {"job": _address("job-detail", message.job_id)} if message.job else {}
    links |= {"batch": _address("batch-detail", batch.pk)} if batch else {}
    state = facts.get("state")
    return {
        "job": message.job_id,
        "batch": message.batch_id,
        "campaign": batch.pk if batch and batch.origin == "campaign" else None,
        "status": STATUS_OF_STATE[State(state)] if state else "completed",
        "seq": facts.get("seq"),
        "links": links,
    }


def _address(name: str, *args: Any) -> str:
    return f"{settings.PUBLIC_URL}{reverse(f'api:{name}', args=args)}"


def _receiver(message: OutboxMessage, at: datetime) -> tuple[str, list[str]]:
    """
    Return the address of a message and the secrets that sign it.

    :raises NotDelivered: its endpoint was turned off in the meantime.
    """
    if message.endpoint:
        if not message.endpoint.active:
            raise NotDelivered("The endpoint was turned off.", is_final=True)
        return message.endpoint.url, message.endpoint.secrets(at)
    asked = message.job or message.batch
    assert asked is not None and message.owner is not None  # a callback belongs to a job or a batch
    return asked.callback_url, endpoints.callback_secret(message.owner).secrets(at)


def _signature(message: OutboxMessage, body: str, secrets: Sequence[str], at: datetime) -> dict[str, str]:
    """Return the headers that name and sign a try; after a rotation with both secrets."""
    name, moment = message.name, at.astimezone(UTC).replace(microsecond=0)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(name, moment, body) for secret in secrets),
    }


def _note(message: OutboxMessage, at: datetime, *, status: int | None = None, answer: str = "", error: str = "") -> None:
    seconds = (clock.now() - at).total_seconds()
    DeliveryTry.objects.create(message=message, at=at, seconds=seconds, status=status, answer=answer[:500], error=error[:300])


def _failed(message: OutboxMessage, at: datetime) -> None:
    """Note that an endpoint fails, and turn it off if it did so through all tries of this message, that is for a day."""
    endpoint = message.endpoint
    if endpoint is None:
        return
    WebhookEndpoint.objects.filter(pk=endpoint.pk, failing_since=None).update(failing_since=at)
    since = endpoint.failing_since
    if message.tries >= TRIES and since and since <= message.log.earliest("id").at and at - since >= A_DAY:
        endpoints.turn_off(endpoint, at=clock.now(), reason=f"No delivery succeeded since {since:%d %b, %H:%M} UTC.")


def _asked_wait(retry_after: str) -> timedelta | None:
    """Return what a ``Retry-After`` asks for, in seconds or as a date; ``None`` for anything else."""
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=min(int(retry_after[:9]), 10**6))
    try:
        return max(timedelta(), parsedate_to_datetime(retry_after).astimezone(UTC) - clock.now())
    except (ValueError, OverflowError):  # no date, or one that no calendar has
        return None
