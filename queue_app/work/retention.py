"""
Retention: rows that are only kept for a while. They are removed some thousands at a time, so that no round of the dispatcher is
long, however many there are.

What goes with its owner is removed there: drafts and lists of bulk actions by `bulk.prune`, stored objects without a row by
`storing.remove_orphans`.
"""

from datetime import datetime
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import QuerySet

AT_ONCE = 5_000


def prune(*, at: datetime) -> None:
    """Remove log-ins that are over; nothing but their owner's next visit would."""
    _remove(Session.objects.filter(expire_date__lt=at))


def _remove(rows: "QuerySet[Any]") -> None:
    rows.model._default_manager.filter(pk__in=list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE])).delete()
