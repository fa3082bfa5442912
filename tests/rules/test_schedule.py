"""The schedule of checks: its bounds for any input, and its wasted slot time compared with a fixed interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import slots
from queue_app.rules import schedule
from tests.conftest import Figures

seconds = st.floats(min_value=0.01, max_value=20_000)
pasts = st.lists(seconds, max_size=200).map(sorted)


class _NoJitter(Random):
    def uniform(self, a: float, b: float) -> float:
        return 1.0


def plan(
    elapsed: float, past: Sequence[float] = (), *, typical: float = 60, chance: Random | None = None, **known: float
) -> float:
    return schedule.next_check(elapsed, past, typical=typical, chance=chance or _NoJitter(), **known)


class TestNextCheck:
    @given(
        elapsed=st.floats(min_value=0, max_value=40_000),
        past=pasts,
        typical=seconds,
        progress=st.none() | st.floats(min_value=0, max_value=1),
        hint=st.none() | st.floats(min_value=0, max_value=1e6),
        seed=st.integers(),
    )
    def test_is_never_under_half_a_second_and_never_over_30(
        self, elapsed: float, past: list[float], typical: float, progress: float | None, hint: float | None, seed: int
    ) -> None:
        wait = schedule.next_check(elapsed, past, typical=typical, progress=progress, hint=hint, chance=Random(seed))
        assert schedule.LEAST <= wait <= schedule.MOST

    @given(elapsed=st.floats(min_value=0, max_value=1_000), past=pasts, seed=st.integers())
    def test_strays_by_a_fifth_at_most(self, elapsed: float, past: list[float], seed: int) -> None:
        told = plan(elapsed, past)
        wait = schedule.next_check(elapsed, past, typical=60, chance=Random(seed))
        if schedule.LEAST * 1.25 < told < schedule.MOST / 1.25:
            assert 0.8 * told <= wait <= 1.2 * told

    def test_is_sparse_while_the_end_is_improbable_and_dense_where_it_is_likely(self) -> None:
        past = [99.0 + spread / 100 for spread in range(200)]
        assert plan(0, past) == schedule.MOST
        assert plan(75, past) == pytest.approx(24.6, abs=0.5)
        assert plan(99.5, past) == pytest.approx(schedule.DENSEST * 100)
        assert plan(9.95, [spread / 10 for spread in past]) == schedule.LEAST

    def test_takes_the_typical_duration_while_there_is_no_past(self) -> None:
        assert plan(0, typical=20) == plan(0, [12, 16, 20, 25, 32])
        assert plan(0, [500.0], typical=20) == plan(0, typical=20)

    def test_takes_few_durations_as_samples_of_what_lies_between_them(self) -> None:
        few = [20.0, 30.0, 40.0, 50.0, 60.0]
        many = [20 + spread / 5 for spread in range(201)]
        for elapsed in (22, 31, 45, 58):
            assert plan(elapsed, few) == pytest.approx(plan(elapsed, many), abs=0.5)

    def test_grows_again_when_a_task_runs_longer_than_any_before(self) -> None:
        past = [10.0] * 20
        assert plan(12, past) == schedule.LEAST
        assert plan(60, past) == pytest.approx(12.5)
        assert plan(600, past) == schedule.MOST

    def test_follows_what_the_provider_says_of_its_progress(self) -> None:
        past = [500.0] * 20
        assert plan(20, past, progress=0.5) == pytest.approx(16)
        assert plan(20, past, progress=0.9) < plan(20, past, progress=0.5)

    @pytest.mark.parametrize("progress", [0.0, 0.01, 1.0])
    def test_does_not_build_on_progress_that_says_nothing(self, progress: float) -> None:
        past = [20.0 + spread for spread in range(10)]
        assert plan(10, past, progress=progress) == plan(10, past)

    def test_waits_at_least_as_long_as_the_provider_asks_but_never_over_30_s(self) -> None:
        past = [10.0] * 20
        assert plan(9.9, past, hint=12) == 12
        assert plan(9.9, past, hint=300) == schedule.MOST

    @given(hint=st.floats(min_value=0, max_value=30), seed=st.integers())
    def test_does_not_come_sooner_than_the_provider_asks_by_chance_either(self, hint: float, seed: int) -> None:
        assert plan(9.9, [10.0] * 20, hint=hint, chance=Random(seed)) >= hint


class TestBesideWebhooks:
    """A webhook usually comes first; the checks find what it missed."""

    def plan(self, elapsed: float, past: list[float], **told: float) -> float:
        return schedule.next_check(elapsed, past, typical=60, chance=_NoJitter(), pace=schedule.BESIDE_WEBHOOKS, **told)

    def test_checks_are_rarer(self) -> None:
        past = [60.0 + spread / 2 for spread in range(80)]
        for elapsed in (0, 30, 70, 99.5, 130):
            assert self.plan(elapsed, past) > plan(elapsed, past)
        assert self.plan(20, past, progress=0.5) > plan(20, past, progress=0.5)

    @given(elapsed=st.floats(min_value=0, max_value=10_000), past=pasts, seed=st.integers())
    def test_but_come_within_a_minute(self, elapsed: float, past: list[float], seed: int) -> None:
        pace = schedule.BESIDE_WEBHOOKS
        wait = schedule.next_check(elapsed, past, typical=60, chance=Random(seed), pace=pace)
        assert schedule.LEAST <= wait <= pace.most == 60

    def test_a_whole_run_takes_few_of_them(self) -> None:
        past = [60.0 + spread / 2 for spread in range(80)]
        elapsed, checks = 0.0, 0
        while elapsed < 100:
            elapsed += self.plan(elapsed, past)
            checks += 1
        assert checks <= 3


@dataclass(frozen=True)
class Run:
    """Cost of a schedule for one profile: wasted and used slot seconds, and checks per job."""

    wasted: float
    used: float
    checks: list[int]


Plan = Callable[[float, Sequence[float], float, Random], float]
PROFILES = [(middle, sigma) for middle in (8, 20, 45, 90, 180) for sigma in (0.1, 0.2, 0.35)]


def ours(elapsed: float, past: Sequence[float], typical: float, chance: Random) -> float:
    return schedule.next_check(elapsed, past, typical=typical, chance=chance)


def fixed(elapsed: float, past: Sequence[float], typical: float, chance: Random) -> float:
    return 30.0


def rehearse(plan: Plan, middle: float, sigma: float, *, jobs: int = 400, warm_up: int = 100) -> Run:
    """Run jobs with lognormal durations one after another; the past runs are those that the queue itself would record."""
    chance = Random(f"{middle} {sigma}")
    past: list[float] = []
    run = Run(0.0, 0.0, [])
    for number in range(warm_up + jobs):
        duration = middle * chance.lognormvariate(0, sigma)
        known = sorted(past[-200:])
        elapsed = last = 0.0
        checks = 0
        while elapsed < duration:
            last, checks = elapsed, checks + 1
            elapsed += plan(elapsed, known, middle, chance)
        past.append((last + elapsed) / 2)  # the same estimate as in `progress.apply`
        if number >= warm_up:
            run = Run(run.wasted + elapsed - duration, run.used + elapsed, [*run.checks, checks])
    return run


class TestThePlan:
    def test_keeps_slots_in_use(self, figures: Figures) -> None:
        """As replayed by `make bench ARGS="slots"`: 60 jobs of 20–60 s, four at a time, without past runs at first."""
        durations = slots.drawn(60, 20, 60)
        ours, every_30_s = (slots.replayed(durations, plan, handoff=0.05, late=0.05) for plan in (slots.planned, slots.fixed))
        figures(f"slot use, 60 jobs of 20–60 s: {ours.use:.3f} in {ours.checks:.0f} checks; every 30 s {every_30_s.use:.3f}")
        assert ours.use >= 0.965 and ours.checks <= 12
        assert every_30_s.use < 0.8

    def test_wastes_little_of_a_slot_in_few_checks(self, figures: Figures) -> None:
        lines = ["", "profile (median s, σ)   ours: waste, checks per job   every 30 s: waste, checks"]
        runs = {}
        for profile in PROFILES:
            runs[profile], other = rehearse(ours, *profile), rehearse(fixed, *profile)
            lines.append("  ".join([f"{profile[0]:>12} {profile[1]:<11}", _figures(runs[profile]), _figures(other)]))
        everything = Run(
            sum(run.wasted for run in runs.values()),
            sum(run.used for run in runs.values()),
            [checks for run in runs.values() for checks in run.checks],
        )
        lines.append(f"{'all of them':<24}  {_figures(everything)}")
        figures("\n".join(lines))
        assert everything.wasted / everything.used < 0.026
        assert median(everything.checks) <= 8
        for (middle, sigma), run in runs.items():
            assert run.wasted / run.used < max(0.031, 0.35 / middle)  # checks half a second apart waste 0.25 s, plus chance
            assert median(run.checks) <= 12, (middle, sigma)


def _figures(run: Run) -> str:
    return f"{run.wasted / run.used:>15.1%} {median(run.checks):>6.0f}     "
