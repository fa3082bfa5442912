"""
Adapter for Replicate's predictions.

A prediction's data is deleted an hour after its end, so files must be fetched and lost calls looked up soon. A cancel works for
waiting and running predictions; only run time is charged. Every create call contains a deadline that ends the prediction.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

from queue_app import http
from queue_app.providers import calls, jwks, signatures
from queue_app.providers.base import (
    AccountConfig,
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
    Wire,
    encoded,
)
from queue_app.providers.calls import Caller, date_of
from queue_app.providers.files import downloaded
from queue_app.providers.keyring import Keyring, KeysUnavailable
from queue_app.providers.listing import ListedEndpoint, Listing, properties_of
from queue_app.providers.tasks import STATES, Task, accepted, id_in, looked_at, moment, standing, task_in, word_in
from queue_app.rules.codec import Codec
from queue_app.rules.lookup import Page, Row, task_id

SECRETS: Keyring[str] = Keyring()
KEPT = timedelta(hours=1)  # input, output and logs, after the end
DEADLINE_SECONDS = 1800.0  # without a deadline in the request; no model runs longer there
SHORTEST_DEADLINE = 5
PAGE_SIZE = 100  # fixed by the vendor
MOST_FILES, DEEPEST = 100, 5  # looked for in an output
DELIVERY_HOSTS = re.compile(r"(.+\.)?replicate\.delivery")
SENSITIVE = re.compile(r"sensitive|flagged|nsfw|content policy|moderation", re.IGNORECASE)
ERROR_CODE = re.compile(r"\bE\d{3,4}\b")
OUT_OF_MEMORY = "E1001"  # the same input would fail again
PROGRESS = re.compile(r"^\s*(\d{1,3})%\s*\|.*?\|\s*\d+/\d+", re.MULTILINE)
KINDS_BY_ENDING = {
    **dict.fromkeys(("mp4", "webm", "mov", "mkv"), "video"),
    **dict.fromkeys(("png", "jpg", "jpeg", "webp", "avif"), "image"),
}


class Replicate:
    """One account at Replicate."""

    name = "replicate"

    def __init__(self, account: AccountConfig) -> None:
        self._account = account
        headers = {"Authorization": f"Bearer {account.api_key}"} if account.api_key else {}
        self._api = Caller(account, default_path="/v1", headers=headers)
        self._made: dict[str | None, str] = {}  # the last row of each page read, and its time

    @property
    def caps(self) -> Capabilities:
        return Capabilities(
            webhooks="per_request",
            cancel="hard",
            orphan_search="list_with_input",
            lists="account",
            begins="by_total_deadline",
            progress=True,
            synchronous=False,
            actual_cost=False,
        )

    def validate(self, endpoint_id: str, codec: Codec, inputs: Mapping[str, Any]) -> Wire:
        """
        Convert ``prompt`` and our parameters to a model's input.

        :raises ProviderError: INVALID_REQUEST; the message names the parameter that can't be expressed.
        """
        return encoded(endpoint_id, codec, inputs)

    def submit(self, req: SubmitRequest) -> RemoteRef:
        """
        Send the create call, once, with a deadline and without waiting for the end.

        :raises ProviderError: see `base.accepted_verdict`; AMBIGUOUS if a task may exist.
        """
        body: dict[str, Any] = {"input": req.inputs}
        if re.fullmatch(r"[^/:]+/[^/:]+", req.endpoint_id):
            path = f"/models/{quote(req.endpoint_id)}/predictions"
        else:  # owner/name:version, or a version alone
            path, body["version"] = "/predictions", req.endpoint_id
        if req.webhook_url:
            body |= {"webhook": req.webhook_url, "webhook_events_filter": ["completed"]}
        seconds = max(SHORTEST_DEADLINE, round(req.total_deadline_s or DEADLINE_SECONDS))
        answer = self._api.call(
            "POST",
            path,
            purpose="submit",
            create=True,
            json=body,
            headers={"Cancel-After": f"{seconds}s"},
            max_bytes=calls.TASK_BYTES,
            total_timeout=calls.CREATE_SECONDS,
        )
        return accepted(self._api, answer, account=self._account.key)

    def poll(self, ref: RemoteRef) -> PollResult:
        """
        Return the status of a prediction.

        :raises ProviderError: there was no usable answer; nothing is known about the task.
        """
        answer = self._api.call("GET", _path(ref), purpose="poll", max_bytes=calls.TASK_BYTES, total_timeout=calls.CHECK_SECONDS)
        return looked_at(self._api, answer, ref, lambda task, word: _result(task, word, answer))

    def cancel(self, ref: RemoteRef) -> TaskState:
        """
        Cancel a prediction. One that has ended stays as it is, and its state is returned.

        :raises ProviderError: the provider did not answer, or refused.
        """
        answer = self._api.call(
            "POST", f"{_path(ref)}/cancel", purpose="cancel", max_bytes=calls.TASK_BYTES, total_timeout=calls.CHECK_SECONDS
        )
        task = self._api.body(answer)
        if 200 <= answer.status < 300:
            state = STATES.get(word_in(task_in(task or {})))
            return state if state and state.is_terminal else TaskState.CANCELING
        if answer.status in {404, 410} and task is not None:
            return TaskState.LOST
        if answer.status in {400, 409, 422}:  # it has ended already
            state = self.poll(ref).state
            return state if state.is_terminal else TaskState.CANCELING
        raise self._api.failure(answer)

    def fetch(self, ref: RemoteRef, asset: RemoteAsset, sink: BinaryIO, max_bytes: int) -> FetchedAsset:
        """
        Stream one file into ``sink``. Only Replicate's own hosts get the key.

        :raises ProviderError: NOT_FOUND if the hour has passed.
        """
        if not asset.url:
            raise ProviderError(ErrorKind.NOT_FOUND, "This prediction has no such file.", code="no_file")
        with_key = self.may_have_the_key(asset.url)
        return downloaded(self._api, asset.url, asset, sink, max_bytes=max_bytes, with_key=with_key)

    def may_have_the_key(self, url: str) -> bool:
        """Whether a URL leads to this API or to Replicate's delivery hosts, which require the key for files."""
        parts = urlsplit(url)
        is_delivery = parts.scheme == "https" and DELIVERY_HOSTS.fullmatch((parts.hostname or "").lower()) is not None
        return is_delivery or self._api.is_own(url)

    def list_tasks(self, after: str | None, *, endpoint_id: str, rows: int | None = None, seconds: float) -> Page:
        """
        Return one page of the predictions made through the API, newest first. The vendor decides its length.

        :raises ProviderError: the page could not be read.
        """
        # the last page has no cursor, so continue from the time of its last row
        query = {"created_before": self._made[after]} if after in self._made else {"cursor": after} if after else {}
        path = "/predictions" + (f"?{urlencode(query)}" if query else "")
        fresh = {"Cache-Control": "no-cache"}  # an old copy would lack new tasks
        answer = self._api.call("GET", path, purpose="look up", headers=fresh, max_bytes=calls.LIST_BYTES, total_timeout=seconds)
        body = self._api.body(answer)
        if not 200 <= answer.status < 300:
            raise self._api.failure(answer)
        found = (body or {}).get("results")
        if not isinstance(body, dict) or not isinstance(found, list):
            raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no list in the answer")
        cursor = _cursor(body.get("next"))
        if body.get("next") is not None and cursor is None:
            raise self._api.unreadable(answer, ErrorKind.RETRYABLE, "no way to the next page in the answer")
        self._made |= {row["id"]: row["created_at"] for row in found[-1:] if _has_time(row)}
        ours = [row for row in found if not (isinstance(row, dict) and row.get("source") == "web")]
        return Page(
            rows=[_row(row) if isinstance(row, dict) else Row(None) for row in ours],
            asked=PAGE_SIZE,
            more=cursor is not None if "next" in body else None,
            date=date_of(answer.headers),
            cursor=cursor,
        )

    def ref(self, remote_id: str, *, endpoint_id: str) -> RemoteRef:
        return RemoteRef(provider=self._account.key, remote_id=remote_id)

    def names(self, remote_id: str) -> frozenset[str]:
        return frozenset([remote_id])

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, *, at: datetime) -> WebhookEvent:
        """
        Verify and parse a webhook, whose body is the bare prediction. Its status is a hint, not a state.

        :raises WebhookRefused: no secret is set, or the event is not signed with it, too old or unreadable.
        """
        keys = None if self._account.webhook_secret else self._published_secret
        signed = signatures.verified("standard", self._account, headers, raw, at=at, keys=keys)
        task = signed.event
        return WebhookEvent(signed.id, f"prediction.{word_in(task) or 'unknown'}", task_id(task.get("id")), task)

    def _published_secret(self, fresh: bool) -> Sequence[str]:
        """Return the account's only signing secret, which its key may read."""
        return SECRETS.keys(f"{self._account.key} {self._api.root}", self._read_secret, fresh=fresh)

    def _read_secret(self) -> list[str]:
        try:
            told = self._api.read("/webhooks/default/secret", purpose="read webhook secret", seconds=jwks.SECONDS)
        except ProviderError as error:
            raise KeysUnavailable(error.message) from error
        if not isinstance(told.get("key"), str) or not told["key"]:
            raise KeysUnavailable("The provider named no webhook secret.")
        return [told["key"]]

    def test_connection(self) -> str:
        """
        Ask whose account the key belongs to.

        :raises ProviderError: no answer, or a refusal.
        """
        name = self._api.read("/account", purpose="test connection", seconds=calls.CHECK_SECONDS).get("username")
        return f"account {name[:60]}" if isinstance(name, str) else ""

    def catalogue(self, endpoints: Collection[str]) -> Listing:
        """
        Ask for each model, with the schema of its latest version. Prices are not told.

        :raises ProviderError: no answer, or a refusal that is not about one model.
        """
        found = {name: self._listed(name) for name in endpoints}
        return Listing({name: listed for name, listed in found.items() if listed})

    def _listed(self, endpoint_id: str) -> ListedEndpoint | None:
        name = endpoint_id.partition(":")[0]
        try:
            told = self._api.read(
                f"/models/{quote(name)}", purpose="list models", seconds=calls.CHECK_SECONDS, max_bytes=calls.LIST_BYTES
            )
        except ProviderError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise
        version = told.get("latest_version")
        return ListedEndpoint(fields=properties_of(version.get("openapi_schema")) if isinstance(version, dict) else None)

    def actual_cost(self, ref: RemoteRef) -> Decimal | None:
        """Return ``None``: the API reports the run time of a prediction, but no price."""
        return None


def _path(ref: RemoteRef) -> str:
    return f"/predictions/{quote(ref.remote_id, safe='')}"


def _result(task: Task, word: str, answer: http.Response) -> PollResult:
    result = standing(task, word, answer, unknown=lambda: _state_of_unknown_word(task))
    if result.state is TaskState.FAILED and result.error:
        result = _failed(result, result.error)
    assets = _assets(task.get("output")) if result.state is TaskState.SUCCEEDED else []
    if result.state is TaskState.SUCCEEDED and not task.get("output") and task.get("data_removed") is not True:
        # nothing was made; if the data was deleted, the job fails as paid and not delivered
        error = ProviderError(ErrorKind.RETRYABLE, "The prediction succeeded without an output.", code="no_output")
        return replace(result, state=TaskState.FAILED, error=error)
    ended_at = moment(task.get("completed_at"))
    return replace(
        result,
        assets=assets,
        progress=1.0 if result.state is TaskState.SUCCEEDED else _progress(task.get("logs")),
        expires_at=ended_at + KEPT if ended_at and result.state is TaskState.SUCCEEDED else None,
    )


def _failed(result: PollResult, error: ProviderError) -> PollResult:
    """Return the result with the code in the error's text, and as REJECTED if the text says that the content was refused."""
    found = ERROR_CODE.search(error.message)
    code = found[0] if found else error.code
    if SENSITIVE.search(error.message):
        refused = ProviderError(ErrorKind.REJECTED, error.message, code=code, http_status=error.http_status)
        return replace(result, state=TaskState.REJECTED, error=refused)
    kind = ErrorKind.INVALID_REQUEST if code == OUT_OF_MEMORY else error.kind
    return replace(result, error=ProviderError(kind, error.message, code=code, http_status=error.http_status))


def _state_of_unknown_word(task: Task) -> TaskState:
    """Return the state for an unknown status: failed (error and end time), succeeded (end time and files), else running."""
    if task.get("error"):
        return TaskState.FAILED if task.get("completed_at") else TaskState.RUNNING
    return TaskState.SUCCEEDED if task.get("completed_at") and _assets(task.get("output")) else TaskState.RUNNING


def _progress(logs: Any) -> float | None:
    """Return the progress, 0 to 1, by the last progress bar in the logs, or ``None``."""
    found = PROGRESS.findall(logs) if isinstance(logs, str) else []
    return min(1.0, int(found[-1]) / 100) if found else None


def _assets(output: Any) -> list[RemoteAsset]:
    """
    Return all files in an output, which is a URL, a list of URLs, or any JSON that contains some. A file with an unknown ending
    may be an image or a video.
    """
    return [RemoteAsset(kind, url) for url in _urls(output, DEEPEST) for kind in _kinds(url)][:MOST_FILES]


def _urls(output: Any, deepest: int) -> Iterator[str]:
    if isinstance(output, str):
        if output.startswith(("https://", "http://")):
            yield output
    elif isinstance(output, list | dict) and deepest:
        for inner in output if isinstance(output, list) else output.values():
            yield from _urls(inner, deepest - 1)


def _kinds(url: str) -> list[str]:
    try:
        ending = urlsplit(url).path.rpartition(".")[2].lower()
    except ValueError:
        return []
    kind = KINDS_BY_ENDING.get(ending)
    return [kind] if kind else ["video", "image"]


def _cursor(link: Any) -> str | None:
    """Return the cursor in the link of the next page. The link itself is not used, so that it can't lead the key elsewhere."""
    if not isinstance(link, str):
        return None
    match = re.search(r"[?&]cursor=([^&#]+)", link)
    return unquote_plus(match[1]) if match else None


def _has_time(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), str) and isinstance(row.get("created_at"), str)


def _row(task: Task) -> Row:
    inputs = task.get("input")
    prompt = inputs.get("prompt") if isinstance(inputs, dict) else None
    model, state = task.get("model"), STATES.get(word_in(task))
    remote_id = id_in(task)
    return Row(
        id=remote_id,
        made=task.get("created_at"),
        prompt=prompt if isinstance(prompt, str) else None,
        model=model if isinstance(model, str) else None,
        names=frozenset([remote_id]) if remote_id else frozenset(),
        ended=state.is_terminal if state else None,
    )
