"""Capacity: open routes, and the limits that a queued job waits for."""

from datetime import timedelta

import pytest

from queue_app.models import ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings
from queue_app.work.capacity import Capacity, account_limit, available_models, queue_limit
from tests.factories import NOON, BatchFactory, UserFactory, make_job, make_route

pytestmark = pytest.mark.django_db


def load(at=NOON):
    return Capacity.load(at=at, policy=QueueSettings.objects.current())


def blockers(*, model="sora-2", batch=None, owner=0, at=NOON):
    capacity = load(at)
    return capacity.blockers(capacity.way(model), model=model, kind="video", batch=batch, owner=owner)


def waits_for(**which):
    return [(found.limit, found.key, found.used, found.max) for found in blockers(**which)]


class TestBlockers:
    def test_of_a_job_that_fits_are_none(self):
        assert waits_for() == []

    def test_tell_the_numbers_of_each_full_limit_the_widest_first(self):
        for _ in range(4):
            make_job("running")

        assert waits_for() == [("account", "openai_videos", 4, 4), ("model", "sora-2", 4, 4)]
        assert waits_for(model="sora-2-pro") == [("account", "openai_videos", 4, 4)]
        assert waits_for(model="manim") == []

    def test_tell_until_when_a_pause_lasts_and_why(self):
        until = NOON + timedelta(hours=1)
        ModelConcurrencyLimit.objects.filter(model="sora-2").update(paused=True, paused_until=until, paused_reason="upkeep")

        (blocker,) = blockers()
        assert (blocker.limit, blocker.max, blocker.until, blocker.reason) == ("model", 0, until, "upkeep")
        assert waits_for(at=until) == []

    def test_name_the_batch_and_the_user(self):
        batch, owner = BatchFactory(paused=True, paused_reason="too dark"), UserFactory(max_concurrent=1)
        make_job("running", owner=owner)

        assert waits_for(batch=batch.pk, owner=owner.pk) == [
            ("user", str(owner.pk), 1, 1),
            ("batch", str(batch.pk), 0, 0),
        ]

    def test_of_a_model_that_nobody_offers_say_so(self):
        ModelRoute.objects.filter(model="sora-2").delete()

        (blocker,) = blockers()
        assert (blocker.limit, blocker.key, blocker.reason) == ("model", "sora-2", "not available")

    def test_are_those_of_the_route_that_is_open(self):
        make_route(model_id="sora-2", account_id="studio", endpoint_id="sora-2", position=1)
        ProviderAccount.objects.filter(pk="openai_videos").update(paused=True)

        assert waits_for() == []


class TestLimits:
    @pytest.mark.parametrize(("hour", "limit"), [(12, 10), (7, 15), (20, 15), (23, 10)])
    def test_of_the_whole_queue_are_higher_in_peak_hours(self, hour, limit):
        assert queue_limit(QueueSettings.objects.current(), at=NOON.replace(hour=hour)) == limit

    def test_peak_hours_are_those_of_the_queue_s_time_zone(self, settings):
        settings.QUEUE_TIME_ZONE = "Asia/Kolkata"  # 12:00 UTC is 17:30 there, 02:00 UTC is 07:30

        policy = QueueSettings.objects.current()
        assert [queue_limit(policy, at=NOON.replace(hour=hour)) for hour in (12, 2)] == [10, 15]

    def test_of_an_account_without_one_are_none(self):
        assert account_limit(ProviderAccount.objects.get(pk="studio"), at=NOON) is None


class TestAvailableModels:
    def test_are_those_with_an_adapter_a_limit_and_a_place_to_buy(self):
        assert {"sora-2", "sora-2-pro", "manim"} <= set(available_models())
        assert "haiper-2.0" not in available_models()

        ModelConcurrencyLimit.objects.filter(model="manim").delete()
        assert "manim" not in available_models()

    def test_that_need_a_check_are_those_of_the_studio_until_one_has_found_them(self, settings):
        key = settings.PROVIDER_KEYS | {"OPENAI_VIDEOS_API_KEY": "key"}
        ModelRoute.objects.filter(model="sora-2").update(needs_check=True)
        assert "sora-2" in available_models()

        settings.PROVIDER_KEYS = key
        assert "sora-2" not in available_models()

        ModelRoute.objects.filter(model="sora-2").update(checked_at=NOON)
        assert "sora-2" in available_models()

    def test_need_a_key_where_the_studio_is_not_allowed(self, settings):
        settings.ALLOW_STUDIO = False
        assert available_models() == {}

        settings.PROVIDER_KEYS = settings.PROVIDER_KEYS | {"OPENAI_VIDEOS_API_KEY": "key"}
        assert set(available_models()) == {"sora-2", "sora-2-pro"}
