"""Settings from the environment: a bad value stops the start; the message names the variable and the allowed values."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

import manage

ROOT = Path(__file__).resolve().parents[2]


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """Return the product's settings, read from an environment with these variables."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "genqueue_site" / "settings.py"))


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` with the product's own settings."""
    command = [sys.executable, "manage.py", *arguments]
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "genqueue_site.settings", **variables}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


class TestABadValue:
    @pytest.mark.parametrize(
        ("name", "value", "wanted"),
        [
            ("WORKERS", "²", "a whole number from 1 to 64"),
            ("WORKERS", "--5", "a whole number from 1 to 64"),
            ("WORKERS", "65", "a whole number from 1 to 64"),
            ("LONG_WORKERS", "0", "a whole number from 1 to 64"),
            ("LONG_WORKERS", "six", "a whole number from 1 to 64"),
            ("TIME_SCALE", "5", "a factor from 0.02 to 1"),
            ("PAGE_LANGUAGES", "en,klingon", "one or more of en, de, fr, es, it, pt, nl, sv, pl, ja, separated by commas"),
            ("PAGE_LANGUAGES", ",", "one or more of en, de, fr, es, it, pt, nl, sv, pl, ja, separated by commas"),
        ],
    )
    def test_is_refused_by_name(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str) -> None:
        with pytest.raises(ImproperlyConfigured) as refusal:
            settings(monkeypatch, **{name: value})

        said = str(refusal.value)
        assert said.startswith(f"Invalid {name}={value!r}: must be {wanted}. Fix it in")

    @pytest.mark.parametrize(
        ("name", "value", "wanted"),
        [
            ("REDIS_URL", "nonsense", "begins with one of redis://, rediss://, unix://"),
            ("REDIS_URL", "http://user:hush@host", "a URL such as redis://host:6379/0"),
            ("REDIS_URL", "redis://host:port", "a URL such as redis://host:6379/0"),
            ("EMAIL_URL", "foo://user:hush@host", "a URL such as smtp+tls://user:password@host:587"),
            ("EMAIL_URL", "nonsense", "a URL such as smtp+tls://user:password@host:587"),
            ("EMAIL_URL", "smtp://user:hush@host:port", "smtp+tls://"),
            ("DATABASE_URL", "postgresql://user:hush@host:port/name", "postgresql://user:password@host/name"),
            ("PUBLIC_URL", "http://[::1", "an origin such as https://host"),
            ("MEDIA_STORAGE", "gs://user:hush@bucket", "a URL such as s3://bucket/folder?endpoint=https://host&region=name"),
            ("MEDIA_STORAGE", "s3:///folder?key=hush", "a URL such as s3://bucket/folder?endpoint=https://host&region=name"),
            ("MEDIA_STORAGE", "s3://bucket?secret=hush", "a URL such as s3://bucket/folder?endpoint=https://host&region=name"),
            ("MEDIA_STORAGE", "s3://bucket?endpoint=https://user:hush@host", "endpoint=https://host&region=name, without keys"),
        ],
    )
    def test_of_an_address_is_refused_by_name_without_its_password(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
    ) -> None:
        with pytest.raises(ImproperlyConfigured) as refusal:
            settings(monkeypatch, **{name: value})

        said = str(refusal.value)
        assert said.startswith(f"Invalid {name}") and wanted in said and "hush" not in said

    @pytest.mark.parametrize(
        ("name", "value", "wanted"),
        [
            ("STUDIO_SECONDS_PER_JOB", "soon", "a number of seconds from 0 to 3600"),
            ("STUDIO_PARALLEL_RENDERS", "0", "a whole number from 1 to 64"),
            ("STUDIO_LONGER_SIDE", "1025", "a whole number from 64 to 1024"),
            ("STUDIO_MAX_RUNNING", "-1", "a whole number from 0 to 1000000"),
            ("STUDIO_TEST_FAULTS", "7", "a whole number from 0 to 1"),
            ("RENDER_CODEC", "av1", "vp9 or h264"),
        ],
    )
    def test_of_the_studio_is_refused_by_everybody(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str, wanted: str
    ) -> None:
        """Otherwise only the studio would fail, and the demo would restart it for ever."""
        with pytest.raises(ImproperlyConfigured, match=f"^Invalid {name}='{value}': must be {wanted}[.] Fix it in"):
            settings(monkeypatch, **{name: value})

    @pytest.mark.parametrize("place", ["/proc", "/proc/nowhere/var", f"{__file__}/var", "~nobody-of-that-name/var"])
    def test_of_the_home_is_refused_by_name(self, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
        with pytest.raises(ImproperlyConfigured, match=f"^Invalid GENQUEUE_VAR='{place}': must be a directory that"):
            settings(monkeypatch, GENQUEUE_VAR=place)

    def test_of_the_key_that_is_kept_is_refused_by_name(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "secret_key").mkdir()

        with pytest.raises(ImproperlyConfigured, match=r"^SECRET_KEY is not set and .*secret_key can't be read.* Set SECRET_KEY"):
            settings(monkeypatch, GENQUEUE_VAR=str(tmp_path), SECRET_KEY="")


class TestAGoodValue:
    def test_of_the_home_is_needed_only_where_something_is_kept_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        elsewhere = {"SECRET_KEY": "k" * 32, "DATABASE_URL": "postgresql://me:hush@host/name"}

        assert settings(monkeypatch, GENQUEUE_VAR="/proc/nowhere", **elsewhere)["VAR"] == Path("/proc/nowhere")

    @pytest.mark.parametrize("url", ["redis://host:6379/0", "rediss://user:hush@host", "unix:///run/redis.sock?db=1"])
    def test_of_the_broker_is_taken(self, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        assert settings(monkeypatch, REDIS_URL=url)["Q_CLUSTER"]["redis"] == url

    def test_of_the_mail_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        read = settings(monkeypatch, EMAIL_URL="smtp+tls://me:hush@mail.example:587")

        assert (read["EMAIL_HOST"], read["EMAIL_PORT"], read["EMAIL_USE_TLS"]) == ("mail.example", 587, True)


class TestTheCommandLine:
    @pytest.mark.parametrize("command", ["check", "runworker"])  # Django runs the first even without settings
    def test_says_what_is_bad_in_one_line(self, command: str) -> None:
        done = run(command, WORKERS="many")

        wanted = "Invalid WORKERS='many': must be a whole number from 1 to 64. Fix it in the environment or .env.\n"
        assert (done.returncode, done.stdout, done.stderr) == (1, "", wanted)

    def test_says_what_a_command_finds_not_configured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def find(arguments: list[str]) -> None:
            raise ImproperlyConfigured("settings.FIXTURE_DIRS contains duplicates.")

        monkeypatch.setattr(manage, "execute_from_command_line", find)

        with pytest.raises(SystemExit, match=r"^settings[.]FIXTURE_DIRS contains duplicates[.]$"):
            manage.main()

    def test_shows_where_if_it_is_asked_to(self) -> None:
        done = run("check", "--traceback", WORKERS="many")

        assert done.returncode == 1 and "Traceback" in done.stderr and "WORKERS='many'" in done.stderr
