"""Where the lines of a chart lie."""

import pytest

from queue_app.rules import chart

HOURS = [f"{hour:02}:00" for hour in range(25)]


class TestTop:
    @pytest.mark.parametrize(("most", "top"), [(0, 4), (3, 4), (5, 8), (84, 100), (100, 100), (101, 200), (1168, 2000), (0.3, 4)])
    def test_is_round_and_holds_every_value(self, most: float, top: float) -> None:
        assert chart.top_of([[most, None]], least=4) == top

    def test_may_lie_below_one(self) -> None:
        assert chart.top_of([[0.3]], least=0.1) == 0.4


class TestDraw:
    def test_zero_is_the_base_and_the_top_is_the_largest_grid_line(self) -> None:
        drawn = chart.draw([("completed", [0, 100, None])], HOURS[:3])
        assert [label.text for label in drawn.grid] == ["0", "25", "50", "75", "100"]
        assert (drawn.grid[0].y, drawn.grid[-1].y) == (148.0, 8.0)
        assert drawn.curves[0].lines == ["38,148 180,8"]

    def test_leaves_room_for_the_numbers_beside_its_grid(self) -> None:
        drawn = chart.draw([("completed", [0, 78_000, None])], HOURS[:3])
        assert [label.text for label in drawn.grid] == ["0", "20,000", "40,000", "60,000", "80,000"]
        assert drawn.left == 49.2 and {label.x for label in drawn.grid} == {43.2}
        assert drawn.curves[0].lines[0].startswith("49.2,148 ") and drawn.ticks[0].x == 49.2

    def test_has_four_grid_lines_and_five_labels(self) -> None:
        drawn = chart.draw([("completed", [1] * 25)], HOURS)
        assert len(drawn.grid) == 5
        assert [label.text for label in drawn.ticks] == ["00:00", "06:00", "12:00", "18:00", "24:00"]
        assert [label.anchor for label in drawn.ticks] == ["start", "middle", "middle", "middle", "end"]

    def test_the_stretch_to_the_last_value_is_open(self) -> None:
        curve = chart.draw([("completed", [4, 4, 2])], HOURS[:3]).curves[0]
        assert (curve.lines, curve.open) == (["38,8 180,8"], "180,8 322,78")

    def test_a_gap_is_a_gap_and_a_lone_value_a_dot(self) -> None:
        curve = chart.draw([("p50", [4, 4, None, 4, None, None, 2])], HOURS[:7]).curves[0]
        assert len(curve.lines) == 1 and len(curve.dots) == 2 and curve.open == ""

    def test_an_area_is_closed_along_the_base(self) -> None:
        curve = chart.draw([("p95", [4, 4, 4])], HOURS[:3], areas=["p95"]).curves[0]
        assert curve.area == ["38,148 38,8 180,8 322,8 322,148"]

    def test_nothing_at_all_draws_its_axes(self) -> None:
        drawn = chart.draw([("completed", [None] * 25)], HOURS)
        assert drawn.curves[0].lines == [] and len(drawn.grid) == 5


class TestSpark:
    def test_reaches_from_zero_to_its_own_largest_value(self) -> None:
        assert chart.spark([0, 5, 10]).lines == ["0,24 48,13.5 96,3"]

    def test_lies_on_the_base_when_all_is_zero(self) -> None:
        assert chart.spark([0, 0]).lines == ["0,24 96,24"]
