"""
Rate limits per caller, an API key or a user in a session: the rates of the key or else of the site, kept by `queue_app.ui.pace`,
and the headers that tell of them (draft-ietf-httpapi-ratelimit-headers).
"""

from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.http import HttpResponseBase
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from queue_app.models import ApiKey
from queue_app.ui import pace
from queue_app.ui.pace import Quota

if TYPE_CHECKING:  # the views read their throttles while they are being imported
    from rest_framework.views import APIView

WINDOW = 60  # seconds of a rate
POLICY, LIMIT = "RateLimit-Policy", "RateLimit"


class Told(NamedTuple):
    """The rate that counted a call: its name, the calls it allows in a `WINDOW`, and what is left of them."""

    name: str
    calls: int
    quota: Quota


class CallerThrottle(BaseThrottle):
    """Counts reads and writes of a caller apart."""

    wait_seconds = 0.0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        name = "read" if request.method in SAFE_METHODS else "write"
        calls = rate(request, name)
        quota = pace.spend(f"api:{name}:{_caller(request)}", calls=calls, seconds=WINDOW)
        view.told = Told(name, calls, quota)  # type: ignore[attr-defined]
        self.wait_seconds = quota.wait
        return not quota.wait

    def wait(self) -> float:
        """Return the seconds until the next call is allowed."""
        return self.wait_seconds


def rate(request: Request, name: str) -> int:
    """Return how many reads or writes in a `WINDOW` this caller may make."""
    own = {"read": "reads_per_minute", "write": "writes_per_minute"}[name]
    default: int = {"read": settings.API_READS_PER_MINUTE, "write": settings.API_WRITES_PER_MINUTE}[name]
    return getattr(request.auth, own) or default if isinstance(request.auth, ApiKey) else default


def tell(told: Told, response: HttpResponseBase) -> None:
    """Write the caller's rate, and what is left of it, into the headers of an answer."""
    response[POLICY] = f'"{told.name}";q={told.calls};w={WINDOW}'
    response[LIMIT] = f'"{told.name}";r={told.quota.left};t={ceil(told.quota.more_in)}'


def _caller(request: Request) -> str:
    return f"key:{request.auth.pk}" if isinstance(request.auth, ApiKey) else f"user:{request.user.pk}"
