"""What the API gives: how answers about jobs, batches and tickets look, and how refusals do."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, cached_property, partial
from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from queue_app.insight.stages import Standing
from queue_app.lifecycle import Verdict
from queue_app.models import Asset, Attempt, LedgerTransaction, Outcome, State, Status


class Shape(serializers.Serializer[Any]):
    """Reads attributes or keys; ``None`` is null. A list of jobs has thousands of fields: each is read as plainly as can be."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        read = instance.__getitem__ if isinstance(instance, dict) else partial(getattr, instance)
        told: dict[str, Any] = {}
        for name, source, tell in self._told:
            value = instance if source == "*" else read(source)
            told[name] = None if value is None else tell(value)
        return told

    @cached_property
    def _told(self) -> list[tuple[str, str, Callable[[Any], Any]]]:
        return [(name, field.source or name, field.to_representation) for name, field in self.fields.items()]


class Moment(serializers.DateTimeField):
    """A time in UTC, whatever the queue's own zone."""

    def to_representation(self, value: datetime) -> str:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def render(shape: type[Shape], facts: Any) -> dict[str, Any]:
    """Give ``facts`` in this shape. Shapes are made once: making their fields anew costs more than filling them."""
    return dict(_made(shape).to_representation(facts))


@cache
def _made(shape: type[Shape]) -> Shape:
    return shape()


class EtaOut(Shape):
    p50_seconds = serializers.FloatField(allow_null=True, help_text="Seconds until completion. Null if unknown.")
    p90_seconds = serializers.FloatField(allow_null=True)
    basis = serializers.CharField(help_text="“the last 37 runs”, “the model's typical time”, or why there is no estimate.")


class WaitingOnOut(Shape):
    limit = serializers.CharField(help_text="queue, kind, account, model, user, batch, not_before or jobs_ahead.")
    key = serializers.CharField()
    used = serializers.IntegerField()
    max = serializers.IntegerField(help_text="0 while paused.")
    until = Moment(allow_null=True)
    reason = serializers.CharField()


class StageOut(Shape):
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=get_args(Standing))
    seconds = serializers.FloatField(allow_null=True)


class ErrorOut(Shape):
    code = serializers.CharField()
    message = serializers.CharField()


class AttemptOut(Shape):
    number = serializers.IntegerField()
    account = serializers.CharField(source="account_id")
    started_at = Moment(source="created_at")
    called_at = Moment(allow_null=True)
    accepted_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    outcome = serializers.ChoiceField(choices=Outcome.choices, allow_null=True)
    spent = serializers.BooleanField(help_text="Counts towards the attempts of the job type.")
    error = serializers.SerializerMethodField()

    @extend_schema_field(ErrorOut(allow_null=True))
    def get_error(self, attempt: Attempt) -> dict[str, str] | None:
        return {"code": attempt.error_kind, "message": attempt.error_message} if attempt.error_message else None


class TicketsOut(Shape):
    reserved = serializers.IntegerField()
    captured = serializers.IntegerField()
    refunded = serializers.IntegerField()


class CostOut(Shape):
    tickets = serializers.IntegerField()
    usd = serializers.CharField(help_text="US dollars, as a decimal string.")
    usd_is_estimate = serializers.BooleanField()


class AssetOut(Shape):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Asset.Kind.choices)
    version = serializers.IntegerField()
    number = serializers.IntegerField(help_text="1, 2, 3, … where a job makes several files of this kind.")
    url = serializers.CharField(allow_null=True, help_text="Null once the file has been deleted.")
    content_type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    preview = serializers.BooleanField(help_text="Preview rendered by the studio, not the provider.")


class LinksOut(Shape):
    self = serializers.CharField()
    events = serializers.CharField()
    cancel = serializers.CharField()
    retry = serializers.CharField()


class JobLine(Shape):
    """A job summary."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Status.choices)
    state = serializers.ChoiceField(choices=State.choices)
    kind = serializers.CharField()
    model = serializers.CharField()
    prompt = serializers.CharField()
    priority = serializers.IntegerField()
    position = serializers.IntegerField(allow_null=True, help_text="Position in the model's queue, from 1. Null once started.")
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1. Null if the provider does not report it.")
    preview = serializers.BooleanField()
    owner = serializers.CharField()
    batch = serializers.IntegerField(allow_null=True, help_text="Id of the batch or campaign.")
    queued_at = Moment()
    started_at = Moment(allow_null=True)
    url = serializers.CharField()


class JobOut(Shape):
    """A job in full."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Status.choices)
    state = serializers.ChoiceField(choices=State.choices)
    kind = serializers.CharField()
    model = serializers.CharField()
    prompt = serializers.CharField()
    parameters = serializers.DictField()
    metadata = serializers.DictField()
    priority = serializers.IntegerField()
    priority_reasons = serializers.ListField(child=serializers.CharField())
    deadline = Moment(allow_null=True, help_text="As requested.")
    not_before = Moment(allow_null=True, help_text="As requested. `waiting_on` also shows the wait before the next attempt.")
    owner = serializers.CharField()
    batch = serializers.IntegerField(allow_null=True, help_text="Id of the batch or campaign.")
    preview = serializers.BooleanField(help_text="Preview rendered by the studio, not the provider.")
    position = serializers.IntegerField(allow_null=True, help_text="Position in the model's queue, from 1. Null once started.")
    eta = EtaOut(allow_null=True)
    waiting_on = WaitingOnOut(many=True)
    waiting = serializers.CharField(help_text="Why the job is waiting, in one sentence. Empty if it is not waiting.")
    stage = serializers.CharField(allow_null=True)
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1. Null if the provider does not report it.")
    stages = StageOut(many=True)
    attempts = AttemptOut(many=True)
    tickets = TicketsOut()
    cost = CostOut()
    error = ErrorOut(allow_null=True)
    assets = AssetOut(many=True)
    result_url = serializers.CharField(allow_null=True, help_text="URL of the main file.")
    cancel_asked = serializers.BooleanField()
    can_be_stopped = serializers.BooleanField(
        help_text="False once the job is finished or saving, or if the provider can't cancel."
    )
    queued_at = Moment()
    started_at = Moment(allow_null=True)
    completed_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    links = LinksOut()


class CancelOut(JobOut):
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])
    message = serializers.CharField(help_text="What the verdict means for this job and its tickets.")


class EventOut(Shape):
    seq = serializers.IntegerField()
    at = Moment()
    from_state = serializers.CharField(help_text="Empty for the first event.")
    to_state = serializers.ChoiceField(choices=State.choices)
    actor = serializers.CharField()
    reason = serializers.CharField()
    attempt = serializers.IntegerField(allow_null=True)
    data = serializers.DictField()  # type: ignore[assignment]  # fields leave the class, so `data` stays what it was


class WalletOut(Shape):
    available = serializers.IntegerField()
    reserved = serializers.IntegerField()
    captured = serializers.IntegerField()
    refunded = serializers.IntegerField()


class WalletEntryOut(Shape):
    id = serializers.IntegerField()
    at = Moment()
    kind = serializers.ChoiceField(choices=LedgerTransaction.Kind.choices)
    available = serializers.IntegerField(help_text="Change in available tickets.")
    reserved = serializers.IntegerField(help_text="Change in reserved tickets.")
    job = serializers.IntegerField(allow_null=True)
    actor = serializers.CharField()
    reason = serializers.CharField()


class PurseOut(Shape):
    available = serializers.IntegerField()
    after = serializers.IntegerField(help_text="Tickets left afterwards. Negative if there are not enough.")


class PricedJobOut(Shape):
    """A job as it would be queued, with its price."""

    model = serializers.CharField()
    kind = serializers.CharField()
    parameters = serializers.DictField()
    priority = serializers.IntegerField()
    priority_reasons = serializers.ListField(child=serializers.CharField())
    preview = serializers.BooleanField()
    cost = CostOut()


class PriceOut(PricedJobOut):
    """The price of a job. Nothing was created."""

    dry_run = serializers.BooleanField()
    wallet = PurseOut()
    affordable = serializers.BooleanField()


class BatchCostOut(TicketsOut):
    tickets = serializers.IntegerField(help_text="Reserved and charged together.")
    usd = serializers.CharField(help_text="US dollars of unfinished and completed jobs, as a decimal string.")


class BatchOut(Shape):
    id = serializers.IntegerField()
    name = serializers.CharField()
    owner = serializers.CharField()
    total = serializers.IntegerField()
    queued = serializers.IntegerField()
    processing = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    eta = EtaOut(allow_null=True, help_text="Time until the last job. Null once all are finished.")
    cost = BatchCostOut()
    max_concurrent = serializers.IntegerField(allow_null=True)
    paused = serializers.BooleanField()
    paused_reason = serializers.CharField()
    created_at = Moment()
    ended_at = Moment(allow_null=True)
    url = serializers.CharField()


class VerdictsOut(Shape):
    cancelled = serializers.IntegerField()
    requested = serializers.IntegerField()
    too_late = serializers.IntegerField()


class BatchCancelOut(BatchOut):
    verdicts = VerdictsOut()


class BatchMadeOut(Shape):
    batch = serializers.IntegerField(help_text="Batch id, for `GET batches/{id}/`.")
    jobs = JobLine(many=True)
    total = serializers.IntegerField()
    cost = BatchCostOut()
    url = serializers.CharField()


class BatchPriceOut(Shape):
    """The price of a batch. Nothing was created."""

    dry_run = serializers.BooleanField()
    batch = serializers.IntegerField(allow_null=True, help_text="Always null.")
    jobs = PricedJobOut(many=True)
    total = serializers.IntegerField()
    cost = BatchCostOut()
    wallet = PurseOut()
    affordable = serializers.BooleanField()
