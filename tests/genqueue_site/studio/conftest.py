"""Studios for the tests of the studio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import openai
import pytest
import requests

from tests.genqueue_site.studio.process import StudioProcess

StartStudio: TypeAlias = Callable[..., StudioProcess]
FULL = 1024  # pixels of a longer side, as by default


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[StartStudio]:
    """Return a function that starts studios, such as ``studio(seconds_per_job=1)``; all end with the test."""
    started: list[StudioProcess] = []

    def start(var: Path = tmp_path, **options: object) -> StudioProcess:
        started.append(StudioProcess(var, longer_side=FULL, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A fast studio, shared by the tests of a file that do not change it."""
    process = StudioProcess(tmp_path_factory.mktemp("studio"), seconds_per_job=0.1, longer_side=FULL)
    yield process
    process.stop()


def client(process: StudioProcess) -> openai.OpenAI:
    """Return OpenAI's own client, without retries, as it must not send a create call twice."""
    return openai.OpenAI(base_url=f"{process.url}/v1", api_key="none", max_retries=0, timeout=15)


def post(process: StudioProcess, prompt: str, *, timeout: float = 15, **fields: object) -> requests.Response:
    """Request the video that is fastest to render."""
    body = {"prompt": prompt, "seconds": "1", "size": "64x64", **fields}
    return requests.post(f"{process.url}/v1/videos", json=body, timeout=timeout)


def create(process: StudioProcess, prompt: str, **fields: object) -> str:
    """Create a video and return its id."""
    answer = post(process, prompt, **fields)  # type: ignore[arg-type]
    answer.raise_for_status()
    return str(answer.json()["id"])
