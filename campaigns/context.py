"""What every page of end users shows: the wallet."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from queue_app.models import Wallet


def wallet(request: HttpRequest) -> dict[str, Any]:
    """``wallet`` with ``available`` and ``reserved``, read when a page asks for it; no wallet yet reads as zeros."""
    return {"wallet": SimpleLazyObject(lambda: Wallet.objects.filter(owner=request.user.pk).first() or Wallet())}
