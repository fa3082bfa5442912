"""Pauses that queued jobs wait for: of the queue, of a model or of its accounts; with who paused, when and why."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Model, Q

from queue_app.models import AuditEntry, Batch, ModelConcurrencyLimit, ProviderAccount, QueueSettings
from queue_app.rules import limits
from queue_app.rules.limits import QUEUE, Key
from queue_app.statements import Statement
from queue_app.work import capacity

_PAUSED = Statement("""
    SELECT 'queue', '', paused_reason, paused_until FROM queue_app_queuesettings WHERE paused
     UNION ALL
    SELECT 'model', model_id, paused_reason, paused_until FROM queue_app_modelconcurrencylimit WHERE paused
     UNION ALL
    SELECT 'account', key, paused_reason, paused_until FROM queue_app_provideraccount WHERE paused
""")
# what can be paused → the rows that hold its pause
ROWS: dict[str, type[Model]] = {
    "queue": QueueSettings,
    "model": ModelConcurrencyLimit,
    "account": ProviderAccount,
    "batch": Batch,
}
THE_QUEUE = "1"  # the number of the only row of `QueueSettings`
_FIELDS = ["paused", "paused_reason", "paused_until"]


@dataclass(frozen=True)
class PausedBy:
    """Who paused something, and when. ``actor`` is empty if a safety rule did, as for a spent budget."""

    actor: str
    at: datetime


@dataclass(frozen=True)
class Pause:
    """
    A pause of the limit ``key``, until ``until`` (``None``: until it is resumed). ``by`` is the user who paused, empty for a
    safety rule; ``since`` is ``None`` if the audit does not know.
    """

    key: Key
    reason: str
    until: datetime | None = None
    by: str = ""
    since: datetime | None = None


def of_models(models: Iterable[str], *, at: datetime) -> dict[str, Pause]:
    """
    Return the pause that stops all jobs of a model, by model; models without one are left out. The widest comes first: that of
    the queue, then the model's own, then that of its accounts if all of them are paused. One query, and two more if one is found.
    """
    asked = set(models)
    paused = {
        (what, key): Pause((what, key), reason, until)
        for what, key, reason, until in _PAUSED.run()
        if limits.is_closed(True, until, at=at)
    }
    if QUEUE in paused:
        return dict.fromkeys(asked, *_with_authors([paused[QUEUE]]))
    found = {model: paused[key] for model in asked if (key := ("model", model)) in paused}
    if any(what == "account" for what, _ in paused) and (others := asked - found.keys()):
        found |= _of_accounts(others, paused)
    known = {pause.key: pause for pause in _with_authors(set(found.values()))}
    return {model: known[pause.key] for model, pause in found.items()}


def of_batches(batches: Iterable[Batch]) -> dict[int, Pause]:
    """Return the pauses of these batches, by number; those that are not paused are left out."""
    paused = [Pause(("batch", str(batch.pk)), batch.paused_reason, batch.paused_until) for batch in batches if batch.paused]
    return {int(pause.key[1]): pause for pause in _with_authors(paused)}


def authors(paused: Iterable[Key]) -> dict[Key, PausedBy]:
    """Return who last paused what has these keys, or changed the pause. From the audit, one query if any at all."""
    rows = {(ROWS[what]._meta.label_lower, key or THE_QUEUE): (what, key) for what, key in paused}
    if not rows:
        return {}
    these = Q.create([Q(target_model=table, target_pk=pk) for table, pk in rows], connector=Q.OR)
    changes = AuditEntry.objects.filter(these, after__has_any_keys=_FIELDS).order_by("target_model", "target_pk", "-id")
    latest = changes.distinct("target_model", "target_pk").select_related("actor")
    return {rows[one.target_model, one.target_pk]: PausedBy(one.actor.username if one.actor else "", one.at) for one in latest}


def by_people(paused: Iterable[Key]) -> dict[Key, PausedBy]:
    """Return who paused what has these keys, without the pauses that a safety rule made."""
    return {key: author for key, author in authors(paused).items() if author.actor}


def _of_accounts(models: Collection[str], paused: Mapping[Key, Pause]) -> dict[str, Pause]:
    """Return the pause of a model's first account, of models all of whose accounts are paused."""
    accounts = {
        model: [("account", route.account_id) for route in routes] for model, routes in capacity.usable_routes(models).items()
    }
    return {model: paused[keys[0]] for model, keys in accounts.items() if all(key in paused for key in keys)}


def _with_authors(pauses: Collection[Pause]) -> list[Pause]:
    """Return the pauses with those who made them: at most one query."""
    by = authors(pause.key for pause in pauses)
    return [replace(pause, by=author.actor, since=author.at) if (author := by.get(pause.key)) else pause for pause in pauses]
