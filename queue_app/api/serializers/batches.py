"""Answers about batches and tickets."""

from rest_framework import serializers

from queue_app.api.fields import Moment
from queue_app.api.serializers.base import Shape
from queue_app.api.serializers.jobs import BatchLinksOut, EtaOut, JobLine, PricedJobOut, PurseOut, TicketsOut
from queue_app.models import LedgerTransaction

BUDGET_HELP = "Tickets that its jobs may cost together. Null for no budget."
NOT_RAISED_HELP = "Queued jobs that kept their priority, as only staff can raise it that far."


class BatchCostOut(TicketsOut):
    tickets = serializers.IntegerField(help_text="Reserved and charged together.")
    usd = serializers.CharField(help_text="US dollars of unfinished and completed jobs, as a decimal string.")


class BatchLine(Shape):
    """A batch summary."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    owner = serializers.CharField()
    total = serializers.IntegerField()
    queued = serializers.IntegerField()
    processing = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    done = serializers.BooleanField(help_text="All jobs are completed, failed or cancelled.")
    starts_in = EtaOut(allow_null=True, help_text="Time until the first job starts. Null once one has started.")
    eta = EtaOut(allow_null=True, help_text="Time until the last job. Null once all are finished.")
    max_concurrent = serializers.IntegerField(allow_null=True)
    paused = serializers.BooleanField()
    paused_reason = serializers.CharField()
    paused_until = Moment(allow_null=True, help_text="The pause ends then. Null until someone resumes it.")
    callback_url = serializers.CharField(
        allow_null=True, help_text="Called once all its jobs are finished. Only its owner sees its query."
    )
    created_at = Moment()
    ended_at = Moment(allow_null=True)
    seq = serializers.IntegerField(help_text="Events of all its jobs so far. `?wait=30&after=` answers when it has grown.")
    url = serializers.CharField()
    links = BatchLinksOut()


class BatchOut(BatchLine):
    """A batch in full."""

    cost = BatchCostOut()
    budget_tickets = serializers.IntegerField(allow_null=True, help_text=BUDGET_HELP)


class VerdictsOut(Shape):
    cancelled = serializers.IntegerField()
    requested = serializers.IntegerField()
    too_late = serializers.IntegerField()


class BatchChangeOut(BatchOut):
    not_raised = serializers.IntegerField(help_text=NOT_RAISED_HELP)


class BatchCancelOut(BatchOut):
    verdicts = VerdictsOut()


class BatchMadeOut(Shape):
    batch = serializers.IntegerField(help_text="Batch id, for `GET batches/{id}/`.")
    jobs = JobLine(many=True)
    total = serializers.IntegerField()
    cost = BatchCostOut()
    url = serializers.CharField()
    links = BatchLinksOut()


class BatchPriceOut(Shape):
    """The price of a batch. Nothing was created."""

    dry_run = serializers.BooleanField()
    batch = serializers.IntegerField(allow_null=True, help_text="Always null.")
    jobs = PricedJobOut(many=True)
    total = serializers.IntegerField()
    cost = BatchCostOut()
    wallet = PurseOut()
    affordable = serializers.BooleanField()


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
