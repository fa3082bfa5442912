"""
Announcements: facts written to the outbox in the transaction of the change (I28), a row for each who is told.

Who is told of a job's change is decided in SQL, because the statement that changes the job writes the rows: the owner's webhook
endpoints that ask for the event, the job's own ``callback_url`` at its end, and the channel of notices if the owner wants one.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from queue_app import wake
from queue_app.models import Alert, Batch, OutboxMessage, OutgoingEvent, ScheduleRun, State, TicketBudget, WebhookEndpoint
from queue_app.models.job import TERMINAL_STATES, sql_of

WEBHOOKS, NOTICES, EMAILS = "webhooks", "notices", "emails"
BATCH_ENDED = "batch_ended"
BATCH_RESUMED = "batch_resumed"
BATCH_HELD = "batch_held"
QUEUE_CLEAR = "queue_clear"
ALERT_OPENED = "alert_opened"
ENDPOINT_OFF = "endpoint_off"
BUDGET_REACHED = "budget_reached"
SCHEDULE_FAILED = "schedule_failed"
# fact → names of its channels in OUTBOX_CHANNELS; channels that the site does not configure are skipped
TOLD = {
    BATCH_ENDED: (NOTICES,),
    BATCH_RESUMED: (NOTICES,),
    BATCH_HELD: (NOTICES,),
    QUEUE_CLEAR: (NOTICES,),
    ALERT_OPENED: ("alerts",),
    ENDPOINT_OFF: (NOTICES,),
    BUDGET_REACHED: (NOTICES,),
    SCHEDULE_FAILED: (NOTICES,),
    OutgoingEvent.WALLET_LOW: (NOTICES,),
}
# For the statement that writes the events of jobs, whose values it shares; ``events`` are those of `event_of`.
JOBS_TOLD = f"""
    told AS (
        INSERT INTO queue_app_outboxmessage (channel, lane, key, event, owner_id, endpoint_id, job_id, batch_id, payload,
                                             created_at, due_at, tries, last_error)
        SELECT target.channel, target.lane, target.lane || ':' || job.id || ':' || change.seq, change.event, job.owner_id,
               target.endpoint_id, job.id, job.batch_id, jsonb_build_object('seq', change.seq, 'state', change.state),
               %(at)s::timestamptz, %(at)s::timestamptz, 0, ''
          FROM unnest(%(jobs)s::bigint[], %(seqs)s::int[], %(after)s::text[], %(events)s::text[])
                 AS change (job, seq, state, event)
          JOIN queue_app_job job ON job.id = change.job
         CROSS JOIN LATERAL (
            SELECT '{WEBHOOKS}', 'endpoint:' || id, id FROM queue_app_webhookendpoint
             WHERE owner_id = job.owner_id AND active AND events ? change.event
            UNION ALL
            SELECT '{WEBHOOKS}', 'callback:' || job.owner_id, NULL
             WHERE job.callback_url <> '' AND change.state IN {sql_of(TERMINAL_STATES)}
            UNION ALL
            SELECT '{NOTICES}', '{NOTICES}', NULL WHERE job.notify AND change.state IN {sql_of((State.COMPLETED, State.FAILED))}
         ) AS target (channel, lane, endpoint_id)
         WHERE change.event IS NOT NULL
        RETURNING id
    )"""  # noqa: S608 - constants
NUMBER_TOLD = "(SELECT count(*) FROM told)"


def event_of(before: str, after: str) -> OutgoingEvent | None:
    """Return what a change of a job's state is called in a webhook; ``None`` if none tells it."""
    if before == after:
        return None
    if after == State.QUEUED and before in ("", *TERMINAL_STATES):
        return OutgoingEvent.JOB_QUEUED
    return _EVENT_OF_STATE.get(after)


_EVENT_OF_STATE: dict[str, OutgoingEvent] = {
    State.SUBMITTING: OutgoingEvent.JOB_STARTED,
    State.COMPLETED: OutgoingEvent.JOB_COMPLETED,
    State.FAILED: OutgoingEvent.JOB_FAILED,
    State.CANCELLED: OutgoingEvent.JOB_CANCELLED,
}


def batch_ended(batch: Batch, *, at: datetime) -> None:
    """Announce that the last open job of a batch has finished. A batch can finish again after a retry."""
    cause, event = f"{batch.pk}:{at.isoformat()}", f"{batch.origin}.completed"
    messages = [*_to_channels(BATCH_ENDED, cause, at=at, batch=batch)]
    messages += _to_endpoints(batch.owner_id, event, cause, at=at, batch=batch)
    if batch.callback_url:
        messages.append(_webhook(f"callback:{batch.owner_id}", event, cause, batch.owner_id, at=at, batch=batch))
    _write(messages)


def alert_opened(alert: Alert, *, at: datetime) -> None:
    """Announce that an alert has opened. Call it once per alert."""
    _write(_to_channels(ALERT_OPENED, str(alert.pk), at=at, alert=alert.pk))


def wallet_low(owner_id: int, *, available: int, low_at: int, at: datetime) -> None:
    """Announce that the available tickets of a user have fallen below the number at which they want to know."""
    event, cause = OutgoingEvent.WALLET_LOW, f"{owner_id}:{at.isoformat()}"
    facts: dict[str, Any] = {"available": available, "low_at": low_at}
    _write([*_to_channels(event, cause, at=at, owner=owner_id, **facts), *_to_endpoints(owner_id, event, cause, at=at, **facts)])


def endpoint_off(endpoint: WebhookEndpoint, *, at: datetime) -> None:
    """Announce to its owner that Genqueue or staff turned off a webhook endpoint."""
    cause = f"{endpoint.pk}:{at.isoformat()}"
    _write(_to_channels(ENDPOINT_OFF, cause, at=at, owner=endpoint.owner_id, endpoint=endpoint.pk))


def budget_reached(budget: TicketBudget, *, used: int, at: datetime) -> None:
    """Announce to the owner of its jobs that a ticket budget is reached. Call it once per reach."""
    cause = f"{budget.pk}:{at.isoformat()}"
    _write(_to_channels(BUDGET_REACHED, cause, at=at, owner=budget.owner_id, budget=budget.pk, used=used))


def schedule_failed(run: ScheduleRun, *, at: datetime) -> None:
    """Announce to the owner of a schedule that a run was refused, or that runs were missed."""
    cause, owner_id = f"{run.schedule_id}:{run.due_at.isoformat()}", run.schedule.owner_id
    _write(_to_channels(SCHEDULE_FAILED, cause, at=at, owner=owner_id, run=run.pk))


def batch_resumed(batch: Batch, *, at: datetime) -> None:
    """Announce to its owner, who asked for it, that no pause holds the jobs of a batch any more."""
    _write(_to_channels(BATCH_RESUMED, f"{batch.pk}:{at.isoformat()}", at=at, batch=batch))


def batch_held(batch: Batch, cause: str, *, at: datetime, **facts: Any) -> None:
    """Announce to its owner that some jobs of a batch are on hold until somebody decides. Each ``cause`` is told once."""
    _write(_to_channels(BATCH_HELD, f"{batch.pk}:{cause}", at=at, batch=batch, **facts))


def queue_clear(owner_id: int, *, ended_at: datetime, at: datetime) -> None:
    """
    Announce that the last open job of a user ended at ``ended_at``, unless that was announced before.

    The message has the time of the clearing before this one, or 24 hours ago if none is known, to count what ended since.
    """
    cause = f"{owner_id}:{ended_at.isoformat()}"
    if not OutboxMessage.objects.filter(key=_key(NOTICES, QUEUE_CLEAR, cause)).exists():
        told = OutboxMessage.objects.filter(owner=owner_id, event=QUEUE_CLEAR, channel=NOTICES)  # emails tell no times
        before = told.order_by("-id").first()
        since = before.payload["until"] if before else (at - timedelta(hours=24)).isoformat()
        _write(_to_channels(QUEUE_CLEAR, cause, at=at, owner=owner_id, since=since, until=ended_at.isoformat()))


def email(notice: OutboxMessage, *, subject: str, body: str, at: datetime) -> None:
    """Write an email about what a message of the notices tells. It has a lane of its own, so no mail server delays a notice."""
    message = OutboxMessage(
        channel=EMAILS,
        lane=EMAILS,
        key=f"{EMAILS}:{notice.key}",
        event=notice.event,
        owner_id=notice.owner_id,
        payload={"subject": subject, "body": body},
        created_at=at,
        due_at=at,
    )
    _write([message])


def to_endpoint(endpoint: WebhookEndpoint, event: str, cause: str, *, at: datetime, **facts: Any) -> OutboxMessage:
    """Announce something to one endpoint, whatever it asks for: a test."""
    message = _webhook(f"endpoint:{endpoint.pk}", event, cause, endpoint.owner_id, at=at, endpoint=endpoint, **facts)
    message.save()
    wake.dispatcher()
    return message


def _to_endpoints(owner_id: int, event: str, cause: str, *, at: datetime, **facts: Any) -> Iterator[OutboxMessage]:
    for endpoint in WebhookEndpoint.objects.filter(owner=owner_id, active=True, events__contains=event):
        yield _webhook(f"endpoint:{endpoint.pk}", event, cause, owner_id, at=at, endpoint=endpoint, **facts)


def _webhook(
    lane: str,
    event: str,
    cause: str,
    owner_id: int,
    *,
    at: datetime,
    batch: Batch | None = None,
    endpoint: WebhookEndpoint | None = None,
    **facts: Any,
) -> OutboxMessage:
    return OutboxMessage(
        channel=WEBHOOKS,
        lane=lane,
        key=f"{lane}:{event}:{cause}",
        event=event,
        owner_id=owner_id,
        endpoint=endpoint,
        batch=batch,
        payload=facts,
        created_at=at,
        due_at=at,
    )


def _to_channels(
    fact: str, cause: str, *, at: datetime, owner: int | None = None, batch: Batch | None = None, **facts: Any
) -> Iterator[OutboxMessage]:
    for channel in TOLD[fact]:
        if channel in settings.OUTBOX_CHANNELS:
            yield OutboxMessage(
                channel=channel,
                lane=channel,
                key=_key(channel, fact, cause),
                event=fact,
                owner_id=batch.owner_id if batch else owner,
                batch=batch,
                payload=facts,
                created_at=at,
                due_at=at,
            )


def _key(channel: str, fact: str, cause: str) -> str:
    return f"{channel}:{fact}:{cause}"


def _write(messages: Iterable[OutboxMessage]) -> None:
    """Write messages; those whose cause has been announced before are left out."""
    if OutboxMessage.objects.bulk_create(messages, ignore_conflicts=True):
        wake.dispatcher()
