"""
Providers whose answer to a create call is the result (`providers.md` §4.7, §7.2).

They have no tasks, so there is nothing to check, to list or to cancel. The adapter saves the answer under the attempt's id before
anyone learns of it; status and files are read from there. A create call whose answer was lost can't be looked up: its outcome is
unknown, and staff decide.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, ClassVar

from queue_app import http
from queue_app.providers import calls, listing
from queue_app.providers.base import (
    AccountConfig,
    Answers,
    Capabilities,
    ErrorKind,
    FetchedAsset,
    PollResult,
    ProviderError,
    RemoteAsset,
    RemoteRef,
    SubmitRequest,
    TaskState,
    WebhookEvent,
    WebhookRefused,
    kind_of_words,
)
from queue_app.providers.calls import Caller, all_words, number, words_of
from queue_app.providers.files import downloaded
from queue_app.providers.listing import Listing
from queue_app.providers.tasks import IDS, immediate_refusal
from queue_app.rules.lookup import Page

SAVED = "answer:"  # begins the address of a file that is saved with its answer
CHUNK_BYTES = 256 * 1024
LONGEST_URL = 4_000
COUNTED = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens")
MOST_COUNTED = 2**53
COST_HEADER = "x-litellm-response-cost"  # USD, of a LiteLLM proxy


@dataclass(frozen=True)
class AnswerResult:
    """
    The result in an answer. ``files`` are contents, or URLs from which the provider serves them; ``error`` is set if the
    generation failed.
    """

    files: Sequence[bytes | str] = ()
    content_type: str = ""
    error: ProviderError | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


class Synchronous(ABC):
    """
    One account at a synchronous provider. Subclasses convert the parameters (``validate``), name the ``path`` of a create call
    and read its answer.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[str, ...]]  # the kinds of asset that each file can be

    def __init__(self, account: AccountConfig) -> None:
        self._account = account
        self._api = Caller(account, default_path="/v1", headers=calls.auth_headers(account))

    @property
    def caps(self) -> Capabilities:
        return Capabilities(
            webhooks="none",
            cancel="none",
            orphan_search="none",
            lists="account",
            begins="with_call",
            progress=False,
            synchronous=True,
            actual_cost=False,
        )

    @abstractmethod
    def path(self, inputs: Mapping[str, Any]) -> str:
        """Return the path of the create call with these wire inputs."""

    @abstractmethod
    def read(self, body: Mapping[str, Any]) -> AnswerResult | None:
        """Return the result in the body of a 2xx answer, or ``None`` if it has none that can be read."""

    def submit(self, req: SubmitRequest) -> RemoteRef:
        """
        Send the create call, once, and save the result.

        :raises ProviderError: there is no saved result; AMBIGUOUS if the provider may have generated one.
        """
        answers = self._answers()
        answer = self._api.call(
            "POST",
            self.path(req.inputs),
            purpose="submit",
            create=True,
            json=req.inputs,
            total_timeout=calls.LONG_CREATE_SECONDS,
            max_bytes=calls.ANSWER_BYTES,
        )
        result, body = self._result(answer)
        _save(answers, str(req.attempt_id), result, body, answer)
        return self.ref(str(req.attempt_id), endpoint_id=req.endpoint_id)

    def poll(self, ref: RemoteRef) -> PollResult:
        """
        Return the status by the saved answer.

        :raises ProviderError: NOT_FOUND if no answer is saved. It never means that the result can be bought again: the answer may
            be in the storage of another host.
        """
        facts = self._facts(ref)
        error = facts["error"]
        return PollResult(
            state=TaskState(facts["state"]),
            assets=[RemoteAsset(kind, url, facts["content_type"] or None) for url in facts["files"] for kind in self.kinds],
            error=ProviderError(ErrorKind(error["kind"]), error["message"], code=error["code"]) if error else None,
            cost=Decimal(facts["cost"]) if facts["cost"] else None,
            ran_seconds=facts["seconds"],
            usage=facts["usage"],
            raw=facts["raw"],
        )

    def cancel(self, ref: RemoteRef) -> TaskState:
        """
        Return the status: once there is an answer, nothing is left to cancel.

        :raises ProviderError: NOT_FOUND if no answer is saved.
        """
        return self.poll(ref).state

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        """
        Copy a file of the saved answer into ``sink``, or download it if the answer only contained its URL. The key is sent only
        to the API's own origin.

        :raises ProviderError: the file is not available or exceeds ``max_bytes``.
        """
        url = asset.url or f"{SAVED}0"
        if url.startswith(SAVED):
            return self._copied(ref, asset, int(url.removeprefix(SAVED)), sink, max_bytes)
        return downloaded(self._api, url, asset, sink, max_bytes=max_bytes, with_key=self._api.is_own(url))

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        """
        Refuse: there are no tasks to list.

        :raises ProviderError: always.
        """
        raise ProviderError(ErrorKind.NOT_FOUND, "This provider has no list of tasks.", code="no_list")

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        return RemoteRef(provider=self._account.key, remote_id=remote_id)

    def names(self, remote_id: str) -> frozenset[str]:
        return frozenset([remote_id])

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> WebhookEvent:
        """
        Refuse: this provider sends none.

        :raises WebhookRefused: always.
        """
        raise WebhookRefused(f"The provider of account {self._account.key} sends no webhooks.")

    def test_connection(self) -> str:
        """
        Read the list of models.

        :raises ProviderError: no answer, or a refusal.
        """
        calls.listed_models(self._api)
        return ""

    def catalogue(self, endpoints: Collection[str]) -> Listing:
        """
        Ask which models the server lists.

        :raises ProviderError: no answer, or a refusal.
        """
        return listing.named(endpoints, calls.listed_models(self._api))

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """
        Return the cost in USD if the answer stated it.

        :raises ProviderError: NOT_FOUND if no answer is saved.
        """
        return self.poll(ref).cost

    def _answers(self) -> Answers:
        if self._account.answers is None:
            raise ProviderError(ErrorKind.RETRYABLE, "There is no storage for the answer, so nothing is sent.", code="not_sent")
        return self._account.answers

    def _result(self, answer: http.Response) -> tuple[AnswerResult, dict[str, Any]]:
        body = self._api.body(answer)
        if not 200 <= answer.status < 300:
            raise self._api.failure(answer, create=True)
        if body is not None:
            if result := self.read(body):
                return result, body
            # an id next to a refusal names the call, not a task
            if kind := immediate_refusal({name: value for name, value in body.items() if name not in IDS}):
                raise self._api.refusal(answer, body, kind)
        raise self._api.unreadable(answer, ErrorKind.AMBIGUOUS, "accepted, but without a result that can be read")

    def _facts(self, ref: RemoteRef) -> dict[str, Any]:
        try:
            facts = self._answers().facts(ref.remote_id)
        except OSError as error:
            raise ProviderError(ErrorKind.RETRYABLE, f"The saved answer can't be read: {error}", code="not_readable") from error
        if facts is None:
            words = "The provider's answer is not in this host's storage."
            raise ProviderError(ErrorKind.NOT_FOUND, words, code="not_saved")
        return facts

    def _copied(self, ref: RemoteRef, asset: RemoteAsset, place: int, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        digest, size = hashlib.sha256(), 0
        facts = self._facts(ref)
        try:
            with self._answers().open(ref.remote_id, place) as file:
                while chunk := file.read(CHUNK_BYTES):
                    size += len(chunk)
                    if size > max_bytes:
                        words = f"The {asset.kind} is larger than {max_bytes:,} bytes."
                        raise ProviderError(ErrorKind.INVALID_REQUEST, words, code="too_large")
                    sink.write(chunk)
                    digest.update(chunk)
        except FileNotFoundError as error:
            words = f"The {asset.kind} is not in this host's storage."
            raise ProviderError(ErrorKind.NOT_FOUND, words, code="not_saved") from error
        return FetchedAsset(asset.kind, size, digest.hexdigest(), facts["content_type"])


def failed(body: Mapping[str, Any], otherwise: str) -> AnswerResult:
    """Return the result of a generation that failed, by the error in ``body`` or else for the reason ``otherwise``."""
    code, message = words_of(body)
    kind = kind_of_words(all_words(body)) or ErrorKind.RETRYABLE
    return AnswerResult(error=ProviderError(kind, message or otherwise, code=code or "no_result"))


def web_address(value: Any) -> str | None:
    """Return a URL of a file, or ``None`` for anything else."""
    is_one = isinstance(value, str) and len(value) <= LONGEST_URL and value.startswith(("https://", "http://"))
    return value if is_one else None


def _save(answers: Answers, name: str, result: AnswerResult, body: Mapping[str, Any], answer: http.Response) -> None:
    contents = [file for file in result.files if isinstance(file, bytes)]
    places = iter(range(len(contents)))
    facts = {
        "state": str(_state(result)),
        "files": [f"{SAVED}{next(places)}" if isinstance(file, bytes) else file for file in result.files],
        "content_type": result.content_type,
        "error": _as_json(result.error),
        "usage": _usage(body),
        "cost": _cost(body, answer),
        "seconds": round(answer.elapsed, 3),
        "raw": dict(result.raw),
    }
    try:
        answers.save(name, facts, contents)
    except OSError as error:
        words = f"The provider sent the result, but it could not be saved: {error}"
        raise ProviderError(ErrorKind.AMBIGUOUS, words, code="not_saved", http_status=answer.status) from error


def _state(result: AnswerResult) -> TaskState:
    if result.error is None:
        return TaskState.SUCCEEDED
    return TaskState.REJECTED if result.error.kind is ErrorKind.REJECTED else TaskState.FAILED


def _as_json(error: ProviderError | None) -> dict[str, str | None] | None:
    return None if error is None else {"kind": str(error.kind), "message": error.message, "code": error.code}


def _usage(body: Mapping[str, Any]) -> dict[str, int]:
    usage = body.get("usage")
    counts = {name: number(usage.get(name)) for name in COUNTED} if isinstance(usage, dict) else {}
    return {name: int(count) for name, count in counts.items() if count is not None and 0 <= count < MOST_COUNTED}


def _cost(body: Mapping[str, Any], answer: http.Response) -> str | None:
    """Return the whole cost in USD as text; with a key of our own at the upstream (``is_byok``) only a part of it is stated."""
    usage = body.get("usage")
    own = usage if isinstance(usage, dict) and usage.get("is_byok") is not True else {}
    stated = own.get("cost") if own.get("cost") is not None else answer.headers.get(COST_HEADER)
    amount = number(stated)
    return str(stated) if amount is not None and amount >= 0 else None
