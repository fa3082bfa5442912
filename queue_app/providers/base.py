"""The protocol between the queue and its providers: requests, results, errors and what an error means."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, BinaryIO, Literal, Protocol, TypedDict
from uuid import UUID

from queue_app.rules.codec import CannotSay, Codec, encode
from queue_app.rules.lookup import Page
from queue_app.rules.words import storable


class TaskState(StrEnum):
    """State of a task at its provider. Our jobs have other states (`State`)."""

    QUEUED = "queued"  # accepted, waiting at the provider
    RUNNING = "running"
    CANCELING = "canceling"  # cancel sent, not yet terminal
    SUCCEEDED = "succeeded"  # the provider is done; assets may still be remote
    FAILED = "failed"
    REJECTED = "rejected"  # content policy; never retried automatically
    CANCELED = "canceled"
    LOST = "lost"  # the provider does not know the id that it sent us; one such answer proves nothing (`work.progress`)

    @property
    def is_terminal(self) -> bool:
        return self not in {TaskState.QUEUED, TaskState.RUNNING, TaskState.CANCELING}


class ErrorKind(StrEnum):
    """Kind of a provider's error, by what the queue does about it."""

    RETRYABLE = "retryable"  # transport error or 5xx on a call that may be repeated, or a create call that was surely not sent
    RATE_LIMITED = "rate_limited"  # with retry_after if the provider sent one
    QUOTA = "quota"  # out of credit: pause the account and alert staff
    AUTH = "auth"  # pause the account
    INVALID_REQUEST = "invalid_request"
    REJECTED = "rejected"  # content policy
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"  # the create call may have been accepted
    CANCELED = "canceled"


class Verdict(StrEnum):
    """What a failed create call means for its attempt."""

    NOT_ACCEPTED = "not_accepted"  # surely no task: the job is queued again
    REFUSED = "refused"  # surely no task, and another call would not help
    UNKNOWN = "unknown"  # there may be a task: never call again, resolve by lookup, webhook or a person


class ProviderError(Exception):
    """
    A failed call to a provider. ``retry_after`` is in seconds; ``raw`` is the provider's answer, shortened; ``task`` is the id
    that the answer to a refused create call contains.

    Characters that a column can't store are removed from the provider's texts, so that any failure can be recorded.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        code: str | None = None,
        http_status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        raw: str = "",
        task: str | None = None,
    ) -> None:
        self.message = storable(message)
        super().__init__(self.message)
        self.kind = kind
        self.code = code and storable(code)
        self.http_status = http_status
        self.retry_after = retry_after
        self.request_id = request_id
        self.raw = storable(raw)
        self.task = task

    def __repr__(self) -> str:
        return f"ProviderError({self.kind}, {self.message!r}, code={self.code!r}, http_status={self.http_status})"


class Answers(Protocol):
    """
    The answers of synchronous providers, saved from the create call until the files are stored.

    An answer has the ``number`` of its attempt, ``facts`` (JSON) and files, which are numbered from 0.
    """

    def save(self, number: str, facts: Mapping[str, Any], files: Sequence[bytes]) -> None:
        """
        Save an answer. It is complete and durable once this returns, and not found before.

        :raises OSError: it was not saved.
        """
        ...

    def facts(self, number: str) -> dict[str, Any] | None:
        """
        Return the facts of an answer, or ``None`` if no answer with this number is saved.

        :raises OSError: the storage can't be read.
        """
        ...

    def open(self, number: str, place: int) -> BinaryIO:
        """
        Open a file of an answer.

        :raises OSError: it is not saved, or the storage can't be read.
        """
        ...


class WebhookRefused(Exception):
    """An inbound webhook that can't be trusted or read. It changes nothing (I38)."""


class WebhookUnverifiable(WebhookRefused):
    """An inbound webhook that can't be verified now: the keys of its provider can't be read. A later delivery may be."""


@dataclass(frozen=True)
class AccountConfig:
    """
    Address, key and options of an account. ``base_url`` may omit the dialect's own path. ``answers`` is where a synchronous
    provider's answers are saved.

    ``options``: ``auth_style`` (``bearer``, ``key`` or ``api-key``), ``request_encoding`` (``multipart`` or ``json``),
    ``cancel_by_delete`` (bool, default ``preview``), ``not_accepted_statuses`` (list of int: HTTP statuses of a create call that
    mean "no task", as an operator vouches), ``model_aliases`` (object: model name in the provider's list → our endpoint),
    ``unsigned_webhooks`` (bool: without a secret, the token in a webhook's address is proof enough), ``webhook_sender`` (our user
    at a provider whose signature is the same for all of its users).
    """

    key: str
    adapter: str
    base_url: str
    api_key: str | None = field(repr=False)
    preview: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    webhook_secret: str | None = field(default=None, repr=False)
    answers: Answers | None = field(default=None, repr=False, compare=False)

    @property
    def not_accepted_statuses(self) -> Collection[int]:
        return [int(status) for status in self.options.get("not_accepted_statuses", ())]


@dataclass(frozen=True)
class Wire:
    """Wire inputs: the endpoint to use and the fields of the create call."""

    endpoint_id: str
    inputs: dict[str, Any]


@dataclass(frozen=True)
class SubmitRequest:
    """
    A create call for one task. ``endpoint_id`` and ``inputs`` are as returned by ``validate``. ``start_deadline_s`` and
    ``total_deadline_s`` are seconds from the create call, for providers that accept such limits: until when the task may begin,
    and until when it may run.
    """

    attempt_id: UUID
    endpoint_id: str
    inputs: dict[str, Any]
    webhook_url: str | None = None
    start_deadline_s: float | None = None
    total_deadline_s: float | None = None


@dataclass(frozen=True)
class RemoteRef:
    """Reference to a task, stored as JSON for later calls. ``provider`` is the account's key; ids may be very long."""

    provider: str
    remote_id: str
    status_url: str | None = None
    result_url: str | None = None
    cancel_url: str | None = None

    def to_json(self) -> dict[str, str | None]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RemoteRef:
        """
        Build a reference from the output of ``to_json``; unknown members are ignored.

        :raises KeyError: ``stored`` is not a reference.
        """
        urls = {name: stored.get(name) for name in ("status_url", "result_url", "cancel_url")}
        return cls(provider=str(stored["provider"]), remote_id=str(stored["remote_id"]), **urls)


@dataclass(frozen=True)
class RemoteAsset:
    """
    A file that a provider stores for us. ``kind``: video, image, thumbnail, spritesheet, page, text.

    Without ``url`` the adapter knows the address. A job can complete without files that are not ``required``.
    """

    kind: str
    url: str | None = None
    content_type: str | None = None
    required: bool = True


@dataclass(frozen=True)
class FetchedAsset:
    """The file written to the sink. ``content_type`` is the server's claim: check it before use."""

    kind: str
    size: int
    sha256: str
    content_type: str


@dataclass(frozen=True)
class PollResult:
    """
    Status of a task. ``progress`` is 0 to 1 as reported, else ``None``; ``next_poll_after`` is in seconds. ``error`` is set if
    the task failed, or if the provider reports an error together with an unknown status (``word``), which counts as running.
    ``ran_seconds`` is set if the run time is known exactly; ``usage`` is what the provider counts, such as tokens.
    """

    state: TaskState
    progress: float | None = None
    queue_position: int | None = None
    assets: list[RemoteAsset] = field(default_factory=list)
    error: ProviderError | None = None
    next_poll_after: float | None = None
    cost: Decimal | None = None
    expires_at: datetime | None = None
    word: str | None = None
    ran_seconds: float | None = None
    usage: dict[str, int] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WebhookEvent:
    """
    A verified inbound event: a hint to poll, not a state. ``event_id`` is the same on every delivery. ``sender`` is the customer
    that the provider calls, if its signature does not tell customers apart.
    """

    event_id: str
    type: str
    remote_id: str | None
    raw: dict[str, Any] = field(default_factory=dict)
    sender: str = ""


class Capabilities(TypedDict):
    """
    Capabilities of a provider for this account.

    ``synchronous``: the answer to a create call is the result, so the call takes as long as the generation. ``begins`` is how
    long a create call whose answer was lost may still begin its task: not after the call, or until the start
    deadline or the total deadline of its request. ``lists`` is what ``list_tasks`` returns: all tasks of the account, or those of
    one endpoint.
    """

    webhooks: Literal["per_request", "per_account", "none"]
    cancel: Literal["hard", "best_effort", "queued_only", "none"]
    orphan_search: Literal["caller_id", "list_with_input", "list", "none"]
    lists: Literal["account", "endpoint"]
    begins: Literal["with_call", "by_start_deadline", "by_total_deadline"]
    progress: bool
    synchronous: bool
    actual_cost: bool


class Provider(Protocol):
    """An adapter for one account at one provider. Every call has a time limit and raises only `ProviderError`."""

    @property
    def name(self) -> str: ...

    @property
    def caps(self) -> Capabilities: ...

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        """Convert our parameters, including the prompt, to wire inputs by the route's codec. Makes no network call."""
        ...

    def submit(self, req: SubmitRequest) -> RemoteRef:
        """Send exactly one create call. `accepted_verdict` says what a failure means."""
        ...

    def poll(self, ref: RemoteRef) -> PollResult:
        """Return the status of a task. May be repeated."""
        ...

    def cancel(self, ref: RemoteRef) -> TaskState:
        """Cancel a task. Return CANCELING or a terminal state, or RUNNING if it can't be cancelled."""
        ...

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        """
        Stream a file of a succeeded task into ``sink``.

        :raises ProviderError: NOT_FOUND if the provider has no such file.
        """
        ...

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        """
        Return one page of tasks, newest first: ``rows`` tasks, or as many as the provider allows. Does not interpret them (see
        `rules.lookup`).

        ``after`` is the last page's ``cursor``, or the id of its last row if it has none; ``endpoint_id`` is the endpoint of the
        task that is looked up.
        """
        ...

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        """Return the reference of a task of this endpoint, for example one found in the list or named by a person."""
        ...

    def names(self, remote_id: str) -> frozenset[str]:
        """Return all names under which the list may show a task, including its id."""
        ...

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> WebhookEvent:
        """
        Verify and parse an inbound webhook. A signature is valid for five minutes before and after ``at``.

        :raises WebhookRefused: no secret is set, or the event is wrongly signed, too old or unreadable.
        """
        ...

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """Return the cost in USD that the provider reports, or ``None``."""
        ...


def encoded(endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
    """
    Convert our parameters by a codec, as ``validate`` of all adapters does.

    :raises ProviderError: INVALID_REQUEST; the message names the parameter that this endpoint can't express.
    """
    try:
        fields, other_endpoint = encode(codec, inputs)
    except CannotSay as refusal:
        raise ProviderError(ErrorKind.INVALID_REQUEST, refusal.message, code="invalid_parameter") from refusal
    return Wire(other_endpoint or endpoint_id, fields)


NO_ATTEMPT = {ErrorKind.RETRYABLE, ErrorKind.RATE_LIMITED, ErrorKind.AUTH, ErrorKind.QUOTA}
FINAL = {ErrorKind.INVALID_REQUEST, ErrorKind.REJECTED, ErrorKind.NOT_FOUND}
# these count with any 4xx status: gateways also send them with 400 and 403
MONEY_WORDS = (
    "budget_exceeded",
    "exceeded budget",
    "budget has been exceeded",
    "insufficient_quota",
    "insufficient quota",
    "insufficient_user_quota",
    "pre_consume_token_quota_failed",
    "billing_hard_limit_reached",
    "insufficient credit",
    "insufficient_credit",
    "insufficient balance",
    "insufficient_balance",
    "exhausted balance",
    "payment required",
)
POLICY_WORDS = (
    "moderation",
    "content_policy",
    "content policy",
    "content_filter",
    "policy violation",
    "policy_violation",
    "safety",
    "nsfw",
)
KEY_WORDS = ("invalid_api_key", "invalid api key", "incorrect api key", "unauthorized")
INPUT_WORDS = ("invalid_request", "invalid request", "invalid_parameter", "invalid parameter", "unsupported", "bad_request")


def accepted_verdict(error: ProviderError) -> Verdict:
    """Return what a failed create call means. Any error that does not surely mean "no task" is UNKNOWN."""
    if error.kind in NO_ATTEMPT:
        return Verdict.NOT_ACCEPTED
    return Verdict.REFUSED if error.kind in FINAL else Verdict.UNKNOWN


def kind_of_answer(status: int, words: str = "", *, create: bool, vouched: Collection[int] = ()) -> ErrorKind:
    """
    Classify an unexpected answer by its HTTP status and the provider's ``words`` (code, type, message).

    With ``create`` the call may have started paid work, so a doubtful answer is AMBIGUOUS, unless its status is in ``vouched``,
    the account's statuses that mean "not accepted".
    """
    if 400 <= status < 500 and names_money(words):
        return ErrorKind.QUOTA
    if create and status in vouched:
        return ErrorKind.RETRYABLE
    if 400 <= status < 500 and status not in {408, 409, 425}:
        if status == 402:
            return ErrorKind.QUOTA
        if status == 429:
            return ErrorKind.RATE_LIMITED
        if names_policy(words):
            return ErrorKind.REJECTED
        by_status = {401: ErrorKind.AUTH, 403: ErrorKind.AUTH, 404: ErrorKind.NOT_FOUND, 410: ErrorKind.NOT_FOUND}
        return by_status.get(status, ErrorKind.INVALID_REQUEST)
    return ErrorKind.AMBIGUOUS if create else ErrorKind.RETRYABLE


def kind_of_words(words: str) -> ErrorKind | None:
    """Classify a refusal by the provider's words alone; ``None`` if they do not tell."""
    told = (
        (MONEY_WORDS, ErrorKind.QUOTA),
        (POLICY_WORDS, ErrorKind.REJECTED),
        (KEY_WORDS, ErrorKind.AUTH),
        (INPUT_WORDS, ErrorKind.INVALID_REQUEST),
    )
    return next((kind for known, kind in told if any(word in words.lower() for word in known)), None)


def names_money(words: str) -> bool:
    """Whether a provider's words say that our credit is used up."""
    return any(word in words.lower() for word in MONEY_WORDS)


def names_policy(words: str) -> bool:
    """Whether a provider's words mention its content policy."""
    return any(word in words.lower() for word in POLICY_WORDS)
