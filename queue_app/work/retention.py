"""
Retention: delete what is kept only for a while. Jobs, their history and the ledger stay (I9).

`prune` deletes rows, at most 5,000 at a time, so that no round of the dispatcher takes long. `expire` deletes files and provider
answers, as long as their job types say, and `remove_messages` what is left of sent messages; the store queue calls both. Other
modules remove their own rows: `bulk.prune` drafts and
lists of bulk actions, `storing.remove_orphans` stored objects without a row, `recovery.prune` answers to idempotent requests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum

from queue_app import lifecycle
from queue_app.models import (
    ApiKey,
    Asset,
    Attempt,
    CallRate,
    InboundWebhook,
    Job,
    JobStage,
    Kind,
    Notice,
    OutboxMessage,
    Upload,
    User,
    WebhookEndpoint,
)
from queue_app.models.job import TERMINAL_STATES
from queue_app.models.outbox import OPEN
from queue_app.statements import Statement
from queue_app.work import disk, endpoints, keys, policy

AT_ONCE = 5_000
# said in SQL, since Django would fetch the messages to find their tries
_REMOVE_MESSAGES = Statement("""
    WITH tries AS (DELETE FROM queue_app_deliverytry WHERE message_id = ANY(%(ids)s::bigint[]))
    DELETE FROM queue_app_outboxmessage WHERE id = ANY(%(ids)s)
""")
FILES_AT_ONCE = 500
NOTICES_KEPT = timedelta(days=90)  # once read
_ENDPOINTS_GONE = Statement("""
    DELETE FROM queue_app_webhookendpoint endpoint WHERE deleted_at < %(before)s::timestamptz
       AND NOT EXISTS (SELECT FROM queue_app_outboxmessage WHERE endpoint_id = endpoint.id)
""")


@dataclass(frozen=True)
class Expiry:
    """What the retention of a job type deletes now: files, their bytes, and provider answers."""

    files: int
    bytes: int
    answers: int


def prune(*, at: datetime) -> None:
    """
    Delete expired sessions, which Django itself deletes only at their owner's next visit, old webhooks, received or sent, old
    notices, keys that were revoked or have expired long ago, counts of calls that say nothing any more, and what is left of
    webhook endpoints that their owners have deleted.
    """
    _remove(Session.objects.filter(expire_date__lt=at))
    _remove(InboundWebhook.objects.filter(received_at__lt=at - settings.WEBHOOKS_KEPT))
    _remove(Notice.objects.filter(created_at__lt=at - NOTICES_KEPT, read_at__isnull=False))
    _remove_messages(at)
    _remove_keys(at)
    _remove(CallRate.objects.filter(used_up__lt=at))
    _ENDPOINTS_GONE.run(before=at - endpoints.DELETED_KEPT)


def remove_messages(*, at: datetime, may_go_on: Callable[[], bool] = lambda: True) -> int:
    """
    Delete old messages of the outbox that are over, with their tries; return their number. A busy day leaves more of them than
    `prune` can take. ``may_go_on`` is asked before each slice.
    """
    removed = 0
    while may_go_on() and (gone := _remove_messages(at)):
        removed += gone
    return removed


def due(kind: Kind, *, at: datetime) -> Expiry:
    """Return what `expire` would delete of a job type."""
    files = _due_files(kind, at).aggregate(count=Count("pk"), bytes=Sum("size", default=0))
    return Expiry(files["count"], files["bytes"], _due_answers(kind, at).count())


def expire(*, at: datetime, may_go_on: Callable[[], bool] = lambda: True) -> Expiry:
    """
    Delete the files (T24) and provider answers that their job types no longer keep; return what was deleted.

    A file that several rows name is deleted with the last of them. ``may_go_on`` is asked before each slice.
    """
    files = size = answers = 0
    for kind in Kind.objects.exclude(files_kept_days=None, payloads_kept_days=None).order_by("key"):
        while may_go_on() and (gone := _expire_files(_due_files(kind, at), at=at)):
            files, size = files + len(gone), size + sum(asset.size for asset in gone)
        found = _due_answers(kind, at).values_list("pk", flat=True).iterator(AT_ONCE)
        while may_go_on() and (keys := list(islice(found, AT_ONCE))):
            answers += Attempt.objects.filter(pk__in=keys).update(remote={})
    return Expiry(files, size, answers)


def expire_files_of(job: Job, *, at: datetime, actor: User, via: str = "") -> int:
    """
    Delete the files of a finished job at once (T24). Safe to repeat. Return how many were deleted; what was paid stays paid.

    :raises MoveRefused: it is not finished.
    """
    with transaction.atomic():
        (locked,) = Job.objects.filter(pk=job.pk).lock()
        if locked.is_open:
            raise lifecycle.MoveRefused(f"{locked} {lifecycle.state_phrase(locked)}. Files can be deleted once it is finished.")
        rows = list(Asset.objects.kept().filter(job=locked).select_for_update(of=("self",)))
        _forget(rows, at=at)
        if rows:
            lifecycle.note_each([locked], at=at, actor=policy.known_as(actor, via), reason="files deleted")
            policy.audit_others(
                locked.owner_id, "delete files", str(locked), at=at, actor=actor, via=via, after={"files": len(rows)}, of=locked
            )
    _delete_unnamed(rows)
    return len(rows)


def _due_files(kind: Kind, at: datetime) -> QuerySet[Asset]:
    if kind.files_kept_days is None:
        return Asset.objects.none()
    return Asset.objects.kept().filter(job__kind=kind, created_at__lt=at - timedelta(days=kind.files_kept_days))


def _due_answers(kind: Kind, at: datetime) -> QuerySet[Attempt]:
    if kind.payloads_kept_days is None:
        return Attempt.objects.none()
    ended = Attempt.objects.filter(ended_at__lt=at - timedelta(days=kind.payloads_kept_days), job__kind=kind)
    return ended.filter(job__state__in=TERMINAL_STATES).exclude(remote={})


def _expire_files(found: QuerySet[Asset], *, at: datetime) -> list[Asset]:
    """Delete some of the files; a kill in between leaves objects without a row, which `storing.remove_orphans` deletes."""
    with transaction.atomic():
        rows = list(found.order_by("created_at").select_for_update(skip_locked=True, of=("self",))[:FILES_AT_ONCE])
        _forget(rows, at=at)
    _delete_unnamed(rows)
    return rows


def _forget(rows: Sequence[Asset], *, at: datetime) -> None:
    """Record that files are deleted, and delete what the stages of their jobs have made: the same texts stand there."""
    Asset.objects.filter(pk__in=[asset.pk for asset in rows]).update(expired_at=at)
    JobStage.objects.filter(job__in={asset.job_id for asset in rows}, result__isnull=False).update(result=None)


def _delete_unnamed(rows: Sequence[Asset]) -> None:
    """Delete the objects of these files that no other file names, nor an image that jobs start from."""
    names = {asset.name for asset in rows}
    rows_of: tuple[QuerySet[Any], ...] = (Asset.objects.kept(), Upload.objects.all())
    disk.delete(names.difference(*(found.filter(name__in=names).values_list("name", flat=True) for found in rows_of)))


@transaction.atomic
def _remove_messages(at: datetime) -> int:
    """Delete some of the old messages, and of those to endpoints that their owners have deleted; return their number."""
    rows = OutboxMessage.objects.filter(Q(leased_until=None) | Q(leased_until__lt=at))
    old = rows.filter(~OPEN, created_at__lt=at - settings.WEBHOOKS_KEPT).order_by("created_at")
    gone = WebhookEndpoint.with_deleted.filter(deleted_at__lt=at - endpoints.DELETED_KEPT)
    sent_there = rows.filter(endpoint__in=list(gone.values_list("pk", flat=True)))
    ids = [
        pk
        for found in (old, sent_there)
        for pk in found.select_for_update(skip_locked=True).values_list("pk", flat=True)[:AT_ONCE]
    ]
    if ids:
        _REMOVE_MESSAGES.run(ids=ids)
    return len(ids)


def _remove_keys(at: datetime) -> None:
    """Delete keys whose jobs no longer name them. A key stays as long as its budget holds jobs."""
    ended = ApiKey.objects.filter(Q(revoked_at__lt=at - keys.KEPT) | Q(expiry__lt=at - keys.KEPT))
    gone = list(ended.exclude(ticket_budgets__held_since__isnull=False).values_list("pk", flat=True))
    named = Job.objects.filter(submitted_with__in=gone)
    Job.objects.filter(pk__in=list(named.order_by().values_list("pk", flat=True)[:AT_ONCE])).update(submitted_with=None)
    _remove(ApiKey.objects.filter(~Exists(Job.objects.filter(submitted_with=OuterRef("pk"))), pk__in=gone))


def _remove(rows: "QuerySet[Any]") -> None:
    rows.model._default_manager.filter(pk__in=list(rows.order_by().values_list("pk", flat=True)[:AT_ONCE])).delete()
