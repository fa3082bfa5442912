"""Connection pool for ``requests``: one small pool per thread; every socket is opened by its exchange's guard."""

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

# shorter than any server's keep-alive: a paid request must not fail on a connection that the server is just closing
IDLE_SECONDS = 1.5
KEPT_ORIGINS = 8

_local = threading.local()


def send(outgoing: requests.PreparedRequest, exchange: Exchange) -> requests.Response:
    """Send a request once and return the answer with its body unread. Reuses a fresh connection to an allowed address."""
    _local.exchange = exchange
    return _adapter().send(outgoing, stream=True, timeout=exchange.time_left(), proxies={})


def _adapter() -> _Adapter:
    """Return this thread's adapter. A forked child starts without its parent's connections."""
    if getattr(_local, "pid", None) != os.getpid():
        _local.pid, _local.adapter = os.getpid(), _Adapter(pool_connections=KEPT_ORIGINS, pool_maxsize=1)
    adapter: _Adapter = _local.adapter
    return adapter


@cache
def _tls_context() -> ssl.SSLContext:
    """Return the TLS context. Cached, because reading the certificates takes longer than a whole call."""
    return ssl.create_default_context(cafile=where())


class _Connection(HTTPConnection):
    """A connection that its exchange opens; it tells the exchange when a request is sent."""

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
        """Whether a pooled connection is fresh enough and leads to an address of this exchange, which were just checked."""
        if self.sock is None:
            return True
        exchange: Exchange = _local.exchange
        peers = {address[0] for _, address in exchange.addresses}
        return time.monotonic() - self.parked_at < IDLE_SECONDS and self.sock.getpeername()[0] in peers


class _TlsConnection(_Connection, HTTPSConnection):
    """The same over TLS. Certificate check and SNI use the URL's host name."""


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
        """Do nothing: the context already requires a certificate, and requests would read its file for each connection."""
