"""
Delivery of outbox messages, at least once (I28): leased in one transaction, sent outside any, recorded in another.

Messages wait in lanes: one for each webhook endpoint, for the callbacks of each user, and for each other channel. Of a lane, and
of the webhooks of a user, few are under way at a time, so a slow receiver delays nobody else.

A try counts when it begins: a try that crashes its worker counts, one that was handed out but never began does not.
"""

import logging
from datetime import datetime, timedelta
from random import Random

from django.conf import settings
from django.utils.module_loading import import_string

from queue_app import clock
from queue_app.announce import WEBHOOKS
from queue_app.models import OutboxMessage
from queue_app.statements import Statement

log = logging.getLogger(__name__)
chance = Random()  # noqa: S311 - jitter, not a secret
WAITS = (5, 60, 300, 1800, 7200, 10_800, 14_400, 18_000, 28_800)  # seconds after each failed try: 10 tries in 24 hours
TRIES = len(WAITS) + 1
LONGEST_WAIT = timedelta(hours=24)  # that a receiver can ask for
AT_ONCE = 50
IN_A_LANE, OF_AN_OWNER = 2, 8  # under way at a time
_OPEN = "delivered_at IS NULL AND given_up_at IS NULL"
_LANES = f"""
    RECURSIVE lanes (lane) AS (
        (SELECT lane FROM queue_app_outboxmessage WHERE {_OPEN} ORDER BY lane LIMIT 1)
        UNION ALL
        SELECT (SELECT lane FROM queue_app_outboxmessage WHERE {_OPEN} AND lane > lanes.lane ORDER BY lane LIMIT 1)
          FROM lanes WHERE lanes.lane IS NOT NULL
    )"""  # noqa: S608 - constants
_LEASE = f"""
    , ready AS (
        SELECT message.*, row_number() OVER (PARTITION BY channel, owner_id ORDER BY due_at, id) AS place
          FROM lanes CROSS JOIN LATERAL (
            SELECT id, tries, due_at, channel, owner_id FROM queue_app_outboxmessage
             WHERE {_OPEN} AND lane = lanes.lane AND due_at <= %(at)s AND (leased_until IS NULL OR leased_until <= %(at)s)
             ORDER BY due_at, id
             LIMIT greatest(0, least(%(most)s::int, {IN_A_LANE} - (SELECT count(*) FROM queue_app_outboxmessage
                                                                    WHERE lane = lanes.lane AND leased_until > %(at)s)))
               FOR UPDATE SKIP LOCKED
          ) message
         WHERE lanes.lane IS NOT NULL
    ), due AS (
        SELECT ready.* FROM ready
         WHERE channel <> '{WEBHOOKS}'
            OR place <= {OF_AN_OWNER} - (SELECT count(*) FROM queue_app_outboxmessage busy
                                          WHERE busy.channel = '{WEBHOOKS}' AND busy.owner_id = ready.owner_id
                                            AND busy.leased_until > %(at)s)
         ORDER BY due_at, id LIMIT {AT_ONCE}
    )
    UPDATE queue_app_outboxmessage message
       SET leased_until = CASE WHEN due.tries < {TRIES} THEN %(at)s + %(lease)s::interval END,
           given_up_at = CASE WHEN due.tries >= {TRIES} THEN %(at)s END,
           last_error = CASE WHEN due.tries >= {TRIES} THEN %(lost)s ELSE message.last_error END
      FROM due WHERE message.id = due.id
    RETURNING message.id, message.tries + 1, due.due_at
"""  # noqa: S608 - constants
_LEASE_DUE = Statement(f"WITH {_LANES}{_LEASE}")
_LEASE_NEXT = Statement(f"WITH lanes (lane) AS (SELECT %(lane)s::text){_LEASE}")
_LOST = f"The worker was lost during attempt {TRIES}, the last one."


class NotDelivered(Exception):
    """
    The receiver did not take a message. ``wait`` is how long it asked us to wait; ``is_final``: it is not tried again.

    A channel raises it for what is the receiver's affair; any other exception is an error of ours, which the log shows in full.
    """

    def __init__(self, words: str, *, wait: timedelta | None = None, is_final: bool = False) -> None:
        super().__init__(words)
        self.wait, self.is_final = wait, is_final


def lease_due(*, at: datetime) -> list[tuple[int, int]]:
    """
    Lease due messages, at most 2 of a lane and 50 in all, oldest first. Return their ids, each with the number of its next try.

    Give up on messages whose last try crashed its worker.
    """
    return _leased(_LEASE_DUE.run(most=IN_A_LANE, at=at, lease=_lease(), lost=_LOST))


def lease_next(lane: str, *, at: datetime) -> tuple[int, int] | None:
    """Lease the next due message of a lane that has just finished one; ``None`` if none is due."""
    return next(iter(_leased(_LEASE_NEXT.run(lane=lane, most=1, at=at, lease=_lease(), lost=_LOST))), None)


def deliver(message_id: int, number: int) -> str | None:
    """
    Deliver a message by its channel, as its try of this number, record the result and return its lane.

    Does nothing and returns ``None`` if this try has begun before: without a free worker, a try may be handed out several times.
    """
    until = clock.now() + _lease()
    open_one = OutboxMessage.objects.filter(pk=message_id, tries=number - 1, delivered_at=None, given_up_at=None)
    if not open_one.update(tries=number, leased_until=until, due_at=until + _wait_after(number)):
        return None
    message = OutboxMessage.objects.get(pk=message_id)
    try:
        import_string(settings.OUTBOX_CHANNELS[message.channel])(message_id)
    except NotDelivered as refusal:
        _record_failure(message_id, number, refusal, at=clock.now())
    except Exception as error:
        log.exception("outbox message %s was not delivered, attempt %s", message.key, number)
        _record_failure(message_id, number, NotDelivered(f"{type(error).__name__}: {error}"), at=clock.now())
    else:
        OutboxMessage.objects.filter(pk=message_id).update(delivered_at=clock.now(), leased_until=None, last_error="")
    return message.lane


def _lease() -> timedelta:
    """Return how long a lease lasts: longer than any channel takes for one message."""
    return timedelta(seconds=settings.TIMES.delivery_lease)


def _leased(rows: list[tuple[int, int, datetime]]) -> list[tuple[int, int]]:
    return [(pk, number) for pk, number, _ in sorted(rows, key=lambda row: (row[2], row[0])) if number <= TRIES]


def _record_failure(message_id: int, number: int, failure: NotDelivered, *, at: datetime) -> None:
    is_over = failure.is_final or number >= TRIES
    wait = max(_wait_after(number), min(failure.wait or timedelta(), LONGEST_WAIT))
    changes = {"given_up_at": at} if is_over else {"due_at": at + wait}
    OutboxMessage.objects.filter(pk=message_id).update(**changes, leased_until=None, last_error=str(failure))


def _wait_after(number: int) -> timedelta:
    """Return the wait from the end of this try to the next one; 0 after the last."""
    return timedelta(seconds=WAITS[number - 1] * chance.uniform(1.0, 1.2)) if number < TRIES else timedelta()
