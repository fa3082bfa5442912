"""
Everything that staff edit: limits, pauses, prices, policies, users, brands. Each save takes the claim lock, writes one audit
entry and applies to the next claim (I21, I45).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction

from queue_app import turns, wake
from queue_app.models import (
    AuditEntry,
    Batch,
    Job,
    Kind,
    ModelConcurrencyLimit,
    ProviderAccount,
    QueueSettings,
    Schedule,
    State,
    User,
)

# the rows with a pause or a limit → what the audit calls the thing that is paused or limited
_THINGS: dict[type[models.Model], str] = {
    ModelConcurrencyLimit: "model",
    ProviderAccount: "account",
    QueueSettings: "queue",
    Kind: "job type",
    Schedule: "schedule",
    Batch: "batch",
}
_PAUSE = {"paused", "paused_reason", "paused_until"}
ENDED = 20  # batches whose pause ends in one round of the dispatcher
_SECRET = {"password", "digest"}  # kept out of the audit (I36)
Values = tuple[dict[str, Any], dict[str, Any]]  # by field, before and after


@transaction.atomic
def save(
    row: models.Model,
    values: Mapping[str, Any],
    *,
    at: datetime,
    actor: User | None,
    reason: str = "",
    of: models.Model | None = None,
) -> bool:
    """
    Add a new row, or set ``values`` of an existing one, and audit it. Return whether anything changed.

    :param values: by field. Of a new row, whose own fields are set and checked already, only its relations to many are read.
    :param of: the row whose page shows the audit entry; the row itself unless given.
    :raises ValidationError: a value is not allowed; nothing is written.
    """
    QueueSettings.objects.lock_claims()
    before, after = _add(row, values) if row._state.adding else _set(row, values)
    if not after:
        return False
    if isinstance(row, QueueSettings) and "fair_share" in after:
        QueueSettings.objects.update(resort_after=0)
        turns.resort(at=at)  # a first part; the dispatcher does the rest
    if isinstance(row, User) and before and "share_weight" in after and QueueSettings.objects.current().fair_share:
        turns.change_of(row.pk)
    action = _action(row, after) if before else f"add {row._meta.verbose_name}"
    audit(action, _called(row), at=at, actor=actor, before=before, after=after, reason=reason, of=of or row)
    wake.queue_changed()
    return True


def change(row: models.Model, *, at: datetime, actor: User | None, reason: str = "", **values: Any) -> bool:
    """Set ``values`` of an existing row: :func:`save` for callers that name the fields."""
    return save(row, values, at=at, actor=actor, reason=reason)


@transaction.atomic
def remove(row: models.Model, *, at: datetime, actor: User | None, reason: str = "", of: models.Model | None = None) -> None:
    """Delete a row that staff edit. ``of``: see :func:`save`."""
    QueueSettings.objects.lock_claims()
    before = _own_values(row)
    audit(f"delete {row._meta.verbose_name}", _called(row), at=at, actor=actor, before=before, reason=reason, of=of or row)
    row.delete()
    wake.queue_changed()


def changes_of(row: models.Model) -> "models.QuerySet[AuditEntry]":
    """Return the entries that `save` wrote about changes of this row, oldest first."""
    of_row = AuditEntry.objects.filter(target_model=row._meta.label_lower, target_pk=str(row.pk), action__in=_actions(row))
    return of_row.order_by("id")


def last_change(row: models.Model) -> int:
    """Return the number of the row's last change; 0 before the first."""
    return changes_of(row).values_list("pk", flat=True).last() or 0


@transaction.atomic
def pause_batch(
    batch: Batch, *, at: datetime, actor: User | None, reason: str = "", until: datetime | None = None, via: str = ""
) -> Batch:
    """
    Pause a batch: no later claim takes its jobs; running jobs continue and queued jobs keep their positions. Return the batch as
    it is then.

    A pause that is there already changes only if a reason or an end is given.

    :param until: when it ends by itself; ``None``: once it is resumed.
    :param via: see :func:`why`.
    """
    batch = _lock_batch(batch)
    if batch.paused and not reason and until is None:
        return batch
    said = why(reason or batch.paused_reason, via)
    return _set_batch_pause(batch, True, until, at=at, actor=actor, reason=said)


@transaction.atomic
def resume_batch(batch: Batch, *, at: datetime, actor: User | None, reason: str = "", via: str = "") -> Batch:
    """End a batch's pause. Return the batch as it is then."""
    return _set_batch_pause(_lock_batch(batch), False, None, at=at, actor=actor, reason=why(reason, via))


def end_batch_pauses(*, at: datetime) -> int:
    """Resume batches whose pause has come to its end, at most `ENDED`. Return the number of batches."""
    due = Batch.objects.filter(paused=True, paused_until__lte=at).order_by("paused_until", "pk")[:ENDED]
    return sum(_end_batch_pause(batch, at=at) for batch in due)


def audit(
    action: str,
    target: str,
    *,
    at: datetime,
    actor: User | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    of: models.Model | None = None,
    actor_name: str = "genqueue",
) -> None:
    """
    Record who did what, in the transaction of the change.

    :param of: the row whose page shows the entry.
    :param actor_name: who did it without an account, never a text that they typed themselves.
    """
    AuditEntry.objects.create(
        at=at,
        actor=actor,
        actor_name=actor.username if actor else actor_name,
        action=action,
        target=target,
        before=_plain(before or {}),
        after=_plain(after or {}),
        reason=reason,
        target_model=of._meta.label_lower if of else "",
        target_pk=str(of.pk) if of else "",
    )


def audit_others(
    owner: int,
    action: str,
    target: str,
    *,
    at: datetime,
    actor: User,
    via: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
    of: models.Model,
) -> None:
    """
    Record who changed something of the user with the number ``owner``; owners' own changes are not recorded (I45).

    :param via: see :func:`why`.
    """
    if actor.pk != owner:
        audit(action, target, at=at, actor=actor, before=before, after=after, reason=why(reason, via), of=of)


def why(reason: str, via: str) -> str:
    """Return the reason to keep: the given one, or else the way of the request if it was no page: “via API”."""
    return reason or (f"via {via}" if via else "")


def known_as(actor: User, via: str = "") -> str:
    """Return the name of a user in the histories of jobs: “ana”, “ana by API”."""
    return f"{actor.username} by {via}" if via else actor.username


def last_resume(account: ProviderAccount, *, at: datetime) -> datetime | None:
    """Return when the last pause of this account ended: staff resumed it, or its end time passed."""
    resumed = changes_of(account).filter(before__paused=True, after__paused=False).last()
    ends = [resumed.at if resumed else None, account.paused_until if account.paused else None]
    return max((end for end in ends if end and end <= at), default=None)


def _lock_batch(batch: Batch) -> Batch:
    """Take the claim lock and that of the batch. Return the batch as it is then."""
    QueueSettings.objects.lock_claims()
    return Batch.objects.select_related("owner").select_for_update(no_key=True, of=("self",)).get(pk=batch.pk)


@transaction.atomic
def _end_batch_pause(batch: Batch, *, at: datetime) -> bool:
    batch = _lock_batch(batch)
    if not batch.paused or batch.paused_until is None or batch.paused_until > at:  # someone changed it first
        return False
    _set_batch_pause(batch, False, None, at=at, actor=None, reason="The pause came to its end")
    return True


def _set_batch_pause(
    batch: Batch, paused: bool, until: datetime | None, *, at: datetime, actor: User | None, reason: str
) -> Batch:
    """Pause a locked batch, change its pause, or end it."""
    values = {"paused": paused, "paused_reason": reason[:200] if paused else "", "paused_until": until}
    before = {name: getattr(batch, name) for name, value in values.items() if getattr(batch, name) != value}
    if not before:
        return batch
    for name, value in values.items():
        setattr(batch, name, value)
    batch.save(update_fields=list(values))
    # those in flight too: they may come back to the queue
    jobs = list(Job.objects.lock().open().filter(batch=batch)) if "paused" in before else []
    ids = [job.pk for job in jobs]
    Job.objects.filter(pk__in=ids, held_for="").update(held=paused)
    if not paused:
        turns.catch_up([job for job in jobs if job.state == State.QUEUED and not job.held_for])
    verb = "pause" if paused else "resume"
    after = {name: values[name] for name in before}
    audit(f"{verb} batch", str(batch.pk), at=at, actor=actor, before=before, after=after, reason=reason, of=batch)
    wake.jobs_changed(ids)
    wake.queue_changed()
    return batch


def _action(row: models.Model, after: Mapping[str, Any]) -> str:
    """Name a change after its effect: “pause model”, “set account limit”, else “change model”."""
    thing = _THINGS.get(type(row))
    if thing and "paused" in after and after.keys() <= _PAUSE:
        return f"{'pause' if after['paused'] else 'resume'} {thing}"
    if thing and after.keys() == {"max_concurrent"}:
        return f"set {thing} limit"
    return f"change {row._meta.verbose_name}"


def _actions(row: models.Model) -> list[str]:
    """Return every name that `_action` gives to changes of this row."""
    thing = _THINGS.get(type(row))
    special = [f"pause {thing}", f"resume {thing}", f"set {thing} limit"] if thing else []
    return [f"change {row._meta.verbose_name}", *special]


def _called(row: models.Model) -> str:
    """Return what the audit calls a row: its key where people chose one."""
    if isinstance(row, QueueSettings):
        return "whole queue"
    return row.pk if isinstance(row.pk, str) else str(row)[:200]


def _add(row: models.Model, values: Mapping[str, Any]) -> Values:
    row.save(force_insert=True)
    many = [name for name in values if _is_many(row, name)]
    for name in many:
        getattr(row, name).set(values[name])
    return {}, _own_values(row) | {name: _value(row, name) for name in many}


def _set(row: models.Model, values: Mapping[str, Any]) -> Values:
    """Compare with the row as it is now, not as it was read. Return the values that changed, before and after."""
    now = type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)
    was = {name: _value(now, name) for name in values}
    for name, value in values.items():
        if _is_many(now, name):
            getattr(now, name).set(value)
        else:
            setattr(now, name, value)
    now.full_clean(exclude={field.name for field in now._meta.fields} - values.keys(), validate_unique=False)
    found = {name: _value(now, name) for name in values}
    changed = [name for name in values if was[name] != found[name]]
    if own := [name for name in changed if not _is_many(now, name)]:
        now.save(update_fields=own)
        for name in own:
            setattr(row, name, getattr(now, name))
    return {name: was[name] for name in changed}, {name: found[name] for name in changed}


def _own_values(row: models.Model) -> dict[str, Any]:
    fields = [field.name for field in row._meta.concrete_fields if field.name not in _SECRET]
    return {name: _value(row, name) for name in fields}


def _value(row: models.Model, name: str) -> Any:
    """Return the value of a field as the audit keeps it: the key of a row, the names of many rows."""
    if _is_many(row, name):
        return sorted(map(str, getattr(row, name).all()))
    return getattr(row, str(getattr(row._meta.get_field(name), "attname", name)))


def _is_many(row: models.Model, name: str) -> bool:
    return bool(row._meta.get_field(name).many_to_many)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    encoder = DjangoJSONEncoder()
    return {
        name: value if isinstance(value, (str, int, float, bool, type(None), list, dict)) else encoder.default(value)
        for name, value in values.items()
    }
