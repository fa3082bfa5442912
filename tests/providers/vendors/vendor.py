"""
What the conformance suite must know of a vendor: one `Vendor` per module of this package.

An oddity is an unusual answer of a vendor with its expected outcome, as a row of a table. `common` makes the rows that hold for
all vendors from each vendor's plain answers; each vendor adds its own.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from queue_app.providers import registry
from queue_app.providers.base import (
    AccountConfig,
    Capabilities,
    FetchedAsset,
    PollResult,
    Provider,
    ProviderError,
    RemoteAsset,
    RemoteRef,
    SubmitRequest,
    TaskState,
    WebhookEvent,
    WebhookRefused,
    Wire,
    accepted_verdict,
)
from queue_app.rules.lookup import Page
from queue_app.work.answers import ANSWERS
from tests.providers.wire import Reply, WireServer, answer

# "result" and "file" are of synchronous providers: what a poll says after the create call, and the first file of it
Kind: TypeAlias = Literal["create", "poll", "content", "cancel", "list", "result", "file"]
Outcome: TypeAlias = RemoteRef | PollResult | TaskState | FetchedAsset | Page | ProviderError
Fields: TypeAlias = dict[str, Any]
PROMPT = "A fox — “über” the hill.\nSecond line, 100 % & more; 日本\t🦊"
MOST_BYTES = 100_000  # of a downloaded file
KEY = "sk-very-secret-key"
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
MOMENT = datetime.fromtimestamp(1_800_000_000, UTC)


@dataclass(frozen=True)
class Oddity:
    """
    One or more replies to a call, and the expected outcome: attributes of what the call returns or raises, with their values.
    ``verdict`` is that of a failed create call; ``raises`` is whether the call must fail.
    """

    call: Kind
    replies: tuple[Reply, ...]
    expected: Mapping[str, Any]


def odd(call: Kind, *replies: Reply, **expected: Any) -> Oddity:
    """Return a row of a table."""
    return Oddity(call, replies, expected)


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """
    One adapter and the plain answers of its vendor.

    ``options`` are those of its account. ``endpoint_id``, ``codec`` and ``inputs`` (parameters except the prompt) are the request
    of all tests, quick to render in the studio. ``words`` maps states to the vendor's status, if it has one. ``accepted`` returns
    the answer to a create call for an id, ``task`` the answer to a poll for an id, a status and further members; ``finished``
    returns the members of a finished task for the URL of its file. ``error`` returns a refusal for a status and words.
    ``listing`` returns a page for its rows and whether there are more. ``sent`` reads prompt and endpoint from a create call.
    ``hook`` returns the headers of a webhook for body, time and secret; ``event`` its body for a task and a status. With
    ``public_files`` everyone may download them, so a refusal says nothing about the account. ``cancel_call`` is the studio's name
    for the call that cancels. ``doomed`` maps the studio's faults of a job to its state here. ``unsayable`` is a parameter that
    ``codec`` can't express. ``oddities`` are the vendor's own.

    A synchronous vendor has no tasks: ``accepted`` returns its result.
    """

    adapter: str
    options: Fields = field(default_factory=dict)
    endpoint_id: str
    codec: Fields
    inputs: Fields
    medium: str = "video"
    words: Mapping[TaskState, str] = field(default_factory=dict)
    create_status: int
    accepted: Callable[[Any], Fields]
    task: Callable[..., Fields] = lambda number, word, **more: {}
    finished: Callable[[str], Fields] = lambda url: {}
    error: Callable[[int, str], Fields]
    sent: Callable[[Any], tuple[str, str]]
    listing: Callable[[list[Fields], bool], Fields] | None = None
    event: Callable[[str, str], bytes] | None = None
    hook: Callable[[bytes, datetime, str], dict[str, str]] | None = None
    public_files: bool = False
    cancel_call: Literal["cancel", "delete"] = "cancel"
    doomed: Mapping[str, TaskState] = field(default_factory=dict)
    unsayable: Fields = field(default_factory=lambda: {"duration": 3})
    oddities: Mapping[str, Oddity] = field(default_factory=dict)

    @property
    def is_synchronous(self) -> bool:
        return self.caps()["synchronous"]

    def account(self, base_url: str, **changes: Any) -> AccountConfig:
        fields: Fields = {"key": "acme", "adapter": self.adapter, "base_url": base_url, "api_key": KEY, "options": self.options}
        fields |= {"webhook_secret": SECRET, "answers": ANSWERS}
        return AccountConfig(**fields | changes)

    def at(self, base_url: str, **changes: Any) -> Provider:
        """Return the adapter for an account at this address."""
        return registry.get(self.account(base_url, **changes))

    def caps(self) -> Capabilities:
        return self.at("https://vendor.example").caps

    def ref(self, provider: Provider, number: str = "t-1") -> RemoteRef:
        return provider.ref(number, endpoint_id=self.endpoint_id)

    def request(self, provider: Provider, prompt: str = PROMPT, *, webhook_url: str | None = None) -> SubmitRequest:
        """Return the request for a task."""
        wire = provider.validate(self.endpoint_id, self.codec, {"prompt": prompt, **self.inputs})
        return SubmitRequest(uuid4(), wire.endpoint_id, wire.inputs, webhook_url=webhook_url, total_deadline_s=600)

    def remote_id(self, request: SubmitRequest, number: str) -> str:
        """Return the id that the reference must have if ``accepted`` was called with ``number``."""
        return str(request.attempt_id) if self.is_synchronous else number

    def word(self, state: TaskState) -> str:
        return self.words[state]

    def outcome(self, server: WireServer, oddity: Oddity) -> Outcome:
        """Let the server send the oddity's replies, make the call, and return its outcome."""
        server.says(*oddity.replies)
        provider = self.at(server.url)
        try:
            match oddity.call:
                case "create":
                    return provider.submit(self.request(provider))
                case "result" | "file":
                    ref = provider.submit(self.request(provider))
                    result = provider.poll(ref)
                    if oddity.call == "result":
                        return result
                    return provider.fetch(ref, result.assets[0], io.BytesIO(), MOST_BYTES)
                case "poll":
                    return provider.poll(self.ref(provider))
                case "cancel":
                    return provider.cancel(self.ref(provider))
                case "content":
                    file = RemoteAsset(self.medium, f"{server.url}/file.mp4")
                    return provider.fetch(self.ref(provider), file, io.BytesIO(), MOST_BYTES)
                case "list":
                    return provider.list_tasks(None, endpoint_id=self.endpoint_id, seconds=20)
        except ProviderError as error:
            return error


def fresh_request(wire: Wire) -> SubmitRequest:
    """Return the request for these wire inputs, of an attempt of its own."""
    return SubmitRequest(uuid4(), wire.endpoint_id, wire.inputs)


def told(outcome: Outcome, name: str) -> Any:
    """Return the value of an outcome for the name of an expectation."""
    if name == "raises":
        return isinstance(outcome, ProviderError)
    if name == "is":
        return outcome
    if name == "is_ours":
        assert isinstance(outcome, RemoteRef)
        return all("127.0.0.1" in str(url) for url in (outcome.status_url, outcome.result_url, outcome.cancel_url))
    if name == "verdict":
        return accepted_verdict(outcome) if isinstance(outcome, ProviderError) else None
    found: Any = outcome
    for part in name.split("__"):
        found = found[int(part)] if part.isdecimal() else getattr(found, part)
    return found


def yes(body: Any, status: int = 200, **headers: str) -> bytes:
    """Return a 2xx answer with this content."""
    return answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def heard(vendor: Vendor, headers: Mapping[str, str], raw: bytes, *, at: datetime, **account: Any) -> WebhookEvent | None:
    """Return the event in a webhook, or ``None`` if it was refused."""
    try:
        return vendor.at("https://vendor.example", **account).parse_webhook(headers, raw, at=at)
    except WebhookRefused:
        return None
