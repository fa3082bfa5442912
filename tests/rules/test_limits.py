"""Limits and free slots, without a database."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from queue_app.rules import limits
from queue_app.rules.limits import QUEUE, Closed, Room

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MODEL, KIND = ("model", "sora-2"), ("kind", "video")


class TestRoom:
    def test_what_has_no_limit_is_open(self):
        assert Room().is_open(QUEUE, MODEL)
        assert Room(caps={MODEL: None}, used=Counter({MODEL: 99})).is_open(MODEL)

    def test_a_full_limit_says_how_full(self):
        room = Room(caps={MODEL: 4}, used=Counter({MODEL: 4}))

        (blocker,) = room.blockers([MODEL])

        assert (blocker.limit, blocker.key, blocker.used, blocker.max, blocker.until) == ("model", "sora-2", 4, 4, None)

    def test_a_pause_closes_what_has_room_and_says_until_when(self):
        room = Room(caps={MODEL: 4}, closed={MODEL: Closed(NOON, "upkeep")})

        (blocker,) = room.blockers([MODEL])

        assert (blocker.max, blocker.until, blocker.reason) == (0, NOON, "upkeep")
        assert room.free(MODEL, default=9) == 0

    def test_a_limit_that_is_paused_cooling_down_and_full_says_all_three(self):
        paused = Closed(None, "upkeep", is_pause=True, also=Closed(NOON, "cooling down"))
        room = Room(caps={MODEL: 4}, used=Counter({MODEL: 4}), closed={MODEL: paused})

        assert [(found.max, found.reason) for found in room.blockers([MODEL])] == [(0, "upkeep"), (0, "cooling down"), (4, "")]

    def test_only_what_blocks_is_listed_the_widest_first(self):
        room = Room(caps={QUEUE: 1, KIND: 5, MODEL: 1}, used=Counter({QUEUE: 1, KIND: 1, MODEL: 1}))

        assert [(found.limit, found.used, found.max) for found in room.blockers([QUEUE, KIND, MODEL])] == [
            ("queue", 1, 1),
            ("model", 1, 1),
        ]

    def test_a_lowered_limit_leaves_nothing_free_and_no_less(self):
        room = Room(caps={MODEL: 2}, used=Counter({MODEL: 4}))

        assert room.free(MODEL, default=9) == 0
        assert not room.is_open(MODEL)

    def test_taking_a_place_tells_the_numbers_of_what_has_a_limit(self):
        room = Room(caps={QUEUE: 10, MODEL: 4, KIND: None}, used=Counter({QUEUE: 3}))

        assert room.take([QUEUE, KIND, MODEL]) == {"queue": (4, 10), "model": (1, 4)}
        assert room.take([QUEUE, KIND, MODEL]) == {"queue": (5, 10), "model": (2, 4)}
        assert room.used[KIND] == 2


class TestKeysOf:
    def test_name_every_limit_a_job_passes(self):
        keys = limits.keys_of(model="sora-2", account="openai_videos", kind="video", batch=12, owner=7)

        assert set(keys) == {QUEUE, KIND, ("account", "openai_videos"), MODEL, ("user", "7"), ("batch", "12")}

    def test_a_job_without_a_batch_passes_none(self):
        keys = limits.keys_of(model="sora-2", account="openai_videos", kind="video", batch=None, owner=7)

        assert "batch" not in dict(keys)

    def test_a_long_call_needs_a_worker_for_them(self):
        passes = {
            synchronous: limits.keys_of(model="a", account="b", kind="text", batch=None, owner=7, synchronous=synchronous)
            for synchronous in (True, False)
        }

        assert set(passes[True]) - set(passes[False]) == {limits.LONG}


class TestCount:
    def test_a_row_counts_under_each_of_its_limits(self):
        used = limits.count(
            [("sora-2", "video", "openai_videos", 12, 7, 2), ("sora-2-pro", "video", "openai_videos", None, 7, 1)]
        )

        assert used[QUEUE] == used["account", "openai_videos"] == used[KIND] == used["user", "7"] == 3
        assert (used[MODEL], used["batch", "12"]) == (2, 2)


class TestLoweredLimits:
    @pytest.mark.parametrize(("minutes", "limit"), [(0, 2), (4.9, 2), (5, 3), (10, 4), (600, 4)])
    def test_one_step_comes_back_in_five_minutes_at_most(self, minutes, limit):
        assert limits.lowered(4, by=2, since=NOON, at=NOON + timedelta(minutes=minutes)) == limit

    @pytest.mark.parametrize("by", [1, 2, 3, 11, 49])
    def test_all_steps_are_back_within_ten_minutes(self, by):
        moments = limits.steps_back(by=by, since=NOON)
        assert len(moments) == by and moments[0] > NOON and moments == sorted(set(moments))
        assert moments[-1] - NOON <= timedelta(minutes=10)
        assert limits.lowered(50, by=by, since=NOON, at=moments[-1]) == 50

    @pytest.mark.parametrize(("limit", "left"), [(12, [6, 3, 1, 1]), (5, [2, 1, 1]), (1, [1])])
    def test_each_cool_down_halves_what_is_left(self, limit, left):
        off, found = 0, []
        for _ in left:
            off = limits.halved(limit, off=off)
            found.append(limit - off)
        assert found == left

    def test_a_limit_that_was_cut_meanwhile_keeps_one(self):
        assert limits.halved(3, off=6) == 2

    def test_never_below_one(self):
        assert limits.lowered(4, by=9, since=NOON, at=NOON) == 1

    def test_never_lowered_means_the_limit_itself(self):
        assert limits.lowered(4, by=0, since=None, at=NOON) == 4


class TestPauses:
    @pytest.mark.parametrize(
        ("paused", "until", "closed"),
        [
            (False, None, False),
            (False, NOON + timedelta(hours=1), False),
            (True, None, True),
            (True, NOON + timedelta(seconds=1), True),
            (True, NOON, False),
        ],
    )
    def test_open_by_themselves_at_their_end(self, paused, until, closed):
        assert limits.is_closed(paused, until, at=NOON) is closed
