"""Answers about jobs: in full, in one line, their history and their price."""

from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from queue_app.api.fields import Moment
from queue_app.api.serializers.base import Shape
from queue_app.insight.stages import Standing
from queue_app.lifecycle import CancelVerdict
from queue_app.models import Asset, Attempt, Outcome, State, Status


class EtaOut(Shape):
    p50_seconds = serializers.FloatField(allow_null=True, help_text="Seconds, median. Null if unknown.")
    p90_seconds = serializers.FloatField(allow_null=True)
    basis = serializers.CharField(
        help_text="“the last 37 runs and 300 past forecasts”, “the model's typical time”, or why there is no estimate."
    )


class WaitingOnOut(Shape):
    limit = serializers.CharField(
        help_text="held, budget, queue, kind, account, long, model, user, batch, not_before or jobs_ahead."
    )
    key = serializers.CharField(
        help_text="Of what. Of `held`: canary, storyboard, breaker or budget. Of `budget`: user, campaign or key."
    )
    used = serializers.IntegerField(help_text="Jobs; tickets of a budget.")
    max = serializers.IntegerField(help_text="0 while paused.")
    until = Moment(allow_null=True)
    reason = serializers.CharField()
    link = serializers.CharField(allow_null=True, help_text="Where you can see or change it. Null if nowhere.")


class StageOut(Shape):
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=get_args(Standing))
    seconds = serializers.FloatField(allow_null=True)


class CheckOut(Shape):
    """One check of a page."""

    name = serializers.CharField()
    outcome = serializers.ChoiceField(choices=["pass", "warn", "fail"])
    figure = serializers.CharField(help_text="What was measured, such as “1.2%”.")
    bound = serializers.CharField(help_text="What it may be, such as “0.5 to 2%”.")
    sentence = serializers.CharField(help_text="What it means, and what to do about it.")


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
    spent = serializers.BooleanField(help_text="Counts towards `attempts_allowed`.")
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


class UploadOut(Shape):
    """An uploaded image, re-encoded. Jobs name it by its id."""

    id = serializers.UUIDField()
    url = serializers.CharField(help_text="Only for its owner and staff.")
    content_type = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    sha256 = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    created_at = Moment()


class LinksOut(Shape):
    self = serializers.CharField()
    status = serializers.CharField()
    events = serializers.CharField()
    cancel = serializers.CharField()
    move = serializers.CharField()
    retry = serializers.CharField()
    assets = serializers.CharField(help_text="For DELETE.")


class BatchLinksOut(Shape):
    self = serializers.CharField()
    jobs = serializers.CharField(help_text="Its jobs, newest first.")
    cancel = serializers.CharField()
    pause = serializers.CharField()
    resume = serializers.CharField()
    retry_failed = serializers.CharField()


class JobLine(Shape):
    """A job summary."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Status.choices)
    state = serializers.ChoiceField(choices=State.choices)
    kind = serializers.CharField()
    model = serializers.CharField()
    prompt = serializers.CharField()
    priority = serializers.IntegerField(help_text="As requested or computed.")
    effective_priority = serializers.IntegerField(help_text="What counts: waiting raises a job below normal.")
    position = serializers.IntegerField(allow_null=True, help_text="Position in the model's queue, from 1. Null once started.")
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1. Null if the provider does not report it.")
    preview = serializers.BooleanField()
    owner = serializers.CharField()
    batch = serializers.IntegerField(allow_null=True, help_text="Id of the batch or campaign.")
    queued_at = Moment()
    started_at = Moment(allow_null=True)
    url = serializers.CharField()


class StatusOut(Shape):
    """Where a job is."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Status.choices)
    state = serializers.ChoiceField(choices=State.choices)
    position = serializers.IntegerField(allow_null=True, help_text="Position in the model's queue, from 1. Null once started.")
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1. Null if the provider does not report it.")
    starts_in = EtaOut(allow_null=True, help_text="Time until the job starts. Null once started.")
    eta = EtaOut(allow_null=True, help_text="Time until the job is done. Null once it is.")
    result_url = serializers.CharField(allow_null=True, help_text="URL of the main file.")
    error = ErrorOut(allow_null=True)
    done = serializers.BooleanField(help_text="Whether the job is completed, failed or cancelled.")
    seq = serializers.IntegerField(help_text="Number of the job's last event.")


class JobOut(Shape):
    """A job in full."""

    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Status.choices)
    state = serializers.ChoiceField(choices=State.choices)
    done = serializers.BooleanField(help_text="Completed, failed or cancelled.")
    kind = serializers.CharField()
    model = serializers.CharField()
    prompt = serializers.CharField()
    parameters = serializers.DictField()
    metadata = serializers.DictField()
    priority = serializers.IntegerField(help_text="As requested or computed.")
    effective_priority = serializers.IntegerField(help_text="What counts: waiting raises a job below normal.")
    priority_reasons = serializers.ListField(child=serializers.CharField(), help_text="Why it has this priority.")
    raised = serializers.IntegerField(help_text="Levels that waiting has raised it by.")
    score = serializers.IntegerField(allow_null=True, help_text="Points of a page: higher ones go first. Else null.")
    deadline = Moment(allow_null=True, help_text="As requested.")
    callback_url = serializers.CharField(
        allow_null=True, help_text="Called once the job is finished. Only its owner sees its query."
    )
    not_before = Moment(allow_null=True, help_text="As requested. `waiting_on` also shows the wait before the next attempt.")
    owner = serializers.CharField()
    batch = serializers.IntegerField(allow_null=True, help_text="Id of the batch or campaign.")
    preview = serializers.BooleanField(help_text="Preview rendered by the studio, not the provider.")
    position = serializers.IntegerField(allow_null=True, help_text="Position in the model's queue, from 1. Null once started.")
    starts_in = EtaOut(allow_null=True, help_text="Time until it starts. Null once started.")
    eta = EtaOut(allow_null=True)
    waiting_on = WaitingOnOut(many=True)
    waiting = serializers.CharField(help_text="Why the job is waiting, in one sentence. Empty if it is not waiting.")
    stage = serializers.CharField(allow_null=True, help_text="The current one, or the one that failed.")
    progress = serializers.FloatField(allow_null=True, help_text="0 to 1. Null if the provider does not report it.")
    stages = StageOut(many=True, help_text="A page has seven of its own.")
    checks = CheckOut(many=True, help_text="Of a page, once it was checked. Empty for other jobs.")
    verdict = serializers.ChoiceField(
        choices=["approve", "review", "reject"],
        allow_null=True,
        help_text="What the checks of a page add up to. The decision of a person is on its page. Null for other jobs.",
    )
    attempts = AttemptOut(many=True)
    attempts_allowed = serializers.IntegerField(help_text="Attempts that may count before it fails, by its model or job type.")
    next_attempt_at = Moment(allow_null=True, help_text="Earliest time of the next attempt. Null unless it waits for one.")
    tickets = TicketsOut()
    cost = CostOut()
    error = ErrorOut(allow_null=True)
    remedy = serializers.CharField(help_text="What to do about the error, in one or two sentences. Empty without an error.")
    retry_may_help = serializers.BooleanField(help_text="False without an error, and if a plain retry would fail again.")
    assets = AssetOut(many=True, help_text="The main file first.")
    result_url = serializers.CharField(allow_null=True, help_text="URL of the main file.")
    cancel_asked = serializers.BooleanField()
    can_be_stopped = serializers.BooleanField(
        help_text="False once the job is finished or saving, or if the provider can't cancel."
    )
    queued_at = Moment()
    started_at = Moment(allow_null=True)
    completed_at = Moment(allow_null=True)
    ended_at = Moment(allow_null=True)
    seq = serializers.IntegerField(help_text="Number of the job's last event. `?wait=30&after=` answers when it has grown.")
    links = LinksOut()


class CancelOut(JobOut):
    verdict = serializers.ChoiceField(
        choices=[verdict.value for verdict in CancelVerdict], help_text="Of the cancel, here in place of that of a page's checks."
    )
    message = serializers.CharField(help_text="What the verdict means for this job and its tickets.")


class EventOut(Shape):
    seq = serializers.IntegerField()
    at = Moment()
    from_state = serializers.CharField(help_text="Empty for the first event.")
    to_state = serializers.ChoiceField(choices=State.choices)
    actor = serializers.CharField()
    reason = serializers.CharField()
    attempt = serializers.IntegerField(allow_null=True)
    data: Any = serializers.DictField()  # fields leave the class, so `Serializer.data` stays what it was


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
