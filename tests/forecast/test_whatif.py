"""What another limit would change."""

from datetime import timedelta

import pytest
from django.db import connection, transaction

from queue_app.forecast import whatif
from queue_app.models import ModelConcurrencyLimit, ProviderAccount, QueueSettings
from queue_app.rules.limits import Key
from tests.factories import NOON, BatchFactory, make_job

pytestmark = pytest.mark.django_db


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
