"""Finds the adapter of a provider account."""

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
    """An account names an adapter that this version does not have, so its models are unavailable."""

    def __init__(self, account: AccountConfig) -> None:
        super().__init__(f"Unknown adapter {account.adapter!r} for account {account.key}. Available: {', '.join(names())}.")


def names() -> list[str]:
    """The adapters that this version has, in the order of the alphabet."""
    return sorted(ADAPTERS)


def is_available(adapter: str) -> bool:
    """Tell whether there is an adapter of this name."""
    return adapter in names()


def get(account: AccountConfig) -> Provider:
    """
    Make the adapter that speaks for this account.

    :raises AdapterMissing: there is none of its name.
    """
    if not is_available(account.adapter):
        raise AdapterMissing(account)
    return ADAPTERS[account.adapter](account)
