"""The available adapters, and the adapter of a provider account."""

from collections.abc import Callable

from queue_app.providers.base import AccountConfig, Provider
from queue_app.providers.chat import Chat
from queue_app.providers.fal import Fal
from queue_app.providers.openai_images import OpenAIImages
from queue_app.providers.openai_videos import OpenAIVideos
from queue_app.providers.openrouter import OpenRouter
from queue_app.providers.replicate import Replicate
from queue_app.providers.synchronous import Synchronous

ADAPTERS: dict[str, Callable[[AccountConfig], Provider]] = {
    "chat": Chat,
    "fal": Fal,
    "openai_images": OpenAIImages,
    "openai_videos": OpenAIVideos,
    "openrouter": OpenRouter,
    "replicate": Replicate,
}

SYNCHRONOUS = frozenset(
    name for name, adapter in ADAPTERS.items() if isinstance(adapter, type) and issubclass(adapter, Synchronous)
)


class AdapterMissing(LookupError):
    """The account's adapter does not exist in this version, so its models are unavailable."""

    def __init__(self, account: AccountConfig) -> None:
        super().__init__(f"Unknown adapter {account.adapter!r} for account {account.key}. Available: {', '.join(names())}.")


def names() -> list[str]:
    """Return the names of the available adapters, sorted."""
    return sorted(ADAPTERS)


def is_available(adapter: str) -> bool:
    """Whether there is an adapter with this name."""
    return adapter in names()


def get(account: AccountConfig) -> Provider:
    """
    Return an adapter for this account.

    :raises AdapterMissing: its adapter does not exist.
    """
    if not is_available(account.adapter):
        raise AdapterMissing(account)
    return ADAPTERS[account.adapter](account)
