"""Scopes and rights. Neither protects rows of other users: `get_queryset` leaves them out, so they are 404 (I35)."""

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from queue_app.models import ApiKey
from queue_app.work.roles import Right

if TYPE_CHECKING:  # REST_FRAMEWORK names this module, and `rest_framework.views` reads REST_FRAMEWORK during its import
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """The key has the scope: ``to_read`` for safe methods, otherwise ``to_write``."""

    def __init__(self, to_write: str = "submit", to_read: str = "read") -> None:
        self.to_write, self.to_read = to_write, to_read

    def has_permission(self, request: Request, view: "APIView") -> bool:
        needed = self.to_read if request.method in SAFE_METHODS else self.to_write
        self.message = f"This call needs the “{needed}” scope."
        return needed in scopes(request)


class MayEditLimitsOrReadOnly(BasePermission):
    message = "Only staff with permission to edit limits can do this."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if request.method in SAFE_METHODS:
            return True
        return request.user.is_staff and request.user.has_perm("queue_app.change_modelconcurrencylimit")


def scopes(request: Request) -> set[str]:
    """
    Return the scopes of the key; in a session, all. None is a right: ``manage`` lets end users change their own webhook
    endpoints, and staff what their rights allow.
    """
    if isinstance(request.auth, ApiKey):
        return set(request.auth.scopes)
    return {*ApiKey.SCOPES}


def operates(request: Request) -> bool:
    """Whether the caller may change the rows of all users: by right, and in a session or with a key with ``manage``."""
    return uses_on_all(request, Right.OPERATE)


def uses_on_all(request: Request, right: str) -> bool:
    """Whether the caller may use a right on the rows of all users: as staff, in a session or with a key with ``manage``."""
    return "manage" in scopes(request) and request.user.is_staff and request.user.has_perm(right)


def reaches_others(request: Request) -> bool:
    """
    Whether this call may reach rows of other users: by reading, or with the right to operate the queue.

    That is for staff: for other users, `of` of the models returns only their own rows in any case.
    """
    return request.method in SAFE_METHODS or operates(request)
