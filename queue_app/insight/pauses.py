"""Pauses that queued jobs wait for: of the queue, of a model or of its accounts; with who paused, when and why."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

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
_ROWS = {"queue": QueueSettings, "model": ModelConcurrencyLimit, "account": ProviderAccount, "batch": Batch}


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
    paused = [Pause(("batch", str(batch.pk)), batch.paused_reason) for batch in batches if batch.paused]
    return {int(pause.key[1]): pause for pause in _with_authors(paused)}


def _of_accounts(models: Collection[str], paused: Mapping[Key, Pause]) -> dict[str, Pause]:
    """Return the pause of a model's first account, of models all of whose accounts are paused."""
    accounts = {
        model: [("account", route.account_id) for route in routes] for model, routes in capacity.usable_routes(models).items()
    }
    return {model: paused[keys[0]] for model, keys in accounts.items() if all(key in paused for key in keys)}


def _with_authors(pauses: Collection[Pause]) -> list[Pause]:
    """Return the pauses with those who made them: at most one query."""
    if not pauses:
        return []
    labels = {_ROWS[what]._meta.label_lower: what for what in {pause.key[0] for pause in pauses}}
    rows = Q()
    for pause in pauses:
        rows |= Q(target_model=_ROWS[pause.key[0]]._meta.label_lower, target_pk=pause.key[1] or "1")
    entries = AuditEntry.objects.filter(rows, before__paused=False, after__paused=True)
    latest = entries.order_by("target_model", "target_pk", "-id").distinct("target_model", "target_pk").select_related("actor")
    authors = {(labels[entry.target_model], entry.target_pk): entry for entry in latest}
    return [_by(pause, authors.get((pause.key[0], pause.key[1] or "1"))) for pause in pauses]


def _by(pause: Pause, entry: AuditEntry | None) -> Pause:
    return replace(pause, by=entry.actor.username if entry.actor else "", since=entry.at) if entry else pause
