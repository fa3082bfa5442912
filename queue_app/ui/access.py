"""The user behind a request. Views of both kinds of pages, and the API, ask here."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from queue_app.models import User


def viewer(request: HttpRequest) -> User:
    """
    Return the user who is logged in.

    :raises PermissionDenied: nobody is logged in.
    """
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def staff(request: HttpRequest) -> User:
    """
    Return the member of staff who is logged in.

    :raises PermissionDenied: the user is not staff.
    """
    user = viewer(request)
    if not user.is_staff:
        raise PermissionDenied
    return user
