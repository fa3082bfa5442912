"""What past forecasts teach new ones."""

from random import Random

import pytest

from queue_app.forecast.calibration import ENOUGH, NEAREST, Calibration, Corrected, Past


def past(ratio: float, *, said: float = 600.0, count: int = ENOUGH, happened: bool = True, **more: object) -> list[Past]:
    """What took ``ratio`` times as long as the simulation had said, and was shown as late as often as it should be."""
    known: dict[str, object] = {"what": "start", "model": "sora-2", "priority": 0, "measured": True} | more
    took = said * ratio
    return [
        Past(  # type: ignore[arg-type]
            **known,
            p50=said,
            p90=said,
            shown_p50=took * (1.1 if number % 2 else 0.9),
            shown_p90=took * (1.1 if number % 10 else 0.9),
            seconds=took,
            happened=happened,
        )
        for number in range(1, count + 1)
    ]


def corrected(calibration: Calibration, **more: object) -> Corrected:
    known = {"what": "start", "model": "sora-2", "priority": 0} | more
    return calibration.correct(600.0, 900.0, **known)  # type: ignore[arg-type]


def test_few_of_them_change_nothing() -> None:
    assert corrected(Calibration(past(2.0, count=ENOUGH - 1))) == (600.0, 900.0, 0)


def test_what_took_twice_as_long_as_said_is_said_to_take_twice_as_long() -> None:
    found = corrected(Calibration(past(2.0)))

    assert found.p50 == pytest.approx(1_200, rel=0.05) and found.samples == ENOUGH


def test_a_forecast_comes_true_as_often_as_it_says() -> None:
    chance = Random(3)
    times = [600 * chance.lognormvariate(0.4, 0.6) for _ in range(4_000)]
    known = Calibration(Past("start", "sora-2", 0, True, 600, 600, 895, 1_931, seconds, True) for seconds in times[:2_000])

    p50, p90, _ = known.correct(600, 600, what="start", model="sora-2")

    assert sum(seconds <= p50 for seconds in times[2_000:]) / 2_000 == pytest.approx(0.5, abs=0.1)
    assert sum(seconds <= p90 for seconds in times[2_000:]) / 2_000 == pytest.approx(0.9, abs=0.05)


def test_what_still_waits_counts_with_the_time_that_it_has_waited() -> None:
    quick, waiting = past(1.0, count=60), past(3.0, count=60, happened=False)

    assert corrected(Calibration(quick)).p50 == pytest.approx(600, rel=0.05)
    assert corrected(Calibration([*quick, *waiting])).p90 > 1_200


@pytest.mark.parametrize(
    "other", [{"what": "end"}, {"measured": False}, {"said": 60_000.0}, {"priority": -10}, {"model": "veo-3.1"}]
)
def test_those_about_something_else_give_way_to_those_about_the_same(other: dict[str, object]) -> None:
    known = Calibration([*past(2.0, count=NEAREST), *past(9.0, count=NEAREST, **other)])  # type: ignore[arg-type]

    assert corrected(known).p50 == pytest.approx(1_200, rel=0.05)


def test_a_wider_group_stands_in_for_one_with_few() -> None:
    assert corrected(Calibration(past(2.0, model="veo-3.1"))).p50 == pytest.approx(1_200, rel=0.05)


def test_the_median_never_passes_the_90th_percentile() -> None:
    known = Calibration(Past("start", "a", 0, True, 10, 5_000, 10, 5_000, 400, True) for _ in range(ENOUGH))

    found = known.correct(10, 5_000, what="start", model="a")

    assert found.p50 <= found.p90


def test_what_is_missed_too_often_is_lifted_before_it_has_happened() -> None:
    steady = Calibration(past(1.0, count=100))
    late = [one._replace(seconds=2 * one.shown_p90, happened=False) for one in past(1.0, count=60)]

    assert corrected(Calibration([*late, *past(1.0, count=100)])).p90 > 1.5 * corrected(steady).p90
