"""Prices, peak hours, and the nesting of time limits."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from queue_app.rules import peak, pricing
from queue_app.rules.pricing import Price
from queue_app.rules.times import Times

VEO = {
    "rates": [
        {"when": {"resolution": "4k", "audio": True}, "usd": "0.60", "tickets": 2},
        {"when": {"resolution": ["4k", "2k"]}, "usd": "0.40"},
        {"when": {"audio": False}, "usd": "0.20"},
        {"when": {"duration": 8}, "tickets": 3},
    ]
}


def price(unit="second", tickets=1, usd="0.40", rule=VEO):
    return Price(unit, tickets, Decimal(usd), rule)


class TestPrices:
    def test_a_video_costs_by_its_seconds(self):
        assert price(tickets=2, rule={}).tickets_of({"duration": 12}) == 24
        assert price(usd="1.2", rule={}).usd_of({"duration": 10}) == Decimal("12.0")

    @pytest.mark.parametrize("unit", ["image", "page"])
    def test_all_else_costs_one_unit(self, unit):
        assert price(unit, tickets=3, rule={}).tickets_of({"duration": 12}) == 3

    def test_several_images_cost_each(self):
        assert price("image", rule={}).tickets_of({"count": 4}) == 4
        assert price("image", usd="0.039", rule={}).usd_of({"count": 4}) == Decimal("0.156")

    def test_an_estimate_in_dollars_is_exact(self):
        assert isinstance(price("image", usd="0.039").usd_of({}), Decimal)

    @pytest.mark.parametrize(
        ("asked", "usd", "tickets"),
        [
            ({"resolution": "4k", "audio": True}, "2.40", 8),
            ({"resolution": "4k", "audio": False}, "1.60", 4),
            ({"resolution": "2k", "audio": False}, "1.60", 4),
            ({"resolution": "720p", "audio": False}, "0.80", 4),
            ({"resolution": "720p", "audio": True}, "1.60", 4),
            ({"audio": 0}, "1.60", 4),  # no switch was turned off
        ],
    )
    def test_follow_the_first_rate_that_fits(self, asked, usd, tickets):
        assert price().usd_of({"duration": 4, **asked}) == Decimal(usd)
        assert price().tickets_of({"duration": 4, **asked}) == tickets

    def test_of_a_rate_that_says_half_are_the_model_s_own_for_the_rest(self):
        assert (price().usd_of({"duration": 8}), price().tickets_of({"duration": 8})) == (Decimal("3.20"), 24)

    def test_say_when_they_rest_on_no_published_price(self):
        assert price(rule={"estimated": True}).is_estimated and not price().is_estimated


class TestPriceRules:
    def test_that_are_sound_have_no_problem(self):
        assert pricing.problems(VEO) == pricing.problems({}) == []

    @pytest.mark.parametrize(
        ("rule", "words"),
        [
            ([], "A price rule is an object."),
            ({"rate": []}, "Unknown member “rate”. Available: rates, estimated."),
            ({"rates": {}}, "“rates” must be a list."),
            ({"estimated": 1}, "“estimated” must be true or false."),
            ({"rates": [{"when": {}}]}, "Rate 1: must be an object of “when”, and “usd” or “tickets” or both."),
            ({"rates": [{"usd": "1"}]}, "Rate 1: “when” must be an object of parameters and their values."),
            ({"rates": [{"when": {}, "usd": 0.4}]}, "Rate 1: “usd” must be an amount as text, such as"),
            ({"rates": [{"when": {}, "usd": "nan"}]}, "Rate 1: “usd” must be an amount as text, such as"),
            ({"rates": [{"when": {}, "usd": "-1"}]}, "Rate 1: “usd” must be an amount as text, such as"),
            ({"rates": [{"when": {}, "tickets": 0}]}, "Rate 1: “tickets” must be a whole number from 1 to 1,000,000."),
            ({"rates": [{"when": {}, "tickets": True}]}, "Rate 1: “tickets” must be a whole number"),
        ],
    )
    def test_say_what_is_wrong_with_them(self, rule, words):
        (problem,) = pricing.problems(rule)
        assert problem.startswith(words)


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
