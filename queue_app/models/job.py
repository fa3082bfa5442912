"""Batches, jobs, their attempts at providers, their history and review items."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex, GinIndex, HashIndex
from django.contrib.postgres.search import SearchVector
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Exists, F, Func, OuterRef, Q
from django.db.models.functions import MD5, Coalesce

from queue_app.models.account import ApiKey, User
from queue_app.models.catalog import REASON_HELP, UNTIL_HELP, GenerationModel, Kind, ModelRoute, ProviderAccount
from queue_app.models.fields import InOrderField
from queue_app.rules import numbers
from queue_app.rules.backoff import Retries
from queue_app.rules.words import one_line
from queue_app.statements import Statement


class State(models.TextChoices):
    """Internal state of a job. `lifecycle` has the allowed moves."""

    QUEUED = "queued"
    SUBMITTING = "submitting"
    RUNNING = "running"
    UNKNOWN = "unknown", "Outcome unknown"
    CANCELLING = "cancelling"
    STORING = "storing", "Saving"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Status(models.TextChoices):
    """Status of a job as shown to people and by the API: the five states in flight are one status."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class HeldFor(models.TextChoices):
    """What a queued job is on hold for, until somebody releases it (I44); `work.holds`."""

    CANARY = "canary", "a review of the first results of its campaign"
    STORYBOARD = "storyboard", "the approval of its still"
    BREAKER = "breaker", "a decision, as similar jobs failed"
    BUDGET = "budget", "room in its budget"


ACTIVE_STATES = (State.SUBMITTING, State.RUNNING, State.CANCELLING)  # use a slot; an unknown job also does, until its slot_until
IN_FLIGHT_STATES = (*ACTIVE_STATES, State.UNKNOWN, State.STORING)
AT_THE_PROVIDER = (State.SUBMITTING, State.RUNNING, State.UNKNOWN)  # the provider has or may have the task
OPEN_STATES = (State.QUEUED, *IN_FLIGHT_STATES)
TERMINAL_STATES = (State.COMPLETED, State.FAILED, State.CANCELLED)
STATES_OF_STATUS: dict[str, tuple[State, ...]] = {
    Status.QUEUED: (State.QUEUED,),
    Status.PROCESSING: IN_FLIGHT_STATES,
    Status.COMPLETED: (State.COMPLETED,),
    Status.FAILED: (State.FAILED,),
    Status.CANCELLED: (State.CANCELLED,),
}
STATUS_OF_STATE = {state: Status(status) for status, states in STATES_OF_STATUS.items() for state in states}

_COSTS = ~Q(state__in=(State.FAILED, State.CANCELLED))  # jobs whose tickets are reserved or charged
_UNDECIDED = Q(closed_at=None, decide_by__isnull=False, job__state=State.UNKNOWN)  # review items; `ReviewItem.is_undecided`
# PostgreSQL's full-text search without stemming
WORDS = SearchVector("prompt", config="simple")
NAME = SearchVector("name", config="simple")  # of a batch
NAMED_MOST = 50  # batches whose jobs a search by name finds: the newest
URL_MOST = 2_000  # characters of an address that a client gives
LABEL_MOST = 300  # characters of a job's label
BLOCK = 4_096  # consecutive ids that a search for frequent words reads in one step
STRETCH = 13  # bits of an order key: a stretch of a model's queue has 8,192 of them


def sql_of(states: Iterable[State]) -> str:
    """Return a list of states for ``IN`` in SQL: “('queued', 'running')”."""
    return f"({', '.join(repr(str(state)) for state in states)})"


# the kinds of jobs that work in steps, each call an attempt of its own (I46), for ``IN`` in SQL
PIPED = f"({', '.join(repr(kind) for kind in settings.PIPELINES) or 'NULL'})"
# Every limit counts these rows and no others: jobs that occupy a provider now, and abandoned attempts that may still do so.
SLOTS_IN_USE = f"""
    SELECT job.model_id, job.kind_id, attempt.account_id, job.batch_id, job.owner_id, count(*)
      FROM queue_app_job job
      JOIN queue_app_attempt attempt ON attempt.job_id = job.id AND attempt.step = 'main' AND attempt.number = job.attempt_number
     WHERE job.state IN {sql_of(ACTIVE_STATES)} OR (job.state = 'unknown' AND attempt.slot_until > %(at)s)
     GROUP BY 1, 2, 3, 4, 5
     UNION ALL
    SELECT job.model_id, job.kind_id, attempt.account_id, job.batch_id, job.owner_id, count(*)
      FROM queue_app_attempt attempt
      JOIN queue_app_job job ON job.id = attempt.job_id
     WHERE attempt.outcome = 'abandoned' AND attempt.slot_until > %(at)s::timestamptz
     GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608 - constants
# create calls in progress, or about to begin, that synchronous providers answer only with the result; jobs that make some; and
# calls that their workers still make though the job is no longer running. Every claim counts them: each part has a small index
LONG_CALLS = f"""
    SELECT (SELECT count(*)
              FROM queue_app_job job
              JOIN queue_app_attempt attempt
                ON attempt.job_id = job.id AND attempt.step = 'main' AND attempt.number = job.attempt_number
             WHERE attempt.synchronous AND job.state IN ('submitting', 'running')
               AND (job.state = 'submitting' OR job.kind_id IN {PIPED}))
         + (SELECT count(*)
              FROM queue_app_attempt call
              JOIN queue_app_job job ON job.id = call.job_id
             WHERE call.outcome IS NULL AND call.step <> 'main' AND call.slot_until > %(at)s::timestamptz
               AND job.state NOT IN ('submitting', 'running'))
"""  # noqa: S608 - constants
_SLOTS = Statement(SLOTS_IN_USE)
SlotRow = tuple[str, str, str, int | None, int, int]


class BatchQuerySet(models.QuerySet["Batch"]):
    def of(self, user: User) -> Self:
        """Filter to the batches that this user may see (I35)."""
        return self if user.is_staff else self.filter(owner=user)

    def open(self) -> Self:
        """Filter to batches with an unfinished job."""
        return self.filter(_has_open_jobs(), ended_at=None)

    def done(self) -> Self:
        """Filter to batches without an unfinished job, also those whose end has not been noted yet."""
        return self.filter(Q(ended_at__isnull=False) | ~_has_open_jobs())

    def search(self, words: str) -> Self:
        """Filter to batches whose name contains all these words."""
        return self.alias(_words=NAME).filter(_words=words)


class Batch(models.Model):
    """Jobs submitted together, by a campaign or one API call, with their owner, name, limit and pause."""

    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="batches")
    name = models.CharField(max_length=200, blank=True)
    max_concurrent = models.PositiveSmallIntegerField(
        "concurrent jobs",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(50)],
        help_text="How many of its jobs run at the same time, 1 to 50. Default: empty, no limit. Example: 5.",
    )
    paused = models.BooleanField(
        default=False,
        help_text="None of its jobs starts. Running jobs finish. Default: off. Example: on until the client agrees.",
    )
    paused_reason = models.CharField(max_length=200, blank=True, help_text=REASON_HELP)
    paused_until = models.DateTimeField(null=True, blank=True, help_text=UNTIL_HELP)
    origin = models.CharField(
        max_length=20, default="batch", help_text="What it is part of. Names the webhook of its end, such as batch.completed."
    )
    callback_url = models.CharField(max_length=URL_MOST, blank=True, help_text="Called once the batch is finished.")
    notify_resumed = models.BooleanField(default=False, help_text="Its owner asked to be told once no pause holds its jobs.")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(
        "finished at", null=True, blank=True, help_text="When the last job finished. Empty while jobs are unfinished."
    )

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        indexes = [
            models.Index(fields=["owner", "-id"], name="batch_of_owner"),  # for the home page
            models.Index(
                fields=["id"], name="batch_open", condition=Q(ended_at=None)
            ),  # for the dispatcher, which looks for finished batches
            models.Index(fields=["id"], name="batch_notify_resumed", condition=Q(notify_resumed=True)),
            models.Index(fields=["paused_until"], name="batch_pause_ends", condition=Q(paused_until__isnull=False)),
            GinIndex(NAME, name="batch_name_words"),  # a search of jobs takes the names of batches for theirs
        ]

    def __str__(self) -> str:
        return one_line(self.name) or f"Batch {self.pk}"


class JobQuerySet(models.QuerySet["Job"]):
    def of(self, user: User) -> Self:
        """Filter to the jobs that this user may see (I35)."""
        return self if user.is_staff else self.filter(owner=user)

    def open(self) -> Self:
        return self.filter(state__in=OPEN_STATES)

    def terminal(self) -> Self:
        return self.filter(state__in=TERMINAL_STATES)

    def with_status(self, *statuses: str) -> Self:
        return self.filter(state__in=[state for status in statuses for state in STATES_OF_STATUS[status]])

    def in_time(self, at: datetime) -> Self:
        """Filter to jobs without a deadline or with one after ``at``."""
        return self.filter(Q(deadline=None) | Q(deadline__gt=at))

    def in_dispatch_order(self) -> Self:
        return self.order_by("-priority", "order_key", "id")

    def ahead_of(self, job: "Job") -> Self:
        """Filter to the queued jobs of the same model that start before ``job`` (I18)."""
        return self.filter(state=State.QUEUED, model_id=job.model_id).filter(
            Q(priority__gt=job.priority)
            | Q(priority=job.priority, order_key__lt=job.order_key)
            | Q(priority=job.priority, order_key=job.order_key, id__lt=job.pk)
        )

    def search(self, words: str) -> Self:
        """Filter to jobs with all these words in prompt or batch name, or this id. `insight.search` finds the first of many."""
        return self.alias(_words=WORDS).filter(Q(_words=words) | named_by(words))

    def tagged(self, values: Mapping[str, str]) -> Self:
        """Filter to jobs whose metadata has these texts under these keys."""
        return self.exclude(metadata={}).filter(metadata__contains=dict(values))

    def lock(self, *, skip_locked: bool = False) -> Self:
        """
        Lock the rows in the lock order of docs/invariants.md, ids ascending.

        ``skip_locked`` leaves out rows that another transaction has locked.
        """
        rows = self.select_related("model", "kind", "batch")
        return rows.select_for_update(of=("self",), skip_locked=skip_locked).order_by("id")

    def lock_for_retry(self) -> list["Job"]:
        """
        Lock the jobs' batches, then the jobs, and return the jobs.

        A retry writes to both, and a pause locks them in the same order (docs/invariants.md).
        """
        batches = self.filter(batch__isnull=False).order_by().values("batch")
        list(Batch.objects.select_for_update(no_key=True).filter(pk__in=batches).order_by("id"))
        return list(self.lock())


def _has_open_jobs() -> Exists:
    return Exists(Job.objects.open().filter(batch=OuterRef("pk")))


def named_by(words: str) -> Q:
    """Return the filter for jobs that a search names without their prompts: by their id, or by the name of their batch."""
    number = numbers.of_row(words)
    batches = list(Batch.objects.search(words).order_by("-pk").values_list("pk", flat=True)[:NAMED_MOST])
    return Q(pk__in=[number] if number else []) | Q(batch__in=batches)


def slots_in_use(at: datetime) -> list[SlotRow]:
    """
    Return the used slots at ``at`` as rows (model, kind, provider account, batch, owner, count).

    Under the claim lock, run it as a new statement after the one that took the lock: a statement's snapshot is older than its
    wait for a lock.
    """
    return _SLOTS.run(at=at)


class Job(models.Model):
    """One entry of the queue: one generation by one model, at one price."""

    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="jobs")
    batch = models.ForeignKey(Batch, null=True, blank=True, on_delete=models.PROTECT, related_name="jobs")
    kind = models.ForeignKey(Kind, on_delete=models.PROTECT, related_name="+")
    model = models.ForeignKey(GenerationModel, on_delete=models.PROTECT, related_name="+")
    label = models.CharField(
        max_length=LABEL_MOST,
        blank=True,
        default="",
        db_default="",
        help_text="What distinguishes it in its batch, such as its combination of values.",
    )
    prompt = models.TextField()
    parameters = models.JSONField(default=dict)
    metadata = models.JSONField(default=dict)
    deadline = models.DateTimeField(
        null=True, blank=True, help_text="Latest start, set by the client. A job that has not started by then fails."
    )
    client_not_before = models.DateTimeField(
        null=True, blank=True, help_text="Earliest start, set by the client. Retries keep it."
    )

    callback_url = models.CharField(
        max_length=URL_MOST, blank=True, default="", db_default="", help_text="Called once the job is finished."
    )
    notify = models.BooleanField(default=False, db_default=False, help_text="Its owner gets a notice once it is finished.")
    submitted_with = models.ForeignKey(
        ApiKey,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
        help_text="The API key that submitted it, or retried it last.",
    )

    # position in the queue
    priority = models.SmallIntegerField(default=0, help_text="The effective one: what was asked for, raised by waiting.")
    base_priority = models.SmallIntegerField(default=0, db_default=0, help_text="As requested or computed, without waiting.")
    priority_reasons = models.JSONField(default=list)
    score = models.SmallIntegerField(null=True, help_text="Points of a page. Higher ones go first within a priority.")
    raised = models.PositiveSmallIntegerField(default=0, db_default=0, help_text="Levels that it was raised by waiting.")
    order_key = models.BigIntegerField(help_text="Round of its turn, or its number without fair share. See `turns`.")
    not_before = models.DateTimeField(
        null=True, blank=True, help_text="Earliest start: set by the client, or the wait before the next attempt."
    )
    held = models.BooleanField(default=False, help_text="On hold: its campaign or batch is paused, or it is held for something.")
    held_for = models.CharField(
        max_length=12,
        choices=HeldFor.choices,
        blank=True,
        default="",
        db_default="",
        help_text="What somebody has to release it from. Only while it is queued.",
    )

    # state; only `lifecycle` writes it
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    event_seq = models.PositiveIntegerField(default=0)
    attempt_number = models.PositiveIntegerField(default=0, help_text="Current attempt. 0 before the first.")
    fence = models.PositiveBigIntegerField(default=0, help_text="Increases with each lease. Only the latest lease can write.")
    lease_until = models.DateTimeField(null=True, blank=True)
    lease_taken = models.BooleanField(default=False, help_text="A worker has started on this lease.")
    leased_by = models.CharField(max_length=300, blank=True, help_text="Worker process. The lease ends with it.")
    worker_deaths = models.PositiveSmallIntegerField(default=0, help_text="Workers lost in a row while working on this job.")
    next_check_at = models.DateTimeField(null=True, blank=True)
    store_tries = models.PositiveSmallIntegerField(default=0)
    cancel_asked_at = models.DateTimeField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=20, blank=True, help_text="“user” or “timeout”.")
    refund_promised = models.JSONField(
        null=True, blank=True, help_text="Who promised a refund and why, in case the job is delivered despite the cancel."
    )
    progress = models.FloatField(null=True, help_text="0 to 1, if the provider reports it.")
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    preview = models.BooleanField(default=False, help_text="Preview rendered by the studio, not the provider.")

    # money
    tickets = models.PositiveIntegerField(help_text="Price of the job, reserved when queued.")
    usd_estimate = models.DecimalField(max_digits=12, decimal_places=6)
    usd_actual = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)

    # times
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ran_seconds = models.FloatField(null=True, help_text="From the create call until the provider finished. Used for estimates.")
    archived_at = models.DateTimeField(null=True, blank=True, help_text="Hidden from the job list. Kept in history.")

    objects = JobQuerySet.as_manager()

    class Meta:
        permissions = [
            ("force_fail_job", "Can force-fail jobs"),
            ("operate_queue", "Can cancel, retry, reorder and pause all jobs"),
            ("view_provider_data", "Can view provider requests and responses"),
            ("submit_restricted_kinds", "Can submit jobs of restricted types"),
            ("exceed_normal_priority", "Can submit jobs above normal priority"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(tickets__gte=1), name="job_is_never_free"),
            models.CheckConstraint(
                condition=Q(state__in=TERMINAL_STATES) ^ Q(ended_at=None), name="job_ended_exactly_when_terminal"
            ),
            models.CheckConstraint(condition=~Q(prompt=""), name="job_has_a_prompt"),
            models.CheckConstraint(condition=Q(held_for="") | Q(held=True, state=State.QUEUED), name="job_held_for_is_held"),
        ]
        indexes = [
            # the dispatch order of each model, read by every claim for each model with free slots; the negated priority keeps the
            # planner off indexes that also contain held and delayed jobs
            models.Index(
                F("model"),
                F("priority") * -1,
                F("order_key"),
                F("id"),
                include=["kind", "batch", "owner", "priority", "deadline"],
                name="job_lane",
                condition=Q(state="queued", held=False, not_before=None),
            ),
            # the same order by stretch and by the columns that limits count, for a claim whose first job is blocked; equal
            # entries are stored once
            models.Index(
                F("model"),
                F("priority") * -1,
                F("order_key").bitrightshift(STRETCH),
                F("kind"),
                F("owner"),
                Coalesce("batch", 0, output_field=models.BigIntegerField()),
                name="job_stretch",
                condition=Q(state="queued", held=False, not_before=None),
            ),
            # positions and counts of waiting jobs, held or not, also those of one owner
            models.Index(
                fields=["model", "-priority", "order_key", "id"],
                include=["owner", "held_for"],
                name="job_waiting",
                condition=Q(state="queued"),
            ),
            # counts of waiting jobs; equal entries are stored once, so a million jobs take a few MB
            models.Index(fields=["model", "priority"], name="job_waiting_count", condition=Q(state="queued")),
            models.Index(fields=["not_before"], name="job_later", condition=Q(state="queued", not_before__isnull=False)),
            models.Index(fields=["deadline"], name="job_start_by", condition=Q(state="queued", deadline__isnull=False)),
            # Tens of rows, read by limits, due checks and the recovery sweep. The times of checks and leases are in no index, so
            # updates of them stay in the row's page and add no index entries.
            models.Index(fields=["state"], name="job_in_flight", condition=Q(state__in=IN_FLIGHT_STATES)),
            # finished jobs: summary of the last 24 hours and usage
            models.Index(
                fields=["ended_at"],
                include=["state", "owner", "archived_at"],
                name="job_ended",
                condition=Q(ended_at__isnull=False),
            ),
            models.Index(
                fields=["model", "-ended_at"], name="job_durations", condition=Q(state="completed", ran_seconds__isnull=False)
            ),
            # ticket budgets: what the started jobs of a user or an API key cost, and which jobs have not started
            models.Index(
                fields=["owner", "started_at", "held", "id"],
                include=["tickets", "not_before"],
                name="job_budget_of_user",
                condition=_COSTS,
            ),
            models.Index(
                fields=["submitted_with", "started_at", "held", "id"],
                include=["tickets", "not_before", "state"],
                name="job_budget_of_key",
                condition=Q(submitted_with__isnull=False),  # also for keys that are deleted
            ),
            # jobs on hold for a budget, in the order of their release
            models.Index(
                F("owner"),
                F("priority") * -1,
                F("order_key"),
                F("id"),
                name="job_held_for_budget",
                condition=Q(held_for="budget"),
            ),
            # an account's waiting jobs in their order, for its next turn
            models.Index(
                fields=["owner", "model", "priority", "order_key", "id"],
                include=["held_for", "score"],
                name="job_turns",
                condition=Q(state="queued"),
            ),
            # jobs that waiting may raise; those of normal priority and above are none
            models.Index(
                fields=["queued_at"],
                name="job_to_raise",
                condition=Q(state="queued", held=False, not_before=None, priority__lt=0),
            ),
            # longest wait of a job that could start
            models.Index(fields=["queued_at"], name="job_oldest_wait", condition=Q(state="queued", held=False, not_before=None)),
            # lists of jobs by owner, batch and state
            models.Index(fields=["owner", "-id"], name="job_of_owner"),
            models.Index(fields=["batch", "id"], name="job_of_batch", condition=Q(batch__isnull=False)),
            models.Index(fields=["state", "-id"], name="job_by_state"),
            # the admin's list and its filters
            models.Index(fields=["-id"], name="job_in_view", condition=Q(archived_at=None)),
            models.Index(fields=["model", "-id"], name="job_of_model"),
            models.Index(fields=["kind", "-id"], name="job_of_kind"),
            models.Index(fields=["error_code", "-id"], name="job_of_error", condition=~Q(error_code="")),
            # waits of the last 24 hours by the hour of the start
            models.Index(
                fields=["started_at"],
                include=["queued_at", "model"],
                name="job_started",
                condition=Q(started_at__isnull=False),
            ),
            BrinIndex(fields=["queued_at"], autosummarize=True, name="job_age"),  # rows are stored nearly in this order
            # prompt search by words and block; every search reads the pending list in full, so it is kept short
            GinIndex(
                WORDS,
                Func(F("id") / BLOCK, template="ARRAY[%(expressions)s]"),
                gin_pending_list_limit=64,
                name="job_prompt_words",
            ),
            # jobs by their client's own keys; most jobs have none, and cost nothing
            GinIndex(
                fields=["metadata"],
                opclasses=["jsonb_path_ops"],
                gin_pending_list_limit=64,
                name="job_metadata",
                condition=~Q(metadata={}),
            ),
        ]

    def __str__(self) -> str:
        return f"Job {self.pk}"

    @property
    def status(self) -> Status:
        return STATUS_OF_STATE[State(self.state)]

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def next_attempt_at(self) -> datetime | None:
        """Earliest time of the next attempt while it waits for one; ``None`` otherwise."""
        waits = self.state == State.QUEUED and self.attempt_number > 0 and self.not_before != self.client_not_before
        return self.not_before if waits else None

    @property
    def retries(self) -> Retries:
        """How often and when it is sent again: each part is its model's own, else its job type's."""
        model, kind = self.model, self.kind
        return Retries(
            model.max_attempts or kind.max_attempts,
            model.backoff or kind.backoff,
            model.retry_base_seconds or kind.retry_base_seconds,
            model.retry_cap_seconds or kind.retry_cap_seconds,
        )


class Outcome(models.TextChoices):
    """Result of an attempt. Attempt n+1 starts only after attempt n has one (I17)."""

    NOT_ACCEPTED = "not_accepted", "not accepted"
    DELIVERED = "delivered"
    FAILED = "failed", "failed at the provider"
    CANCELLED = "cancelled", "cancelled at the provider"
    LOST = "lost", "file lost"
    ABANDONED = "abandoned"


class CostSource(models.TextChoices):
    """Source of the cost of an attempt."""

    VENDOR = "vendor", "reported by the provider"
    RULE = "rule", "by the price rule"
    ESTIMATE = "estimate"


class Attempt(models.Model):
    """One try to get one task at a provider. Its row is committed with the claim, before the create call (I16)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    reservation = models.ForeignKey("queue_app.Reservation", on_delete=models.PROTECT, related_name="attempts")
    step = models.CharField(max_length=20, default="main")
    number = models.PositiveIntegerField()
    route = models.ForeignKey(ModelRoute, null=True, on_delete=models.SET_NULL, related_name="+")
    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="+")
    endpoint_id = models.CharField("endpoint ID", max_length=200)
    preview = models.BooleanField(default=False)
    synchronous = models.BooleanField(
        default=False, help_text="The provider answers the create call only with the result, so a long worker makes it."
    )
    token = models.CharField(max_length=64, unique=True, help_text="Part of this attempt's webhook address.")
    created_at = models.DateTimeField()
    called_at = models.DateTimeField(null=True)
    slot_until = models.DateTimeField(null=True, help_text="The provider may still be working on it until then.")
    accepted_at = models.DateTimeField(null=True)
    remote_id = models.TextField(null=True)
    remote = models.JSONField(default=dict, help_text="Data that the adapter needs to ask the provider again.")
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, choices=Outcome.choices, null=True)
    spent = models.BooleanField(default=False, help_text="Counts towards the attempts of the job type.")
    lookups_none = models.PositiveSmallIntegerField(default=0, help_text="Lookups that proved the provider has no such task.")
    looked_up_at = models.DateTimeField(null=True)
    lookups: "models.JSONField[list[dict[str, Any]], list[dict[str, Any]]]" = models.JSONField(
        default=list, help_text="Findings of each lookup, and why they count or not."
    )
    missing_since = models.DateTimeField(null=True, help_text="Since this time, every check has found no such task.")
    missing_looks = models.PositiveSmallIntegerField(default=0)
    cost = models.DecimalField(
        "cost in USD", max_digits=12, decimal_places=6, null=True, help_text="What the provider charges for a delivered attempt."
    )
    cost_source = models.CharField(max_length=10, choices=CostSource.choices, blank=True)
    error_kind = models.CharField(max_length=20, blank=True)
    error_message = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "step", "number"], name="attempt_numbered_once"),
            models.UniqueConstraint(fields=["job", "step"], condition=Q(outcome=None), name="attempt_one_without_outcome"),
            # hashed, since task ids of up to 4,096 characters don't fit into an index row
            models.UniqueConstraint(F("account"), MD5("remote_id"), name="provider_task_of_one_attempt"),
            models.CheckConstraint(condition=Q(outcome=None) | Q(ended_at__isnull=False), name="attempt_outcome_has_a_time"),
        ]
        indexes = [
            models.Index(fields=["slot_until"], name="attempt_abandoned", condition=Q(outcome="abandoned")),  # for the limits
            HashIndex(fields=["remote_id"], name="attempt_by_task"),
            models.Index(fields=["account", "called_at"], name="attempt_called"),  # calls around a lost create call
            # what providers charged, held against the price rules
            models.Index(fields=["ended_at"], name="attempt_cost_told", condition=Q(cost_source="vendor")),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number} of job {self.job_id}"

    @property
    def counts_from(self) -> datetime:
        """
        Return the time from which the timeout counts (I20).

        Once the provider has accepted the task it counts from then, so a task found late still gets its full time.
        """
        return self.accepted_at or self.called_at or self.created_at


class JobStage(models.Model):
    """
    A stage of a job that works in several stages (`work.pipeline`), or with ``step`` a part of one, such as a paid call.

    What is finished is kept: after a crash, and after a retry, the work goes on at the first stage that is not.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="stage_rows")
    name = models.CharField(max_length=40)
    step = models.CharField(max_length=20, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    seconds = models.FloatField(null=True, help_text="Time of work, without waits between its parts.")
    skipped = models.BooleanField(default=False)
    result = InOrderField(null=True)
    sha256 = models.CharField(max_length=64, blank=True, help_text="Hash of the result as JSON.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "name", "step"], name="job_stage_once"),
            models.CheckConstraint(condition=Q(ended_at=None) | ~Q(sha256=""), name="job_stage_finished_has_a_hash"),
        ]

    def __str__(self) -> str:
        return f"{self.name}{f', {self.step}' if self.step else ''} of job {self.job_id}"


class JobEvent(models.Model):
    """An entry of a job's history, never changed or deleted (I9). Each change of state writes exactly one (I23)."""

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="events")
    seq = models.PositiveIntegerField()
    at = models.DateTimeField()
    from_state = models.CharField(max_length=12, choices=State.choices, blank=True)
    to_state = models.CharField(max_length=12, choices=State.choices)
    actor = models.CharField(max_length=160)
    reason = models.CharField(max_length=500, blank=True)
    attempt = models.PositiveIntegerField(null=True)
    data: "models.JSONField[dict[str, Any], dict[str, Any]]" = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="job_event_in_order")]

    def __str__(self) -> str:
        return f"{self.job_id}.{self.seq} {self.from_state or '–'} → {self.to_state}"


class ReviewItemQuerySet(models.QuerySet["ReviewItem"]):
    def undecided(self) -> "ReviewItemQuerySet":
        """Filter to items that ask for a decision on an unknown outcome: at most one of each job."""
        return self.filter(_UNDECIDED)

    def to_check(self) -> "ReviewItemQuerySet":
        """Filter to open items that only need a check."""
        return self.filter(~_UNDECIDED, closed_at=None)


class ReviewItem(models.Model):
    """
    A task for staff. With ``decide_by`` it is about an attempt that has not ended, such as an unknown outcome: staff should act
    by that time, and the item closes with the attempt. Without, it stays open until a person closes it, for example when a paid
    result was not delivered.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="reviews")
    attempt = models.ForeignKey(Attempt, null=True, on_delete=models.CASCADE, related_name="+")
    what = models.CharField(max_length=300)
    opened_at = models.DateTimeField()
    decide_by = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=160, blank=True)

    objects = ReviewItemQuerySet.as_manager()

    class Meta:
        verbose_name = "item"
        constraints = [
            models.UniqueConstraint(
                fields=["job"], condition=Q(closed_at=None, decide_by__isnull=False), name="review_one_to_decide_per_job"
            )
        ]

    def __str__(self) -> str:
        return f"Job {self.job_id}: {one_line(self.what)}"

    @property
    def is_undecided(self) -> bool:
        """Whether this item still asks for a decision on the job's unknown outcome."""
        return self.closed_at is None and self.decide_by is not None and self.job.state == State.UNKNOWN
