"""
Retention: delete rows that are kept only for a while, at most 5,000 at a time, so that no round of the dispatcher takes long.

Other modules remove their own rows: `bulk.prune` drafts and lists of bulk actions, `storing.remove_orphans` stored objects
without a row, `recovery.prune` answers to idempotent requests.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import QuerySet

from queue_app.models import InboundWebhook

AT_ONCE = 5_000


def prune(*, at: datetime) -> None:
    """Delete expired sessions, which Django itself deletes only at their owner's next visit, and old inbound webhooks."""
    _remove(Session.objects.filter(expire_date__lt=at))
    _remove(InboundWebhook.objects.filter(received_at__lt=at - settings.WEBHOOKS_KEPT))


def _remove(rows: "QuerySet[Any]") -> None:
    rows.model._default_manager.filter(pk__in=list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE])).delete()
