"""The queue at one moment: limits and lanes."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app.insight import snapshot
from queue_app.insight.counts import Oldest
from queue_app.insight.snapshot import Lane
from queue_app.models import Job, ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings
from tests.factories import NOON, BatchFactory, make_job

pytestmark = pytest.mark.django_db
PEAK = NOON.replace(hour=7)


def lane(model: str = "sora-2") -> Lane:
    cache.clear()
    return next(one for one in snapshot.take(at=NOON).lanes if one.key == model)


class TestLimits:
    def test_the_whole_queue_has_more_room_in_peak_hours(self) -> None:
        found = snapshot.take(at=PEAK)
        assert (found.queue.maximum, found.queue.effective, found.is_peak) == (10, 15, True)

    def test_an_account_that_is_full_holds_its_models_back(self) -> None:
        for model in ("sora-2", "sora-2", "sora-2-pro", "sora-2-pro"):
            make_job("running", model_id=model)
        found = lane()
        assert (found.limit.used, found.limit.maximum, found.limit.effective, found.limit.free) == (2, 4, 4, 0)
        assert found.account is not None and (found.account.key, found.account.used) == ("openai_videos", 4)

    def test_steps_off_an_account_lower_what_its_models_may(self) -> None:
        ProviderAccount.objects.filter(pk="openai_videos").update(lowered_by=3, lowered_at=NOON)
        assert (lane().limit.maximum, lane().limit.effective) == (4, 1)

    def test_a_cool_down_shuts_every_model_bought_there(self) -> None:
        until = NOON + timedelta(minutes=2)
        ProviderAccount.objects.filter(pk="openai_videos").update(cooldown_until=until)
        found = lane().limit
        assert (found.shut, found.paused, found.free, found.cooling_until) == (True, False, 0, until)
        assert not lane("manim").limit.shut

    def test_a_model_that_nobody_offers_says_so(self) -> None:
        assert not lane("haiper-2.0").is_available

    def test_tells_the_free_slots_of_the_whole_queue(self) -> None:
        ModelRoute.objects.exclude(model__in=("sora-2", "sora-2-pro", "manim")).update(active=False)
        assert snapshot.take(at=NOON).free_slots == 8  # 4 at openai_videos, shared by two models, and 4 of manim
        cache.clear()
        make_job("running")
        assert snapshot.take(at=NOON).free_slots == 7
        cache.clear()
        QueueSettings.objects.update(paused=True)
        assert snapshot.take(at=NOON).free_slots == 0


class TestLanes:
    def test_tell_used_and_free_slots(self) -> None:
        make_job("running")
        make_job()
        found = lane()
        assert (found.model.limit.max_concurrent, found.used, found.free, found.waiting) == (4, 1, 3, 1)

    def test_tell_how_many_could_start_under_shared_limits(self) -> None:
        make_job("running", model_id="sora-2")
        found = lane("sora-2-pro")
        assert (found.free, found.can_start) == (4, 3)

    def test_have_nothing_free_while_paused(self) -> None:
        ModelConcurrencyLimit.objects.filter(model="manim").update(paused=True, paused_reason="maintenance")
        found = lane("manim")
        assert found.pause is not None
        assert (found.free, found.can_start, found.limit.paused, found.pause.reason) == (0, 0, True, "maintenance")

    def test_say_which_can_be_bought_and_which_the_studio_makes(self) -> None:
        assert (lane().is_available, lane().is_preview) == (True, True)
        assert not lane("haiper-2.0").is_available


class TestWaiting:
    def test_counts_by_priority_and_finds_the_oldest_of_each_lane(self) -> None:
        old = make_job(at=NOON - timedelta(hours=2), priority=-10)
        make_job(at=NOON - timedelta(hours=1), priority=10)
        Job.objects.filter(pk=make_job(at=NOON - timedelta(hours=9)).pk).update(held=True)
        found = snapshot.take(at=NOON)
        assert (found.waiting, found.waiting_by_priority) == (3, [(10, 1), (0, 1), (-10, 1)])
        assert found.oldest is not None
        assert (found.oldest[0].key, found.oldest[1]) == ("sora-2", Oldest(old.pk, NOON - timedelta(hours=2)))

    def test_what_was_moved_to_the_front_hides_no_older_job(self) -> None:
        old = make_job(at=NOON - timedelta(hours=2))
        moved = make_job(at=NOON - timedelta(hours=1))
        Job.objects.filter(pk=moved.pk).update(order_key=-1)
        found = lane().oldest
        assert found is not None and found.job == old.pk

    def test_says_what_those_waited_that_started_lately(self) -> None:
        job = make_job("running", at=NOON)
        Job.objects.filter(pk=job.pk).update(queued_at=NOON - timedelta(seconds=90))
        assert (lane().wait_p50, lane("manim").wait_p50) == (90.0, None)

    def test_a_paused_lane_has_no_end(self) -> None:
        make_job()
        assert lane().drained is not None and lane().drained.p50_seconds
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(paused=True)
        found = lane()
        assert found.drained is not None and found.drained.p50_seconds is None

    def test_costs_the_same_for_3_jobs_and_for_30(self) -> None:
        def queries() -> int:
            cache.clear()
            with CaptureQueriesContext(connection) as asked:
                now = snapshot.take(at=NOON)
                assert [now.queue, now.accounts, now.kinds, now.drained, now.stuck, now.oldest]
                assert [(one.limit, one.account, one.waiting, one.wait_p50, one.drained) for one in now.lanes]
            return len(asked)

        def fill(times: int) -> None:
            for _ in range(times):
                for model in ("sora-2", "sora-2-pro", "manim"):
                    make_job(model_id=model, batch=BatchFactory(), priority=times)

        fill(1)
        few = queries()
        fill(9)
        assert queries() == few
