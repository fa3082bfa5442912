"""Rate limits per caller: a steady rate with bursts of up to 10 seconds of it, counted per process in the cache."""

import time
from typing import TYPE_CHECKING

from django.core.cache import cache
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from queue_app.models import ApiKey

if TYPE_CHECKING:  # the views read their throttles while they are being imported
    from rest_framework.views import APIView

BURST = 10.0  # seconds of the rate that may come in one burst


class _CallerThrottle(SimpleRateThrottle):
    """
    The rate of one API key, or of one user in a session.

    Keeps one number instead of a list of times: when the calls so far would be used up at the allowed rate.
    """

    reads = True
    _wait = 0.0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        calls, seconds = self.parse_rate(self.get_rate())
        if (request.method in SAFE_METHODS) != self.reads or not calls or not seconds:
            return True
        key = self.get_cache_key(request, view)
        now, each = time.monotonic(), seconds / calls
        used_up = max(cache.get(key, now), now) + each
        self._wait = used_up - now - BURST
        if self._wait > 0:
            return False
        cache.set(key, used_up, BURST + 1)
        return True

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
