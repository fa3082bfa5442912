"""A scripted HTTP server on plain sockets. It records exact bytes and can drip, hang, reset and send wrong data."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Reply = bytes | Callable[[socket.socket], None]


@dataclass
class Seen:
    """A request as received."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    def form(self) -> dict[str, str]:
        """Return the text parts of a multipart body."""
        boundary = self.headers["content-type"].split("boundary=")[1].encode()
        parts = {}
        for part in self.body.split(b"--" + boundary)[1:-1]:
            head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
            parts[head.decode().split('name="')[1].split('"')[0]] = value.removesuffix(b"\r\n").decode()
        return parts


def answer(status: int = 200, body: Any = b"", headers: dict[str, str] | None = None) -> bytes:
    """Return an HTTP response; content other than bytes becomes JSON."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"Content-Length": str(len(payload)), "Content-Type": "application/json"} | (headers or {})
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in head.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


def reset(sock: socket.socket) -> None:
    """Close with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def cut(beginning: bytes) -> Callable[[socket.socket], None]:
    """Send the beginning of an answer, then close the connection."""
    return lambda sock: sock.sendall(beginning)


def hang(sock: socket.socket) -> None:
    """Send nothing until the client leaves."""
    sock.settimeout(10)
    sock.recv(1)


def drip(head: bytes, *, every: float = 0.05, sent: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    """Return a reply that sends ``head``, then single bytes for ever, recorded in ``sent``: no single wait is long."""

    def reply(sock: socket.socket) -> None:
        sock.sendall(head)
        for _ in range(2_000):
            sock.sendall(b"x")
            if sent is not None:
                sent.append(b"x")
            time.sleep(every)

    return reply


@dataclass
class WireServer:
    """
    A server that answers each request with the next of ``replies`` and repeats the last.

    ``tls`` is a server-side TLS context; ``names`` are the server names that clients requested.
    """

    tls: ssl.SSLContext | None = None
    replies: list[Reply] = field(default_factory=lambda: [answer(200, {})])
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> WireServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(OSError):  # already closed
            self._listener.shutdown(socket.SHUT_RDWR)  # otherwise the running accept would take another client
        self._listener.close()

    def says(self, *replies: Reply) -> None:
        """Set the replies to the next requests."""
        self.replies = list(replies)

    def reply_to(self, request: Seen) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:  # closed: the test is over
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
            with sock, sock.makefile("rb") as stream:
                while request := self._read(stream, number):
                    self.seen.append(request)
                    reply = self.reply_to(request)
                    if not isinstance(reply, bytes):
                        reply(sock)
                        return
                    sock.sendall(reply)
        except OSError:  # the client has left or was disconnected
            return

    @staticmethod
    def _read(stream: Any, number: int) -> Seen | None:
        line = stream.readline()
        if not line:
            return None
        method, target, _ = line.decode().split(" ")
        headers = {}
        while (line := stream.readline().strip()) and b":" in line:
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Seen(method, target, headers, stream.read(int(headers.get("content-length", 0))), number)
