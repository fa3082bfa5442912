"""What the environment may say of the site: a bad value stops the start, names its variable and says what it must be."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

ROOT = Path(__file__).resolve().parents[2]


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """The product's settings, read anew from an environment that says this too."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "genqueue_site" / "settings.py"))


class TestABadValue:
    @pytest.mark.parametrize(
        ("name", "value", "wanted"),
        [
            ("WORKERS", "²", "a whole number from 1 to 64"),
            ("WORKERS", "--5", "a whole number from 1 to 64"),
            ("WORKERS", "65", "a whole number from 1 to 64"),
            ("TIME_SCALE", "5", "a factor from 0.02 to 1"),
            ("STUDIO_SECONDS_PER_JOB", "soon", "a number of seconds from 0 to 3600"),
        ],
    )
    def test_is_refused_by_name(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str) -> None:
        with pytest.raises(ImproperlyConfigured) as refusal:
            settings(monkeypatch, **{name: value})

        said = str(refusal.value)
        assert said.startswith(f"{name}={value!r} ") and f"must be {wanted}. Mend it" in said
