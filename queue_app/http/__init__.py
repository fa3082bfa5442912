"""
The only place that makes outgoing HTTP calls.

Every call is guarded the same way (invariants I32, I37): no open database transaction, names resolved once, no
address that is not global, one wall clock over everything, a cap on the bytes, no retry, no redirect unless asked,
no proxy, cookie or password from the surroundings. Messages name the origin alone: paths and headers hold secrets.
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
