"""Announcements: one outbox row per channel that a fact goes to, written in the transaction of the change (I28)."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings

from queue_app import wake
from queue_app.models import Alert, Batch, OutboxMessage

BATCH_ENDED = "batch_ended"
ALERT_OPENED = "alert_opened"
# fact → names of its channels in OUTBOX_CHANNELS; channels that the site does not configure are skipped
TOLD = {
    BATCH_ENDED: ("notices",),
    ALERT_OPENED: ("alerts",),
}


def batch_ended(batch: Batch, *, at: datetime) -> None:
    """Announce that the last open job of a batch has finished. A batch can finish again after a retry."""
    _write_messages(BATCH_ENDED, f"{batch.pk}:{at.isoformat()}", at=at, batch=batch)


def alert_opened(alert: Alert, *, at: datetime) -> None:
    """Announce that an alert has opened. Call it once per alert."""
    _write_messages(ALERT_OPENED, str(alert.pk), at=at, alert=alert.pk)


def _write_messages(fact: str, cause: str, *, at: datetime, batch: Batch | None = None, **facts: Any) -> None:
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
