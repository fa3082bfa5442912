"""Who calls, and what their key allows."""

import re
from datetime import timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.settings import CONSTANTS, knox_settings
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from queue_app import clock
from queue_app.models import ApiKey, User
from queue_app.ui.access import viewer
from queue_app.work.policy import known_as
from queue_app.work.roles import Right

if TYPE_CHECKING:  # REST_FRAMEWORK names this module, and the views module reads REST_FRAMEWORK while it is imported
    from rest_framework.views import APIView

VIA = "API"  # how histories and the audit say that the API was asked
USED_EVERY = timedelta(minutes=1)  # how exactly ``last_used_at`` is kept
_KEY = f"{re.escape(knox_settings.TOKEN_PREFIX)}[0-9a-f]{{{knox_settings.AUTH_TOKEN_CHARACTER_LENGTH}}}"
_WITH_A_KEY = re.compile(rf"\s*(?i:{re.escape(knox_settings.AUTH_HEADER_PREFIX)})\s+{_KEY}\s*".encode())


def names_a_key(authorization: bytes) -> bool:
    """Whether this header is written as one with a key of ours is; whether there is such a key is not asked."""
    return _WITH_A_KEY.fullmatch(authorization) is not None


class ApiKeyAuthentication(TokenAuthentication):  # type: ignore[misc]  # django-rest-knox is untyped
    """``Authorization: Bearer gq_…``. One query per request; an expired key is refused and left to its owner."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiKey]:
        """:raises AuthenticationFailed: no such key, it has expired, or its user is inactive."""
        text = token.decode("ascii", errors="replace")
        digest = hash_token(text)
        known = ApiKey.objects.select_related("user").annotate(read_at=clock.ReadAt())
        found = known.filter(token_key=text[: CONSTANTS.TOKEN_KEY_LENGTH])
        key = next((key for key in found if compare_digest(key.digest, digest)), None)
        if key is None:
            raise AuthenticationFailed("Unknown API key. Create one with `manage.py create_api_key`.")
        at = key.read_at
        if key.expiry is not None and key.expiry <= at:
            raise AuthenticationFailed(f"This API key expired at {key.expiry:%Y-%m-%d %H:%M} UTC. Create a new one.")
        if not key.user.is_active:
            raise AuthenticationFailed("This API key belongs to an inactive user.")
        if key.last_used_at is None or key.last_used_at <= at - USED_EVERY:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=at)
        return key.user, key


class HasScope(BasePermission):
    """``read`` for every GET, ``submit`` for what changes own rows, ``manage`` where a view says so (``write_scope``)."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        needed = "read" if request.method in SAFE_METHODS else getattr(view, "write_scope", "submit")
        self.message = f"This call needs the “{needed}” scope."
        return needed in scopes(request)


class MayEditLimits(BasePermission):
    message = "Only staff with permission to edit limits can do this."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return bool(request.user.is_staff and request.user.has_perm("queue_app.change_modelconcurrencylimit"))


def scopes(request: Request) -> set[str]:
    """What this caller may do: a key's own scopes; in a session all that the user is entitled to."""
    if isinstance(request.auth, ApiKey):
        return set(request.auth.scopes)
    return {"read", "submit", "manage"} if request.user.is_staff else {"read", "submit"}


def operates(request: Request) -> bool:
    """Whether the caller may change everybody's rows: a user with the right to, by a session or a key with ``manage``."""
    return "manage" in scopes(request) and request.user.is_staff and request.user.has_perm(Right.OPERATE)


def caller(request: Request) -> User:
    """Return the authenticated user."""
    return viewer(request)


def actor(request: Request) -> str:
    """The name under which the caller's acts are written into histories."""
    return known_as(caller(request), VIA)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the schema names API keys."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer gq_…`"}
