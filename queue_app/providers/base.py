"""The narrow door between the queue and its providers: what goes in, what comes out, and what a failure means."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    """The provider's side of one attempt; the states of our jobs are others."""

    QUEUED = "queued"  # accepted, waiting at the provider
    RUNNING = "running"
    CANCELING = "canceling"  # cancel sent, not yet terminal
    SUCCEEDED = "succeeded"  # the provider is done; assets may still be remote
    FAILED = "failed"
    REJECTED = "rejected"  # content policy; never retried automatically
    CANCELED = "canceled"
    LOST = "lost"  # the provider does not know an id that it gave us: one such answer proves nothing (`work.progress`)

    @property
    def is_terminal(self) -> bool:
        return self not in {TaskState.QUEUED, TaskState.RUNNING, TaskState.CANCELING}


class ErrorKind(StrEnum):
    """What a failure asks of us."""

    RETRYABLE = "retryable"  # transport or 5xx on a call that may be repeated; or a create that was surely not sent
    RATE_LIMITED = "rate_limited"  # has retry_after where the provider told one
    QUOTA = "quota"  # out of credit: pause the account, page a human
    AUTH = "auth"  # pause the account
    INVALID_REQUEST = "invalid_request"
    REJECTED = "rejected"  # content policy
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"  # the create may have happened
    CANCELED = "canceled"


class Verdict(StrEnum):
    """What a failed create means for its attempt."""

    NOT_ACCEPTED = "not_accepted"  # surely no task: the job waits its turn again, no attempt spent
    REFUSED = "refused"  # surely no task, and asking again would not help
    UNKNOWN = "unknown"  # there may be a task: never create again, resolve by lookup, webhook or a person


class ProviderError(Exception):
    """
    One failure of one call. ``retry_after`` is in seconds; ``raw`` is what the provider said, cut to a readable size. ``task`` is
    the id that a refused create call has named beside the refusal.

    Its words are the provider's: what a column cannot keep is taken out of them, so that any failure can be written down.
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


class WebhookRefused(Exception):
    """An inbound webhook that cannot be trusted or read; it changes nothing (I38)."""


@dataclass(frozen=True)
class AccountConfig:
    """
    Where and as whom an adapter buys. ``base_url`` may leave out the dialect's own path.

    ``options``: ``auth_style`` (``bearer`` or ``api-key``), ``request_encoding`` (``multipart`` or ``json``),
    ``cancel_by_delete`` (bool, by default ``preview``), ``not_accepted_statuses`` (list of int: HTTP statuses of a create
    that an operator vouches mean "no task"), ``model_aliases`` (object: the name that the list shows → ours).
    """

    key: str
    adapter: str
    base_url: str
    api_key: str | None = field(repr=False)
    preview: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    webhook_secret: str | None = field(default=None, repr=False)

    @property
    def not_accepted_statuses(self) -> Collection[int]:
        return [int(status) for status in self.options.get("not_accepted_statuses", ())]


@dataclass(frozen=True)
class Wire:
    """What ``validate`` makes of our parameters: the endpoint to use, and the fields of the create call."""

    endpoint_id: str
    inputs: dict[str, Any]


@dataclass(frozen=True)
class SubmitRequest:
    """
    One task to buy. ``endpoint_id`` and ``inputs`` are as ``validate`` gives them. Seconds from the create call: until
    ``start_deadline_s`` the task may begin, until ``total_deadline_s`` it may run, where the provider can be told so.
    """

    attempt_id: UUID
    endpoint_id: str
    inputs: dict[str, Any]
    webhook_url: str | None = None
    start_deadline_s: float | None = None
    total_deadline_s: float | None = None


@dataclass(frozen=True)
class RemoteRef:
    """All that is needed later to speak about a task, kept as JSON. ``provider`` is the account's key; ids may be very long."""

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
        Read back what ``to_json`` gave; unknown members are ignored.

        :raises KeyError: it was never a reference.
        """
        urls = {name: stored.get(name) for name in ("status_url", "result_url", "cancel_url")}
        return cls(provider=str(stored["provider"]), remote_id=str(stored["remote_id"]), **urls)


@dataclass(frozen=True)
class RemoteAsset:
    """
    A file that a provider holds for us. ``kind``: video, image, thumbnail, spritesheet, page.

    Without ``url`` the adapter knows the way; a job can complete without those that are not ``required``.
    """

    kind: str
    url: str | None = None
    content_type: str | None = None
    required: bool = True


@dataclass(frozen=True)
class FetchedAsset:
    """What was written to the sink. ``content_type`` is the server's word: sniff before you believe it."""

    kind: str
    size: int
    sha256: str
    content_type: str


@dataclass(frozen=True)
class PollResult:
    """
    How a task stands. ``progress`` 0..1, never invented; ``next_poll_after`` in seconds; ``error`` if it ended badly, or if the
    provider says so beside a ``word`` that we do not know and take for running.
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
    raw: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WebhookEvent:
    """A verified inbound event: a hint to poll, never a state. ``event_id`` is the same on every delivery."""

    event_id: str
    type: str
    remote_id: str | None
    raw: dict[str, Any] = field(default_factory=dict)


class Capabilities(TypedDict):
    """
    What a provider can do, for this account. ``begins``: until when a create call whose answer was lost may still begin: it has
    begun with the call, or may until the start deadline or the total deadline of its request. ``lists``: what ``list_tasks``
    shows, all tasks of the account or those of one endpoint.
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
    """One account at one provider. Every call has a time limit and raises nothing but :class:`ProviderError`."""

    @property
    def name(self) -> str: ...

    @property
    def caps(self) -> Capabilities: ...

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        """Turn our parameters, prompt included, into wire inputs by the route's codec (:func:`encoded`); no network."""
        ...

    def submit(self, req: SubmitRequest) -> RemoteRef:
        """Send exactly one create; ask :func:`accepted_verdict` what a failure means."""
        ...

    def poll(self, ref: RemoteRef) -> PollResult:
        """Ask how a task stands; safe any number of times."""
        ...

    def cancel(self, ref: RemoteRef) -> TaskState:
        """Ask the provider to stop: CANCELING or a terminal state; RUNNING where it cannot be stopped."""
        ...

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        """Stream one asset of a succeeded task into ``sink``; NOT_FOUND where the provider has no such asset."""
        ...

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        """
        Translate one page of tasks, newest first: ``rows`` of them, or as many as there may be. ``after`` is the last page's
        ``cursor``, else the id of its last row; ``endpoint_id`` is where the task in question was bought. What the page means is
        not judged here (`rules.lookup`).
        """
        ...

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        """Give the reference of a task of this endpoint that was found in the list, or named by a person."""
        ...

    def names(self, remote_id: str) -> frozenset[str]:
        """All names under which a list may show a task, its id among them."""
        ...

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> WebhookEvent:
        """
        Verify, then parse; a signature counts for five minutes around ``at``.

        :raises WebhookRefused: no secret, wrong signature, too old, or unreadable.
        """
        ...

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """What the provider says it charged, in USD; None where it does not tell."""
        ...


def encoded(endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
    """
    Say our parameters by a codec: what ``validate`` of most adapters is, or begins with.

    :raises ProviderError: INVALID_REQUEST, with the parameter that cannot be said at this endpoint.
    """
    try:
        fields, other_endpoint = encode(codec, inputs)
    except CannotSay as refusal:
        raise ProviderError(ErrorKind.INVALID_REQUEST, refusal.message, code="invalid_parameter") from refusal
    return Wire(other_endpoint or endpoint_id, fields)


NO_ATTEMPT = {ErrorKind.RETRYABLE, ErrorKind.RATE_LIMITED, ErrorKind.AUTH, ErrorKind.QUOTA}
FINAL = {ErrorKind.INVALID_REQUEST, ErrorKind.REJECTED, ErrorKind.NOT_FOUND}
# whatever the status that they come with: gateways send them with 400 and 403, too (`providers.md` §1.7)
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
    """Say what a failed create means. AUTH and QUOTA also pause the account; anything not surely refused is unknown."""
    if error.kind in NO_ATTEMPT:
        return Verdict.NOT_ACCEPTED
    return Verdict.REFUSED if error.kind in FINAL else Verdict.UNKNOWN


def kind_of_answer(status: int, words: str = "", *, create: bool, vouched: Collection[int] = ()) -> ErrorKind:
    """
    Classify an answer that is not the wanted one, by its HTTP status and the provider's ``words`` (code, type, message).

    ``create``: the call may have started paid work, so a doubtful answer is AMBIGUOUS, unless the account vouches
    that this status means "not accepted".
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
    """What a provider's words alone say a refusal is; None where they do not say."""
    told = (
        (MONEY_WORDS, ErrorKind.QUOTA),
        (POLICY_WORDS, ErrorKind.REJECTED),
        (KEY_WORDS, ErrorKind.AUTH),
        (INPUT_WORDS, ErrorKind.INVALID_REQUEST),
    )
    return next((kind for known, kind in told if any(word in words.lower() for word in known)), None)


def names_money(words: str) -> bool:
    """Tell whether a provider's words say that our credit there is used up."""
    return any(word in words.lower() for word in MONEY_WORDS)


def names_policy(words: str) -> bool:
    """Tell whether a provider's words speak of its content policy."""
    return any(word in words.lower() for word in POLICY_WORDS)
