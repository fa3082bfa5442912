"""How answers about models and the whole queue look."""

from rest_framework import serializers

from queue_app.api.shapes import JobLine, Moment, Shape
from queue_app.models.catalog import Medium


class ModelOut(Shape):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    medium = serializers.ChoiceField(choices=Medium.choices)
    available = serializers.BooleanField(help_text="Can be bought now.")
    preview = serializers.BooleanField(help_text="Made by the studio: no key of the vendor is set.")
    max_concurrent = serializers.IntegerField()
    used = serializers.IntegerField()
    free = serializers.IntegerField(help_text="max_concurrent less used; 0 while paused.")
    can_start = serializers.IntegerField(help_text="How many could start now under every shared limit.")
    queued = serializers.IntegerField()
    paused = serializers.BooleanField()
    paused_reason = serializers.CharField()
    paused_until = Moment(allow_null=True)
    unit = serializers.CharField()
    tickets_per_unit = serializers.IntegerField()
    usd_per_unit = serializers.CharField()
    typical_seconds = serializers.IntegerField()
    parameters = serializers.DictField()


class SummaryOut(Shape):
    queued = serializers.IntegerField()
    processing = serializers.IntegerField()
    completed = serializers.IntegerField(help_text="Of the last 24 h, without what was cleared; so the next two.")
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    available = serializers.IntegerField(help_text="Free slots.")


class WorkerOut(Shape):
    host = serializers.CharField(allow_null=True, help_text="For staff; null for others.")
    pid = serializers.IntegerField(allow_null=True, help_text="For staff; null for others.")
    role = serializers.CharField()
    queue = serializers.CharField()
    leader = serializers.BooleanField()
    alive = serializers.BooleanField(help_text="Heard of within the last 10 s.")
    started_at = Moment()
    beat_at = Moment()
    task = serializers.CharField(help_text="What a busy one is at; for staff.")


class BoardOut(Shape):
    summary = SummaryOut()
    models = ModelOut(many=True)
    workers = WorkerOut(many=True)


class QueueOut(BoardOut):
    processing = JobLine(many=True)
    queued = JobLine(many=True)
