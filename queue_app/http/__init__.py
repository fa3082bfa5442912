"""
Outgoing HTTP calls. No other package makes any.

Every call has the same guards (I32, I37): no open database transaction, names resolved once, only global addresses, one time
limit over everything, a limit on the bytes, no retries, no redirects unless requested, and no proxy, cookie or password from the
environment. Messages contain only the origin, because paths and headers contain secrets.
"""

from queue_app.http.client import BadStatus, Downloaded, Response, Sink, TransactionOpen, download, request
from queue_app.http.errors import (
    AddressRefused,
    ConnectFailed,
    HttpError,
    RedirectRefused,
    TimedOut,
    TooLarge,
    TransferBroken,
)
from queue_app.http.guard import is_global, origin

__all__ = [
    "AddressRefused",
    "BadStatus",
    "ConnectFailed",
    "Downloaded",
    "HttpError",
    "RedirectRefused",
    "Response",
    "Sink",
    "TimedOut",
    "TooLarge",
    "TransactionOpen",
    "TransferBroken",
    "download",
    "is_global",
    "origin",
    "request",
]
