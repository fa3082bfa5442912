"""
Inbound webhooks: verified, stored once, and only a hint to ask the provider now (I27, I38). What they say is never believed.

A webhook that names its attempt's token may come before the provider's answer to the create call, or in place of a lost one. Then
the task that it names is kept for the lookup, which reads it back from the provider before the job continues with it.
"""

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import quote

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from queue_app import lifecycle
from queue_app.models import Attempt, InboundWebhook, Job, Outcome, ProviderAccount, State
from queue_app.providers import registry
from queue_app.providers.base import AccountConfig, WebhookEvent, WebhookRefused
from queue_app.rules.words import one_line, storable
from queue_app.work import accounts

log = logging.getLogger(__name__)
Effect = InboundWebhook.Effect
PATH = "/hooks/"
ID_MOST, TYPE_MOST, TOKEN_MOST = 200, 80, 64  # characters
EVENTS_MOST = 20  # stored per attempt: who may send any number of events must not fill the table or make us ask without end
HEARD_WITHIN = timedelta(minutes=15)
CHECKED_STATES = (State.RUNNING, State.CANCELLING, State.UNKNOWN)
SURELY_UNBILLED = (Outcome.DELIVERED, Outcome.FAILED)  # outcomes that the provider itself reported, so a late event tells nothing


class UnknownAddress(LookupError):
    """No account or attempt has this webhook address."""


def url_for(attempt: Attempt) -> str | None:
    """
    Return the address to which a provider is asked to report this attempt, or ``None`` if it could not call us, or nothing could
    be verified there. Providers want https; the studio runs beside us.
    """
    origin = settings.WEBHOOK_URL
    if not origin or not (attempt.preview or origin.startswith("https://")):
        return None
    if registry.get(accounts.config(attempt)).caps["webhooks"] != "per_request":
        return None
    return f"{origin}{PATH}{quote(attempt.account_id, safe='')}/{attempt.token}"


def receive(account: str, token: str | None, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> Effect | None:
    """
    Take a webhook in. Return what it led to; ``None`` for an event that is stored already.

    :param token: of the attempt, from the address; ``None`` at the address of the whole account.
    :raises UnknownAddress: there is no such account, or it has no such attempt.
    :raises WebhookRefused: it can't be trusted; nothing is changed (I38).
    """
    attempt = None if token is None else _attempt_of(account, token)
    config = accounts.config(attempt) if attempt else _config_of(account)
    provider = registry.get(config)
    if attempt is None and provider.caps["webhooks"] != "per_account":
        raise WebhookRefused(f"Account {account} gets its webhooks at the addresses of single attempts.")
    event = provider.parse_webhook(headers, raw, at=at)
    if attempt is None:
        attempt = _attempt_with(config, event)
    elif event.remote_id and attempt.remote_id and event.remote_id != attempt.remote_id:
        raise WebhookRefused(f"A webhook of account {account} is about another task than its address.")
    if event.sender and attempt:
        _compare_sender(config, attempt, event)
    return _take_in(account, attempt, event, at=at)


def hinted_tasks(attempt: Attempt) -> list[str]:
    """Return the ids of tasks that verified webhooks named for this attempt, in the order in which they came."""
    named = (
        InboundWebhook.objects.filter(attempt=attempt).exclude(remote_id="").order_by("id").values_list("remote_id", flat=True)
    )
    return list(dict.fromkeys(named))


def is_announced(attempt: Attempt, task: str) -> bool:
    """Whether a webhook about this task of the attempt came before its id was known. The caller holds the job's row lock."""
    if not is_possible(attempt):
        return False
    early = InboundWebhook.objects.filter(Q(attempt=attempt) | Q(attempt=None), account=attempt.account_id, remote_id=task)
    return early.exists()


def is_possible(attempt: Attempt) -> bool:
    """Whether the provider may send a webhook about this attempt at all."""
    webhooks = registry.get(accounts.config(attempt)).caps["webhooks"]
    return webhooks == "per_account" or (webhooks == "per_request" and url_for(attempt) is not None)


def is_expected(attempt: Attempt, *, at: datetime) -> bool:
    """
    Whether checks of this attempt may be rarer: the provider may send a webhook about it, and one from this account came within
    the last 15 minutes. So a web server that no provider reaches costs no slot time.
    """
    if not is_possible(attempt):
        return False
    return InboundWebhook.objects.filter(account=attempt.account_id, received_at__gt=at - HEARD_WITHIN).exists()


def _attempt_of(account: str, token: str) -> Attempt:
    found = None
    if len(token) <= TOKEN_MOST:
        found = Attempt.objects.select_related("account").filter(token=token, account=account).first()
    if found is None or not registry.is_available(found.account.adapter):
        raise UnknownAddress
    return found


def _config_of(account: str) -> AccountConfig:
    """Return the account as it sends jobs now: an event for the account names no attempt that could tell."""
    found = ProviderAccount.objects.filter(pk=account).first()
    if found is None or not registry.is_available(found.adapter):
        raise UnknownAddress
    return accounts.present_config(found)


def _attempt_with(config: AccountConfig, event: WebhookEvent) -> Attempt | None:
    if not event.remote_id:
        return None
    found = Attempt.objects.filter(account=config.key, preview=config.preview, remote_id=event.remote_id)
    return found.select_related("account").first()


def _compare_sender(config: AccountConfig, attempt: Attempt, event: WebhookEvent) -> None:
    """
    Compare the customer that the provider calls with ours: by the account's option, else by the first event about a task that the
    provider itself had given us.
    """
    ours = config.options.get("webhook_sender")
    if not ours:
        confirmed = InboundWebhook.objects.filter(account=config.key, attempt__preview=attempt.preview)
        confirmed = confirmed.filter(remote_id=F("attempt__remote_id")).exclude(sender="")
        ours = confirmed.order_by("id").values_list("sender", flat=True).first()
    if ours and event.sender[:ID_MOST] != ours:
        raise WebhookRefused(f"A webhook of account {config.key} is for another customer of the provider.")


def _take_in(account: str, attempt: Attempt | None, event: WebhookEvent, *, at: datetime) -> Effect | None:
    """Store the event and act on it, in one transaction; the job's row lock orders it with what a worker writes."""
    with transaction.atomic():
        job = Job.objects.lock().get(pk=attempt.job_id) if attempt else None
        if attempt and InboundWebhook.objects.filter(attempt=attempt).count() >= EVENTS_MOST:
            return None
        now = Attempt.objects.select_related("account").get(pk=attempt.pk) if attempt else None  # as it is under the lock
        effect = _effect(job, now)
        row, is_new = InboundWebhook.objects.get_or_create(
            account_id=account,
            event_id=_fitting(event.event_id),
            defaults={
                "attempt": attempt,
                "type": storable(event.type)[:TYPE_MOST],
                "remote_id": event.remote_id or "",
                "sender": storable(event.sender)[:ID_MOST],
                "effect": effect,
                "received_at": at,
            },
        )
        if not is_new:
            return None
        if job and now and effect == Effect.CHECKED:
            lifecycle.check_now(job, at=max(at, now.account.cooldown_until or at))
        elif job and now and effect == Effect.LATE:
            _note_late(job, now, row, at=at)
    log.info("account %s: webhook %s, %s", account, one_line(row.type), effect.label)
    return effect


def _effect(job: Job | None, attempt: Attempt | None) -> Effect:
    if job is None or attempt is None:
        return Effect.UNMATCHED
    if attempt.outcome is not None or (attempt.step, attempt.number) != ("main", job.attempt_number):
        return Effect.LATE
    if job.state in CHECKED_STATES:
        return Effect.CHECKED
    return Effect.EARLY if job.state == State.SUBMITTING else Effect.LATE


def _note_late(job: Job, attempt: Attempt, row: InboundWebhook, *, at: datetime) -> None:
    """Note, once per attempt, that the provider reports a task that we count as never accepted, cancelled or given up."""
    if attempt.outcome is None or attempt.outcome in SURELY_UNBILLED:
        return
    if InboundWebhook.objects.filter(attempt=attempt, effect=Effect.LATE).exclude(pk=row.pk).exists():
        return
    words = f"Late webhook: the provider reports “{one_line(row.type)}” for attempt {attempt.number}. It may be billed."
    lifecycle.note(job, at=at, actor="webhook", reason=words, data={"remote_id": row.remote_id[:200]})


def _fitting(event_id: str) -> str:
    """Return an id that fits its column: a long or odd one by its hash."""
    if event_id == storable(event_id) and 0 < len(event_id) <= ID_MOST:
        return event_id
    return f"sha256:{hashlib.sha256(event_id.encode(errors='replace')).hexdigest()}"
