"""
What people asked to be told and no change of a single job tells: their queue is clear, nothing holds their campaign any more.

Looked for in every sweep: one statement each, which finds no row unless somebody asked.
"""

from datetime import datetime, timedelta

from django.db import transaction

from queue_app import announce
from queue_app.models import Batch, Job, QueueSettings, State
from queue_app.statements import Statement
from queue_app.work.capacity import Capacity

CLEAR_FOR = timedelta(minutes=2)  # a clearing that no sweep saw for so long is no news any more
# an open job has tickets reserved, and no finished one
_CLEAR = Statement(f"""
    SELECT person.id, max(job.ended_at)
      FROM queue_app_job job
      JOIN queue_app_user person ON person.id = job.owner_id
      JOIN queue_app_wallet wallet ON wallet.owner_id = person.id
     WHERE job.ended_at > %(since)s AND wallet.reserved = 0
       AND person.notice_settings -> '{announce.QUEUE_CLEAR}' @? '$.* ? (@ == true)'
     GROUP BY person.id
""")  # noqa: S608 - a constant


def look(*, at: datetime) -> None:
    """Announce queues that have become clear, and batches that no pause holds any more, to owners who asked for it."""
    for owner_id, ended_at in _CLEAR.run(since=at - CLEAR_FOR):
        announce.queue_clear(owner_id, ended_at=ended_at, at=at)
    waiting = list(Batch.objects.filter(notify_resumed=True).values_list("pk", flat=True))
    if not waiting:
        return
    capacity = Capacity.load(at=at, policy=QueueSettings.objects.current())
    for pk in waiting:
        with transaction.atomic():
            _look_at(pk, capacity, at=at)


def _look_at(pk: int, capacity: Capacity, *, at: datetime) -> None:
    batch = Batch.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=pk, notify_resumed=True).first()
    if batch is None or _is_held(batch, capacity):
        return
    batch.notify_resumed = False
    batch.save(update_fields=["notify_resumed"])
    if batch.ended_at is None:  # else its end is what is told
        announce.batch_resumed(batch, at=at)


def _is_held(batch: Batch, capacity: Capacity) -> bool:
    queued = Job.objects.filter(batch=batch, state=State.QUEUED).order_by()
    models = list(queued.values_list("model", flat=True).distinct())
    if not models or batch.paused:
        return bool(models)
    return any(capacity.holds(model) for model in models)
