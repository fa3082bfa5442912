"""Limits as they stand, lanes, and what a limit would change."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from queue_app.insight import lanes, whatif
from queue_app.models import Job, ModelConcurrencyLimit, ProviderAccount, QueueSettings
from queue_app.rules.limits import Key
from tests.factories import NOON, BatchFactory, make_job

pytestmark = pytest.mark.django_db
PEAK = NOON.replace(hour=7)


def lane(model: str = "sora-2") -> lanes.Lane:
    cache.clear()
    return next(one for one in lanes.look(at=NOON).lanes if one.model == model)


class TestLimits:
    def test_the_whole_queue_has_more_room_in_peak_hours(self) -> None:
        found = lanes.look(at=PEAK)
        assert (found.queue.maximum, found.queue.effective, found.peak) == (10, 15, True)

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
        assert not lane("haiper-2.0").available


class TestWaiting:
    def test_counts_by_priority_and_finds_the_oldest_of_each_lane(self) -> None:
        old = make_job(at=NOON - timedelta(hours=2), priority=-10)
        make_job(at=NOON - timedelta(hours=1), priority=10)
        Job.objects.filter(pk=make_job(at=NOON - timedelta(hours=9)).pk).update(held=True)
        found = lanes.look(at=NOON)
        assert (found.waiting, found.by_priority) == (3, [(10, 1), (0, 1), (-10, 1)])
        assert found.oldest == ("sora-2", lanes.Oldest(old.pk, NOON - timedelta(hours=2)))

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
                lanes.look(at=NOON)
            return len(asked)

        def fill(times: int) -> None:
            for _ in range(times):
                for model in ("sora-2", "sora-2-pro", "manim"):
                    make_job(model_id=model, batch=BatchFactory(), priority=times)

        fill(1)
        few = queries()
        fill(9)
        assert queries() == few


class TestWhatIf:
    def test_more_room_drains_a_lane_sooner_and_says_for_whom(self) -> None:
        ModelConcurrencyLimit.objects.filter(pk="manim").update(max_concurrent=1)
        batch = BatchFactory(name="Winter")
        for _ in range(12):
            make_job(model_id="manim", batch=batch, owner=batch.owner)
        found = whatif.of_limit(("model", "manim"), 6, at=NOON)
        assert found.waiting == 12 and not found.is_same
        assert found.now is not None and found.then is not None and found.then < found.now / 3
        assert [one.name for one in found.earlier] == ["Winter"] and not found.later

    def test_an_account_that_is_full_is_named_when_nothing_is_gained(self) -> None:
        for state in ["running"] * 4 + ["queued"] * 8:
            make_job(state)
        ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=5)
        found = whatif.of_limit(("model", "sora-2"), 20, at=NOON)
        assert found.is_same and found.held_by == ["account openai_videos 4 of 4"] and not found.earlier

    def test_so_is_one_that_cools_down(self) -> None:
        make_job()
        ProviderAccount.objects.filter(pk="openai_videos").update(cooldown_until=NOON + timedelta(hours=1))
        assert whatif.of_limit(("model", "sora-2"), 20, at=NOON).held_by == ["account openai_videos (cooling down)"]

    def test_less_room_is_told_too(self) -> None:
        for _ in range(12):
            make_job(model_id="manim")
        found = whatif.of_limit(("model", "manim"), 1, at=NOON)
        assert found.now is not None and found.then is not None and found.then > 2 * found.now
        assert found.later and not found.earlier

    def test_a_pause_still_holds(self) -> None:
        make_job(model_id="manim")
        ModelConcurrencyLimit.objects.filter(pk="manim").update(paused=True)
        found = whatif.of_limit(("model", "manim"), 50, at=NOON)
        assert (found.now, found.then, found.is_same) == (None, None, True)

    @pytest.mark.parametrize(
        ("key", "waiting", "stuck"), [(("queue", ""), 8, 30), (("model", "sora-2"), 8, 0), (("model", "manim"), 0, 30)]
    )
    def test_what_is_paused_for_good_is_counted_apart_and_not_foreseen(self, key: Key, waiting: int, stuck: int) -> None:
        paused = BatchFactory(name="Paused")
        for _ in range(30):
            make_job(model_id="manim", batch=paused, owner=paused.owner)
        for _ in range(8):
            make_job()
        ModelConcurrencyLimit.objects.filter(pk="manim").update(paused=True)
        found = whatif.of_limit(key, 1, at=NOON)
        assert (found.waiting, found.stuck) == (waiting, [whatif.Stuck("manim", stuck, "paused")] if stuck else [])
        assert (found.then is None) == (not waiting)
        assert "Paused" not in [one.name for one in (*found.earlier, *found.later)]

    def test_an_empty_lane_gains_nothing(self) -> None:
        assert whatif.of_limit(("model", "manim"), 50, at=NOON).waiting == 0

    def test_an_accounts_steps_stay_off(self) -> None:
        ProviderAccount.objects.filter(pk="openai_videos").update(lowered_by=3, lowered_at=NOON)
        for _ in range(8):
            make_job()
        assert not whatif.of_limit(("account", "openai_videos"), 8, at=NOON).is_same

    def test_the_whole_queue_may_be_asked_about(self) -> None:
        QueueSettings.objects.update(max_concurrent=1)
        for _ in range(8):
            make_job(model_id="manim")
        assert not whatif.of_limit(("queue", ""), 8, at=NOON).is_same

    def test_writes_nothing(self) -> None:
        make_job(model_id="manim")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            whatif.of_limit(("model", "manim"), 9, at=NOON)
            transaction.set_rollback(True)
