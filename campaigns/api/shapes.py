"""What the calls give: how answers about campaigns and their cells look."""

from rest_framework import serializers

from campaigns.cells import BLOCKED
from campaigns.models.combination import Review
from queue_app.api.shapes import AssetOut, BatchCostOut, CostOut, ErrorOut, EtaOut, Moment, PurseOut, Shape, VerdictsOut
from queue_app.models import Status


class RejectedOut(Shape):
    combination = serializers.DictField(child=serializers.CharField(), help_text="Its values, in the format of `exclude`.")
    reason = serializers.CharField(help_text="The rule, the matched words and the suggested fix.")


class PlannedOut(Shape):
    """The plan of a campaign: requested, accepted and blocked combinations, with cost and time."""

    requested = serializers.IntegerField(help_text="Combinations that are not excluded.")
    accepted = serializers.IntegerField(help_text="Combinations that are generated.")
    rejected = RejectedOut(many=True)
    cost = BatchCostOut()
    eta = EtaOut(help_text="Time until the last one is finished.")


class CampaignMadeOut(PlannedOut):
    id = serializers.IntegerField()
    name = serializers.CharField()
    url = serializers.CharField()


class CampaignPriceOut(PlannedOut):
    """The price of a campaign. Nothing was created."""

    dry_run = serializers.BooleanField()
    parameters = serializers.DictField()
    priority = serializers.IntegerField()
    wallet = PurseOut()
    affordable = serializers.BooleanField()
    fits = serializers.IntegerField(help_text="How many accepted combinations the wallet covers.")


class CampaignLine(Shape):
    """A campaign summary. Counts are combinations by the status of their latest version."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    brand = serializers.CharField()
    owner = serializers.CharField()
    model = serializers.CharField()
    total = serializers.IntegerField(help_text="Combinations that are generated.")
    queued = serializers.IntegerField()
    processing = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    eta = EtaOut(allow_null=True, help_text="Time until the last job. Null once all are finished.")
    paused = serializers.BooleanField()
    created_at = Moment()
    ended_at = Moment(allow_null=True)
    url = serializers.CharField()


class ReviewsOut(Shape):
    to_judge = serializers.IntegerField()
    approved = serializers.IntegerField()
    rejected = serializers.IntegerField()
    winner = serializers.IntegerField()


class CampaignLinksOut(Shape):
    self = serializers.CharField()
    combinations = serializers.CharField()
    cancel = serializers.CharField()
    pause = serializers.CharField()
    resume = serializers.CharField()
    retry_failed = serializers.CharField()
    page = serializers.CharField(help_text="The campaign page on this site.")


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
    paused_reason = serializers.CharField()
    cost = BatchCostOut()
    reviews = ReviewsOut()
    links = CampaignLinksOut()


class CampaignCancelOut(CampaignOut):
    verdicts = VerdictsOut()


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
    """One combination. Job, cost, error and assets belong to its latest version."""

    id = serializers.IntegerField()
    index = serializers.IntegerField(help_text="Number of the combination in the full matrix, from 1.")
    values = serializers.DictField(child=serializers.CharField())
    prompt = serializers.CharField()
    compliance = ComplianceOut()
    cost = CostOut(allow_null=True, help_text="Null for blocked combinations.")
    status = serializers.ChoiceField(choices=[*Status.values, BLOCKED])
    job = serializers.IntegerField(allow_null=True)
    versions = serializers.IntegerField()
    error = ErrorOut(allow_null=True)
    review = serializers.ChoiceField(choices=Review.values, allow_blank=True)
    note = serializers.CharField()
    reviewed_at = Moment(allow_null=True)
    assets = AssetOut(many=True)
    url = serializers.CharField()
