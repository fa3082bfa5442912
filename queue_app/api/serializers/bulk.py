"""Answers about bulk actions."""

from rest_framework import serializers

from queue_app.api.fields import Moment
from queue_app.api.serializers.base import Shape
from queue_app.models import BulkAction

STATUSES = [phase for phase in BulkAction.Phase.values if phase != BulkAction.Phase.DRAFT]


class BulkTicketsOut(Shape):
    returned = serializers.IntegerField(help_text="Immediately.")
    returned_later = serializers.IntegerField(help_text="At most, once providers confirm.")
    reserved = serializers.IntegerField()


class EffectOut(Shape):
    count = serializers.IntegerField()
    what = serializers.CharField()
    why = serializers.CharField()


class BulkPreviewOut(Shape):
    """What a bulk action would do now. Nothing was done."""

    dry_run = serializers.BooleanField()
    action = serializers.ChoiceField(choices=BulkAction.Verb.values)
    total = serializers.IntegerField(help_text="Jobs that match the filter.")
    by_state = serializers.DictField(child=serializers.IntegerField())
    changes = serializers.IntegerField(help_text="Jobs that would change.")
    cannot_be_stopped = serializers.IntegerField(help_text="Running jobs whose provider can't cancel.")
    tickets = BulkTicketsOut()
    effects = EffectOut(many=True)
    notes = serializers.ListField(child=serializers.CharField())


class BulkLinksOut(Shape):
    self = serializers.CharField()
    abort = serializers.CharField()


class BulkLine(Shape):
    """A bulk action."""

    id = serializers.IntegerField()
    action = serializers.ChoiceField(choices=BulkAction.Verb.values)
    status = serializers.ChoiceField(choices=STATUSES, help_text="`undone`: aborted before its start.")
    done = serializers.BooleanField(help_text="Done, undone or aborted.")
    by = serializers.CharField(help_text="Who started it.")
    filter = serializers.CharField(help_text="How the jobs were selected, in words.")
    reason = serializers.CharField()
    total = serializers.IntegerField(help_text="Jobs that matched.")
    worked = serializers.IntegerField(help_text="Jobs handled so far.")
    results = serializers.DictField(child=serializers.IntegerField(), help_text="Jobs by what became of them.")
    created_at = Moment()
    starts_at = Moment()
    ended_at = Moment(allow_null=True)
    url = serializers.CharField()
    links = BulkLinksOut()


class RefusedOut(Shape):
    job = serializers.IntegerField()
    why = serializers.CharField()


class BulkOut(BulkLine):
    """A bulk action in full."""

    refused = RefusedOut(many=True, help_text="The first 100 jobs that were skipped.")
