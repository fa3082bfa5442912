"""Errors of outgoing calls. Each says whether the request may have been sent."""


class HttpError(Exception):
    """There was no usable answer. ``sent`` says whether the request may have reached the server."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class AddressRefused(HttpError):
    """The URL is malformed or leads to an address that is not allowed."""


class ConnectFailed(HttpError):
    """Name resolution, connection or TLS failed: nothing was sent."""


class TimedOut(HttpError):
    """The time limit was reached, before (``sent`` false) or after the connection was open."""


class TransferBroken(HttpError):
    """The connection broke after the request was sent, or the answer was not HTTP."""


class TooLarge(HttpError):
    """The body is larger than the caller allows."""


class RedirectRefused(HttpError):
    """The server redirects more often than allowed."""
