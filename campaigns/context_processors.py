"""Template context of every page: the wallet of the user, and how many notices they have not read."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from queue_app.models import Wallet
from queue_app.ui import bell


def wallet(request: HttpRequest) -> dict[str, Any]:
    """Return ``wallet``, read once a template uses it. A user without a wallet has an empty one."""
    return {"wallet": SimpleLazyObject(lambda: Wallet.objects.filter(owner=request.user.pk).first() or Wallet())}


def unread(request: HttpRequest) -> dict[str, Any]:
    """Return ``unread``, the number on the bell, read once a template uses it."""
    return {"unread": SimpleLazyObject(lambda: bell.shown(bell.unread(request.user.pk)))}
