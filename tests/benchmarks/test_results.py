"""Results of runs as lines, medians and charts."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import charts, results
from genqueue_site.management.commands import bench


def told(words: str, value: float, **more: Any) -> dict[str, Any]:
    return {"words": words, "value": value, "unit": "", **more}


def result(*figures: dict[str, Any], runs: int = 5) -> dict[str, Any]:
    return {"name": "slots", "at": "2026-11-29 13:00 UTC", "runs": runs, "machine": {"cores": 2}, "figures": list(figures)}


def drawn(*figures: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(charts.draw(result(*figures)))  # noqa: S314 - our own


def bars(picture: ElementTree.Element, kind: str) -> list[float]:
    rects = [rect for rect in picture.iter("{http://www.w3.org/2000/svg}rect") if rect.get("class") == kind]
    return [float(rect.get("width", 0)) / charts.BUDGET for rect in rects if rect.get("x") == str(charts.LEFT)]


class TestALine:
    @pytest.mark.parametrize(
        ("value", "bound", "said"),
        [
            (20.0, {"most": 20, "unit": " ms"}, "met     p95: 20.00 ms   (budget <= 20 ms)"),
            (20.4, {"most": 20, "unit": " ms"}, "MISSED  p95: 20.40 ms   (budget <= 20 ms)"),
            (0.88, {"least": 0.88}, "met     p95: 0.88   (budget >= 0.88)"),
            (0.8799, {"least": 0.88}, "MISSED  p95: 0.88   (budget >= 0.88)"),
            (3.0, {}, "        p95: 3.00"),
        ],
    )
    def test_says_first_whether_its_budget_is_met(self, value: float, bound: dict[str, Any], said: str) -> None:
        assert results.line("p95", value, **bound) == said


class TestMedians:
    def test_are_of_each_figure_over_all_runs(self) -> None:
        runs = [[told("a", value, most=2), told("b", 1)] for value in (3, 1, 2)]
        assert results.medians(runs) == [
            told("a", 2, most=2, values=[3, 1, 2]),
            told("b", 1, values=[1, 1, 1]),
        ]


class TestTheReadme:
    @pytest.mark.parametrize("name", bench.NAMES + bench.LONG)
    def test_has_a_place_for_the_table_of_each_benchmark(self, name: str) -> None:
        assert results.README.read_text().count(f"<!-- {name} -->") == 2


class TestTheMachine:
    def test_has_neither_a_name_nor_a_path(self) -> None:
        facts = results.machine()
        assert facts["cores"] and facts["python"]
        assert not [fact for fact in facts.values() if "/" in str(fact)]


class TestAPicture:
    def test_lays_what_it_was_beside_what_it_is_as_parts_of_the_budget(self) -> None:
        picture = drawn(told("p95", 10, most=20, before=40), told("use", 0.44, least=0.88, before=None))
        assert bars(picture, "was") == [charts.LARGEST]  # cut off
        assert bars(picture, "met") == [0.5] and bars(picture, "missed") == [0.5]

    def test_leaves_out_what_has_no_budget(self) -> None:
        assert len(bars(drawn(told("p95", 10, most=20), told("p50", 5)), "met")) == 1
        assert charts.draw(result(told("p50", 5))) == ""

    def test_says_everything_in_words_too(self) -> None:
        described = drawn(told("a < b & c", 10, most=20)).find("{http://www.w3.org/2000/svg}desc")
        assert described is not None and described.text == "a < b & c: 10, budget: at most 20"


def test_what_it_was_is_of_figures_that_there_are() -> None:
    before = json.loads((results.RESULTS / "before.json").read_text())
    for name, figures in before.items():
        kept = json.loads((results.RESULTS / f"{name}.json").read_text())["figures"]
        assert figures.keys() <= {figure["words"] for figure in kept}
