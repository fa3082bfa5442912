"""Bodies, parameters and answers of the calls about webhook endpoints. `work.endpoints` checks the values."""

from typing import Any

from rest_framework import serializers

from queue_app.api.fields import Listed, Moment, Text, YesNo
from queue_app.api.serializers.base import PageQuery, Shape, StrictSerializer
from queue_app.insight.deliveries import DeliveryStatus
from queue_app.models import OutgoingEvent
from queue_app.models.job import URL_MOST
from queue_app.models.outbox import DESCRIPTION_MOST
from queue_app.work.endpoints import OVERLAP

URL_HELP = "A public https URL. It is called by POST, with the body and headers of Standard Webhooks."
OVERLAP_HELP = f"The previous secret also signs for {OVERLAP.total_seconds() / 3_600:.0f} hours more."


class Events(Listed):
    """Names of events, at least one."""

    def __init__(self, **options: bool) -> None:
        words: dict[str, Any] = {"invalid_choice": f"Unknown event “{{input}}”. Available: {', '.join(OutgoingEvent.values)}."}
        super().__init__(
            of="events",
            child=serializers.ChoiceField(choices=OutgoingEvent.choices, error_messages=words),
            min_length=1,
            max_length=len(OutgoingEvent),
            error_messages={"empty": "Choose at least one event.", "min_length": "Choose at least one event."},
            help_text="Events to send.",
            **options,
        )


class EndpointAsked(StrictSerializer):
    """One webhook endpoint."""

    url = Text(least=1, most=URL_MOST, help_text=URL_HELP)
    events = Events()
    description = Text(most=DESCRIPTION_MOST, required=False, allow_blank=True, help_text="A name for the endpoint.")


class EndpointChange(StrictSerializer):
    """What to change of a webhook endpoint."""

    one_of = ("url", "events", "description", "active")
    left_out = "Send url, events, description or active."

    url = Text(least=1, most=URL_MOST, required=False, help_text=URL_HELP)
    events = Events(required=False)
    description = Text(most=DESCRIPTION_MOST, required=False, allow_blank=True, help_text="A name for the endpoint.")
    active = YesNo(
        required=False,
        help_text="False: waiting deliveries are dropped. True: the endpoint is on again and its failures are forgotten.",
    )


class DeliveryQuery(PageQuery):
    """Filters of `GET webhook-endpoints/{id}/deliveries/`."""

    status = serializers.ChoiceField(choices=DeliveryStatus.choices, required=False)


class EndpointLinksOut(Shape):
    self = serializers.CharField()
    rotate_secret = serializers.CharField()
    test = serializers.CharField()
    deliveries = serializers.CharField()


class EndpointOut(Shape):
    """A webhook endpoint, without its secret."""

    id = serializers.IntegerField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.ChoiceField(choices=OutgoingEvent.choices))
    description = serializers.CharField()
    active = serializers.BooleanField()
    off_reason = serializers.CharField(help_text="Why Genqueue or staff turned it off. Empty if you did, or if it is on.")
    failing_since = Moment(allow_null=True, help_text="First failed attempt since the last success.")
    created_at = Moment()
    links = EndpointLinksOut()


class EndpointSecretOut(EndpointOut):
    """A webhook endpoint with its new secret, shown only in this answer."""

    secret = serializers.CharField(help_text="`whsec_…`, this once.")


class CallbackSecretOut(Shape):
    """The secret that signs all your callbacks."""

    secret = serializers.CharField(help_text="`whsec_…`")
    previous_until = Moment(allow_null=True, help_text="Until then the previous secret signs too.")


class TryOut(Shape):
    """One attempt to deliver."""

    at = Moment()
    seconds = serializers.FloatField()
    status = serializers.IntegerField(allow_null=True, help_text="HTTP status. Null without an answer.")
    answer = serializers.CharField(help_text="The beginning of the answer.")
    error = serializers.CharField(help_text="Why it counts as failed. Empty if it was delivered.")


class DeliveryLinksOut(Shape):
    replay = serializers.CharField()


class DeliveryOut(Shape):
    """One event for one endpoint."""

    id = serializers.CharField(help_text="The `webhook-id` header, the same on every attempt.")
    event = serializers.CharField()
    job = serializers.IntegerField(allow_null=True)
    batch = serializers.IntegerField(allow_null=True)
    status = serializers.ChoiceField(choices=DeliveryStatus.choices)
    tries = serializers.IntegerField(help_text="Attempts since it was created or replayed.")
    next_try_at = Moment(allow_null=True, help_text="Null once delivered or failed, and during an attempt.")
    delivered_at = Moment(allow_null=True)
    error = serializers.CharField(help_text="Why the last attempt failed. Empty if it was delivered.")
    created_at = Moment()
    log = TryOut(many=True)
    links = DeliveryLinksOut()
