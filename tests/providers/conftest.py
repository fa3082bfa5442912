from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from queue_app.http import pool
from queue_app.providers.base import Provider
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import wait_for
from tests.providers.vendors import Vendor
from tests.providers.wire import WireServer


def let_time_run_out(monkeypatch: pytest.MonkeyPatch, *, when: Callable[[], bool]) -> None:
    """
    Let the time limit of a call pass as soon as ``when`` is true after it was sent, without waiting for it; of one call only.

    The call ends as it does at its limit, which must lie ahead.
    """
    send = pool._Connection.request

    def request(connection: pool._Connection, *args: Any, **kwargs: Any) -> None:
        send(connection, *args, **kwargs)
        exchange, sock = pool._local.exchange, connection.sock
        assert exchange.time_left() > 1

        def cut() -> None:
            wait_for(when, of="the moment when the time is over")
            monkeypatch.setattr(pool._Connection, "request", send)
            exchange._cut(sock)

        Thread(target=cut, daemon=True).start()

    monkeypatch.setattr(pool._Connection, "request", request)


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
def quick_hangs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, studio: StudioProcess) -> None:
    """Let the time of a call be over as soon as the studio hangs in it, as it was told to."""
    queue_faults, callspec = studio.queue_faults, getattr(request.node, "callspec", None)

    def queued(**names: list[str]) -> None:
        queue_faults(**names)
        let_time_run_out(monkeypatch, when=studio.has_met_all_faults)

    if callspec and "hang" in callspec.params.get("fault", ""):
        monkeypatch.setattr(studio, "queue_faults", queued)
