"""Prices, peak hours, and the nesting of time limits."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from queue_app.rules import peak, pricing
from queue_app.rules.times import Times


class TestPrices:
    def test_a_video_costs_by_its_seconds(self):
        assert pricing.tickets("second", 2, {"duration": 12}) == 24
        assert pricing.usd("second", Decimal("1.2"), {"duration": 10}) == Decimal("12.0")

    @pytest.mark.parametrize("unit", ["image", "page"])
    def test_all_else_costs_one_unit(self, unit):
        assert pricing.tickets(unit, 3, {"duration": 12}) == 3

    def test_an_estimate_in_dollars_is_exact(self):
        assert isinstance(pricing.usd("image", Decimal("0.039"), {}), Decimal)


class TestPeakHours:
    HOURS = "06:00-09:00, 20:00–23:00"

    @pytest.mark.parametrize(
        ("clock", "limit"),
        [("05:59", 10), ("06:00", 15), ("08:59", 15), ("09:00", 10), ("20:00", 15), ("22:59", 15), ("23:00", 10)],
    )
    def test_raise_the_limit_from_their_start_to_before_their_end(self, clock, limit):
        local = datetime.fromisoformat(f"2026-11-20T{clock}").replace(tzinfo=UTC)

        assert peak.effective_limit(10, local, hours=self.HOURS, factor=Decimal("1.5")) == limit

    def test_the_raised_limit_is_rounded_down(self):
        local = datetime(2026, 11, 20, 7, tzinfo=UTC)

        assert peak.effective_limit(3, local, hours=self.HOURS, factor=Decimal("1.5")) == 4

    @pytest.mark.parametrize(("hour", "is_peak"), [(21, False), (22, True), (0, True), (1, True), (2, False)])
    def test_a_span_may_pass_midnight(self, hour, is_peak):
        assert peak.is_peak(datetime(2026, 11, 20, hour, tzinfo=UTC), "22:00-02:00") is is_peak

    def test_none_at_all_are_no_peak(self):
        assert not peak.is_peak(datetime(2026, 11, 20, 7, tzinfo=UTC), "")

    @pytest.mark.parametrize("text", ["6 to 9", "06:00", "06:00-09:00-10:00", "25:00-26:00", "a-b"])
    def test_a_wrong_span_says_how_it_is_written(self, text):
        with pytest.raises(ValueError, match="Use a format like 06:00-09:00"):
            peak.spans(text)


class TestTimes:
    def test_the_product_s_own_nest(self):
        assert Times().problems() == []
        assert Times().scaled(0.02).problems() == []

    def test_say_what_does_not_nest(self):
        assert Times(lease=25).problems() == ["create_call (30s) must be shorter than lease (25s)"]
