"""Changing limits, pauses, prices and policies: under the claim lock, with one audit entry, effective at the next claim (I21)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, transaction

from queue_app import wake
from queue_app.models import AuditEntry, Batch, Job, Kind, ModelConcurrencyLimit, ProviderAccount, QueueSettings, User

# the rows with a pause or a limit → what the audit calls the thing that is paused or limited
_THINGS: dict[type[models.Model], str] = {
    ModelConcurrencyLimit: "model",
    ProviderAccount: "account",
    QueueSettings: "queue",
    Kind: "job type",
}
_PAUSE = {"paused", "paused_reason", "paused_until"}


@transaction.atomic
def change(row: models.Model, *, at: datetime, actor: User | None, reason: str = "", **fields: Any) -> bool:
    """
    Set ``fields`` of a row of the catalogue or of the settings. Gives whether anything changed.

    :raises ValidationError: a value is out of its span; nothing is written.
    """
    QueueSettings.objects.lock_claims()
    now = type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)
    before = {name: getattr(now, _column(now, name)) for name in fields}
    for name, value in fields.items():
        setattr(now, name, value)
    now.full_clean(exclude={field.name for field in now._meta.fields} - fields.keys(), validate_unique=False)
    after = {name: getattr(now, _column(now, name)) for name in fields}
    changed = [name for name in fields if before[name] != after[name]]
    if not changed:
        return False
    now.save(update_fields=changed)
    for name in changed:
        setattr(row, name, getattr(now, name))
    audit(
        _action(row, {name: after[name] for name in changed}),
        "whole queue" if isinstance(row, QueueSettings) else str(row.pk),
        at=at,
        actor=actor,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        reason=reason,
        of=row,
    )
    wake.queue_changed()
    return True


def changes_of(row: models.Model) -> "models.QuerySet[AuditEntry]":
    """What `change` wrote of this row, oldest first."""
    of_row = AuditEntry.objects.filter(target_model=row._meta.label_lower, target_pk=str(row.pk), action__in=_actions(row))
    return of_row.order_by("id")


def last_change(row: models.Model) -> int:
    """The number of its last change; 0 before the first."""
    return changes_of(row).values_list("pk", flat=True).last() or 0


@transaction.atomic
def add(row: models.Model, *, at: datetime, actor: User | None, reason: str = "") -> None:
    """Add a checked row to the catalogue."""
    QueueSettings.objects.lock_claims()
    row.save(force_insert=True)
    after = {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields}
    audit(f"add {row._meta.verbose_name}", str(row.pk), at=at, actor=actor, after=after, reason=reason, of=row)
    wake.queue_changed()


@transaction.atomic
def pause_batch(batch: Batch, *, at: datetime, actor: User | None, reason: str = "", via: str = "") -> Batch:
    """
    No later claim takes a job of this batch; what runs goes on. Its queued jobs keep their places. ``via``: :func:`why`.
    Gives the batch as it is then.
    """
    return _set_batch_pause(batch, True, at=at, actor=actor, reason=why(reason, via))


@transaction.atomic
def resume_batch(batch: Batch, *, at: datetime, actor: User | None, reason: str = "", via: str = "") -> Batch:
    return _set_batch_pause(batch, False, at=at, actor=actor, reason=why(reason, via))


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
) -> None:
    """Write who did what; inside the transaction of what was done. ``of`` is the row that it was done to: its page shows it."""
    AuditEntry.objects.create(
        at=at,
        actor=actor,
        actor_name=actor.username if actor else "genqueue",
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
    As :func:`audit`, of what belongs to the user with the number ``owner``: nothing is written where that is who did it (I45).

    :param via: see :func:`why`.
    """
    if actor.pk != owner:
        audit(action, target, at=at, actor=actor, before=before, after=after, reason=why(reason, via), of=of)


def why(reason: str, via: str) -> str:
    """Return the reason that is kept: the one that was given, or else how it was asked where it was no page, such as “API”."""
    return reason or (f"via {via}" if via else "")


def known_as(actor: User, via: str = "") -> str:
    """Return the name under which a user's acts are written into histories: “ana”, “ana by API”."""
    return f"{actor.username} by {via}" if via else actor.username


def last_resume(account: ProviderAccount, *, at: datetime) -> datetime | None:
    """When the last pause of this account ended, by a person's hand or at the end that a person had set for it."""
    resumed = changes_of(account).filter(before__paused=True, after__paused=False).last()
    ends = [resumed.at if resumed else None, account.paused_until if account.paused else None]
    return max((end for end in ends if end and end <= at), default=None)


def _set_batch_pause(batch: Batch, paused: bool, *, at: datetime, actor: User | None, reason: str) -> Batch:
    QueueSettings.objects.lock_claims()
    batch = Batch.objects.select_related("owner").select_for_update(no_key=True, of=("self",)).get(pk=batch.pk)
    if batch.paused == paused:
        return batch
    batch.paused, batch.paused_reason = paused, reason[:200] if paused else ""
    batch.save(update_fields=["paused", "paused_reason"])
    # those in flight too: they may come back to the queue, and only this writes `held` of an open job
    ids = [job.pk for job in Job.objects.lock().open().filter(batch=batch)]
    Job.objects.filter(pk__in=ids).update(held=paused)
    verb = "pause" if paused else "resume"
    before, after = {"paused": not paused}, {"paused": paused}
    audit(f"{verb} batch", str(batch.pk), at=at, actor=actor, before=before, after=after, reason=reason, of=batch)
    wake.jobs_changed(ids)
    wake.queue_changed()
    return batch


def _action(row: models.Model, after: Mapping[str, Any]) -> str:
    """Name a change after what it did: “pause model”, “set account limit”, else “change model”."""
    thing = _THINGS.get(type(row))
    if thing and "paused" in after and after.keys() <= _PAUSE:
        return f"{'pause' if after['paused'] else 'resume'} {thing}"
    if thing and after.keys() == {"max_concurrent"}:
        return f"set {thing} limit"
    return f"change {row._meta.verbose_name}"


def _actions(row: models.Model) -> list[str]:
    """Return every name that `change` writes of this row."""
    thing = _THINGS.get(type(row))
    special = [f"pause {thing}", f"resume {thing}", f"set {thing} limit"] if thing else []
    return [f"change {row._meta.verbose_name}", *special]


def _column(row: models.Model, name: str) -> str:
    field = row._meta.get_field(name)
    return str(getattr(field, "attname", name))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    encoder = DjangoJSONEncoder()
    return {
        name: value if isinstance(value, (str, int, float, bool, type(None), list, dict)) else encoder.default(value)
        for name, value in values.items()
    }
