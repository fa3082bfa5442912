"""API keys, and the user behind a request."""

import re
from datetime import timedelta
from hmac import compare_digest
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox.auth import TokenAuthentication
from knox.crypto import hash_token
from knox.settings import CONSTANTS, knox_settings
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from queue_app import clock
from queue_app.models import ApiKey, User
from queue_app.ui.access import client_address, viewer
from queue_app.work.policy import known_as

VIA = "API"  # what histories and the audit call this way in
USED_EVERY = timedelta(minutes=1)  # how exactly ``last_used_at`` and ``last_used_from`` are kept
_KEY = f"{re.escape(knox_settings.TOKEN_PREFIX)}[0-9a-f]{{{knox_settings.AUTH_TOKEN_CHARACTER_LENGTH}}}"
_WITH_A_KEY = re.compile(rf"\s*(?i:{re.escape(knox_settings.AUTH_HEADER_PREFIX)})\s+{_KEY}\s*".encode())


def names_a_key(authorization: bytes) -> bool:
    """Whether this header has the form of one with a key. Does not look the key up."""
    return _WITH_A_KEY.fullmatch(authorization) is not None


class ApiKeyAuthentication(TokenAuthentication):
    """``Authorization: Bearer gq_…``. One query per request; expired keys are refused but not deleted."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        """
        Return the user and the key of a request, and note its use; ``None`` if it has no key.

        :raises AuthenticationFailed: see `authenticate_credentials`, or the header is not one with a key.
        """
        found: tuple[User, ApiKey] | None = super().authenticate(request)
        if found is not None:
            _, key = found
            if key.last_used_at is None or key.last_used_at <= key.read_at - USED_EVERY:
                ApiKey.objects.filter(pk=key.pk).update(last_used_at=key.read_at, last_used_from=client_address(request))
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, ApiKey]:
        """:raises AuthenticationFailed: no such key, it was revoked or has expired, or its user is inactive."""
        text = token.decode("ascii", errors="replace")
        digest = hash_token(text)
        known = ApiKey.objects.select_related("user").annotate(read_at=clock.ReadAt())
        found = known.filter(token_key=text[: CONSTANTS.TOKEN_KEY_LENGTH])
        key = next((key for key in found if compare_digest(key.digest, digest)), None)
        if key is None:
            raise AuthenticationFailed("Unknown API key. Create one on the page API keys.")
        if key.revoked_at is not None:
            raise AuthenticationFailed(f"This API key was revoked at {key.revoked_at:%Y-%m-%d %H:%M} UTC. Create a new one.")
        if key.expiry is not None and key.expiry <= key.read_at:
            raise AuthenticationFailed(f"This API key expired at {key.expiry:%Y-%m-%d %H:%M} UTC. Create a new one.")
        if not key.user.is_active:
            raise AuthenticationFailed("This API key belongs to an inactive user.")
        return key.user, key


def caller(request: Request) -> User:
    """Return the authenticated user."""
    return viewer(request)


def key_of(request: Request) -> ApiKey | None:
    """Return the API key of a request; ``None`` for a session."""
    return request.auth if isinstance(request.auth, ApiKey) else None


def actor(request: Request) -> str:
    """Return the name under which histories record what the caller does."""
    return known_as(caller(request), VIA)


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """API keys in the schema."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API key: `Authorization: Bearer gq_…`"}
