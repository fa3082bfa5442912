"""The seeded catalogue: what is in it, and that seeding again touches nothing."""

from decimal import Decimal

import pytest

from queue_app.models import GenerationModel, Kind, ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings
from queue_app.rules import parameters
from queue_app.work import catalogue

pytestmark = pytest.mark.django_db


def defaults(model):
    row = GenerationModel.objects.get(pk=model)
    return parameters.settle(model, row.parameters, {})[0]


class TestTheSeed:
    def test_again_adds_nothing(self):
        assert catalogue.seed() == 0

    def test_never_overwrites_what_staff_edited(self):
        QueueSettings.objects.update(max_concurrent=3)
        Kind.objects.filter(pk="video").update(timeout_seconds=77)
        GenerationModel.objects.filter(pk="sora-2").update(tickets_per_unit=9)
        ModelConcurrencyLimit.objects.filter(model="sora-2").update(max_concurrent=1)
        ModelRoute.objects.filter(model="sora-2").delete()
        ProviderAccount.objects.filter(pk="studio").update(base_url="https://example.com")

        assert catalogue.seed() == 0

        assert QueueSettings.objects.current().max_concurrent == 3
        assert Kind.objects.get(pk="video").timeout_seconds == 77
        assert GenerationModel.objects.get(pk="sora-2").tickets_per_unit == 9
        assert ModelConcurrencyLimit.objects.get(model="sora-2").max_concurrent == 1
        assert not ModelRoute.objects.filter(model="sora-2").exists()
        assert ProviderAccount.objects.get(pk="studio").base_url == "https://example.com"

    def test_repeats_lost_calls_of_texts_only_unless_staff_say_otherwise(self):
        repeating = ProviderAccount.objects.filter(may_repeat=True)
        assert list(repeating.values_list("pk", "adapter")) == [("chat", "chat")]

        repeating.update(may_repeat=False)
        catalogue.seed()
        assert not repeating.exists()

    def test_adds_back_what_is_missing_with_its_limit_and_routes(self):
        ModelRoute.objects.filter(model="manim").delete()
        GenerationModel.objects.filter(pk="manim").delete()

        assert catalogue.seed() == 3
        assert GenerationModel.objects.get(pk="manim").limit.max_concurrent == 4

    def test_is_whole(self):
        for model in GenerationModel.objects.all():
            assert model.limit.max_concurrent >= 1
            assert model.routes.exists()
            for name, rule in model.parameters.items():
                assert "values" not in rule or rule["default"] in rule["values"], f"{model}.{name}"
        tables = (Kind, ProviderAccount, GenerationModel, ModelRoute)
        for row in [row for table in tables for row in table.objects.all()]:
            row.full_clean()
        QueueSettings.objects.current().full_clean()

    def test_shares_one_limit_of_four_between_both_sora_models(self):
        assert ProviderAccount.objects.get(pk="openai_videos").max_concurrent == 4
        assert set(ModelRoute.objects.filter(account="openai_videos").values_list("model", flat=True)) == {"sora-2", "sora-2-pro"}

    @pytest.mark.parametrize(("model", "dollars"), [("sora-2", 5), ("sora-2-pro", 12)])
    def test_estimates_ten_seconds_as_the_design_says(self, model, dollars):
        assert GenerationModel.objects.get(pk=model).usd_per_unit * 10 == Decimal(dollars)

    def test_has_the_kinds_of_the_design(self):
        kinds = Kind.objects.values_list(
            "key", "default_priority", "timeout_seconds", "max_attempts", "backoff", "retry_base_seconds", "max_concurrent"
        )
        assert set(kinds) == {
            ("image", 0, 600, 4, "exponential", 5, None),
            ("video", 0, 1200, 4, "exponential", 5, None),
            ("page", 0, 300, 4, "exponential", 5, None),
            ("text", 0, 600, 4, "exponential", 5, None),
            ("doubt", 10, 600, 4, "fixed", 300, None),
            ("topic_short", 0, 600, 4, "fixed", 300, None),
            ("daily_ca", -10, 600, 4, "fixed", 300, None),
        }

    def test_makes_sora_eight_seconds_wide_unless_said(self):
        assert defaults("sora-2") == {"duration": 8, "aspect_ratio": "16:9", "loop": False}
