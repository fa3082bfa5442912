"""Polling: ask the provider once how a task stands, or to stop it; outside any transaction."""

import logging
from copy import copy
from datetime import timedelta

from django.db import transaction

from queue_app import clock, database, lifecycle
from queue_app.lifecycle import Lease
from queue_app.models import Attempt, Job, State
from queue_app.providers.base import ErrorKind, PollResult, Provider, ProviderError, RemoteRef, TaskState
from queue_app.work import accounts, progress

log = logging.getLogger(__name__)
REFUSED = timedelta(seconds=30)  # until the next try when the provider answers, but not to the question


def check(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
    """Ask about a running or cancelling job and record the answer. Gives the lease for storing when it is done."""
    ref = RemoteRef.from_json(attempt.remote)
    try:
        provider = accounts.provider_for(attempt)
        result = _ask_to_stop(provider, ref) if job.state == State.CANCELLING else None
        result = result or provider.poll(ref)
    except ProviderError as error:
        # a 404 too, unless the adapter took it for the provider's own word: a proxy's would have us buy again what still runs
        _try_later(attempt, lease, error)
        return []
    at = database.again(clock.now)
    if result.error and result.error.kind == ErrorKind.QUOTA:
        accounts.went_badly(attempt, result.error, at=at)
    else:
        accounts.went_well(attempt)
    # each time with the attempt as it was before
    return database.again(lambda: progress.record(copy(attempt), lease, result, at=at), look=lambda: lifecycle.given_out(at))


def _ask_to_stop(provider: Provider, ref: RemoteRef) -> PollResult | None:
    """Send the cancel; a provider that confirms it at once need not be polled. Sent again at each check: it is idempotent."""
    if provider.caps["cancel"] == "none":
        return None
    try:
        state = provider.cancel(ref)
    except ProviderError as error:
        log.warning("cancel of a task at %s was not taken: %s", ref.provider, error)  # it may have finished: the poll tells
        return None
    return PollResult(state) if state in (TaskState.CANCELED, TaskState.LOST) else None


def _try_later(attempt: Attempt, lease: Lease, error: ProviderError) -> None:
    at = database.again(clock.now)
    again_at = accounts.went_badly(attempt, error, at=at) or at + REFUSED

    @transaction.atomic
    def put_off() -> None:
        job = lifecycle.held_by(lease)
        if job is not None:
            lifecycle.check_again(job, next_check_at=again_at)

    database.again(put_off)
