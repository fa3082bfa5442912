"""Webhook endpoints of users: made, changed, given a new secret, tested, turned off; and deliveries sent again."""

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.shortcuts import get_object_or_404

from queue_app import announce, wake
from queue_app.http.guard import is_global, origin
from queue_app.models import CallbackSecret, OutboxMessage, OutgoingEvent, User, WebhookEndpoint
from queue_app.models.job import URL_MOST
from queue_app.models.outbox import DESCRIPTION_MOST, OFF_REASON_MOST, OPEN, PING, SigningSecret
from queue_app.rules.words import one_line
from queue_app.work import policy

ENDPOINTS_MOST = 20  # of one user
FULL = f"You have {ENDPOINTS_MOST} webhook endpoints. Delete one first."
OVERLAP = timedelta(hours=24)  # in which the previous secret still signs
DELETED_KEPT = timedelta(hours=1)  # longer than any transaction or delivery that read the endpoint as active
_CHANGED = ("url", "description", "events", "active")


@dataclass(frozen=True)
class EndpointProblem:
    """What is wrong with a field of a request; with the whole of it if ``field`` is empty."""

    field: str
    message: str


class EndpointRefused(Exception):
    """The request is refused; nothing was written. ``problems`` say why, by field."""

    def __init__(self, *problems: EndpointProblem) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = list(problems)


class TooManyEndpoints(EndpointRefused):
    """The user has `ENDPOINTS_MOST` endpoints."""


class DeliveryRefused(Exception):
    """Nothing can be sent now: the endpoint is off, or the delivery is still under way."""


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


def problems(values: Mapping[str, Any]) -> list[EndpointProblem]:
    """Return what is wrong with these values of an endpoint."""
    return [EndpointProblem(name, words) for name, value in values.items() if (words := _problem(name, value))]


def new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def callback_secret(owner: User) -> CallbackSecret:
    """Return the secret that signs a user's callbacks; it is made at its first use."""
    found, _ = CallbackSecret.objects.get_or_create(owner=owner, defaults={"secret": new_secret()})
    return found


@transaction.atomic
def make(owner: User, values: Mapping[str, Any], *, at: datetime, actor: User, via: str = "") -> WebhookEndpoint:
    """
    Make a webhook endpoint. Its ``secret`` is to be shown once.

    :param values: ``url``, ``events`` and perhaps ``description``. :param via: see `policy.why`.
    :raises EndpointRefused: a value is wrong. :raises TooManyEndpoints: the user has `ENDPOINTS_MOST` endpoints.
    """
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # two forms can't pass the limit together
    _check(values)
    if owner.webhook_endpoints.count() >= ENDPOINTS_MOST:
        raise TooManyEndpoints(EndpointProblem("", FULL))
    made = WebhookEndpoint.objects.create(owner=owner, **_settled(values), secret=new_secret(), created_at=at)
    _audit("add webhook endpoint", made, at=at, actor=actor, via=via, after=_told(made))
    return made


@transaction.atomic
def change(
    endpoint: WebhookEndpoint, values: Mapping[str, Any], *, at: datetime, actor: User, via: str = "", reason: str = ""
) -> WebhookEndpoint:
    """
    Change an endpoint and return it as it is then. What waits for it goes to the new address.

    Turning it on forgets that it failed, as does a new address. Turning it off closes what it has not been told.

    :param values: any of ``url``, ``events``, ``description`` and ``active``.
    :raises EndpointRefused: a value is wrong.
    """
    row = _locked(endpoint)
    _check(values)
    wanted, before = _settled(values), _told(row)
    changed = [name for name in _CHANGED if name in wanted and wanted[name] != getattr(row, name)]
    if not changed:
        return row
    for name in changed:
        setattr(row, name, wanted[name])
    if "active" in changed or "url" in changed:
        row.failing_since = None
    if "active" in changed:
        row.off_reason = ""
    row.save(update_fields=[*changed, "failing_since", "off_reason"])
    if not row.active:
        close_open(row, at=at)
    before, after = ({name: facts[name] for name in changed} for facts in (before, _told(row)))
    _audit("change webhook endpoint", row, at=at, actor=actor, via=via, before=before, after=after, reason=reason)
    return row


@transaction.atomic
def delete(endpoint: WebhookEndpoint, *, at: datetime, actor: User, via: str = "") -> None:
    """
    Delete an endpoint with its deliveries: from now on nobody sees them. What is under way may still arrive.

    The rows stay for `DELETED_KEPT`, and retention deletes them in slices. A transaction that read the endpoint as active before
    may still write a message to it: without the endpoint it would fail, and with it the change of a job that it tells.
    """
    row = _locked(endpoint)
    _audit("delete webhook endpoint", row, at=at, actor=actor, via=via, before=_told(row))
    row.active, row.deleted_at = False, at
    row.secret, row.previous_secret, row.previous_until = "", "", None
    row.save(update_fields=["active", "deleted_at", "secret", "previous_secret", "previous_until"])
    close_open(row, at=at)


@transaction.atomic
def rotate(endpoint: WebhookEndpoint, *, at: datetime, actor: User, via: str = "") -> WebhookEndpoint:
    """Give an endpoint a new secret and return it. The previous secret signs too for `OVERLAP`."""
    row = _locked(endpoint)
    _new_secret_for(row, at)
    _audit("rotate webhook secret", row, at=at, actor=actor, via=via)
    return row


@transaction.atomic
def rotate_callback_secret(owner: User, *, at: datetime) -> CallbackSecret:
    """Give a user a new secret for callbacks. The previous secret signs too for `OVERLAP`."""
    callback_secret(owner)
    row = CallbackSecret.objects.select_for_update().get(owner=owner)
    _new_secret_for(row, at)
    return row


@transaction.atomic
def stop(endpoint: WebhookEndpoint, *, at: datetime, actor: User, reason: str, via: str = "") -> None:
    """
    Turn off another user's endpoint, and tell its owner why. The owner can turn it on again.

    :raises EndpointRefused: there is no reason.
    """
    words = one_line(reason)
    if not words:
        raise EndpointRefused(EndpointProblem("reason", "Enter a reason. The owner sees it."))
    if turn_off(endpoint, at=at, reason=f"Turned off by {actor.username}: {words}"[:OFF_REASON_MOST]):
        _audit("turn off webhook endpoint", endpoint, at=at, actor=actor, via=via, reason=words)


@transaction.atomic
def turn_off(endpoint: WebhookEndpoint, *, at: datetime, reason: str) -> bool:
    """
    Turn off an endpoint, close what it has not been told, and tell its owner. Deliveries can be replayed later. Return whether
    it was on.
    """
    was_on = bool(WebhookEndpoint.objects.filter(pk=endpoint.pk, active=True).update(active=False, off_reason=reason))
    if was_on:
        close_open(endpoint, at=at)
        announce.endpoint_off(endpoint, at=at)
    return was_on


def close_open(endpoint: WebhookEndpoint, *, at: datetime) -> None:
    words = "The endpoint was turned off."
    endpoint.messages.filter(OPEN, leased_until=None).update(given_up_at=at, last_error=words)


def replay(message: OutboxMessage, *, at: datetime) -> None:
    """
    Send a webhook again, with the same id and body: one that is over with all its tries, one that waits for its next try now.

    :raises DeliveryRefused: it is being delivered, or its endpoint is off.
    """
    if message.endpoint and not message.endpoint.active:
        raise DeliveryRefused("The endpoint is off. Turn it on, then replay.")
    again = {"tries": 0, "delivered_at": None, "given_up_at": None, "last_error": ""}
    idle = OutboxMessage.objects.filter(pk=message.pk, leased_until=None)
    if not (idle.filter(~OPEN).update(**again, due_at=at) or idle.filter(OPEN).update(due_at=at)):
        raise DeliveryRefused("This delivery is in progress. Try again in a minute.")
    wake.dispatcher()


def retry_now(endpoint: WebhookEndpoint, *, at: datetime) -> int:
    """Try now what waits for its next try at an endpoint. Return how many deliveries that are."""
    found = endpoint.messages.filter(OPEN, leased_until=None).update(due_at=at)
    wake.dispatcher()
    return found


def ping(endpoint: WebhookEndpoint, *, at: datetime) -> OutboxMessage:
    """
    Send a test event to an endpoint.

    :raises DeliveryRefused: the endpoint is off.
    """
    if not endpoint.active:
        raise DeliveryRefused("The endpoint is off. Turn it on, then send a test.")
    return announce.to_endpoint(endpoint, PING, at.isoformat(), at=at)


def _locked(endpoint: WebhookEndpoint) -> WebhookEndpoint:
    """:raises Http404: it has just been deleted."""
    return get_object_or_404(WebhookEndpoint.objects.select_for_update(no_key=True), pk=endpoint.pk)


def _new_secret_for(row: SigningSecret, at: datetime) -> None:
    row.secret, row.previous_secret, row.previous_until = new_secret(), row.secret, at + OVERLAP
    row.save(update_fields=["secret", "previous_secret", "previous_until"])


def _told(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Return what the audit keeps of an endpoint."""
    return {name: endpoint.address if name == "url" else getattr(endpoint, name) for name in _CHANGED}


def _settled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they are stored: the description on one line, each event once, in the order of `OutgoingEvent`."""
    found = dict(values)
    if "description" in found:
        found["description"] = one_line(found["description"])
    if "events" in found:
        found["events"] = [event.value for event in OutgoingEvent if event in found["events"]]
    return found


def _check(values: Mapping[str, Any]) -> None:
    if found := problems(values):
        raise EndpointRefused(*found)


def _problem(name: str, value: Any) -> str | None:
    if name == "url":
        return address_problem(value)
    if name == "events":
        return _events_problem(value)
    if name == "description" and len(value) > DESCRIPTION_MOST:
        return f"Too long: {len(value):,} of {DESCRIPTION_MOST} characters. Shorten it by {len(value) - DESCRIPTION_MOST:,}."
    return None


def _events_problem(events: Iterable[str]) -> str | None:
    unknown = [event for event in events if event not in OutgoingEvent.values]
    if unknown:
        return f"Unknown event “{unknown[0][:40]}”. Available: {', '.join(OutgoingEvent.values)}."
    return None if events else "Choose at least one event."


def _audit(action: str, endpoint: WebhookEndpoint, *, at: datetime, actor: User, **facts: Any) -> None:
    policy.audit_others(endpoint.owner_id, action, str(endpoint), at=at, actor=actor, of=endpoint, **facts)
