"""Guarded requests and downloads."""

from __future__ import annotations

import hashlib
import json as jsonlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol
from urllib.parse import urljoin

import requests
from django.conf import settings
from django.db import connections
from requests.structures import CaseInsensitiveDict

from queue_app.http import pool
from queue_app.http.errors import AddressRefused, HttpError, RedirectRefused, TooLarge, TransferBroken
from queue_app.http.guard import Exchange, origin

logger = logging.getLogger("queue_app.http")
# urllib3 logs request targets, which contain tokens and signatures (I36)
logging.getLogger("urllib3").setLevel(logging.ERROR)

CHUNK_BYTES = 64 * 1024
RESUMES, RESUME_PAUSE_SECONDS = 4, 0.5  # of one download, each after a pause
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
# headers sent on after a redirect to another origin; any other could be a credential
PORTABLE_HEADERS = frozenset({"accept", "accept-encoding", "if-range", "range", "user-agent"})
OWN_HEADERS = {"User-Agent": "genqueue", "Accept": "*/*", "Accept-Encoding": "identity"}


class TransactionOpen(RuntimeError):
    """A network call was attempted inside a database transaction; make it before or after (I32)."""


class BadStatus(HttpError):
    """A download was answered with a status other than 2xx; ``response`` has the first 64 KiB of the body."""

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message, sent=True)
        self.response = response


class Sink(Protocol):
    """Receives a download in chunks. An exception it raises ends the download and reaches the caller."""

    def write(self, chunk: bytes, /) -> object: ...


@dataclass(frozen=True)
class Response:
    """A complete answer. Names of ``headers`` are case-insensitive; ``elapsed`` is in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str
    elapsed: float

    def json(self) -> Any:
        """
        Parse the body as JSON.

        :raises ValueError: the body is not JSON.
        """
        return jsonlib.loads(self.body)


@dataclass(frozen=True)
class Downloaded:
    """A finished download. ``size`` is in bytes, ``sha256`` in hex; ``content_type`` is the server's claim, not checked."""

    size: int
    sha256: str
    content_type: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class _Limits:
    purpose: str
    connect_timeout: float
    deadline: float  # monotonic seconds; the same for all redirects
    trusted_origins: Sequence[str]
    redirects: int


def request(
    method: str,
    url: str,
    *,
    purpose: str,
    headers: Mapping[str, str] | None = None,
    json: Any = None,
    data: bytes | Mapping[str, str] | None = None,
    files: Iterable[tuple[str, Any]] | None = None,
    connect_timeout: float = 5.0,
    total_timeout: float = 30.0,
    max_bytes: int = 1024 * 1024,
    allow_trusted: bool = False,
    trusted_origins: Sequence[str] = (),
    redirects: int = 0,
) -> Response:
    """
    Send one HTTP request and return the answer with any status.

    ``connect_timeout`` covers name resolution, connection and TLS together, ``total_timeout`` everything (both in seconds).
    ``purpose`` is a word for logs and messages. ``allow_trusted`` is for providers' URLs, never for a client's (I37): these have
    ``trusted_origins`` of their own.

    :raises TransactionOpen: a database transaction is open; nothing was sent.
    :raises HttpError: there was no complete answer; ``sent`` says whether the server may have received the request.
    :raises ValueError: redirects are allowed for a method other than GET and HEAD.
    """
    if redirects and method not in {"GET", "HEAD"}:
        raise ValueError(f"A {method} is never sent a second time: redirects must be 0.")
    started = time.monotonic()
    trusted = settings.TRUSTED_ORIGINS if allow_trusted else trusted_origins
    limits = _Limits(purpose, connect_timeout, started + total_timeout, trusted, redirects)
    with _answered(_prepared(method, url, headers, json=json, data=data, files=files), limits) as (answer, exchange):
        body = b"".join(_chunks(answer, exchange, max_bytes))
    return _response(answer, body, started)


def download(
    url: str,
    sink: Sink,
    *,
    max_bytes: int,
    total_timeout: float,
    purpose: str = "download",
    headers: Mapping[str, str] | None = None,
    connect_timeout: float = 5.0,
    redirects: int = 3,
    allow_trusted: bool = False,
) -> Downloaded:
    """
    Stream the body of a GET into ``sink`` and return its size and hash. The limits are those of `request`.

    If the connection breaks, the download continues with the missing bytes, provided that the server can send ranges and names
    the version of the file (RFC 9110, 13.1.5).

    :raises TransactionOpen: a database transaction is open; nothing was sent.
    :raises BadStatus: the status is not 2xx; nothing was written.
    :raises HttpError: the body is incomplete; a part of it may have been written.
    """
    started = time.monotonic()
    trusted = settings.TRUSTED_ORIGINS if allow_trusted else ()
    limits = _Limits(purpose, connect_timeout, started + total_timeout, trusted, redirects)
    digest, size = hashlib.sha256(), 0
    with _answered(_prepared("GET", url, headers), limits) as (answer, exchange):
        if not 200 <= answer.status_code < 300:
            excerpt = b"".join(islice(_chunks(answer, exchange, None), 1))
            raise BadStatus(f"{purpose}: {exchange.origin} answered {answer.status_code}.", _response(answer, excerpt, started))
        for chunk in _whole(url, headers, limits, answer, exchange, max_bytes):
            sink.write(chunk)
            digest.update(chunk)
            size += len(chunk)
    headers_out = CaseInsensitiveDict(answer.headers)
    return Downloaded(size, digest.hexdigest(), headers_out.get("Content-Type", ""), headers_out)


def _whole(
    url: str, headers: Mapping[str, str] | None, limits: _Limits, answer: requests.Response, exchange: Exchange, max_bytes: int
) -> Iterator[bytes]:
    """Yield the body of an answer in chunks, continued by further requests where the connection breaks."""
    size, version = 0, _version(answer)
    chunks = _chunks(answer, exchange, max_bytes)
    for resumes_left in range(RESUMES, -1, -1):
        try:
            for chunk in chunks:
                size += len(chunk)
                yield chunk
            return
        except TransferBroken:
            if not (size and version and resumes_left):
                raise
            logger.info("%s: the connection broke after %s bytes; continuing", limits.purpose, size)
            time.sleep(RESUME_PAUSE_SECONDS)
        missing = {**(headers or {}), "Range": f"bytes={size}-", "If-Range": version}
        chunks = _rest(_prepared("GET", url, missing), limits, size, max_bytes)


def _rest(outgoing: requests.PreparedRequest, limits: _Limits, first: int, max_bytes: int) -> Iterator[bytes]:
    """:raises TransferBroken: the server does not send the rest of the same version."""
    with _answered(outgoing, limits) as (answer, exchange):
        if answer.status_code != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {first}-"):
            raise TransferBroken(f"{limits.purpose}: the connection to {exchange.origin} broke after {first} bytes.", sent=True)
        yield from _chunks(answer, exchange, max_bytes - first)


def _version(answer: requests.Response) -> str:
    """Return what identifies the version of the file in ``If-Range``; empty if the answer can't be continued."""
    if answer.status_code != 200 or "Content-Encoding" in answer.headers or answer.headers.get("Accept-Ranges") != "bytes":
        return ""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _prepared(method: str, url: str, headers: Mapping[str, str] | None, **body: Any) -> requests.PreparedRequest:
    try:
        return requests.Request(method, url, headers=OWN_HEADERS | dict(headers or {}), **body).prepare()
    except (requests.RequestException, UnicodeError):
        # not chained: the cause contains header values
        raise AddressRefused("The URL or a header of this call is malformed; nothing was sent.", sent=False) from None


@contextmanager
def _answered(outgoing: requests.PreparedRequest, limits: _Limits) -> Iterator[tuple[requests.Response, Exchange]]:
    """Send the request, follow allowed redirects, and yield the last answer with its body unread."""
    _refuse_open_transaction()
    for hop in range(limits.redirects + 1):
        with _sent(outgoing, limits, hop) as (answer, exchange):
            if not limits.redirects or answer.status_code not in REDIRECT_STATUSES or "Location" not in answer.headers:
                yield answer, exchange
                return
            outgoing = _redirected(outgoing, answer)
    raise RedirectRefused(f"{limits.purpose}: more than {limits.redirects} redirects, the last by {exchange.origin}.", sent=True)


@contextmanager
def _sent(outgoing: requests.PreparedRequest, limits: _Limits, hop: int) -> Iterator[tuple[requests.Response, Exchange]]:
    exchange = Exchange(
        limits.purpose, str(outgoing.url), deadline=limits.deadline, connect_timeout=limits.connect_timeout, sent=hop > 0
    )
    exchange.resolve(trusted=exchange.origin in map(origin, limits.trusted_origins))
    try:
        with exchange.translated_errors():
            answer = pool.send(outgoing, exchange)
        logger.debug("%s: %s %s answered %s", limits.purpose, outgoing.method, exchange.origin, answer.status_code)
        try:
            yield answer, exchange
        finally:
            answer.close()  # keeps the connection if the body was read to its end, else drops it
    finally:
        exchange.end()


def _redirected(outgoing: requests.PreparedRequest, answer: requests.Response) -> requests.PreparedRequest:
    method, came_from, headers = str(outgoing.method), str(outgoing.url), dict(outgoing.headers)
    try:
        target = urljoin(came_from, answer.headers["Location"])
        if origin(target) != origin(came_from):
            headers = {name: value for name, value in headers.items() if name.lower() in PORTABLE_HEADERS}
    except ValueError as error:
        raise AddressRefused(f"A redirect from {origin(came_from)} can't be followed: {error}", sent=True) from None
    return _prepared(method, target, headers)


def _chunks(answer: requests.Response, exchange: Exchange, max_bytes: int | None) -> Iterator[bytes]:
    """
    Yield the body in chunks. Without ``max_bytes`` the caller must stop reading.

    :raises TooLarge: the body exceeds ``max_bytes``.
    """
    size = 0
    declared = answer.headers.get("Content-Length", "")
    if max_bytes is not None and declared.isdigit() and int(declared) > max_bytes:
        raise TooLarge(f"{exchange.purpose}: {exchange.origin} announced {declared} bytes; the limit is {max_bytes}.", sent=True)
    with exchange.translated_errors():
        for chunk in answer.raw.stream(CHUNK_BYTES, decode_content=True):
            size += len(chunk)
            if max_bytes is not None and size > max_bytes:
                raise TooLarge(f"{exchange.purpose}: {exchange.origin} sent more than the limit of {max_bytes} bytes.", sent=True)
            yield chunk


def _response(answer: requests.Response, body: bytes, started: float) -> Response:
    headers = CaseInsensitiveDict(answer.headers)
    return Response(answer.status_code, headers, body, str(answer.url), time.monotonic() - started)


def _refuse_open_transaction() -> None:
    """
    Check as ``atomic(durable=True)`` does: a test case's own atomic blocks do not count.

    :raises TransactionOpen: there is another open atomic block.
    """
    for connection in connections.all(initialized_only=True):
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
            raise TransactionOpen(
                f"A transaction is open on the database connection {connection.alias!r}. Never call the network inside one: "
                "commit first, call, and save the answer in a second transaction."
            )
