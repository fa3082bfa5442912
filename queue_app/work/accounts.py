"""Provider accounts: how to reach one, and how its answers and failures change it."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from queue_app import database, wake
from queue_app.models import Attempt, Job, JobEvent, Outcome, ProviderAccount, QueueSettings, ReviewItem, State
from queue_app.providers import registry
from queue_app.providers.base import AccountConfig, ErrorKind, Provider, ProviderError
from queue_app.rules import backoff, limits
from queue_app.work import answers, policy

log = logging.getLogger(__name__)
chance = Random()  # noqa: S311 - jitter, not a secret
UNKNOWNS, UNKNOWNS_WITHIN = 3, timedelta(minutes=10)
NO_WAIT_TOLD = 10.0  # seconds, for a 429 without Retry-After
BEING_MADE = (State.RUNNING, State.CANCELLING)
WORKER_DIED = "worker_died"  # the kind of error of a step's call whose worker is gone
MANY = 1_000  # failures in a row after which counting stops
ELSEWHERE = timedelta(
    seconds=30
)  # until the next try at a place that this host's key does not lead to; another host may have the key


def seller_for(attempt: Attempt) -> Provider:
    """
    Return the adapter for the create call of an attempt.

    :raises ProviderError: nothing was sent, because this host would send it elsewhere than the claim decided: the account's key
        was set or removed in the meantime.
    """
    if attempt.preview and not attempt.account.is_preview:
        raise _not_sent(f"Started as a preview, but account {attempt.account_id} now has an API key on this host.")
    return provider_for(attempt)


def provider_for(attempt: Attempt) -> Provider:
    """
    Return the adapter for the place that an attempt was sent to, the studio or the provider, even if the account's key has
    changed since. The other place would answer "no such task", and the job would be sent again.

    :raises ProviderError: nothing was sent: the attempt went to the provider, and this host has no key or address for it.
    """
    if attempt.account.is_preview and not attempt.preview:
        env = attempt.account.api_key_env
        raise _not_sent(f"This host has no API key ({env}) or address for account {attempt.account_id}.")
    return registry.get(config(attempt))


def config(attempt: Attempt) -> AccountConfig:
    """Return address and key for an attempt: the studio without a key for a preview, else the account's own."""
    return (_studio_config if attempt.preview else _provider_config)(attempt.account)


def present_config(account: ProviderAccount) -> AccountConfig:
    """Return address and key of the place where an account sends jobs now."""
    return (_studio_config if account.is_preview else _provider_config)(account)


def beyond_stopping(jobs: "QuerySet[Job]") -> "QuerySet[Job]":
    """
    Filter to running jobs that can't be cancelled where they run: they continue and are charged if they are delivered
    (docs/invariants.md, failure policy). The studio cancels a task if its vendor's API has a cancel or a DELETE.
    """
    accounts = [account for account in ProviderAccount.objects.all() if registry.is_available(account.adapter)]
    current = Attempt.objects.filter(job=OuterRef("pk"), number=OuterRef("attempt_number"), step="main")
    beyond = Q(preview=False, account__in=_cannot_stop(map(_provider_config, accounts)))
    beyond |= Q(preview=True, account__in=_cannot_stop(map(_studio_config, accounts)))
    whole = jobs.exclude(kind__in=settings.PIPELINES)  # others stop between two calls
    return whole.filter(Exists(current.filter(beyond)), state__in=BEING_MADE)


def _cannot_stop(configs: Iterable[AccountConfig]) -> set[str]:
    """Return the keys of the accounts that can't cancel a task."""
    return {config.key for config in configs if registry.get(config).caps["cancel"] == "none"}


def _studio_config(account: ProviderAccount) -> AccountConfig:
    options = {**account.options, "cancel_by_delete": True}
    return AccountConfig(
        account.key,
        account.adapter,
        settings.STUDIO_URL,
        None,
        preview=True,
        options=options,
        webhook_secret=settings.STUDIO_WEBHOOK_SECRET,
        answers=answers.ANSWERS,
    )


def _provider_config(account: ProviderAccount) -> AccountConfig:
    key = settings.PROVIDER_KEYS.get(account.api_key_env)
    return AccountConfig(
        account.key,
        account.adapter,
        account.base_url,
        key,
        options=account.options,
        webhook_secret=settings.PROVIDER_KEYS.get(account.webhook_secret_env),
        answers=answers.ANSWERS,
    )


def went_well(attempt: Attempt) -> None:
    """Record that the provider answered: reset the account's count of failures in a row."""
    if attempt.account.failures_in_a_row and _concerns_its_account(attempt):
        database.again(lambda: ProviderAccount.objects.filter(pk=attempt.account_id).update(failures_in_a_row=0))


def went_badly(attempt: Attempt, error: ProviderError, *, at: datetime, asked_at: datetime | None = None) -> datetime | None:
    """
    Apply a failed call to its account: cool down, lower the limit, or pause for staff. Return the earliest time for another call,
    if the error gives one.

    A failure that concerns one job alone changes nothing. A call sent (``asked_at``) before a person last resumed the account
    does not pause it.
    """
    return database.again(lambda: _consequences(attempt, error, at=at, asked_at=asked_at or at))


@transaction.atomic
def _consequences(attempt: Attempt, error: ProviderError, *, at: datetime, asked_at: datetime) -> datetime | None:
    account = attempt.account
    if not _concerns_its_account(attempt):
        log.warning("job %s: %s", attempt.job_id, error.message)
        return at + ELSEWHERE
    if error.kind in (ErrorKind.AUTH, ErrorKind.QUOTA):
        words = "The provider rejected our API key" if error.kind == ErrorKind.AUTH else "Our provider credit has run out"
        resumed_at = policy.last_resume(account, at=at)
        if resumed_at is None or asked_at >= resumed_at:
            _pause(account, f"{words}: {error.message}"[:200], at=at)
        return None
    if error.kind == ErrorKind.RATE_LIMITED:
        wait = backoff.told_to_wait(error.retry_after or NO_WAIT_TOLD, chance=chance)
        return _cool_down(account, wait, at=at, lower=True)
    if error.kind == ErrorKind.RETRYABLE:
        return _cool_down(account, 0, at=at, lower=False)
    return None


def too_many_unknowns(account: ProviderAccount, *, at: datetime) -> None:
    """
    Pause the account for staff after three lost answers in ten minutes, even if lookups found their tasks.

    Calls during which our own process died do not count: they are not the provider's fault, and a restarted machine must
    continue. Nor do calls from before a person last resumed the account, who has seen them.
    """
    answer_lost = JobEvent.objects.filter(
        job=OuterRef("job"), attempt=OuterRef("attempt__number"), to_state=State.UNKNOWN, actor="worker"
    )
    # each unknown outcome has a review item, and there are few of those
    reviewed = ReviewItem.objects.filter(attempt__account=account, opened_at__gte=at - UNKNOWNS_WITHIN)
    if resumed_at := policy.last_resume(account, at=at):
        reviewed = reviewed.filter(attempt__called_at__gte=resumed_at)
    unknown = reviewed.filter(Exists(answer_lost)).values("attempt").distinct().count()
    unknown += _lost_steps(account, since=max(at - UNKNOWNS_WITHIN, resumed_at or at - UNKNOWNS_WITHIN))
    if unknown >= UNKNOWNS:
        _pause(account, f"{unknown} unknown outcomes in 10 minutes: check the provider's task list before you resume", at=at)


def _lost_steps(account: ProviderAccount, *, since: datetime) -> int:
    """Return how many calls of jobs in steps had no answer and were repeated (I46), without those whose worker died."""
    lost = Attempt.objects.exclude(step="main").filter(account=account, called_at__gte=since, outcome=Outcome.ABANDONED)
    unknown = Exists(ReviewItem.objects.filter(attempt__job=OuterRef("job"), opened_at=OuterRef("ended_at")))  # counted already
    return lost.exclude(error_kind=WORKER_DIED).exclude(unknown).count()


def _concerns_its_account(attempt: Attempt) -> bool:
    """
    Whether the attempt went where its account sends jobs now.

    If the key was set or removed since, the failures of the other place, provider or studio, must not change the account.
    """
    return attempt.preview == attempt.account.is_preview


def _not_sent(words: str) -> ProviderError:
    return ProviderError(ErrorKind.RETRYABLE, words, code="not_sent")


def _cool_down(account: ProviderAccount, seconds: float, *, at: datetime, lower: bool) -> datetime:
    QueueSettings.objects.lock_claims()
    now = ProviderAccount.objects.select_for_update().get(pk=account.pk)
    if lower:
        off = limits.steps_off(by=now.lowered_by, since=now.lowered_at, at=at)  # without the steps restored since
        is_cooling = now.cooldown_until is not None and now.cooldown_until > at  # sent before the first 429: don't halve again
        now.lowered_by, now.lowered_at = off if is_cooling else limits.halved(now.max_concurrent or 1, off=off), at
    else:
        now.failures_in_a_row = min(now.failures_in_a_row + 1, MANY)
        seconds = backoff.unreachable(now.failures_in_a_row)
    until = at + timedelta(seconds=seconds)
    now.cooldown_until = max(until, now.cooldown_until or until)
    now.save(update_fields=["lowered_by", "lowered_at", "failures_in_a_row", "cooldown_until"])
    log.warning("account %s cools down until %s", account.pk, now.cooldown_until)
    wake.queue_changed()
    return now.cooldown_until


def _pause(account: ProviderAccount, reason: str, *, at: datetime) -> None:
    if policy.change(account, at=at, actor=None, reason=reason, paused=True, paused_reason=reason, paused_until=None):
        log.error("account %s paused: %s", account.pk, reason)
