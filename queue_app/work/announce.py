"""Facts going out: one outbox row for each channel that is told of a fact, written with the change that it tells of (I28)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings

from queue_app import wake
from queue_app.models import Alert, Batch, OutboxMessage

BATCH_ENDED = "batch_ended"
ALERT_OPENED = "alert_opened"
# fact → the channels that are told of it, by their names in OUTBOX_CHANNELS; one that the site leaves out is told nothing
TOLD = {
    BATCH_ENDED: ("notices",),
    ALERT_OPENED: ("alerts",),
}


def batch_ended(batch: Batch, *, at: datetime) -> None:
    """Tell that the last open job of a batch has ended; a batch that was retried can end again."""
    _tell(BATCH_ENDED, f"{batch.pk}:{at.isoformat()}", at=at, batch=batch)


def alert_opened(alert: Alert, *, at: datetime) -> None:
    """Tell that an alert has opened; once for each row."""
    _tell(ALERT_OPENED, str(alert.pk), at=at, alert=alert.pk)


def _tell(fact: str, cause: str, *, at: datetime, batch: Batch | None = None, **facts: Any) -> None:
    OutboxMessage.objects.bulk_create(
        OutboxMessage(
            channel=channel,
            key=f"{channel}:{fact}:{cause}",
            batch=batch,
            payload={"fact": fact, **facts},
            created_at=at,
            due_at=at,
        )
        for channel in _channels(fact)
    )
    wake.dispatcher()


def _channels(fact: str) -> Iterator[str]:
    return (channel for channel in TOLD[fact] if channel in settings.OUTBOX_CHANNELS)
