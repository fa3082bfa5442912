"""
Retention: delete rows that are kept only for a while, at most 5,000 at a time, so that no round of the dispatcher takes long.

Other modules remove their own rows: `bulk.prune` drafts and lists of bulk actions, `storing.remove_orphans` stored objects
without a row, `recovery.prune` answers to idempotent requests.
"""

from datetime import datetime
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import QuerySet

AT_ONCE = 5_000


def prune(*, at: datetime) -> None:
    """Delete expired sessions. Django itself deletes one only at its owner's next visit."""
    _remove(Session.objects.filter(expire_date__lt=at))


def _remove(rows: "QuerySet[Any]") -> None:
    rows.model._default_manager.filter(pk__in=list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE])).delete()
