"""How answers about models and the whole queue look."""

from rest_framework import serializers

from queue_app.api.shapes import JobLine, Moment, Shape
from queue_app.models.catalog import Medium


class ModelOut(Shape):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
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
    typical_seconds = serializers.IntegerField()
    parameters = serializers.DictField()


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


class BoardOut(Shape):
    summary = SummaryOut()
    models = ModelOut(many=True)
    workers = WorkerOut(many=True)


class QueueOut(BoardOut):
    processing = JobLine(many=True)
    queued = JobLine(many=True)
