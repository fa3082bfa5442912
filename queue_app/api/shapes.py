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
    p50_seconds = serializers.FloatField(allow_null=True, help_text="Seconds until it is done; null where nobody can know.")
    p90_seconds = serializers.FloatField(allow_null=True)
    basis = serializers.CharField(help_text="“last 37 runs”, “typical”, or why it is not known.")


class WaitingOnOut(Shape):
    limit = serializers.CharField(help_text="queue, kind, account, model, user, batch, not_before or jobs_ahead.")
    key = serializers.CharField()
    used = serializers.IntegerField()
    max = serializers.IntegerField(help_text="0 while it is closed.")
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
    spent = serializers.BooleanField(help_text="Counts towards the kind's attempts.")
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
    usd = serializers.CharField(help_text="US dollars, a decimal in a string.")
    usd_is_estimate = serializers.BooleanField()


class AssetOut(Shape):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=Asset.Kind.choices)
    version = serializers.IntegerField()
    url = serializers.CharField(allow_null=True, help_text="Null once the file has been deleted.")
    content_type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    width = serializers.IntegerField(allow_null=True)
    height = serializers.IntegerField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    preview = serializers.BooleanField(help_text="Made by the studio, not by the vendor.")


class LinksOut(Shape):
    self = serializers.CharField()
    events = serializers.CharField()
    cancel = serializers.CharField()
    retry = serializers.CharField()


class JobLine(Shape):
    """A job in short."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Status.choices)
    state = serializers.ChoiceField(choices=State.choices)
    kind = serializers.CharField()
    model = serializers.CharField()
    prompt = serializers.CharField()
    priority = serializers.IntegerField()
    position = serializers.IntegerField(allow_null=True, help_text="1-based place in its model's lane; null once it runs.")
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1, where the provider tells it.")
    preview = serializers.BooleanField()
    owner = serializers.CharField()
    batch = serializers.IntegerField(allow_null=True, help_text="Its batch's or campaign's id.")
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
    deadline = Moment(allow_null=True, help_text="As it was asked for.")
    not_before = Moment(allow_null=True, help_text="As it was asked for; `waiting_on` also names the wait before a next attempt.")
    owner = serializers.CharField()
    batch = serializers.IntegerField(allow_null=True, help_text="Its batch's or campaign's id.")
    preview = serializers.BooleanField(help_text="Made by the studio, not by the vendor.")
    position = serializers.IntegerField(allow_null=True, help_text="1-based place in its model's lane; null once it runs.")
    eta = EtaOut(allow_null=True)
    waiting_on = WaitingOnOut(many=True)
    waiting = serializers.CharField(help_text="Why it waits, in one line; empty when it does not.")
    stage = serializers.CharField(allow_null=True)
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1, where the provider tells it.")
    stages = StageOut(many=True)
    attempts = AttemptOut(many=True)
    tickets = TicketsOut()
    cost = CostOut()
    error = ErrorOut(allow_null=True)
    assets = AssetOut(many=True)
    result_url = serializers.CharField(allow_null=True, help_text="Where the main file is.")
    cancel_asked = serializers.BooleanField()
    can_be_stopped = serializers.BooleanField(
        help_text="Whether a cancel can end it: not once it has ended or is being stored, nor where its provider has no cancel."
    )
    queued_at = Moment()
    started_at = Moment(allow_null=True)
    completed_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    links = LinksOut()


class CancelOut(JobOut):
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in Verdict])
    message = serializers.CharField(help_text="What that means for this job and its tickets.")


class EventOut(Shape):
    seq = serializers.IntegerField()
    at = Moment()
    from_state = serializers.CharField(help_text="Empty for the first.")
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
    available = serializers.IntegerField(help_text="What it did to the available tickets.")
    reserved = serializers.IntegerField(help_text="What it did to the reserved tickets.")
    job = serializers.IntegerField(allow_null=True)
    actor = serializers.CharField()
    reason = serializers.CharField()


class PurseOut(Shape):
    available = serializers.IntegerField()
    after = serializers.IntegerField(help_text="What would be left; below 0 when tickets are missing.")


class PricedJobOut(Shape):
    """What a job would be, and cost."""

    model = serializers.CharField()
    kind = serializers.CharField()
    parameters = serializers.DictField()
    priority = serializers.IntegerField()
    priority_reasons = serializers.ListField(child=serializers.CharField())
    preview = serializers.BooleanField()
    cost = CostOut()


class PriceOut(PricedJobOut):
    """What a job would cost; nothing was written."""

    dry_run = serializers.BooleanField()
    wallet = PurseOut()
    affordable = serializers.BooleanField()


class BatchCostOut(TicketsOut):
    tickets = serializers.IntegerField(help_text="Reserved and captured together.")
    usd = serializers.CharField(help_text="US dollars of what is open or completed, a decimal in a string.")


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
    eta = EtaOut(allow_null=True, help_text="Until the last of its jobs; null once all have ended.")
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
    batch = serializers.IntegerField(help_text="Its id, for `GET batches/{id}/`.")
    jobs = JobLine(many=True)
    total = serializers.IntegerField()
    cost = BatchCostOut()
    url = serializers.CharField()


class BatchPriceOut(Shape):
    """What a batch would cost; nothing was written."""

    dry_run = serializers.BooleanField()
    batch = serializers.IntegerField(allow_null=True, help_text="Null: there is none.")
    jobs = PricedJobOut(many=True)
    total = serializers.IntegerField()
    cost = BatchCostOut()
    wallet = PurseOut()
    affordable = serializers.BooleanField()
