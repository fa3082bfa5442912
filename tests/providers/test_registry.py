import pytest

from queue_app.providers import registry
from queue_app.providers.base import AccountConfig
from queue_app.providers.openai_videos import OpenAIVideos


class TestGet:
    def test_gives_the_adapter_that_the_account_names(self) -> None:
        assert isinstance(registry.get(AccountConfig("sora", "openai_videos", "https://e.com/v1", api_key=None)), OpenAIVideos)
        assert registry.is_available("openai_videos")

    def test_says_which_adapters_there_are_when_there_is_none(self) -> None:
        assert not registry.is_available("teleport")
        with pytest.raises(registry.AdapterMissing, match=r"Unknown adapter 'teleport'.*Available: .*openai_videos"):
            registry.get(AccountConfig("x", "teleport", "https://e.com", api_key=None))
