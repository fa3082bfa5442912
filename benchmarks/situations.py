"""
Random situations of the queue, and whether `waiting_on` told the truth in each: a queued job does not start while one of the
named limits stays, and starts once all of them are lifted and nothing else.

A situation has up to sixteen jobs of a few users, batches, job types and models, with random limits, pauses, cooldowns, start
times, holds, budgets, missing providers and workers, with and without fair share and aging. It is made in a savepoint, by verbs
of the product where these exist. “Starts” means that the claims after the lift take it, at the latest when the jobs that the same
lift let pass before it have ended.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from queue_app import lifecycle, tickets
from queue_app.insight import pauses, waiting
from queue_app.lifecycle import Trouble
from queue_app.models import (
    Batch,
    GenerationModel,
    HeldFor,
    Job,
    Kind,
    ModelConcurrencyLimit,
    ModelRoute,
    ProviderAccount,
    QueueSettings,
    State,
    User,
    WorkerProcess,
)
from queue_app.rules.limits import Blocker
from queue_app.work import aging, budgets, dispatch, holds, policy
from queue_app.work.budgets import BEGINNING
from queue_app.work.capacity import COOLING, NO_WORKER, NOT_AVAILABLE, NOT_EXPRESSED

USERS, BATCHES_OF_EACH = 3, 1
RUNNING_MOST, QUEUED_MOST = 6, 10
KEYED = "openai_videos"  # the account with an API key, whose jobs cost money
_FOUR = {"duration": {"field": "seconds", "as": "string", "values": [4]}, "aspect": {"field": "size", "values": ["16:9"]}}
_EIGHT = _FOUR | {"duration": {"field": "seconds", "as": "string", "values": [4, 8]}}
TWO_ROUTES, LONG_MODEL = "sora-2-pro", "text-writer"
# model → the durations of its jobs; none can make 12 seconds with two routes
MODELS: dict[str, tuple[int, ...]] = {
    "sora-2": (4,),
    TWO_ROUTES: (4, 4, 8, 8, 12),
    "manim": (4,),
    "nano-banana-pro": (0,),
    LONG_MODEL: (0,),
}
VIDEO_KINDS = ("video", "video", "doubt", "topic_short")
ANY_LIMIT = 10_000


@dataclass
class World:
    """The rows that all situations share."""

    at: datetime
    users: list[User]
    batches: list[Batch]


@dataclass
class Verdict:
    """
    What became of one situation: the ``named`` limits of the chosen job, what ``kinds`` of causes these are, and in ``lie`` what
    was wrong, empty if nothing. ``rounds`` are the claims it took to start.
    """

    named: list[Blocker]
    rounds: int = 0
    lie: str = ""
    kinds: Counter[str] = field(default_factory=Counter)


def world(at: datetime) -> World:
    """Make the rows that all situations share; the catalogue is seeded."""
    users = [User.objects.create_user(f"waits{number}") for number in range(USERS)]
    for user in users:
        tickets.grant(user, 1_000_000, at=at, actor="bench", reason="bench")
    own = {"created_at": at}
    batches = [
        Batch.objects.create(owner=user, name=f"Batch {number}", **own) for user in users for number in range(BATCHES_OF_EACH)
    ]
    ProviderAccount.objects.filter(pk=KEYED).update(base_url="https://api.example/v1")
    ModelRoute.objects.filter(model=TWO_ROUTES).update(codec=_FOUR)
    ModelRoute.objects.create(model_id=TWO_ROUTES, account_id="studio", endpoint_id="other", position=9, codec=_EIGHT)
    ProviderAccount.objects.create(key="spare", adapter="openai_videos")
    _widen(at)
    return World(at, users, batches)


def tried(world: World, seed: int, *, thorough: bool = True) -> Verdict | None:
    """
    Make the situation of this seed, judge what one queued job says, and undo all; ``None`` if no job is queued in it.

    :param thorough: try for each named limit that it alone still keeps the job from starting; else for one of them.
    """
    chance = random.Random(seed)
    before = transaction.savepoint()
    try:
        at = make(world, chance)
        waiting_jobs = list(Job.objects.filter(state=State.QUEUED).select_related("model", "batch").order_by("id"))
        return _judge(chance.choice(waiting_jobs), chance, at=at, thorough=thorough) if waiting_jobs else None
    finally:
        transaction.savepoint_rollback(before)


def make(world: World, chance: random.Random) -> datetime:
    """Make a random situation. Return its time."""
    at = world.at.replace(hour=chance.choice((12, 12, 7)))  # 7 is a peak hour
    QueueSettings.objects.update(fair_share=chance.random() < 0.7)
    _workers(12, at=at)
    _enter(world, chance, chance.randint(0, RUNNING_MOST), at=at, may_wait=False)
    _start(dispatch.claim_due_jobs(at=at), chance, at=at)
    _enter(world, chance, chance.randint(2, QUEUED_MOST), at=at, may_wait=True)
    _hold(chance, at=at)
    if chance.random() < 0.3:
        Job.objects.filter(state=State.QUEUED).update(queued_at=at - timedelta(hours=2))
        aging.raise_waiting(at=at)
    _narrow(world, chance, at=at)
    has_budget = _shut(world, chance, at=at)
    if has_budget or chance.random() < 0.6:  # else nothing has been claimed since the last change
        _settle(at)
    return at


def lift(blocker: Blocker, job: Job, *, at: datetime) -> None:
    """Lift what is named, and nothing else."""
    if blocker.limit == "jobs_ahead":
        return
    if blocker.limit == "not_before":
        Job.objects.filter(pk=job.pk).update(not_before=None, client_not_before=None)
    elif blocker.limit == "held":
        holds.release([job.pk], HeldFor(blocker.key), at=at, actor="bench", reason="released")
    elif blocker.reason in _LIFTS_OF_REASON:
        _LIFTS_OF_REASON[blocker.reason](blocker, job, at)
    elif blocker.is_pause or blocker.reason.startswith(BEGINNING):
        _unpause(blocker, at)
    else:
        _uncap(blocker, at)


def _judge(job: Job, chance: random.Random, *, at: datetime, thorough: bool) -> Verdict:
    named = waiting.outlook([job], at=at).waiting_on(job)
    verdict = Verdict(named, kinds=Counter({_kind(one): 1 for one in named}))
    in_the_way = [one for one in named if one.limit != "jobs_ahead"]
    tested = in_the_way if thorough else chance.sample(in_the_way, min(1, len(in_the_way)))
    for one in tested:
        if _starts(job, [other for other in in_the_way if other is not one], at=at):
            verdict.lie = f"starts although {one} was not lifted"
            return verdict
    verdict.rounds = _starts(job, named, at=at)
    if not verdict.rounds:
        verdict.lie = f"does not start although all of {named} were lifted"
    return verdict


def _starts(job: Job, lifted: Sequence[Blocker], *, at: datetime) -> int:
    """Lift these limits and return the number of claims until the job has started, 0 if it never does; then undo all."""
    before = transaction.savepoint()
    try:
        for one in lifted:
            lift(one, job, at=at)
        waits_for_a_time = job.not_before and all(one.limit != "not_before" for one in lifted)
        for number in range(1, Job.objects.filter(state=State.QUEUED).count() + 3):
            started = [lease.job_id for lease in dispatch.claim_due_jobs(at=at)]
            if job.pk in started:
                return number
            if not started and number > 1:
                return 0
            _end(started, at=at)
            # ten seconds later: what no open route could express is looked at again, unless that time is what it waits for
            aside = Job.objects.filter(state=State.QUEUED, not_before=at + dispatch.ASIDE)
            aside.exclude(pk__in=[job.pk] if waits_for_a_time else []).update(not_before=None)
        return 0
    finally:
        transaction.savepoint_rollback(before)


def _end(ids: Sequence[int], *, at: datetime) -> None:
    for job in Job.objects.lock().filter(pk__in=ids):
        lifecycle.fail(job, at=at, actor="bench", trouble=Trouble("ended", "It has had its turn."))


def _settle(at: datetime) -> None:
    while dispatch.claim_due_jobs(at=at):
        pass
    dispatch.claim_due_jobs(at=at)  # after one that has only set jobs aside or paused an account


def _enter(world: World, chance: random.Random, count: int, *, at: datetime, may_wait: bool) -> None:
    """Queue random jobs; ``may_wait``: some have a start time, and some failed before or were moved."""
    jobs = []
    for number in range(count):
        batch = chance.choice([None, *world.batches])
        owner = batch.owner if batch else chance.choice(world.users)
        model = chance.choice(list(MODELS))
        seconds = chance.choice(MODELS[model][: None if may_wait else 4])
        later = at + timedelta(minutes=chance.choice((1, 90))) if may_wait and chance.random() < 0.1 else None
        jobs.append(
            Job(
                owner=owner,
                batch=batch,
                model_id=model,
                kind_id=chance.choice(VIDEO_KINDS) if seconds else _MEDIA[model],
                prompt=f"take {number}",
                parameters={"duration": seconds, "aspect_ratio": "16:9"} if seconds else {},
                priority=(level := chance.choice((-10, 0, 0, 0, 10))),
                base_priority=level,
                tickets=1,
                usd_estimate=Decimal(2),
                not_before=later,
                client_not_before=later,
                deadline=at + timedelta(hours=5) if chance.random() < 0.1 else None,
            )
        )
    if not jobs:
        return
    lifecycle.enter(jobs, at=at - timedelta(minutes=5), actor="bench")
    if may_wait:
        for job in jobs:
            if job.not_before is None and chance.random() < 0.1:  # the wait before another attempt
                Job.objects.filter(pk=job.pk).update(not_before=at + timedelta(seconds=40))
            elif chance.random() < 0.1:
                Job.objects.filter(pk=job.pk).update(order_key=-job.pk)


def _hold(chance: random.Random, *, at: datetime) -> None:
    """Put some queued jobs on hold, each for something that a person decides."""
    for pk in Job.objects.filter(state=State.QUEUED).order_by("pk").values_list("pk", flat=True):
        if chance.random() < 0.1:
            holds.hold([pk], chance.choice(list(HeldFor)), at=at, actor="bench", reason="on hold")


def _start(leases: Sequence[lifecycle.Lease], chance: random.Random, *, at: datetime) -> None:
    """Let some of the claimed jobs be accepted, lose their answer, or be given up; all of them still use their slots."""
    for lease in leases:
        fate = chance.random()
        if fate < 0.3:
            continue
        begun = lifecycle.begin(lease, at=at)
        assert begun is not None
        job, _, _ = begun
        if fate < 0.7 and not lease.synchronous:
            remote = {"provider": "bench", "remote_id": f"task {job.pk}"}
            lifecycle.start(
                job, at=at, actor="bench", remote_id=remote["remote_id"], remote=remote, next_check_at=at + timedelta(seconds=30)
            )
        elif fate < 0.85:
            lost = Trouble("no_answer", "No answer.", "ambiguous")
            lifecycle.lose_track(job, at=at, actor="bench", trouble=lost, next_check_at=at + timedelta(seconds=30))
        else:
            lifecycle.force_fail([job.pk], at=at, actor="bench", reason="given up")


def _narrow(world: World, chance: random.Random, *, at: datetime) -> None:
    """Set random limits, many of them so that they are full or nearly full."""
    room = _used(at)

    def cap(*key: str) -> int | None:
        if chance.random() < 0.55:
            return None
        used = room[(key[0], key[1] if len(key) > 1 else "")]
        return max(1, used + chance.choice((0, 0, 1, 2)))

    found = cap("queue")
    if found:
        QueueSettings.objects.update(max_concurrent=found)
    for kind in set(VIDEO_KINDS):
        Kind.objects.filter(pk=kind).update(max_concurrent=cap("kind", kind))
    for model in MODELS:
        ModelConcurrencyLimit.objects.filter(pk=model).update(max_concurrent=cap("model", model) or 50)
    for account in _ACCOUNTS:
        most, steps = cap("account", account), chance.choice((0, 0, 2))
        lowered = {"lowered_by": steps, "lowered_at": at - timedelta(minutes=1) if steps else None}
        ProviderAccount.objects.filter(pk=account).update(max_concurrent=most and most + steps, **lowered)
    for user in world.users:
        User.objects.filter(pk=user.pk).update(max_concurrent=cap("user", str(user.pk)))
    if chance.random() < 0.15:
        QueueSettings.objects.update(user_max_concurrent=chance.randint(1, 3))
    for batch in world.batches:
        Batch.objects.filter(pk=batch.pk).update(max_concurrent=cap("batch", str(batch.pk)))
    if chance.random() < 0.3:
        WorkerProcess.objects.all().delete()
        _workers(chance.choice((0, 0, 1, 2)), at=at)


def _shut(world: World, chance: random.Random, *, at: datetime) -> bool:
    """Pause, cool down and take away some things. Return whether the budget of an account is spent."""

    def pause() -> dict[str, Any]:
        """Return a pause without an end, one that goes on, or one that is over."""
        until = chance.choice((None, at + timedelta(hours=1), at - timedelta(seconds=1)))
        return {"paused": True, "paused_until": until, "paused_reason": chance.choice(("", "maintenance"))}

    if chance.random() < 0.06:
        QueueSettings.objects.update(**pause())
    for model in MODELS:
        if chance.random() < 0.08:
            ModelConcurrencyLimit.objects.filter(pk=model).update(**pause())
        if chance.random() < 0.06:
            chance.choice((ModelRoute.objects.filter(model=model), GenerationModel.objects.filter(pk=model))).update(active=False)
    for account in _ACCOUNTS:
        if chance.random() < 0.08:
            ProviderAccount.objects.filter(pk=account).update(**pause())
        if chance.random() < 0.08:
            ProviderAccount.objects.filter(pk=account).update(cooldown_until=at + timedelta(seconds=chance.choice((-1, 60))))
    for batch in world.batches:
        if chance.random() < 0.12:
            policy.pause_batch(batch, at=at, actor=None, reason="too dark")
    if chance.random() < 0.25 and (so_far := budgets.spent(KEYED, since=budgets.day_of(at)[0]).total):
        return bool(ProviderAccount.objects.filter(pk=KEYED).update(daily_budget_usd=so_far))
    return False


def _used(at: datetime) -> Counter[tuple[str, str]]:
    from queue_app.work.capacity import Capacity

    return Capacity.load(at=at, policy=QueueSettings.objects.current()).room.used


def _widen(at: datetime) -> None:
    QueueSettings.objects.update(max_concurrent=1_000, user_max_concurrent=None)
    ModelConcurrencyLimit.objects.update(max_concurrent=50)
    ProviderAccount.objects.update(max_concurrent=None)


def _workers(number: int, *, at: datetime) -> None:
    known = {"host": "bench", "role": "worker", "queue": "long", "group_id": 1, "group_started": "1"}
    first = WorkerProcess.objects.count()
    rows = (WorkerProcess(pid=first + place, started_at=at, beat_at=at, **known) for place in range(number))
    WorkerProcess.objects.bulk_create(rows)


def _uncap(blocker: Blocker, at: datetime) -> None:
    rows, value = {
        "queue": (QueueSettings.objects.all(), ANY_LIMIT),
        "kind": (Kind.objects.filter(pk=blocker.key), None),
        "account": (ProviderAccount.objects.filter(pk=blocker.key), None),
        "model": (ModelConcurrencyLimit.objects.filter(pk=blocker.key), 50),
        "user": (User.objects.filter(pk=blocker.key or 0) if blocker.limit == "user" else None, ANY_LIMIT),
        "batch": (Batch.objects.filter(pk=blocker.key or 0) if blocker.limit == "batch" else None, None),
        "long": (None, None),
    }[blocker.limit]
    if rows is None:
        _workers(20, at=at)
    else:
        rows.update(max_concurrent=value)


def _unpause(blocker: Blocker, at: datetime) -> None:
    if blocker.limit == "batch":
        policy.resume_batch(Batch.objects.get(pk=blocker.key), at=at, actor=None)
        return
    rows = pauses.ROWS[blocker.limit]._default_manager.filter(pk=blocker.key or 1)
    if blocker.reason.startswith(BEGINNING):
        rows.update(daily_budget_usd=None)  # or the next claim pauses it again
        rows = rows.filter(paused_reason=blocker.reason)  # a pause by staff is another cause
    rows.update(paused=False)


def _cool(blocker: Blocker, job: Job, at: datetime) -> None:
    ProviderAccount.objects.filter(pk=blocker.key).update(cooldown_until=None)


def _provide(blocker: Blocker, job: Job, at: datetime) -> None:
    """Let a provider without limits offer the model, with a way to express the job."""
    GenerationModel.objects.filter(pk=blocker.key).update(active=True)
    known = ModelRoute.objects.filter(model=blocker.key).values_list("codec", flat=True)[0]
    seconds = job.parameters.get("duration")
    codec = _FOUR | {"duration": {"field": "seconds", "as": "string", "values": [seconds]}} if seconds else known
    ModelRoute.objects.filter(model=blocker.key).update(active=False)
    ModelRoute.objects.create(model_id=blocker.key, account_id="spare", endpoint_id="new", codec=codec)


def _employ(blocker: Blocker, job: Job, at: datetime) -> None:
    _workers(20, at=at)


_LIFTS_OF_REASON: dict[str, Callable[[Blocker, Job, datetime], None]] = {
    COOLING: _cool,
    NOT_AVAILABLE: _provide,
    NOT_EXPRESSED: _provide,
    NO_WORKER: _employ,
}
_MEDIA = {"nano-banana-pro": "image", LONG_MODEL: "text"}
_ACCOUNTS = (KEYED, "studio", "fal", "chat")


def _kind(blocker: Blocker) -> str:
    """Return what kind of cause it is: “account pause”, “model full”."""
    if blocker.limit in ("not_before", "jobs_ahead"):
        return blocker.limit
    if blocker.limit == "held":
        return f"held for {blocker.key}"
    if blocker.reason.startswith(BEGINNING):
        return f"{blocker.limit} budget"
    if blocker.reason in _LIFTS_OF_REASON:
        return f"{blocker.limit} {blocker.reason}"
    return f"{blocker.limit} {'pause' if blocker.is_pause else 'full'}"
