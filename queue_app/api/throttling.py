"""Rate limits per caller: the rates of the settings, kept by `queue_app.ui.pace`."""

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from queue_app.models import ApiKey
from queue_app.ui import pace

if TYPE_CHECKING:  # the views read their throttles while they are being imported
    from rest_framework.views import APIView


class _CallerThrottle(SimpleRateThrottle):
    """The rate of one API key, or of one user in a session."""

    reads = True
    _wait = 0.0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        calls, seconds = self.parse_rate(self.get_rate())
        if (request.method in SAFE_METHODS) != self.reads or not calls or not seconds:
            return True
        self._wait = pace.wait(self.get_cache_key(request, view), calls=calls, seconds=seconds)
        return not self._wait

    def wait(self) -> float:
        """Return the seconds until the next call is allowed."""
        return self._wait

    def get_cache_key(self, request: Request, view: "APIView") -> str:
        caller = request.auth.digest[:32] if isinstance(request.auth, ApiKey) else request.user.pk
        return f"throttle:{self.scope}:{caller}"


class ReadThrottle(_CallerThrottle):
    scope = "read"


class WriteThrottle(_CallerThrottle):
    scope = "write"
    reads = False
