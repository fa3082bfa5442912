"""API keys, as they are asked for and answered."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from queue_app.api.fields import Listed, Moment, Text, Whole
from queue_app.api.serializers.base import Shape, StrictSerializer
from queue_app.models import ApiKey
from queue_app.models.budget import MOST

_NAME_HELP = "Name of the key, such as the program that uses it."
_END_HELP = "Time after which the key is refused; null: never. Not later than the expiry of the key that you use."
_BUDGET_HELP = (
    "Tickets that jobs submitted with it may cost each day, from 1; null: no budget. Jobs beyond it wait until 00:00 in the "
    "queue's time zone."
)


def _budget(words: str) -> Whole:
    return Whole(required=False, allow_null=True, min_value=1, max_value=MOST, help_text=words)


@extend_schema_field({"type": "array", "items": {"type": "string", "enum": [*ApiKey.SCOPES]}, "minItems": 1})
class Scopes(Listed):
    """Scopes of a key."""

    child = serializers.ChoiceField(ApiKey.SCOPES)

    def __init__(self, **options: Any) -> None:
        super().__init__(of="scopes", max_length=len(ApiKey.SCOPES), allow_empty=False, **options)


class KeyAsked(StrictSerializer):
    """A new key."""

    name = Text(required=False, allow_blank=True, max_length=ApiKey.NAME_MOST, help_text=_NAME_HELP)
    scopes = Scopes(
        required=False,
        help_text="`read`, `submit`, `manage`; none that the key of this request lacks. "
        "Default: `read` and `submit`, as far as it has them.",
    )
    expires_at = Moment(required=False, allow_null=True, help_text=f"{_END_HELP} Default: the expiry of that key.")
    budget_tickets_per_day = _budget(f"{_BUDGET_HELP} Default: no budget.")


class KeyChange(StrictSerializer):
    """A key's name, its end, its budget, or several of them."""

    one_of = ("name", "expires_at", "budget_tickets_per_day")
    left_out = "Send name, expires_at, budget_tickets_per_day, or several of them."

    name = Text(required=False, allow_blank=True, max_length=ApiKey.NAME_MOST, help_text=_NAME_HELP)
    expires_at = Moment(required=False, allow_null=True, help_text=_END_HELP)
    budget_tickets_per_day = _budget(_BUDGET_HELP)


class KeyOut(Shape):
    """A key, without the key itself."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    prefix = serializers.CharField(source="token_key", help_text="The first characters of the key.")
    scopes: Any = serializers.ListField(child=serializers.ChoiceField(ApiKey.SCOPES))
    created_at = Moment(source="created")
    expires_at = Moment(source="expiry", allow_null=True, help_text="Null: never.")
    budget_tickets_per_day = serializers.IntegerField(allow_null=True, help_text="Null: no budget. Used: see `GET usage/`.")
    last_used_at = Moment(allow_null=True, help_text="Kept once a minute.")
    last_used_from = serializers.CharField(allow_null=True, help_text="IP address, as the web server knows it.")
    revoked_at = Moment(allow_null=True, help_text="Revoked keys are refused, and listed for 30 days.")
    current = serializers.BooleanField(help_text="True for the key of this request.")


class KeyMadeOut(KeyOut):
    """A new key. This answer alone holds the key itself."""

    key = serializers.CharField(help_text="The key. It can't be read again.")
