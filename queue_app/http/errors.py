"""What can go wrong with an outgoing call: one family, and one question, whether anything was sent."""


class HttpError(Exception):
    """No usable answer. ``sent`` says whether the request may have reached the server."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class AddressRefused(HttpError):
    """The URL is malformed, or leads where we do not go."""


class ConnectFailed(HttpError):
    """No name, no connection or no trustworthy TLS: nothing was sent."""


class TimedOut(HttpError):
    """The wall clock ran out; ``sent`` says on which side of the connect."""


class TransferBroken(HttpError):
    """The connection broke after the request was sent, or what came back was not HTTP."""


class TooLarge(HttpError):
    """The body is larger than the caller allows."""


class RedirectRefused(HttpError):
    """The server redirects more often than allowed."""
