"""What the environment may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from queue_app.studio import config


class TestTheEnvironment:
    def test_may_say_nothing(self) -> None:
        read = config.read({})
        assert read.home == config.CHECKOUT / "var" / "studio"
        assert (read.seconds_per_job, read.parallel_renders, read.max_running, read.codec) == (3.0, 2, 0, "vp9")
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
            ("STUDIO_PARALLEL_RENDERS", "0"),
            ("STUDIO_PARALLEL_RENDERS", "²"),
            ("STUDIO_MAX_RUNNING", "2.5"),
            ("STUDIO_TEST_FAULTS", "yes"),
            ("RENDER_CODEC", "av1"),
        ],
    )
    def test_with_a_bad_value_is_refused_by_name(self, name: str, value: str) -> None:
        with pytest.raises(config.BadSetting, match=f"^{name} must be .*; it is '{value}'[.]$"):
            config.read({name: value})
