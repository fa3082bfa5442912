"""Settings of the studio, read from the environment. A bad value stops the start and is named."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal, cast

Codec = Literal["vp9", "h264"]
# public: good enough for a studio that only its own machine can reach
WEBHOOK_SECRET = "whsec_c3R1ZGlvIHByZXZpZXcsIG5vIHNlY3JldCBhdCBhbGw="  # noqa: S105
CHECKOUT = Path(__file__).resolve().parents[2]


class BadSetting(Exception):
    """A setting is invalid. The message names it, its value and the allowed values."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """
    Settings of the studio.

    ``seconds_per_job`` is the least time from a job's acceptance to its end; a job's own least time differs from it by up to
    ``seconds_apart``. ``longer_side`` is the longest side of a file in pixels. ``max_running`` 0 means no limit, ``fault_seed``
    ``None`` no random faults. With ``scripted_faults`` tests may queue faults by name. ``webhook_secret`` signs webhooks; it has
    the form that Standard Webhooks requires.
    """

    home: Path
    seconds_per_job: float = 3.0
    seconds_apart: float = 0.0
    parallel_renders: int = 2
    longer_side: int = 1024
    max_running: int = 0
    codec: Codec = "vp9"
    fault_seed: int | str | None = None
    scripted_faults: bool = False
    webhook_secret: str = WEBHOOK_SECRET

    def least_seconds(self, seed: int) -> float:
        """Return the least time of a job with this seed in seconds; it depends only on the seed and the settings."""
        return max(0.0, self.seconds_per_job + self.seconds_apart * Random(seed).uniform(-1, 1))


def read(environ: Mapping[str, str], *, fault_seed: int | str | None = None) -> Config:
    """
    Return the studio's settings from the environment.

    :raises BadSetting: a value is invalid.
    """
    codec = environ.get("RENDER_CODEC", "").strip() or "vp9"
    if codec not in ("vp9", "h264"):
        raise BadSetting(f"Invalid RENDER_CODEC={codec!r}: must be vp9 or h264.")
    var = environ.get("GENQUEUE_VAR", "").strip()
    return Config(
        home=(Path(var).expanduser() if var else CHECKOUT / "var") / "studio",
        seconds_per_job=_number(environ, "STUDIO_SECONDS_PER_JOB", default=3.0, least=0, most=3600),
        seconds_apart=_number(environ, "STUDIO_SECONDS_APART", default=0.0, least=0, most=3600),
        parallel_renders=_whole(environ, "STUDIO_PARALLEL_RENDERS", default=2, least=1, most=64),
        longer_side=_whole(environ, "STUDIO_LONGER_SIDE", default=1024, least=64, most=1024),
        max_running=_whole(environ, "STUDIO_MAX_RUNNING", default=0, least=0, most=1_000_000),
        codec=cast(Codec, codec),
        fault_seed=fault_seed,
        webhook_secret=_secret(environ, "STUDIO_WEBHOOK_SECRET"),
        scripted_faults=fault_seed is not None or _whole(environ, "STUDIO_TEST_FAULTS", default=0, least=0, most=1) == 1,
    )


def _secret(environ: Mapping[str, str], name: str) -> str:
    text = environ.get(name, "").strip() or WEBHOOK_SECRET
    try:
        key = b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise BadSetting(f"Invalid {name}: must be whsec_ and 24 to 64 bytes in base64.")
    return text


def _number(environ: Mapping[str, str], name: str, *, default: float, least: float, most: float) -> float:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:  # also false for nan
        raise BadSetting(f"Invalid {name}={text!r}: must be a number of seconds from {least:g} to {most:g}.")
    return value


def _whole(environ: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise BadSetting(f"Invalid {name}={text!r}: must be a whole number from {least} to {most}.")
    return int(text)
