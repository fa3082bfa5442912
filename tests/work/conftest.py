"""A studio and scripted providers, and videos and pictures to check."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from queue_app.models import ProviderAccount
from queue_app.providers.base import RemoteRef, SubmitRequest
from queue_app.providers.openai_videos import OpenAIVideos
from tests import films
from tests.genqueue_site.studio.process import StudioProcess
from tests.providers.wire import WireServer
from tests.work.steps import later


@pytest.fixture(autouse=True)
def one_step_at_a_time(request: pytest.FixtureRequest) -> None:
    """Freeze the clock between calls of `steps.later`, except in tests that depend on milliseconds."""
    if request.node.get_closest_marker("processes") is None:
        request.getfixturevalue("time_stands_still")


@pytest.fixture(scope="package")
def studio_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    process = StudioProcess(tmp_path_factory.mktemp("studio"), seconds_per_job=0.1)
    yield process
    process.stop()


@pytest.fixture
def studio(studio_process: StudioProcess, settings) -> StudioProcess:
    """The studio that all accounts without a key use."""
    settings.STUDIO_URL = studio_process.url
    settings.TRUSTED_ORIGINS = [studio_process.url]
    return studio_process


@pytest.fixture(scope="package")
def shared_video(studio_process: StudioProcess) -> str:
    """The id of a generated video that no test changes."""
    return generated_by(studio_process)


@pytest.fixture
def finished_video(studio: StudioProcess, shared_video: str) -> Callable[..., str]:
    """
    Return the id of a generated video: the shared one, or a new one with ``fault``, the name of a fault for the create call.
    """

    def make(fault: str = "") -> str:
        if not fault:
            return shared_video
        studio.queue_faults(create=[fault])
        return generated_by(studio)

    return make


def generated_by(studio: StudioProcess) -> str:
    """Have the studio generate a video and return its id."""
    # no job of ours: a look for a lost one must not take it for that
    body = {"prompt": "A heron in the reeds.", "seconds": "1", "size": "320x180", "model": "sora-2"}
    number = requests.post(f"{studio.url}/v1/videos", json=body, timeout=15).json()["id"]
    ends = time.monotonic() + 30
    while requests.get(f"{studio.url}/v1/videos/{number}", timeout=15).json()["status"] != "completed":
        assert time.monotonic() < ends
        time.sleep(0.05)
    return str(number)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that makes a video file: ``film("mp4", seconds=2, size=(64, 36))``. Equal files are made once."""
    folder = tmp_path_factory.mktemp("films")
    made: dict[Any, Path] = {}

    def make(container: str = "mp4", **wanted: Any) -> Path:
        path = folder / f"{len(made)}.{container}"
        key = (container, *sorted(wanted.items()))
        return made[key] if key in made else made.setdefault(key, films.make(path, **wanted))

    return make


@pytest.fixture
def vendor(settings) -> Iterator[WireServer]:
    """A scripted provider that all accounts without a key use."""
    with WireServer() as server:
        settings.STUDIO_URL = server.url
        settings.TRUSTED_ORIGINS = [server.url]
        yield server


@pytest.fixture
def keyed_vendor(vendor: WireServer, settings) -> Iterator[WireServer]:
    """A second scripted provider, which the account uses once ``PROVIDER_KEYS`` is ``KEYS``."""
    with WireServer() as server:
        ProviderAccount.objects.filter(key="openai_videos").update(base_url=server.url)
        settings.TRUSTED_ORIGINS = [vendor.url, server.url]
        yield server


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let the next create call outlast its lease, and do something before it is answered."""
    sent = OpenAIVideos.submit

    def happens(what: Callable[[], object]) -> None:
        def slow(adapter: OpenAIVideos, request: SubmitRequest) -> RemoteRef:
            monkeypatch.setattr(OpenAIVideos, "submit", sent)
            try:
                return sent(adapter, request)
            finally:
                later(46)
                what()

        monkeypatch.setattr(OpenAIVideos, "submit", slow)

    return happens
