"""Answers about models and the whole queue."""

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from queue_app.api.fields import Moment
from queue_app.api.serializers.base import Shape, render
from queue_app.api.serializers.jobs import JobLine
from queue_app.insight.snapshot import Lane, Limit
from queue_app.models.catalog import Backoff, Medium
from queue_app.work import usual

SHARED_FOR = 1.0  # seconds for which all callers of a process get the same counts
_OF_THE_ROW = (
    *("key", "label", "medium", "unit", "tickets_per_unit", "usd_per_unit", "price", "parameters"),
    *("timeout_seconds", "max_attempts", "backoff", "retry_base_seconds", "retry_cap_seconds"),
)


class ModelOut(Shape):
    key = serializers.CharField()
    label: Any = serializers.CharField()  # fields leave the class, so `Field.label` stays what it was
    medium = serializers.ChoiceField(choices=Medium.choices)
    available = serializers.BooleanField(help_text="Available right now.")
    reason = serializers.CharField(help_text="Why it is not available. Empty if no reason was given.")
    preview = serializers.BooleanField(help_text="Preview: rendered by the studio, because no API key is set.")
    max_concurrent = serializers.IntegerField()
    used = serializers.IntegerField()
    free = serializers.IntegerField(help_text="`max_concurrent` minus `used`. 0 while paused.")
    can_start = serializers.IntegerField(help_text="Jobs that could start now under all shared limits.")
    queued = serializers.IntegerField()
    paused = serializers.BooleanField()
    paused_reason = serializers.CharField()
    paused_until = Moment(allow_null=True)
    unit = serializers.CharField()
    tickets_per_unit = serializers.IntegerField()
    usd_per_unit = serializers.CharField()
    price = serializers.DictField(
        help_text="Rates that differ from the price per unit: `{rates: [{when, usd, tickets}]}`. The first that fits counts."
    )
    typical_seconds = serializers.IntegerField(help_text="How long its jobs usually take: the median of its last runs.")
    typical_basis = serializers.CharField(help_text="What that is based on: “the last 37 runs”, or “the model's typical time”.")
    timeout_seconds = serializers.IntegerField(allow_null=True, help_text="Null, here and below: that of the job type.")
    max_attempts = serializers.IntegerField(allow_null=True)
    backoff = serializers.CharField(help_text="`exponential` or `fixed`. Empty: that of the job type.")
    retry_base_seconds = serializers.IntegerField(allow_null=True)
    retry_cap_seconds = serializers.IntegerField(allow_null=True)
    parameters = serializers.DictField()


class KindOut(Shape):
    """A job type."""

    key = serializers.CharField()
    label: Any = serializers.CharField()
    medium = serializers.ChoiceField(choices=Medium.choices)
    restricted = serializers.BooleanField(help_text="Only users with permission may submit jobs of this type.")
    allowed = serializers.BooleanField(help_text="Whether you may submit jobs of this type.")
    default_priority = serializers.IntegerField()
    max_concurrent = serializers.IntegerField(allow_null=True, help_text="Concurrent jobs of this type. Null for no limit.")
    timeout_seconds = serializers.IntegerField(help_text="Seconds. Models may have values of their own, here and below.")
    max_attempts = serializers.IntegerField(help_text="Attempts at a provider before a job fails, the first included.")
    backoff = serializers.ChoiceField(choices=Backoff.choices, help_text="How the wait before the next attempt grows.")
    retry_base_seconds = serializers.IntegerField(help_text="The wait, or what doubles with each attempt.")
    retry_cap_seconds = serializers.IntegerField(help_text="The longest wait.")
    files_kept_days = serializers.IntegerField(allow_null=True, help_text="Files are deleted after so many days. Null: kept.")


class SummaryOut(Shape):
    queued = serializers.IntegerField()
    processing = serializers.IntegerField()
    completed = serializers.IntegerField(help_text="Last 24 hours, without cleared jobs. Same for `failed` and `cancelled`.")
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    available = serializers.IntegerField(help_text="Free slots.")


class WorkerOut(Shape):
    host = serializers.CharField(allow_null=True, help_text="Staff only, otherwise null.")
    pid = serializers.IntegerField(allow_null=True, help_text="Staff only, otherwise null.")
    role = serializers.CharField()
    queue = serializers.CharField()
    leader = serializers.BooleanField()
    alive = serializers.BooleanField(help_text="Heartbeat within the last 10 seconds.")
    started_at = Moment()
    beat_at = Moment()
    task = serializers.CharField(help_text="Current task. Staff only, otherwise empty.")


class LimitOut(Shape):
    """The limit of the whole queue."""

    used = serializers.IntegerField()
    max = serializers.IntegerField(help_text="As it is now: higher in peak hours.")
    paused = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it is paused. Empty if it is not.")
    until = Moment(
        allow_null=True, help_text="When the pause ends. Null if it lasts until staff resume the queue, or if there is none."
    )


class BoardOut(Shape):
    summary = SummaryOut()
    by_priority = serializers.DictField(child=serializers.IntegerField(), help_text="Queued jobs by priority, the highest first.")
    limit = LimitOut()
    median_wait_seconds = serializers.FloatField(
        allow_null=True, help_text="Of all jobs that started in the last hour. Null without one; same for the next three."
    )
    median_run_seconds = serializers.FloatField(allow_null=True, help_text="Of all jobs completed in the last hour.")
    throughput_per_hour = serializers.IntegerField(help_text="Jobs completed in the last hour.")
    failure_rate = serializers.FloatField(allow_null=True, help_text="Failed among completed and failed jobs, 0 to 1.")
    models = ModelOut(many=True)
    workers = WorkerOut(many=True)


class QueueOut(BoardOut):
    processing = JobLine(many=True)
    queued = JobLine(many=True)


def model(lane: Lane) -> dict[str, Any]:
    """Return a model with its slots, as `ModelOut`."""
    pause, known = lane.pause, usual.of(lane.model)
    return render(
        ModelOut,
        {name: getattr(lane.model, name) for name in _OF_THE_ROW}
        | {
            "typical_seconds": round(known.seconds),
            "typical_basis": known.basis,
            "available": lane.is_available,
            "reason": lane.reason,
            "preview": lane.is_preview,
            "max_concurrent": lane.model.limit.max_concurrent,
            "used": lane.used,
            "free": lane.free,
            "can_start": lane.can_start,
            "queued": lane.waiting,
            "paused": pause is not None,
            "paused_reason": pause.reason if pause else "",
            "paused_until": pause.until if pause else None,
        },
    )


def limit_of(queue: Limit) -> dict[str, Any]:
    """Return the facts of `LimitOut`."""
    pause = {"reason": queue.reason, "until": queue.until} if queue.paused else {"reason": "", "until": None}
    return {"used": queue.used, "max": queue.effective or 0, "paused": queue.paused, **pause}


def in_order(lanes: Iterable[Lane]) -> list[Lane]:
    """Sort lanes as answers list models: by medium, videos first, then by key."""
    return sorted(lanes, key=lambda lane: lane.model.medium, reverse=True)
