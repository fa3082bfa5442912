"""Facts going out: one outbox row for each channel, written with the change that they tell of (I28)."""

from datetime import datetime

from django.conf import settings

from queue_app import wake
from queue_app.models import Batch, OutboxMessage

BATCH_ENDED = "batch_ended"


def batch_ended(batch: Batch, *, at: datetime) -> None:
    """Tell every channel that the last open job of a batch has ended; a batch that was retried can end again."""
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            channel=channel,
            key=f"{channel}:{BATCH_ENDED}:{batch.pk}:{at.isoformat()}",
            batch=batch,
            payload={"fact": BATCH_ENDED},
            created_at=at,
            due_at=at,
        )
        for channel in settings.OUTBOX_CHANNELS
    )
    wake.dispatcher()
