"""Bodies, parameters and answers of the calls. The plan and the review check the values."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from campaigns.brief import AT_ONCE_MOST, MOST, Brief
from campaigns.models import Trip
from campaigns.models.combination import Review
from campaigns.review import NOTE_MOST
from campaigns.rules.matrix import MAX_CELLS
from campaigns.standing import BLOCKED, CampaignStatus
from campaigns.starts import STARTS
from queue_app.api.fields import Listed, Mapped, Moment, Named, Text, Whole, YesNo
from queue_app.api.serializers.base import PageQuery, Shape, StrictSerializer
from queue_app.api.serializers.batches import BUDGET_HELP, NOT_RAISED_HELP, BatchCostOut, VerdictsOut
from queue_app.api.serializers.jobs import AssetOut, CostOut, ErrorOut, EtaOut, PurseOut
from queue_app.api.serializers.requests import CallbackUrl, Priority
from queue_app.models import HeldFor, Status
from queue_app.models.budget import MOST as BUDGET_MOST
from queue_app.rules import parameters

# of one campaign; a matrix has at most 660 combinations, so that none needs as many
DIMENSIONS_MOST, VALUES_MOST, EXCLUSIONS_MOST = 100, 1_000, 10_000


class CampaignAsked(StrictSerializer):
    """One campaign: a brief, values of the dimensions, a model. The catalogue fills in every field that is missing or null."""

    name = Text(
        most=MOST["name"],
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text="Default: the beginning of the big idea, or the brand with its product.",
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
    resolution = Text(required=False, allow_null=True, help_text="Default: the model's.")
    quality = Text(required=False, allow_null=True, help_text="Default: the model's.")
    audio = YesNo(required=False, allow_null=True, help_text="Sound. Default: the model's.")
    count = Whole(required=False, allow_null=True, help_text="Images per combination. Default: 1.")
    num_images = Whole(required=False, allow_null=True, help_text="Another name of `count`.")
    loop = YesNo(required=False, allow_null=True, help_text="Default: false. True only if the model supports it.")
    seed = Whole(required=False, allow_null=True, help_text="Default: random.")
    negative_prompt = Text(required=False, allow_null=True, allow_blank=True, help_text="What should not be there.")
    images = Mapped(
        required=False,
        allow_null=True,
        help_text="Images to start from, each an upload's id or a URL: `{first_frame, last_frame, references: []}`.",
    )
    reference_images = serializers.ListField(
        required=False, allow_null=True, help_text="Another way to say `images`: `[{url | upload, role}]`."
    )
    priority = Priority(required=False, allow_null=True)
    max_concurrent = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=AT_ONCE_MOST,
        help_text="Concurrent jobs of this campaign, 1 to 50. Default: no limit.",
    )
    budget_tickets = Whole(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=BUDGET_MOST,
        help_text="Tickets that its jobs may cost together. Others wait until you raise it. Default: no budget.",
    )
    callback_url = CallbackUrl("once all its jobs are finished")
    start = serializers.ChoiceField(
        choices=STARTS,
        required=False,
        allow_null=True,
        help_text="`canary`: one video of each value first. `storyboard`: a still of each, from which its video starts once "
        "it is released. Until then videos are on hold with their tickets reserved. Default: `all`.",
    )
    still_model = Text(
        least=1,
        most=60,
        required=False,
        allow_null=True,
        help_text="Image model of a storyboard. Default: the cheapest available.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """:raises ValidationError: a parameter is there by both its names."""
        twice = [alias for alias, name in parameters.ALIASES.items() if None not in (attrs.get(alias), attrs.get(name))]
        if twice:
            raise serializers.ValidationError({one: [f"Send {one} or {parameters.ALIASES[one]}, not both."] for one in twice})
        return super().validate(attrs)


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


class HeldAsked(StrictSerializer):
    """Which combinations on hold are meant: some by id, those with certain values, or all."""

    one_of = ("combinations", "values", "all")
    left_out = "Send combinations, values or all."

    combinations = Listed(
        child=Whole(), of="combinations", max_length=MAX_CELLS, required=False, help_text="Ids, such as `[41, 42]`."
    )
    values = Named(
        child=Text(),
        of="dimensions",
        most=DIMENSIONS_MOST,
        such_as='{"mood": "calm"}',
        required=False,
        help_text='All combinations with all these values, such as `{"mood": "calm"}`.',
    )
    all = YesNo(required=False, help_text="True: all of the campaign.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """:raises ValidationError: none of the three is there, or several are."""
        given = [name for name in self.one_of if attrs.get(name)]
        if len(given) > 1:
            raise serializers.ValidationError({given[1]: [f"Send {' or '.join(given)}, not both."]})
        if not given:
            raise serializers.ValidationError(self.left_out)
        return super().validate(attrs)


class CombinationQuery(PageQuery):
    """Filters of `GET campaigns/{id}/combinations/`."""

    status = serializers.ChoiceField(choices=[*Status.values, BLOCKED], required=False)
    review = serializers.ChoiceField(
        choices=[*filter(None, Review.values), "none"], required=False, help_text="`none`: completed and not reviewed yet."
    )


def brief(given: Mapping[str, Any]) -> Brief:
    """Return a checked body as the plan takes it. Null counts as left out."""
    said = parameters.by_our_names({name: value for name, value in given.items() if value is not None})
    return Brief(**{name: value for name, value in said.items() if name not in parameters.ALIASES})


class RejectedOut(Shape):
    combination = serializers.DictField(child=serializers.CharField(), help_text="Its values, in the format of `exclude`.")
    reason = serializers.CharField(help_text="The rule, the matched words and the suggested fix.")


class PlannedOut(Shape):
    """The plan of a campaign: requested, accepted and blocked combinations, with cost and time."""

    requested = serializers.IntegerField(help_text="Combinations that are not excluded.")
    accepted = serializers.IntegerField(help_text="Combinations that are generated.")
    on_hold = serializers.IntegerField(help_text="Of these, on hold until they are released.")
    stills = serializers.IntegerField(help_text="Stills that are generated first. 0 without a storyboard.")
    rejected = RejectedOut(many=True)
    cost = BatchCostOut()
    eta = EtaOut(help_text="Time until the last one is finished that is not on hold; of a storyboard, the last still.")


class CampaignLinksOut(Shape):
    self = serializers.CharField()
    jobs = serializers.CharField(help_text="Its jobs, newest first.")
    combinations = serializers.CharField()
    cancel = serializers.CharField()
    pause = serializers.CharField()
    resume = serializers.CharField()
    retry_failed = serializers.CharField()
    release = serializers.CharField(help_text="Lets combinations on hold run.")
    drop = serializers.CharField(help_text="Cancels combinations on hold.")
    page = serializers.CharField(help_text="The campaign page on this site.")


class CampaignMadeOut(PlannedOut):
    id = serializers.IntegerField()
    name = serializers.CharField()
    url = serializers.CharField()
    links = CampaignLinksOut()


class CampaignPriceOut(PlannedOut):
    """The price of a campaign. Nothing was created."""

    dry_run = serializers.BooleanField()
    parameters = serializers.DictField()
    priority = serializers.IntegerField()
    wallet = PurseOut()
    affordable = serializers.BooleanField()
    fits = serializers.IntegerField(help_text="How many accepted combinations the wallet covers.")


class CampaignLine(Shape):
    """A campaign summary. Counts are combinations by the status of the version that counts."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    brand = serializers.CharField()
    owner = serializers.CharField()
    model = serializers.CharField()
    status = serializers.ChoiceField(
        choices=CampaignStatus.values,
        help_text="The first that fits: `needs_attention` if an outcome is unknown or everything failed, `running` if a job "
        "runs, `paused` if all queued jobs wait for the end of a pause or for a release, `queued`, `finished`.",
    )
    total = serializers.IntegerField(help_text="Combinations that are generated.")
    queued = serializers.IntegerField()
    processing = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    done = serializers.BooleanField(help_text="All combinations are completed, failed or cancelled.")
    starts_in = EtaOut(allow_null=True, help_text="Time until the first job starts. Null once one has started.")
    eta = EtaOut(allow_null=True, help_text="Time until the last job. Null once all are finished.")
    paused = serializers.BooleanField()
    created_at = Moment()
    ended_at = Moment(allow_null=True)
    url = serializers.CharField()


class ChoiceOut(Shape):
    key = serializers.CharField()
    label: Any = serializers.CharField()  # fields leave the class, so `Field.label` stays what it was


class DimensionOut(ChoiceOut):
    """A dimension that a campaign may vary, with its values, in order."""

    values = ChoiceOut(many=True)


class BrandOut(Shape):
    id = serializers.IntegerField()
    name = serializers.CharField()
    voice = serializers.CharField(help_text="In one sentence. Added to every prompt.")


class ReviewsOut(Shape):
    to_judge = serializers.IntegerField()
    approved = serializers.IntegerField()
    rejected = serializers.IntegerField()
    winner = serializers.IntegerField()


class OnHoldOut(Shape):
    """Combinations on hold until they are released, by what for."""

    canary = serializers.IntegerField(help_text="One of each value runs first.")
    storyboard = serializers.IntegerField(help_text="Their stills are not approved.")
    breaker = serializers.IntegerField(help_text="The circuit breaker stopped a value of theirs.")


class TripOut(Shape):
    """A value that explains failures, so that the circuit breaker put the rest of it on hold."""

    dimension = serializers.CharField()
    value = serializers.CharField()
    code = serializers.CharField(help_text="Error code of the failures.")
    failures = serializers.IntegerField(help_text="Failures with this code that have the value.")
    of = serializers.IntegerField(help_text="All failures with this code.")
    at = Moment()
    settled_at = Moment(allow_null=True, help_text="When the last of them was released, rewritten or dropped.")
    how = serializers.ChoiceField(choices=Trip.How.values, allow_blank=True)


class CampaignOut(CampaignLine):
    """A campaign in full."""

    blocked = serializers.IntegerField(help_text="Combinations blocked by a compliance rule.")
    product_category = serializers.CharField()
    big_idea = serializers.CharField()
    visual_messaging = serializers.CharField()
    audio_messaging = serializers.CharField()
    dimensions = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    exclude = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))
    parameters = serializers.DictField()
    priority = serializers.IntegerField()
    max_concurrent = serializers.IntegerField(allow_null=True)
    budget_tickets = serializers.IntegerField(allow_null=True, help_text=BUDGET_HELP)
    paused_reason = serializers.CharField()
    paused_until = Moment(allow_null=True, help_text="The pause ends then. Null until someone resumes it.")
    callback_url = serializers.CharField(
        allow_null=True, help_text="Called once all its jobs are finished. Only its owner sees its query."
    )
    start = serializers.ChoiceField(choices=STARTS)
    still_model = serializers.CharField(allow_null=True, help_text="Makes the stills of a storyboard.")
    on_hold = OnHoldOut()
    trips = TripOut(many=True)
    cost = BatchCostOut(help_text="Of its videos and stills.")
    reviews = ReviewsOut()
    seq = serializers.IntegerField(help_text="Events of all its jobs so far. `?wait=30&after=` answers when it has grown.")
    links = CampaignLinksOut()


class CampaignChangeOut(CampaignOut):
    not_raised = serializers.IntegerField(help_text=NOT_RAISED_HELP)


class CampaignCancelOut(CampaignOut):
    verdicts = VerdictsOut()


class ReleasedOut(Shape):
    videos = serializers.IntegerField()
    stills = serializers.IntegerField(help_text="That the circuit breaker had stopped.")
    without_still = serializers.IntegerField(help_text="Combinations that stay on hold: no completed still to start from.")


class CampaignReleaseOut(CampaignOut):
    released = ReleasedOut()


class DroppedOut(Shape):
    videos = serializers.IntegerField()
    tickets = serializers.IntegerField(help_text="Returned, of videos and stills.")


class CampaignDropOut(CampaignOut):
    dropped = DroppedOut()


class StillOut(Shape):
    """The still that a video starts from once it is released. The latest one, if there are several."""

    job = serializers.IntegerField()
    status = serializers.ChoiceField(choices=Status.values)
    error = ErrorOut(allow_null=True)
    assets = AssetOut(many=True)


class HitOut(Shape):
    rule = serializers.CharField()
    severity = serializers.ChoiceField(choices=["block", "warn"])
    matched = serializers.CharField()
    start = serializers.IntegerField(help_text="In the prompt, from 0.")
    end = serializers.IntegerField()
    reason = serializers.CharField()
    instead = serializers.CharField()


class ComplianceOut(Shape):
    level = serializers.ChoiceField(choices=["clear", "warn", "block"])
    hits = HitOut(many=True)


class CombinationOut(Shape):
    """One combination. Job, cost, error and assets belong to the version that counts."""

    id = serializers.IntegerField()
    index = serializers.IntegerField(help_text="Number of the combination in the full matrix, from 1.")
    values = serializers.DictField(child=serializers.CharField())
    prompt = serializers.CharField()
    compliance = ComplianceOut()
    cost = CostOut(allow_null=True, help_text="Null for blocked combinations.")
    status = serializers.ChoiceField(choices=[*Status.values, BLOCKED])
    job = serializers.IntegerField(allow_null=True)
    held_for = serializers.ChoiceField(
        choices=HeldFor.values, allow_blank=True, help_text="What its video or still is on hold for; empty if it is not."
    )
    still = StillOut(allow_null=True, help_text="Of a storyboard only.")
    versions = serializers.IntegerField()
    error = ErrorOut(allow_null=True)
    review = serializers.ChoiceField(choices=Review.values, allow_blank=True)
    note = serializers.CharField()
    reviewed_at = Moment(allow_null=True)
    assets = AssetOut(many=True)
    url = serializers.CharField()
