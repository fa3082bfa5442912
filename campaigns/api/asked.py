"""What the calls take: shapes and types only; what a value may be is the business of the plan and of the review."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from campaigns.brief import AT_ONCE_MOST, MOST, Brief
from campaigns.cells import BLOCKED
from campaigns.models.combination import Review
from campaigns.review import NOTE_MOST
from queue_app.api.reading import Listed, Named, PageQuery, StrictSerializer, Text, Whole, YesNo
from queue_app.api.serializers import Priority
from queue_app.models import Status

# of one campaign; a matrix has at most 660 combinations, so that none needs as many
DIMENSIONS_MOST, VALUES_MOST, EXCLUSIONS_MOST = 100, 1_000, 10_000


class CampaignAsked(StrictSerializer):
    """One campaign: a brief, values of the dimensions, a model. The catalogue fills in every field that is missing or null."""

    name = Text(
        most=MOST["name"], required=False, allow_null=True, allow_blank=True, help_text="Default: the brand and the big idea."
    )
    brand = Text(least=1, most=MOST["brand"], allow_blank=True, help_text="Brand name. Created if new.")
    product_category = Text(most=MOST["product_category"], required=False, allow_null=True, allow_blank=True)
    big_idea = Text(least=1, most=MOST["big_idea"], allow_blank=True, help_text="What every video should show.")
    visual_messaging = Text(most=MOST["visual_messaging"], required=False, allow_null=True, allow_blank=True)
    audio_messaging = Text(most=MOST["audio_messaging"], required=False, allow_null=True, allow_blank=True)
    dimensions = Named(
        child=Listed(child=Text(), of="values", max_length=VALUES_MOST),
        of="dimensions",
        most=DIMENSIONS_MOST,
        such_as='{"mood": ["calm"]}',
        help_text='Dimension key → value keys, such as `{"mood": ["calm"]}`.',
    )
    exclude = Listed(
        child=Named(child=Text(), of="dimensions", most=DIMENSIONS_MOST, such_as='{"mood": "calm"}'),
        of="exclusions",
        max_length=EXCLUSIONS_MOST,
        required=False,
        allow_null=True,
        help_text='Each entry excludes all combinations that match all its pairs, such as `[{"mood": "calm"}]`.',
    )
    model = Text(least=1, most=60, allow_blank=True, help_text="A model key from `GET models/`.")
    duration = Whole(required=False, allow_null=True, help_text="Seconds. Default: the model's.")
    aspect_ratio = Text(required=False, allow_null=True, help_text="Default: the model's.")
    loop = YesNo(required=False, allow_null=True, help_text="Default: false. True only if the model supports it.")
    priority = Priority(required=False, allow_null=True)
    max_concurrent = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=AT_ONCE_MOST,
        help_text="Concurrent jobs of this campaign, 1 to 50. Default: no limit.",
    )


class ReviewAsked(StrictSerializer):
    """A review, a note, or both."""

    one_of = ("review", "note")
    left_out = "Send review (approved, rejected, winner or empty), note, or both."

    review = serializers.ChoiceField(
        choices=Review.values,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="Empty or null resets the review.",
    )
    note = Text(most=NOTE_MOST, required=False, allow_blank=True, allow_null=True, help_text="Empty or null removes the note.")


class CombinationQuery(PageQuery):
    """Filters of `GET campaigns/{id}/combinations/`."""

    status = serializers.ChoiceField(choices=[*Status.values, BLOCKED], required=False)
    review = serializers.ChoiceField(
        choices=[*filter(None, Review.values), "none"], required=False, help_text="`none`: completed and not reviewed yet."
    )


def brief(given: Mapping[str, Any]) -> Brief:
    """A checked body as the plan takes it; null is as good as left out."""
    return Brief(**{name: value for name, value in given.items() if value is not None})
