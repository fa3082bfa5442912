"""What is noted of a log-in that failed."""

from collections.abc import Mapping

from django.http import HttpRequest

NAME_MOST = 255  # characters that the log of attempts holds; no user's name is longer


def user_name(request: HttpRequest, credentials: Mapping[str, str] | None) -> str | None:
    """The name that was tried, as far as it can be kept."""
    name = credentials.get("username") if credentials else request.POST.get("username")
    return name and name[:NAME_MOST]
