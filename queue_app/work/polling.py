"""
Polling: ask the provider for a task's status, or to cancel it, once and outside any transaction (I32).

The time of the next check comes from `rules.schedule.next_check`.
"""

import logging
from copy import copy
from datetime import timedelta

from django.db import transaction

from queue_app import clock, database, lifecycle
from queue_app.lifecycle import Lease
from queue_app.models import Attempt, Job, State
from queue_app.providers.base import PollResult, Provider, ProviderError, RemoteRef, TaskState
from queue_app.work import accounts, progress

log = logging.getLogger(__name__)
REFUSED = timedelta(seconds=30)  # until the next check after an error that sets no time of its own


def check(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
    """
    Check a running or cancelling job at its provider and record the answer.

    Return the lease for storing if the provider is done, else an empty list.
    """
    ref = RemoteRef.from_json(attempt.remote)
    try:
        provider = accounts.provider_for(attempt)
        result = _request_cancel(provider, ref) if job.state == State.CANCELLING else None
        result = result or provider.poll(ref)
    except ProviderError as error:
        # also a 404 that the adapter does not attribute to the provider: if it came from a proxy, the task still runs, and taking
        # it as lost would send the job again
        _postpone(attempt, lease, error)
        return []
    at = database.again(clock.now)
    progress.tell_account(attempt, result, at=at)

    def recorded() -> list[tuple[Lease, State]]:  # it changes the attempt, so each try starts from a fresh copy
        return progress.record(copy(attempt), lease, result, at=at, begun=job)

    return database.again(recorded, look=lambda: lifecycle.given_out(at))


def _request_cancel(provider: Provider, ref: RemoteRef) -> PollResult | None:
    """
    Send the cancel. Return the result if the provider confirms it immediately, else ``None``: the task must be polled.

    It is idempotent and is sent again at each check.
    """
    if provider.caps["cancel"] == "none":
        return None
    try:
        state = provider.cancel(ref)
    except ProviderError as error:
        log.warning("a cancel at %s failed: %s", ref.provider, error)  # the task may have finished: the poll will show it
        return None
    return PollResult(state) if state in (TaskState.CANCELED, TaskState.LOST) else None


def _postpone(attempt: Attempt, lease: Lease, error: ProviderError) -> None:
    at = database.again(clock.now)
    again_at = accounts.went_badly(attempt, error, at=at) or at + REFUSED

    @transaction.atomic
    def put_off() -> None:
        job = lifecycle.held_by(lease)
        if job is not None:
            lifecycle.check_again(job, next_check_at=again_at)

    database.again(put_off)
