"""The studio's settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from genqueue_site.studio import config


class TestTheEnvironment:
    def test_may_say_nothing(self) -> None:
        read = config.read({})
        assert read.home == config.CHECKOUT / "var" / "studio"
        assert (read.seconds_per_job, read.seconds_apart) == (3.0, 0.0)
        assert (read.parallel_renders, read.longer_side, read.max_running, read.codec) == (2, 1024, 0, "vp9")
        assert read.fault_seed is None and not read.scripted_faults

    def test_is_obeyed(self) -> None:
        read = config.read({"GENQUEUE_VAR": "/srv/q", "STUDIO_SECONDS_PER_JOB": "0.5", "RENDER_CODEC": "h264"}, fault_seed=7)
        assert (read.home, read.seconds_per_job, read.codec) == (Path("/srv/q/studio"), 0.5, "h264")
        assert read.scripted_faults

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("STUDIO_SECONDS_PER_JOB", "soon"),
            ("STUDIO_SECONDS_PER_JOB", "-1"),
            ("STUDIO_SECONDS_PER_JOB", "nan"),
            ("STUDIO_SECONDS_APART", "some"),
            ("STUDIO_PARALLEL_RENDERS", "0"),
            ("STUDIO_PARALLEL_RENDERS", "²"),
            ("STUDIO_LONGER_SIDE", "63"),
            ("STUDIO_MAX_RUNNING", "2.5"),
            ("STUDIO_TEST_FAULTS", "yes"),
            ("RENDER_CODEC", "av1"),
        ],
    )
    def test_with_a_bad_value_is_refused_by_name(self, name: str, value: str) -> None:
        with pytest.raises(config.BadSetting, match=f"^Invalid {name}='{value}': must be .*[.]$"):
            config.read({name: value})


class TestTheSecondsOfAJob:
    def test_lie_around_the_middle_and_are_the_same_for_the_same_seed(self) -> None:
        told = config.read({"STUDIO_SECONDS_PER_JOB": "2", "STUDIO_SECONDS_APART": "1"})
        seconds = [told.least_seconds(seed) for seed in range(1_000)]
        assert all(1 <= one <= 3 for one in seconds) and len(set(seconds)) == 1_000
        assert sum(seconds) / 1_000 == pytest.approx(2, abs=0.1)
        assert seconds == [told.least_seconds(seed) for seed in range(1_000)]

    def test_are_all_the_same_where_nothing_sets_them_apart_and_never_negative(self) -> None:
        assert {config.read({}).least_seconds(seed) for seed in range(9)} == {3.0}
        wide = config.read({"STUDIO_SECONDS_PER_JOB": "0.5", "STUDIO_SECONDS_APART": "60"})
        assert min(wide.least_seconds(seed) for seed in range(99)) == 0
