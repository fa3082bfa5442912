"""
Factories of rows as the product creates them: jobs by `lifecycle.enter`, tickets by `tickets.grant`.

`make_job(state=...)` moves a job to a state by the verbs, so that it has its events, attempts and ledger.
"""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import factory
from django.contrib.auth.models import Permission
from django.db import transaction

from queue_app import lifecycle, tickets
from queue_app.lifecycle import Lease, Pick, Trouble
from queue_app.models import Asset, Attempt, Batch, Job, ModelRoute, Schedule, State, User, WebhookEndpoint, WorkerProcess
from queue_app.models.job import TERMINAL_STATES
from queue_app.work import catalogue, endpoints, schedules
from queue_app.work.capacity import is_synchronous

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOOK = {"at": NOON.isoformat(), "sure": [], "took": None, "maybe": [], "none": True, "why_not": []}
PROVED = [LOOK | {"proof": {"controls": ["video_0"], "trusted": False, "pages": 1, "rows": 2, "skew": 0.0}}] * 2  # "not accepted"
_FILES = {
    "video": ("video/mp4", "mp4"),
    "image": ("image/png", "png"),
    "page": ("text/html", "html"),
    "text": ("text/plain", "txt"),
}
MEDIA = {seed.key: str(seed.medium) for seed in catalogue.MODELS}
CODECS = {seed.key: seed.routes[0].codec for seed in catalogue.MODELS}
# the metadata of a page whose data carries it
PAGE = {
    "page_type": "product",
    "target_url": "https://shop.example/kettles/aria-15",
    "keywords": ["electric kettle", "quiet kettle"],
    "language": "en",
    "product": {
        "name": "Aria 1.5",
        "sku": "AR-15",
        "brand": "Norden",
        "price": "49.90",
        "currency": "EUR",
        "url": "https://shop.example/kettles/aria-15",
        "description": "A quiet kettle of brushed steel.",
        "attributes": {"Capacity": "1.5 l", "Power": "2200 W", "Weight": "1.1 kg", "Material": "brushed steel"},
    },
}
SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


class UserFactory(factory.django.DjangoModelFactory[User]):
    """A user with 1,000 tickets, or ``tickets=0`` for none. Traits: ``staff``, ``admin``; ``rights`` are codenames."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    class Params:
        staff = factory.Trait(is_staff=True)
        admin = factory.Trait(is_staff=True, is_superuser=True)

    username = factory.Sequence(lambda n: f"user{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    password = factory.django.Password("password")

    @factory.post_generation
    def tickets(self, create: bool, amount: int | None, **kwargs: Any) -> None:
        if create and amount != 0:
            tickets.grant(self, amount or 1_000, at=NOON, actor="tests", reason="to spend")  # type: ignore[arg-type]

    @factory.post_generation
    def rights(self, create: bool, codenames: Sequence[str] | None, **kwargs: Any) -> None:
        if create and codenames:
            self.user_permissions.set(Permission.objects.filter(codename__in=codenames))  # type: ignore[attr-defined]


class BatchFactory(factory.django.DjangoModelFactory[Batch]):
    class Meta:
        model = Batch

    owner = factory.SubFactory(UserFactory)
    name = factory.Sequence(lambda n: f"Batch {n}")
    created_at = NOON


class JobFactory(factory.django.DjangoModelFactory[Job]):
    """A queued job of `sora-2`; ``at`` is the time it was queued. ``create_batch`` queues jobs one by one."""

    class Meta:
        model = Job

    owner = factory.SubFactory(UserFactory)
    kind_id = factory.LazyAttribute(lambda job: MEDIA.get(job.model_id, "video"))
    model_id = "sora-2"
    prompt = factory.Sequence(lambda n: f"A tram through a sunlit old town, take {n}.")
    parameters = factory.LazyFunction(lambda: {"duration": 4, "aspect_ratio": "16:9"})
    base_priority = factory.LazyAttribute(lambda job: getattr(job, "priority", 0))
    tickets = 4
    usd_estimate = Decimal("2.00")

    @classmethod
    def _create(cls, model_class: type[Job], *args: Any, at: datetime = NOON, actor: str = "user", **kwargs: Any) -> Job:
        job = model_class(*args, **kwargs)
        lifecycle.enter([job], at=at, actor=actor)
        return job


def make_route(**fields: Any) -> ModelRoute:
    """Create another route of a model, with the codec of its first one."""
    return ModelRoute.objects.create(**{"codec": CODECS[fields["model_id"]]} | fields)


def claimed(job: Job, *, at: datetime = NOON) -> Lease:
    """Claim a queued job, regardless of limits. Return its lease."""
    route = ModelRoute.objects.select_related("account").filter(model_id=job.model_id, active=True).order_by("position")[0]
    locked = Job.objects.get(pk=job.pk)
    reservation = job.reservations.get(state="held").pk
    pick = Pick(locked, reservation, route, {"model": (1, 50)}, synchronous=is_synchronous(route))
    (lease,) = lifecycle.claim([pick], at=at)
    return lease


def long_workers(number: int, *, at: datetime = NOON, **fields: Any) -> list[WorkerProcess]:
    """Create the rows of living workers for long calls."""
    known = {"host": "a", "role": "worker", "queue": "long", "group_id": 1, "group_started": "1", "started_at": at, "beat_at": at}
    rows = [WorkerProcess(pid=1_000 + place, **known | fields) for place in range(number)]
    return WorkerProcess.objects.bulk_create(rows)


def begun(job: Job, *, at: datetime = NOON) -> tuple[Job, Attempt, Lease]:
    """Claim a queued job and begin its lease, so that the create call may follow."""
    found = lifecycle.begin(claimed(job, at=at), at=at)
    assert found is not None
    return found


def storing_begun(job: Job, *, at: datetime = NOON) -> tuple[Job, Attempt, Lease]:
    """Begin the lease of a job that is due for storing. Return the arguments of `storing.store`."""
    Job.objects.filter(pk=job.pk).update(lease_until=None, lease_taken=False, next_check_at=at)
    leases = {lease.job_id: lease for lease, _ in lifecycle.lease_due(at)}
    found = lifecycle.begin(leases[job.pk], at=at)
    assert found is not None
    return found


@transaction.atomic
def make_job(state: str = State.QUEUED, *, at: datetime = NOON, remote_id: str | None = None, **fields: Any) -> Job:
    """
    Create a job and move it to ``state`` by the verbs, all at ``at``. Return it with its related rows.

    ``fields`` are those of `JobFactory`; ``remote_id`` is the provider's task id, unique by default.
    """
    job = JobFactory(at=at, **fields)
    if state != State.QUEUED:
        advance(job, state, at=at, remote_id=remote_id)
    return Job.objects.select_related("model", "kind", "batch", "owner").get(pk=job.pk)


def advance(job: Job, state: str, *, at: datetime = NOON, remote_id: str | None = None) -> None:
    """Move a queued job to ``state`` by the verbs, in the caller's transaction."""
    _PATHS[State(state)](job, at, remote_id or f"video_{job.pk}")


def make_asset(job: Job, **fields: Any) -> Asset:
    """Return an unsaved asset of the job's medium, without a file."""
    attempt = lifecycle.current_attempt(job)
    content_type, ending = _FILES[job.model.medium]
    known: dict[str, Any] = {
        "kind": job.model.medium,
        "name": f"assets/2026/11/{uuid.uuid4()}.{ending}",
        "content_type": content_type,
        "size": 1_000,
        "sha256": SHA256_OF_NOTHING,
        "created_at": NOON,
    }
    return Asset(job=job, attempt=attempt, **known | fields)


def make_schedule(owner: User, *, at: datetime = NOON, **values: Any) -> Schedule:
    """Save a schedule that submits a job of `sora-2` every day at nine."""
    request = {"model": "sora-2", "prompt": "The news of the day.", "parameters": {"duration": 4}}
    known = {"name": "Daily", "cron": "0 9 * * *", "time_zone": "UTC", "makes": "job", "request": request}
    return schedules.make(owner, {**known, **values}, at=at, actor=owner)


def make_endpoint(owner: User, url: str = "https://example.com/hooks", *events: str, **fields: Any) -> WebhookEndpoint:
    """Return a webhook endpoint; without ``events`` it is told of the ends of jobs."""
    listed, secret = list(events) or [f"job.{state}" for state in TERMINAL_STATES], endpoints.new_secret()
    return WebhookEndpoint.objects.create(owner=owner, url=url, events=listed, secret=secret, created_at=NOON, **fields)


def _locked(job: Job) -> Job:
    return Job.objects.select_related("model", "kind", "batch").get(pk=job.pk)


def _submitting(job: Job, at: datetime, remote_id: str) -> None:
    begun(job, at=at)


def _running(job: Job, at: datetime, remote_id: str) -> None:
    started, attempt, _ = begun(job, at=at)
    lifecycle.start(
        started,
        at=at,
        actor="provider",
        remote_id=remote_id,
        remote={"provider": attempt.account_id, "remote_id": remote_id},
        next_check_at=at + timedelta(seconds=10),
    )


def _unknown(job: Job, at: datetime, remote_id: str) -> None:
    called, _, _ = begun(job, at=at)
    trouble = Trouble("no_answer", "The connection broke after the request was sent.", "ambiguous")
    lifecycle.lose_track(called, at=at, actor="worker", trouble=trouble, next_check_at=at + timedelta(seconds=120))


def _cancelling(job: Job, at: datetime, remote_id: str) -> None:
    _running(job, at, remote_id)
    lifecycle.cancel([job.pk], at=at, actor="user")


def _storing(job: Job, at: datetime, remote_id: str) -> None:
    _running(job, at, remote_id)
    lifecycle.deliver(_locked(job), at=at, actor="poller", ran_seconds=30.0)


def _completed(job: Job, at: datetime, remote_id: str) -> None:
    _storing(job, at, remote_id)
    stored = _locked(job)
    lifecycle.complete(stored, [make_asset(stored)], at=at, actor="worker", stages=[])


def _failed(job: Job, at: datetime, remote_id: str) -> None:
    _running(job, at, remote_id)
    lifecycle.fail(_locked(job), at=at, actor="poller", trouble=Trouble("provider_failed", "It broke.", "retryable"))


def _cancelled(job: Job, at: datetime, remote_id: str) -> None:
    lifecycle.cancel([job.pk], at=at, actor="user")


_PATHS: dict[State, Callable[[Job, datetime, str], None]] = {
    State.SUBMITTING: _submitting,
    State.RUNNING: _running,
    State.UNKNOWN: _unknown,
    State.CANCELLING: _cancelling,
    State.STORING: _storing,
    State.COMPLETED: _completed,
    State.FAILED: _failed,
    State.CANCELLED: _cancelled,
}
