"""Calendars of schedules: which are refused, in which words, and their times where clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from queue_app.rules import cron

MADRID = "Europe/Madrid"


def times(expression: str, zone: str, *after: int, number: int = 3) -> list[str]:
    found = cron.upcoming(expression, zone, datetime(*after, tzinfo=UTC), number)  # type: ignore[misc]
    return [f"{one:%d %b %H:%M}" for one in found]


class TestTimes:
    def test_are_those_of_the_time_zone(self) -> None:
        assert times("0 9 * * 1-5", "Asia/Tokyo", 2026, 11, 27, 12) == ["30 Nov 00:00", "01 Dec 00:00", "02 Dec 00:00"]

    def test_one_that_the_clock_skips_is_right_after_the_gap(self) -> None:
        assert times("30 2 * * *", MADRID, 2026, 3, 28, 0) == ["28 Mar 01:30", "29 Mar 01:00", "30 Mar 00:30"]

    def test_one_that_comes_twice_is_there_once(self) -> None:
        assert times("30 2 * * *", MADRID, 2026, 10, 24, 0) == ["24 Oct 00:30", "25 Oct 00:30", "26 Oct 01:30"]

    def test_within_the_hour_that_comes_twice_none_lies_in_the_past(self) -> None:
        second_pass = datetime(2026, 10, 25, 1, 15, tzinfo=UTC)  # 02:15 for the second time

        assert cron.next_of("30 2 * * *", MADRID, second_pass) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)

    def test_of_every_hour_are_an_hour_apart_on_both_days(self) -> None:
        for month, day in ((3, 28), (10, 24)):
            found = cron.upcoming("0 * * * *", MADRID, datetime(2026, month, day, tzinfo=UTC), 40)
            assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


class TestACalendar:
    @pytest.mark.parametrize("expression", ["0 9 * * *", "*/5 * * * *", "0,58 9 * * *", "0 9 L * *", "0 9 * * MON#1"])
    def test_may_be(self, expression: str) -> None:
        assert cron.problem(expression) is None

    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            ("", "five fields"),
            ("0 9 * *", "five fields"),
            ("0 0 9 * * *", "five fields"),
            ("61 * * * *", "Bad minute"),
            ("0 9 * * 8", "Bad day-of-week"),
            ("0 9 31 2 *", "Bad day-of-month"),
            ("\u0661 9 * * *", "Bad minute"),
            ("*/4 * * * *", "more often than every 5 minutes"),
            ("0,58 * * * *", "more often than every 5 minutes"),
            ("0,58 0,23 * * *", "more often than every 5 minutes"),
            ("0,3 1 1 1 *", "more often than every 5 minutes"),
            (" ".join(["1,2,3,4,5,6,7,8,9,10,11,12,13,14"] * 5), "Too long"),
        ],
    )
    def test_is_refused_in_words(self, expression: str, words: str) -> None:
        assert words in (cron.problem(expression) or "")

    @pytest.mark.parametrize(
        ("expression", "words"),
        [
            ("0 9 * * 1-5", "At 09:00 on Monday through Friday"),
            ("30 * * * *", "At minute 30 of every hour"),
            ("*/30 * * * *", "Every 30 minutes"),
            ("*/5 * * 1 *", "Every 5 minutes in January"),
            ("*/30 9-17 * * 1-5", "Every 30 minutes from 09:00 through 17:59 on Monday through Friday"),
            ("*/7 * * * *", "Every seventh minute of every hour"),  # 4 minutes pass between hours
            ("10-30/10 * * * *", "Every 10th minute from 10 through 30 of every hour"),
        ],
    )
    def test_is_said_in_words(self, expression: str, words: str) -> None:
        assert cron.words(expression) == words

    @pytest.mark.parametrize("zone", ["", "Madrid", "../etc/passwd", "Europe/Madrid\x00", "x" * 5_000])
    def test_needs_a_time_zone(self, zone: str) -> None:
        assert cron.zone_problem(zone) is not None
        assert cron.zone_problem(MADRID) is None
