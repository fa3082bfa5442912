"""Template context of every page: the wallet of the user."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from queue_app.models import Wallet


def wallet(request: HttpRequest) -> dict[str, Any]:
    """Return ``wallet``, read once a template uses it. A user without a wallet has an empty one."""
    return {"wallet": SimpleLazyObject(lambda: Wallet.objects.filter(owner=request.user.pk).first() or Wallet())}
