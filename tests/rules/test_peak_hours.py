"""Peak hours follow the clocks of their time zone, also on the days when these change."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from queue_app.rules import peak

MADRID = ZoneInfo("Europe/Madrid")
SPRING = datetime(2027, 3, 27, 23, tzinfo=UTC)  # 00:00 on the day when clocks go from 02:00 to 03:00
AUTUMN = datetime(2027, 10, 30, 22, tzinfo=UTC)  # 00:00 on the day when clocks go from 03:00 back to 02:00


def spans(text: str, at: datetime) -> list[tuple[str, str]]:
    """Return the peak hours of the day that begins at ``at``, in UTC."""
    moments = [f"{moment:%d %H:%M}" for moment, _ in peak.changes(text, MADRID, at=at, days=2)]
    return list(zip(moments[::2], moments[1::2], strict=False))


class TestOnTheDayWhenClocksChange:
    @pytest.mark.parametrize(
        ("at", "first", "second"),
        [
            (SPRING, ("28 04:00", "28 07:00"), ("28 18:00", "28 21:00")),
            (AUTUMN, ("31 05:00", "31 08:00"), ("31 19:00", "31 22:00")),
        ],
    )
    def test_several_windows_begin_and_end_by_the_new_time(
        self, at: datetime, first: tuple[str, str], second: tuple[str, str]
    ) -> None:
        assert spans("06:00-09:00, 20:00-23:00", at)[:2] == [first, second]

    def test_a_window_over_the_hour_that_is_left_out_ends_when_it_would_begin(self) -> None:
        assert spans("01:30-02:30", SPRING)[0] == ("28 00:30", "28 01:00")

    def test_a_window_within_the_hour_that_is_left_out_is_left_out(self) -> None:
        assert spans("02:10-02:50", SPRING)[0] == ("29 00:10", "29 00:50")

    def test_a_window_over_the_hour_that_comes_twice_applies_twice(self) -> None:
        assert spans("01:30-02:30", AUTUMN)[:2] == [("30 23:30", "31 00:30"), ("31 01:00", "31 01:30")]
        assert spans("02:15-02:45", AUTUMN)[:2] == [("31 00:15", "31 00:45"), ("31 01:15", "31 01:45")]

    def test_a_window_past_midnight_is_an_hour_shorter_or_longer(self) -> None:
        (spring, *_), (autumn, *_) = spans("22:00-04:00", SPRING.replace(hour=12)), spans("22:00-04:00", AUTUMN.replace(hour=12))
        assert spring == ("27 21:00", "28 02:00") and autumn == ("30 20:00", "31 03:00")

    def test_the_changes_are_those_of_the_limit_minute_by_minute(self) -> None:
        text = "22:00-02:15, 02:45-03:10, 12:00-13:00"
        for at in (SPRING, AUTUMN):
            was, found = peak.is_peak(at.astimezone(MADRID), text), []
            for minute in range(1, 25 * 60):
                moment = datetime.fromtimestamp(at.timestamp() + 60 * minute, UTC)
                now = peak.is_peak(moment.astimezone(MADRID), text)
                found += [(moment, now)] if now != was else []
                was = now
            last = found[-1][0]
            assert [one for one in peak.changes(text, MADRID, at=at, days=3) if one[0] <= last] == found


class TestOfDay:
    def test_has_the_windows_and_what_is_between_them(self) -> None:
        assert peak.of_day("06:00-09:00, 22:00-02:00") == [
            (time(0), time(2), True),
            (time(2), time(6), False),
            (time(6), time(9), True),
            (time(9), time(22), False),
            (time(22), time(0), True),
        ]

    def test_without_windows_is_one_span(self) -> None:
        assert peak.of_day("") == [(time(0), time(0), False)]
