"""Kept connections under ``requests``: one small pool per thread, and each socket opened by its exchange's guard."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from functools import cache
from typing import Any

import requests
from certifi import where
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from queue_app.http.guard import Exchange

# shorter than any server's keep-alive: a paid request must not die on a connection that the server is just closing
IDLE_SECONDS = 1.5
KEPT_ORIGINS = 8

_local = threading.local()


def send(outgoing: requests.PreparedRequest, exchange: Exchange) -> requests.Response:
    """Send once, over a kept connection where a fresh and allowed one is at hand; the body is left unread."""
    _local.exchange = exchange
    return _adapter().send(outgoing, stream=True, timeout=exchange.time_left(), proxies={})


def _adapter() -> _Adapter:
    """One adapter per thread; a forked child starts without its parent's connections."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.pid, _local.adapter = os.getpid(), _Adapter(pool_connections=KEPT_ORIGINS, pool_maxsize=1)
    adapter: _Adapter = _local.adapter
    return adapter


@cache
def _tls_context() -> ssl.SSLContext:
    """Made once: reading the certificates takes longer than a whole call."""
    return ssl.create_default_context(cafile=where())


class _Connection(HTTPConnection):
    """Connects only where its exchange allows, and tells it when the request leaves."""

    parked_at = 0.0

    def _new_conn(self) -> socket.socket:
        exchange: Exchange = _local.exchange
        return exchange.open_socket()

    def request(self, *args: Any, **kwargs: Any) -> None:
        exchange: Exchange = _local.exchange
        if self.sock is None:
            self.connect()
        exchange.watch(self.sock)
        super().request(*args, **kwargs)

    def usable(self) -> bool:
        """Tell whether a kept connection is young enough and leads to an address checked just now."""
        if self.sock is None:
            return True
        exchange: Exchange = _local.exchange
        peers = {address[0] for _, address in exchange.addresses}
        return time.monotonic() - self.parked_at < IDLE_SECONDS and self.sock.getpeername()[0] in peers


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS; certificate and SNI go by the URL's name."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if not connection.usable():
            connection.close()
        return connection

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.parked_at = time.monotonic()
        super()._put_conn(connection)


class _TlsPool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=_tls_context(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context already demands a certificate; requests would read its file anew for each connection."""
