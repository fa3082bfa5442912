"""Data stored about a failed log-in."""

from collections.abc import Mapping

from django.http import HttpRequest

NAME_MOST = 255  # most characters of django-axes' column; no user's name is longer


def user_name(request: HttpRequest, credentials: Mapping[str, str] | None) -> str | None:
    """Return the user name of a log-in attempt, shortened to what can be stored."""
    name = credentials.get("username") if credentials else request.POST.get("username")
    return name and name[:NAME_MOST]
