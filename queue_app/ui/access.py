"""The user behind a request. Views of both kinds of pages, and the API, ask here."""

from ipaddress import ip_address

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


def client_address(request: HttpRequest) -> str | None:
    """
    Return the IP address of the client, as the web server knows it: behind a proxy that it trusts, the one that the proxy names
    (uvicorn's ``FORWARDED_ALLOW_IPS``). ``None`` on a socket without addresses.
    """
    try:
        return str(ip_address(request.META.get("REMOTE_ADDR", "").partition("%")[0]))
    except ValueError:
        return None
