from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from queue_app.providers import calls
from queue_app.providers.base import Provider
from tests.genqueue_site.studio.process import StudioProcess
from tests.providers.vendors import Vendor
from tests.providers.wire import WireServer

HANG = 2.0  # time limit of a call while the studio hangs, in seconds


@pytest.fixture
def server(settings: Settings) -> Iterator[WireServer]:
    """A scripted server with a trusted origin."""
    with WireServer() as server:
        settings.TRUSTED_ORIGINS = [server.url]
        yield server


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    process = StudioProcess(tmp_path_factory.mktemp("studio"), seconds_per_job=0.2)
    yield process
    process.stop()


@pytest.fixture
def trusted(studio: StudioProcess, settings: Settings) -> None:
    settings.TRUSTED_ORIGINS = [studio.url]


@pytest.fixture
def provider(vendor: Vendor, studio: StudioProcess) -> Provider:
    """The adapter of a preview: without a key."""
    return vendor.at(studio.url, api_key=None, preview=True)


@pytest.fixture
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time limits of calls while the studio hangs."""
    callspec = getattr(request.node, "callspec", None)
    if callspec and "hang" in callspec.params.get("fault", ""):
        for name in ("CREATE_SECONDS", "LONG_CREATE_SECONDS", "CHECK_SECONDS", "FILE_SECONDS"):
            monkeypatch.setattr(calls, name, HANG)
