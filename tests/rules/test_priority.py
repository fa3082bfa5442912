"""Scores of pages: each threshold, the sums, and values that are not numbers."""

from datetime import UTC, datetime, timedelta

import pytest

from queue_app.rules import priority
from queue_app.rules.priority import HIGH, LOW, NORMAL

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def points(metadata, deadline=None):
    _, _, reasons = priority.score(metadata, deadline, at=NOON)
    return int(reasons[-1].split()[0])


class TestScore:
    @pytest.mark.parametrize(("skus", "given"), [(0, 10), (100, 10), (101, 20), (1000, 20), (1001, 30)])
    def test_by_sku_count(self, skus, given):
        assert points({"sku_count": skus}) == given + 10

    @pytest.mark.parametrize(("searches", "given"), [(0, 10), (1000, 10), (1001, 20), (10_000, 20), (10_001, 30)])
    def test_by_monthly_searches(self, searches, given):
        assert points({"monthly_searches": searches}) == 10 + given

    @pytest.mark.parametrize(("content", "given"), [("missing", 20), ("OUTDATED", 10), ("good", 0), (None, 0), (7, 0)])
    def test_by_content(self, content, given):
        assert points({"content_status": content}) == 20 + given

    @pytest.mark.parametrize(("hours", "given"), [(-5, 30), (23.9, 30), (24, 20), (71.9, 20), (72, 0)])
    def test_by_deadline(self, hours, given):
        assert points({}, NOON + timedelta(hours=hours)) == 20 + given

    @pytest.mark.parametrize(
        ("metadata", "hours", "total", "level"),
        [
            ({"sku_count": 1001, "content_status": "missing"}, 100, 60, NORMAL),
            ({"sku_count": 1001, "content_status": "outdated"}, 60, 70, HIGH),
            ({"content_status": "missing"}, 100, 40, NORMAL),
            ({"content_status": "outdated"}, 100, 30, LOW),
        ],
    )
    def test_70_points_are_high_and_40_are_normal(self, metadata, hours, total, level):
        found, _, reasons = priority.score(metadata, NOON + timedelta(hours=hours), at=NOON)

        assert (found, reasons[-1]) == (level, f"{total} points: {priority.name(level).lower()}")

    def test_tells_its_reasons_with_their_points(self):
        _, _, reasons = priority.score({"sku_count": 1500, "content_status": "missing"}, NOON + timedelta(hours=3), at=NOON)

        assert reasons == [
            "1,500 SKUs: +30",
            "monthly searches not given: +10",
            "content missing: +20",
            "deadline in 3h: +30",
            "90 points: high",
        ]

    @pytest.mark.parametrize(
        ("metadata", "said"),
        [
            (
                {"sku_count": 1_234_567, "monthly_searches": 2_500_000.0},
                ["1,234,567 SKUs: +30", "2,500,000 monthly searches: +30"],
            ),
            ({"sku_count": 1, "monthly_searches": 1}, ["1 SKU: +10", "1 monthly search: +10"]),
            ({"sku_count": 0, "monthly_searches": 0}, ["0 SKUs: +10", "0 monthly searches: +10"]),
            ({"sku_count": None}, ["SKU count not given: +10", "monthly searches not given: +10"]),
        ],
    )
    def test_counts_read_as_people_write_them(self, metadata, said):
        assert priority.score(metadata, None, at=NOON).reasons[:2] == said

    @pytest.mark.parametrize("strange", [True, "1500", None, [], -5, float("nan"), {}])
    def test_what_is_no_number_counts_as_none(self, strange):
        assert points({"sku_count": strange, "monthly_searches": strange}) == 20

    @pytest.mark.parametrize("huge", [10**400, float("inf"), 1e300])
    def test_a_number_that_fits_no_float_is_many(self, huge):
        assert points({"sku_count": huge}) == 40


class TestNames:
    def test_say_the_four_levels_and_the_number_between(self):
        assert [priority.name(level) for level in (-10, 0, 10, 20, 7)] == ["Low", "Normal", "High", "Urgent", "7"]
