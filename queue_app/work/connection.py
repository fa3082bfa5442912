"""Test of a connection: one free call to a provider, which shows whether its address and our API key work."""

import time
from dataclasses import dataclass

from queue_app.models import ProviderAccount
from queue_app.providers import registry
from queue_app.providers.base import ErrorKind, ProviderError
from queue_app.providers.listing import Reachable
from queue_app.work import accounts

NOTHING_PAID = "Nothing was generated or charged."
# what to do about a failure, by its kind
ADVICE = {
    ErrorKind.AUTH: "Check the API key.",
    ErrorKind.QUOTA: "Add credit at the provider.",
    ErrorKind.RATE_LIMITED: "The provider asks us to slow down. Try again in a few minutes.",
    ErrorKind.NOT_FOUND: "Check the base URL.",
}


@dataclass(frozen=True)
class Reached:
    """The result of a test, and a sentence or two about it."""

    works: bool
    words: str


def probe(account: ProviderAccount) -> Reached:
    """
    Call the place where the account sends jobs now, once. A failure has no consequences for the account.

    Call it outside any transaction (I32); it takes up to 15 seconds.
    """
    if not account.is_usable:
        env = account.api_key_env or "its API key variable"
        return Reached(False, f"Not tested: {env} is not set for this process, and the studio is off.")
    provider = registry.get(accounts.present_config(account))
    if not isinstance(provider, Reachable):
        return Reached(False, f"Not tested: the adapter {account.adapter} knows no free call.")
    began = time.monotonic()
    try:
        told = provider.test_connection()
    except ProviderError as error:
        return Reached(False, f"Connection failed: {_sentence(error.message)} {ADVICE.get(error.kind, '')} {NOTHING_PAID}")
    milliseconds = round(1000 * (time.monotonic() - began))
    who = "The studio" if account.is_preview else "The provider"
    what = "" if account.is_preview else " and accepted the API key"
    about = f" ({told})" if told else ""
    return Reached(True, f"Connection works. {who} answered in {milliseconds:,} ms{what}{about}. {NOTHING_PAID}")


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
