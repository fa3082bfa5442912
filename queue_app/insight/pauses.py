"""Who paused the queue, a model or a provider account, and when: from the audit, which has every pause."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Model, Q

from queue_app.models import AuditEntry, ModelConcurrencyLimit, ProviderAccount, QueueSettings
from queue_app.rules.limits import Key

TABLES: dict[str, type[Model]] = {"queue": QueueSettings, "model": ModelConcurrencyLimit, "account": ProviderAccount}
THE_QUEUE = "1"  # the number of the only row of `QueueSettings`
FIELDS = ["paused", "paused_reason", "paused_until"]


@dataclass(frozen=True)
class PausedBy:
    """The person who paused something, and when."""

    actor: str
    at: datetime


def by_people(paused: Iterable[Key]) -> dict[Key, PausedBy]:
    """
    Return who paused the queue, models and accounts with these keys, without the pauses that Genqueue made, as for a spent
    budget. One query, if any at all.
    """
    rows = {(TABLES[what]._meta.label_lower, key or THE_QUEUE): (what, key) for what, key in paused}
    if not rows:
        return {}
    these = Q.create([Q(target_model=table, target_pk=pk) for table, pk in rows], connector=Q.OR)
    changes = AuditEntry.objects.filter(these, after__has_any_keys=FIELDS).order_by("target_model", "target_pk", "-id")
    latest = changes.distinct("target_model", "target_pk")
    return {rows[one.target_model, one.target_pk]: PausedBy(one.actor_name, one.at) for one in latest if one.actor_id}
