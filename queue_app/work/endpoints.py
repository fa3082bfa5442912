"""Webhook endpoints of users: made, changed, given a new secret, tested, turned off; and deliveries sent again."""

import base64
import secrets
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from queue_app import announce, wake
from queue_app.http.guard import is_global, origin
from queue_app.models import CallbackSecret, OutboxMessage, User, WebhookEndpoint
from queue_app.models.job import URL_MOST
from queue_app.models.outbox import OPEN, PING

ENDPOINTS_MOST = 20  # of one user
OVERLAP = timedelta(hours=24)  # in which the previous secret still signs


class EndpointRefused(Exception):
    """An endpoint or a delivery can't be changed as asked; nothing was written. ``field`` is what is wrong."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


def address_problem(url: str) -> str | None:
    """
    Return why Genqueue would not call this address, or ``None`` (I37). Names are resolved, and judged again, at every call.
    """
    if len(url) > URL_MOST:
        return f"The URL is {len(url):,} characters; the limit is {URL_MOST:,}."
    if not url.isascii() or not url.isprintable() or any(character.isspace() for character in url):
        return "The URL has a space or another character that URLs can't have. Percent-encode it."
    try:
        parts, where = urlsplit(url), origin(url)
    except ValueError:
        return "Enter a full URL, such as https://example.com/hooks."
    if "@" in parts.netloc:
        return "The URL has a user or password. Leave them out: every call is signed."
    if where in map(origin, settings.WEBHOOK_TRUSTED_ORIGINS):
        return None
    if parts.scheme != "https":
        return "The URL must begin with https://."
    host = str(parts.hostname)
    try:
        is_public = is_global(str(ip_address(host)))
    except ValueError:  # a name
        is_public = "." in host.strip(".") and not host.rstrip(".").endswith((".localhost", ".local", ".internal"))
    return None if is_public else "The URL must be on a public server."


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def callback_secret(owner: User) -> CallbackSecret:
    """Return the secret that signs a user's callbacks; it is made at its first use."""
    found, _ = CallbackSecret.objects.get_or_create(owner=owner, defaults={"secret": new_secret()})
    return found


@transaction.atomic
def turn_off(endpoint: WebhookEndpoint, *, at: datetime, reason: str) -> None:
    """Turn off an endpoint that fails, close what it has not been told, and tell its owner. Deliveries can be replayed later."""
    if WebhookEndpoint.objects.filter(pk=endpoint.pk, active=True).update(active=False, off_reason=reason):
        close_open(endpoint, at=at)
        announce.endpoint_off(endpoint, at=at)


def close_open(endpoint: WebhookEndpoint, *, at: datetime) -> None:
    words = "The endpoint was turned off."
    endpoint.messages.filter(OPEN, leased_until=None).update(given_up_at=at, last_error=words)


def replay(message: OutboxMessage, *, at: datetime) -> None:
    """
    Send a webhook again, with the same id and body, and with all its tries.

    :raises EndpointRefused: it is still being delivered, or its endpoint is off.
    """
    if message.endpoint and not message.endpoint.active:
        raise EndpointRefused("delivery", "The endpoint is off. Turn it on, then replay.")
    again = {"due_at": at, "tries": 0, "delivered_at": None, "given_up_at": None, "last_error": ""}
    if not OutboxMessage.objects.filter(~OPEN, pk=message.pk, leased_until=None).update(**again):
        raise EndpointRefused("delivery", "This delivery is still under way.")
    wake.dispatcher()


def ping(endpoint: WebhookEndpoint, *, at: datetime) -> OutboxMessage:
    """Send a test event to an endpoint."""
    return announce.to_endpoint(endpoint, PING, at.isoformat(), at=at)
