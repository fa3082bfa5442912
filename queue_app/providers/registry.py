"""The available adapters, and the adapter of a provider account."""

from collections.abc import Callable

from queue_app.providers.base import AccountConfig, Provider
from queue_app.providers.fal import Fal
from queue_app.providers.openai_videos import OpenAIVideos
from queue_app.providers.openrouter import OpenRouter
from queue_app.providers.replicate import Replicate

ADAPTERS: dict[str, Callable[[AccountConfig], Provider]] = {
    "fal": Fal,
    "openai_videos": OpenAIVideos,
    "openrouter": OpenRouter,
    "replicate": Replicate,
}


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
