"""Pauses that queued jobs wait for: of the queue, of a model or of its accounts; with who paused, when and why."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

from queue_app.models import AuditEntry, Batch, ModelConcurrencyLimit, ProviderAccount, QueueSettings
from queue_app.rules import limits
from queue_app.rules.limits import QUEUE, Key
from queue_app.work import capacity

_ROWS = {"queue": QueueSettings, "model": ModelConcurrencyLimit, "account": ProviderAccount, "batch": Batch}


@dataclass(frozen=True)
class Pause:
    """
    A pause of the limit ``key``, until ``until`` (``None``: until it is resumed). ``by`` is the user who paused, empty for a safety
    rule; ``since`` is ``None`` if the audit does not know.
    """

    key: Key
    reason: str
    until: datetime | None = None
    by: str = ""
    since: datetime | None = None


def of_models(models: Iterable[str], *, at: datetime) -> dict[str, Pause]:
    """
    Return the pause that stops all jobs of a model, by model; models without one are left out. The widest comes first: that of the
    queue, then the model's own, then that of its accounts if all of them are paused.
    """
    asked = set(models)
    settings = QueueSettings.objects.current()
    if limits.is_closed(settings.paused, settings.paused_until, at=at):
        (whole,) = _with_authors([Pause(QUEUE, settings.paused_reason, settings.paused_until)])
        return dict.fromkeys(asked, whole)
    own = _paused("model", ModelConcurrencyLimit.objects.filter(pk__in=asked, paused=True), at)
    accounts = _paused("account", ProviderAccount.objects.filter(paused=True), at)
    found = {model: own.get(model) or of_accounts for model, of_accounts in _of_accounts(asked, own, accounts).items()}
    known = {pause.key: pause for pause in _with_authors({pause for pause in found.values() if pause})}
    return {model: known[pause.key] for model, pause in found.items() if pause}


def of_batches(batches: Iterable[Batch]) -> dict[int, Pause]:
    """Return the pauses of these batches, by number; those that are not paused are left out."""
    paused = [Pause(("batch", str(batch.pk)), batch.paused_reason) for batch in batches if batch.paused]
    return {int(pause.key[1]): pause for pause in _with_authors(paused)}


def _paused(
    what: str, rows: "Iterable[ModelConcurrencyLimit] | Iterable[ProviderAccount]", at: datetime
) -> dict[str, Pause]:
    return {
        row.pk: Pause((what, row.pk), row.paused_reason, row.paused_until)
        for row in rows
        if limits.is_closed(row.paused, row.paused_until, at=at)
    }


def _of_accounts(models: Collection[str], own: Mapping[str, Pause], accounts: Mapping[str, Pause]) -> dict[str, Pause | None]:
    """Return for each model the pause of its first account if all its accounts are paused."""
    routes = capacity.usable_routes(models) if accounts and models - own.keys() else {}
    found: dict[str, Pause | None] = dict.fromkeys(models)
    for model, ways in routes.items():
        keys = [route.account_id for route in ways]
        if all(key in accounts for key in keys):
            found[model] = accounts[keys[0]]
    return found


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
