from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.providers.wire import WireServer


@pytest.fixture
def server(settings: Settings) -> Iterator[WireServer]:
    """A scripted server with a trusted origin."""
    with WireServer() as server:
        settings.TRUSTED_ORIGINS = [server.url]
        yield server
