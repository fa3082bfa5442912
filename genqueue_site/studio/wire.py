"""Requests and responses of the dialects, independent of sockets."""

from __future__ import annotations

import email
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from re import Pattern
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from genqueue_site.studio.floor import Floor
    from genqueue_site.studio.jobs import Job

Kind: TypeAlias = Literal["create", "retrieve", "content", "list", "delete", "cancel", "about", "page", "webhook"]
CALLS: tuple[Kind, ...] = ("create", "retrieve", "content", "list", "delete", "cancel", "about")  # "about" models and the account
# and "page", a create call for a component of a page; "webhook" goes in the other direction: the vendor calls its client
KINDS: tuple[Kind, ...] = (*CALLS, "page", "webhook")
Moment: TypeAlias = Literal["start", "end"]


class Refused(Exception):
    """
    The call is refused. Each dialect formats the reason as its API does. ``extra`` holds members of the answer that only one
    vendor has.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param, self.retry_after = status, message, code, param, retry_after
        self.extra = extra or {}


class Hangup(Exception):
    """The connection is to be reset without an answer."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request. ``target`` is the id in its path; header names are lower case; ``doom`` is a fault for the job it creates."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    target: str = ""
    doom: str | None = None


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response. A body in pieces is sent with ``announced`` as its declared length, or without one if that is ``None``."""

    status: int = 200
    content_type: str = "application/json"
    body: bytes | Iterator[bytes] = b""
    announced: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Hook:
    """A webhook to deliver. ``sign`` returns the headers for a body, a time in Unix seconds and a secret."""

    url: str
    body: bytes
    sign: Callable[[bytes, float, str], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Call:
    """An API call. ``path`` matches the path after the dialect's prefix; its group, if any, is the ``target``."""

    kind: Kind
    method: str
    path: Pattern[str]
    handle: Callable[[Floor, Request], Response]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """
    An API dialect.

    ``prefixes`` are the beginnings of the paths whose errors it formats. ``error`` formats a refusal; ``asked`` returns (model,
    prompt) of a create call as far as they can be read, for the log. ``hook`` returns the webhook due at a moment of a job, or
    ``None`` if its client wants none.
    """

    name: str
    prefixes: tuple[str, ...]
    calls: tuple[Call, ...]
    error: Callable[[Refused], Response]
    asked: Callable[[Request], tuple[str | None, str | None]]
    hook: Callable[[Floor, Job, Moment], Hook | None] | None = None

    def owns(self, path: str) -> bool:
        """Whether this dialect formats the refusal of an unknown path."""
        return any(f"{path}/".startswith(f"{prefix}/") for prefix in self.prefixes)


def json_response(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response."""
    return Response(status=status, body=json.dumps(content).encode(), headers=headers or {})


def fields_of(request: Request) -> dict[str, object]:
    """
    Return the members of a JSON object or the parts of a multipart form; a file becomes its bytes.

    :raises Refused: the body is neither, or is malformed.
    """
    kind = request.headers.get("content-type", "")
    if kind.startswith("multipart/form-data"):
        return dict(_parts(request.body, kind))
    try:
        content = json.loads(request.body)
    except ValueError as error:
        raise Refused(400, f"We could not parse the JSON body of your request: {error}") from error
    if not isinstance(content, dict):
        raise Refused(400, "The JSON body of your request must be an object.")
    return content


def _parts(body: bytes, content_type: str) -> Iterator[tuple[str, object]]:
    header = email.message_from_string(f"Content-Type: {content_type}\n\n")
    boundary = header.get_boundary()
    if not boundary:
        raise Refused(400, "The multipart body of your request names no boundary.")
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise Refused(400, "The multipart body of your request does not end with its boundary.")
    for piece in pieces[1:-1]:
        head, _, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        part = email.message_from_bytes(head)
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str):
            raise Refused(400, "A part of the multipart body of your request has no name.")
        if part.get_filename() is not None:
            yield name, data
            continue
        try:
            yield name, data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Refused(400, f"The part {name!r} of your request is not UTF-8 text.", param=name) from error
