from collections.abc import Iterator
from typing import Any

import pytest

from queue_app.providers import registry
from queue_app.providers.base import AccountConfig, Provider
from queue_app.work.catalogue import codecs
from tests.genqueue_site.studio.process import StudioProcess
from tests.providers.contract import ProviderContract


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    process = StudioProcess(tmp_path_factory.mktemp("studio"), seconds_per_job=1)
    yield process
    process.stop()


class TestOpenAIVideosAtTheStudio(ProviderContract):
    endpoint_id, codec = "sora-2", codecs.SORA
    parameters = {"duration": 4, "aspect_ratio": "1:1", "seed": 7}

    @pytest.fixture
    def provider(self, studio: StudioProcess, settings: Any) -> Provider:
        settings.TRUSTED_ORIGINS = [studio.url]
        return registry.get(AccountConfig("studio", "openai_videos", studio.url, api_key=None, preview=True))
