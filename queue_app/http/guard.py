"""The guard of every outgoing connection: allowed addresses, time limits, and whether the request may have been sent."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from queue_app.http.errors import AddressRefused, ConnectFailed, HttpError, TimedOut, TransferBroken

NAT64 = IPv6Network("64:ff9b::/96")
DEFAULT_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """
    Return the origin of ``url`` as ``scheme://host:port``, always with the port.

    :raises ValueError: ``url`` is not an http or https URL with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise ValueError("Only http and https URLs with a host are allowed.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or DEFAULT_PORTS[parts.scheme]}"


def is_global(address: str) -> bool:
    """Whether an IP address is public. An address that embeds another (mapped, NAT64) is judged by the embedded one."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip in NAT64:
            ip = IPv4Address(int(ip) & 0xFFFFFFFF)
        elif ip.sixtofour or ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Exchange:
    """One request on the wire: its time limits, its checked addresses, and whether it may have been sent."""

    def __init__(self, purpose: str, url: str, *, deadline: float, connect_timeout: float, sent: bool) -> None:
        try:
            parts, self.origin = urlsplit(url), origin(url)
        except ValueError as error:
            raise AddressRefused(f"{purpose}: {error}", sent=sent) from None
        if "@" in parts.netloc:
            raise AddressRefused(f"{purpose}: URLs with a user or password are not allowed.", sent=sent)
        self.purpose = purpose
        self.scheme, self.host = parts.scheme, str(parts.hostname)
        self.port = parts.port or DEFAULT_PORTS[parts.scheme]
        self.deadline = deadline
        self.connect_deadline = min(deadline, time.monotonic() + connect_timeout)
        self.sent = sent
        self.expired = False
        self.addresses: list[tuple[int, Any]] = []  # (socket family, socket address), all checked
        self._ended = False
        self._lock = threading.Lock()
        self._alarm: threading.Timer | None = None

    def time_left(self) -> float:
        """Return the seconds until the time limit; never 0, which would make a socket non-blocking."""
        return max(0.001, self.deadline - time.monotonic())

    def resolve(self, *, trusted: bool) -> None:
        """
        Resolve the host, once, and keep its addresses. Unless ``trusted``, it must use https and have only global addresses.

        :raises AddressRefused: it is not https, or an address is not global.
        :raises ConnectFailed: the name can't be resolved.
        :raises TimedOut: the name was not resolved in time.
        """
        if self.scheme != "https" and not trusted:
            raise AddressRefused(f"{self.purpose}: {self.origin} is not https. Only trusted origins can be http.", sent=self.sent)
        found = self._lookup()
        if not trusted and not all(is_global(str(address[0])) for _, address in found):
            raise AddressRefused(f"{self.purpose}: {self.origin} has an address that is not public.", sent=self.sent)
        self.addresses = found

    def _lookup(self) -> list[tuple[int, Any]]:
        """Resolve the host in a thread, which is abandoned when it is late: getaddrinfo has no time limit."""
        answers: list[Any] = []

        def ask() -> None:
            try:
                answers.append(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                answers.append(error)

        if _is_literal(self.host):
            ask()
        else:
            asking = threading.Thread(target=ask, daemon=True, name="resolve")
            asking.start()
            asking.join(max(0.0, self.connect_deadline - time.monotonic()))
        if not answers:
            raise TimedOut(f"{self.purpose}: timed out resolving {self.origin}.", sent=self.sent)
        if isinstance(answers[0], Exception) or not answers[0]:
            raise ConnectFailed(f"{self.purpose}: could not resolve {self.origin}.", sent=self.sent)
        return [(family, address) for family, _, _, _, address in answers[0]]

    def open_socket(self) -> socket.socket:
        """
        Connect to the first checked address that answers and return the socket. Resolves nothing.

        :raises ConnectFailed: no address answers in time.
        """
        reason = "no address"
        for index, (family, address) in enumerate(self.addresses):
            share = (self.connect_deadline - time.monotonic()) / (len(self.addresses) - index)
            sock = socket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(max(0.001, share))
                sock.connect(address)
            except OSError as error:
                sock.close()
                reason = error.strerror or str(error)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # this limits the TLS handshake as a whole
            sock.settimeout(max(0.001, self.connect_deadline - time.monotonic()))
            return sock
        raise ConnectFailed(f"{self.purpose}: could not connect to {self.origin}: {reason}.", sent=self.sent)

    def watch(self, sock: socket.socket) -> None:
        """
        Mark the request as sent and cut the connection at the time limit.

        Socket timeouts restart with each byte, so a slow server could otherwise block us for ever.
        """
        sock.settimeout(self.time_left())
        self.sent = True
        self._alarm = threading.Timer(self.time_left(), self._cut, [sock])
        self._alarm.daemon = True
        self._alarm.start()

    def _cut(self, sock: socket.socket) -> None:
        with self._lock:
            if self._ended:  # the connection may already serve another call
                return
            self.expired = True
            with suppress(OSError):  # the server has closed it in the meantime
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket's own would race with the reading thread

    def end(self) -> None:
        """Stop the time limit; the connection may serve another call."""
        with self._lock:
            self._ended = True
        if self._alarm:
            self._alarm.cancel()

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Convert errors of the layers below to `HttpError`, without their texts, which contain the URL."""
        try:
            yield
            if self.expired:  # a body without a length looks complete when it was cut
                raise TimedOut(self._timeout_message(), sent=self.sent)
        except HttpError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if self.expired or isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
                raise TimedOut(self._timeout_message(), sent=self.sent) from None
            kind = TransferBroken if self.sent else ConnectFailed
            raise kind(f"{self.purpose}: connection to {self.origin} failed: {_reason(error)}.", sent=self.sent) from None

    def _timeout_message(self) -> str:
        return f"{self.purpose}: {self.origin} timed out{'; it may have received the request' if self.sent else ''}."


def _reason(error: BaseException) -> str:
    """Return a readable cause of the error, never a text that contains the request."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"TLS certificate refused, {seen.verify_message}"
        if isinstance(seen, OSError) and seen.strerror and not isinstance(seen, requests.RequestException):
            return seen.strerror
        inner = getattr(seen, "reason", None) or next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
        seen = inner if isinstance(inner, BaseException) else seen.__cause__ or seen.__context__
    return type(error).__name__
