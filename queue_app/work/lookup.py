"""
Lookup of a create call whose answer was lost: read the provider's task list, judge it by `rules.lookup` and act on the result.

If the task is found, the job continues with it (T7). If it is proved twice that there is no such task, the call was not accepted
(T8). Otherwise the job stays unknown; the rows seen, and why they were not believed, are kept for the person who decides.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from statistics import median

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from queue_app import clock, lifecycle
from queue_app.lifecycle import Lease, Trouble
from queue_app.models import Attempt, Job, Outcome, State
from queue_app.providers.base import Provider, ProviderError, TaskState
from queue_app.rules import schedule
from queue_app.rules.lookup import CONTROL_WITHIN, Call, Known, Likeness, Lookup, Row, Walk, ids_of, same_prompt
from queue_app.work import accounts, answers, progress, submission, webhooks

log = logging.getLogger(__name__)
RAREST_LOOK = timedelta(minutes=10)
WALK_SECONDS, MOST_PAGES = 40.0, 20  # the task that runs a lookup has 60 s
MOST_KNOWN = 2_000
RARELY_LONGER = 3  # times the usual run time
KEPT = 20  # newest lookups kept of an attempt, besides all that proved "none"


def look_up(job: Job, attempt: Attempt, lease: Lease) -> list[tuple[Lease, State]]:
    """
    Look up the task of a job with an unknown outcome. Return no leases.

    The answer of a synchronous provider is looked for in our storage. No transaction is open while a list is read (I32).

    :raises RuntimeError: the create call was never sent (I16).
    """
    if attempt.called_at is None:
        raise RuntimeError(f"{attempt} is unknown and was never called (I16)")
    asked_at = clock.now()
    try:
        provider = accounts.provider_for(attempt)
        if attempt.synchronous and answers.is_saved(attempt):
            ref = provider.ref(str(attempt.pk), endpoint_id=attempt.endpoint_id)
            with transaction.atomic():
                if lifecycle.held_by(lease) is not None:
                    submission.adopt_late(attempt, ref, at=clock.now(), actor="recovery")
            return []
        if hinted := _hinted(provider, attempt):
            _follow_hint(lease, job, attempt, provider, hinted, asked_at=asked_at)
            return []
        if not attempt.account.can_look_up or provider.caps["orphan_search"] == "none":
            # a worker that was frozen after the answer may still save it
            again_at = _later(attempt, at=clock.now()) if attempt.synchronous else _last_look(attempt)
            _look_again(lease, attempt, None, asked_at=asked_at, at=again_at, begun=job)
            return []
        found = walk(provider, job, attempt, at=asked_at).judge()
    except OSError as error:
        log.warning("job %s: can't look for a saved answer: %s", job.pk, error)
        _look_again(lease, attempt, None, asked_at=asked_at, at=_later(attempt, at=clock.now()), begun=job)
        return []
    except ProviderError as error:
        at = clock.now()
        again_at = max(accounts.went_badly(attempt, error, at=at) or at, _later(attempt, at=at))
        failed = Lookup(why_not=[f"Could not read the task list: {error.message}"])
        _look_again(lease, attempt, failed, asked_at=asked_at, at=again_at, begun=job)
        return []
    accounts.went_well(attempt)
    with transaction.atomic():
        held = lifecycle.held_by(lease)
        if held is not None:
            _settle(held, attempt, found, grace=grace_of(provider, job), asked_at=asked_at, at=clock.now(), begun=job)
    return []


def _hinted(provider: Provider, attempt: Attempt) -> list[str]:
    """Return the tasks that verified webhooks named for this attempt, without those of other attempts."""
    named = webhooks.hinted_tasks(attempt)
    taken = {name for known in _owned(provider, attempt, named) for name in known.names} if named else set()
    return [task for task in named if task not in taken]


def _follow_hint(lease: Lease, job: Job, attempt: Attempt, provider: Provider, hinted: list[str], *, asked_at: datetime) -> None:
    """
    Continue the job with a task that a webhook named, once the provider confirms it (T7).

    The address of the webhook holds the attempt's token, which only the provider got, with this very create call. If no task is
    confirmed, nothing is proved: not even that there is none.
    """
    refs = [provider.ref(task, endpoint_id=attempt.endpoint_id) for task in hinted]
    ref = next((ref for ref in refs if provider.poll(ref).state != TaskState.LOST), None)
    if ref is None:
        unconfirmed = Lookup(why_not=[f"A webhook named task {hinted[0][:60]}, but the provider does not know it."])
        _look_again(lease, attempt, unconfirmed, asked_at=asked_at, at=_later(attempt, at=clock.now()), begun=job)
        return
    accounts.went_well(attempt)
    with transaction.atomic():
        held = lifecycle.held_by(lease)
        if held is not None:
            row = Row(ref.remote_id)
            _record(attempt, Lookup(sure=[row], proof={"webhook": True}), asked_at, took=row)
            submission.adopt_late(attempt, ref, at=clock.now(), actor="webhook")


def _rarely_longer(job: Job) -> float:
    """Return the seconds that such a task rarely exceeds: a multiple of the median, and as long as any of the last runs."""
    past = progress.past_runs(job.model_id, preview=job.preview)
    if len(past) < schedule.FEW:
        return RARELY_LONGER * progress.typical_seconds(job)
    return max(RARELY_LONGER * median(past), past[-1])


def walk(provider: Provider, job: Job, attempt: Attempt, *, at: datetime) -> Walk:
    """
    Read the provider's list, newest first, as far as it is relevant to this attempt, and return the pages read.

    :raises ProviderError: a page could not be read.
    """
    call = _call(attempt, job)
    known = _neighbours(provider, attempt, at=at)  # accepted before the list is read, so the list must contain them
    read = Walk(
        call=call,
        now=at.timestamp(),
        grace=grace_of(provider, job),
        takes=_rarely_longer(job),
        known=known,
        aliases=dict(attempt.account.options.get("model_aliases", {})),
        trusted=attempt.account.trusts_list,
        is_first=not _tasks(provider, attempt).filter(called_at__lt=attempt.called_at).exists(),
    )
    ends = time.monotonic() + WALK_SECONDS
    after = None
    while not read.is_over:
        left = ends - time.monotonic()
        if len(read.pages) == MOST_PAGES or left <= 0:
            return read.and_no_further()
        page = provider.list_tasks(after, endpoint_id=attempt.endpoint_id, seconds=left)
        owned = _owned(provider, attempt, ids_of([page]))
        read = read.and_then(page, owned, now=clock.now().timestamp())
        after = page.cursor or next((row.id for row in reversed(page.rows) if row.id), after)
    if rows := read.to_ask_for:
        seconds = max(1.0, (ends - time.monotonic()) / 2)
        some = provider.list_tasks(None, endpoint_id=attempt.endpoint_id, rows=rows, seconds=seconds)
        read = read.and_its_end(some, provider.list_tasks(after, endpoint_id=attempt.endpoint_id, seconds=seconds))
    return read


def grace_of(provider: Provider, job: Job) -> float:
    """
    Return the seconds after a create call from which on its task can't begin any more. From then on a list that lacks the task
    proves that there is none.
    """
    waits = {
        "with_call": 0.0,
        "by_start_deadline": settings.TIMES.start_deadline,
        "by_total_deadline": float(lifecycle.timeout_seconds(job)),
    }
    grace = settings.TIMES.long_grace if provider.caps["synchronous"] else settings.TIMES.grace
    return grace + waits[provider.caps["begins"]]


def _settle(job: Job, attempt: Attempt, found: Lookup, *, grace: float, asked_at: datetime, at: datetime, begun: Job) -> None:
    """Act on the result of a lookup. The caller holds the job's row lock; ``begun`` is the job before the list was read."""
    if lifecycle.asked_meanwhile(job, begun):  # a webhook has come, and may name the task
        lifecycle.check_again(job, next_check_at=at)
        return
    belongs_to_a_twin = bool(found.sure) and _a_twin_is_being_submitted(attempt, job)
    mine = None if belongs_to_a_twin else _row_for(attempt, job, found.sure)
    counts_from = _counts_from(attempt, grace)
    proved = found.none_proved and asked_at >= counts_from
    _record(attempt, found, asked_at, took=mine, counted=proved)
    if belongs_to_a_twin:
        lifecycle.check_again(job, next_check_at=at + timedelta(seconds=settings.TIMES.lease))
    elif mine and mine.id:
        _adopt(job, attempt, mine.id, found, at=at)
    elif proved:
        _count_none(job, attempt, asked_at=asked_at, at=at)
    else:
        next_look = counts_from if asked_at < counts_from else _later(attempt, at=at)
        lifecycle.check_again(job, next_check_at=min(next_look, _last_look(attempt)))


def _adopt(job: Job, attempt: Attempt, task: str, found: Lookup, *, at: datetime) -> None:
    ref = accounts.provider_for(attempt).ref(task, endpoint_id=attempt.endpoint_id)
    others = len(found.sure) - _same_request_unknown(attempt, job).count()
    submission.adopt_late(attempt, ref, at=at, actor="recovery")
    if others > 0:
        tasks = "1 more provider task matches" if others == 1 else f"{others} more provider tasks match"
        words = f"{tasks} and may be billed. We took the earliest."
        lifecycle.note(job, at=at, actor="recovery", reason=words)
        lifecycle.flag(job, words, at=at)


def _count_none(job: Job, attempt: Attempt, *, asked_at: datetime, at: datetime) -> None:
    """Count a proof that there is no such task; the second one ends the attempt as not accepted (T8)."""
    nones = attempt.lookups_none + 1
    Attempt.objects.filter(pk=attempt.pk).update(lookups_none=nones, looked_up_at=asked_at)
    if nones < 2:
        lifecycle.check_again(job, next_check_at=asked_at + timedelta(seconds=settings.TIMES.lookup_gap))
        return
    trouble = Trouble("not_accepted", "Not in the provider's task list, confirmed twice: it was not accepted.")
    outcome = Outcome.NOT_ACCEPTED
    lifecycle.put_back(job, at=at, actor="recovery", outcome=outcome, spent=True, trouble=trouble, not_before=None)


def _counts_from(attempt: Attempt, grace: float) -> datetime:
    """Return the time from which a proof counts: the first after the grace period, the second ``lookup_gap`` after the first."""
    if attempt.lookups_none and attempt.looked_up_at:
        return attempt.looked_up_at + timedelta(seconds=settings.TIMES.lookup_gap)
    return (attempt.called_at or attempt.created_at) + timedelta(seconds=grace)


def _later(attempt: Attempt, *, at: datetime) -> datetime:
    """Return the time of the next lookup; the intervals grow up to `RAREST_LOOK`."""
    waited = at - (attempt.called_at or at)
    return at + min(max(timedelta(seconds=settings.TIMES.lookup_gap), waited / 2), RAREST_LOOK)


def _last_look(attempt: Attempt) -> datetime:
    return (attempt.called_at or attempt.created_at) + timedelta(seconds=settings.TIMES.unknown)


def _look_again(lease: Lease, attempt: Attempt, failed: Lookup | None, *, asked_at: datetime, at: datetime, begun: Job) -> None:
    """
    Record a failed lookup, if any, and schedule the next one.

    Writes nothing if the lease is outdated: another lookup may have proved something in the meantime.
    """
    with transaction.atomic():
        job = lifecycle.held_by(lease)
        if job is None:
            return
        if failed:
            _record(attempt, failed, asked_at)
        next_look = asked_at if failed is None and lifecycle.asked_meanwhile(job, begun) else at
        lifecycle.check_again(job, next_check_at=min(next_look, _last_look(attempt)))


def _record(attempt: Attempt, found: Lookup, asked_at: datetime, *, took: Row | None = None, counted: bool = False) -> None:
    """Store the rows a lookup saw and why they count or not, for staff and for `check_invariants`."""
    seen = {
        "at": asked_at.isoformat(),
        "sure": [row.id for row in found.sure],
        "took": took.id if took else None,
        "maybe": [{name: value for name, value in asdict(row).items() if name != "names"} for row in found.maybe],
        "none": counted,
        "why_not": found.why_not,
        "proof": found.proof,
    }
    for row in seen["maybe"]:  # type: ignore[union-attr]
        row["prompt"] = (row["prompt"] or "")[:200]  # type: ignore[index]
    before = attempt.lookups
    old = [one for one in before[:-KEPT] if one["none"]]  # a second create call relies on these proofs
    attempt.lookups = [*old, *before[-KEPT:], seen]
    Attempt.objects.filter(pk=attempt.pk).update(lookups=attempt.lookups)


def _call(attempt: Attempt, job: Job) -> Call:
    return Call(job.prompt, attempt.endpoint_id, (attempt.called_at or attempt.created_at).timestamp())


def _neighbours(provider: Provider, attempt: Attempt, *, at: datetime) -> list[Known]:
    """Return the account's other tasks that were called within `CONTROL_WITHIN` of this call and accepted before ``at``."""
    called_at = attempt.called_at or attempt.created_at
    within = timedelta(seconds=CONTROL_WITHIN)
    near = _tasks(provider, attempt).filter(called_at__range=(called_at - within, called_at + within), accepted_at__lt=at)
    return [_known(provider, other) for other in near.order_by("-called_at")[:MOST_KNOWN]]


def _owned(provider: Provider, attempt: Attempt, names: Iterable[str]) -> list[Known]:
    """Return the tasks with these names that belong to other attempts of the account, however old."""
    return [_known(provider, other) for other in _tasks(provider, attempt).filter(remote_id__in=list(names))]


def _tasks(provider: Provider, attempt: Attempt) -> "QuerySet[Attempt]":
    """
    Filter to the tasks of other attempts that the list may show: same account, both previews or both not, and the same endpoint
    if the provider lists only one.
    """
    tasks = Attempt.objects.filter(account=attempt.account_id, preview=attempt.preview, remote_id__isnull=False)
    if provider.caps["lists"] == "endpoint":
        tasks = tasks.filter(endpoint_id=attempt.endpoint_id)
    return tasks.filter(called_at__isnull=False).exclude(pk=attempt.pk).select_related("job")


def _known(provider: Provider, other: Attempt) -> Known:
    answered = not other.lookups  # with lookups, the task id comes from the list or from a person
    return Known(
        names=provider.names(str(other.remote_id)),
        call=_call(other, other.job),
        control=answered and other.accepted_at is not None,
        gone=other.outcome == Outcome.CANCELLED,
    )


def _open_beside(attempt: Attempt) -> "QuerySet[Attempt]":
    """Filter to attempts called at the same endpoint of the same place whose task is not known, this one included."""
    beside = Attempt.objects.filter(account=attempt.account_id, preview=attempt.preview, endpoint_id=attempt.endpoint_id)
    return beside.filter(outcome=None, remote_id=None, called_at__isnull=False)


def _same_request_unknown(attempt: Attempt, job: Job) -> "QuerySet[Attempt]":
    """
    Filter to unknown attempts with the same prompt and endpoint, this one included, in the order of their calls.

    A row of the list that matches this attempt matches all of them.
    """
    return _open_beside(attempt).filter(job__state=State.UNKNOWN, job__prompt=job.prompt).order_by("called_at", "pk")


def _row_for(attempt: Attempt, job: Job, sure: list[Row]) -> Row | None:
    """Return this attempt's row among those that match several unknown attempts: the earliest row goes to the earliest call."""
    if not sure:
        return None
    place = list(_same_request_unknown(attempt, job).values_list("pk", flat=True)).index(attempt.pk)
    return sure[place] if place < len(sure) else None


def _a_twin_is_being_submitted(attempt: Attempt, job: Job) -> bool:
    """Whether the found task may belong to a similar job whose create call is running and whose task id is not stored yet."""
    prompts = _open_beside(attempt).filter(job__state=State.SUBMITTING).values_list("job__prompt", flat=True)
    return any(same_prompt(job.prompt, prompt) is not Likeness.DIFFERENT for prompt in prompts)
