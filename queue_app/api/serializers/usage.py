"""Answers about usage."""

from typing import Any

from rest_framework import serializers

from queue_app.api.fields import Moment
from queue_app.api.serializers.base import Shape
from queue_app.insight.usage import UsageLine
from queue_app.models import TicketBudget
from queue_app.rules import numbers
from queue_app.work.ticket_budgets import NAMES


class UsageLineOut(Shape):
    name = serializers.CharField(help_text="The day or the model.")
    jobs = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    wait_p50_seconds = serializers.FloatField(source="wait_p50", allow_null=True, help_text="Until the first start.")
    wait_p95_seconds = serializers.FloatField(source="wait_p95", allow_null=True)
    run_p50_seconds = serializers.FloatField(source="run_p50", allow_null=True, help_text="Of completed jobs.")
    run_p95_seconds = serializers.FloatField(source="run_p95", allow_null=True)
    captured = serializers.IntegerField(help_text="Tickets charged.")
    refunded = serializers.IntegerField(help_text="Tickets refunded, whenever they were charged.")
    net = serializers.IntegerField(help_text="`captured` minus `refunded`.")
    usd_estimated = serializers.SerializerMethodField(help_text="US dollars of completed jobs, as a decimal string.")

    def get_usd_estimated(self, line: UsageLine) -> str:
        return numbers.dollars(line.usd_estimated)


class BudgetOut(Shape):
    """A ticket budget. Jobs that exceed it wait; see `waiting_on` of a job."""

    scope = serializers.ChoiceField(choices=[*NAMES.values()], help_text="Whose jobs count: the user's, a campaign's or a key's.")
    id = serializers.IntegerField(help_text="Of the user, the campaign or batch, or the key.")
    name = serializers.CharField()
    period = serializers.ChoiceField(choices=TicketBudget.Period.values)
    tickets = serializers.IntegerField()
    used = serializers.IntegerField(help_text="Tickets of jobs that started in the period and neither failed nor were cancelled.")
    resets_at = Moment(allow_null=True, help_text="When the next day of a daily budget begins. Null: never.")


class UsageOut(Shape):
    from_ = serializers.DateField()
    to = serializers.DateField()
    by = serializers.CharField()
    owner = serializers.CharField()
    lines = UsageLineOut(many=True, help_text="In order of their names. Days and models without any are left out.")
    total = UsageLineOut()
    budgets = BudgetOut(many=True, help_text="As they stand now. Those of finished campaigns are left out.")

    def get_fields(self) -> dict[str, Any]:
        """Return the fields by their names in the answer: ``from`` can't be a name here."""
        return {name.rstrip("_"): field for name, field in super().get_fields().items()}
