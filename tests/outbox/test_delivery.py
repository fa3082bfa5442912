"""Delivery: each message is tried ten times in a day, and a try that was handed out but never began does not count."""

from contextlib import suppress
from datetime import datetime, timedelta

import pytest

from queue_app import clock
from queue_app.models import OutboxMessage
from queue_app.outbox import delivery
from tests.factories import NOON

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=90)
sent: list[int] = []


class WorkerEnded(BaseException):
    """The end of a worker, which is not an exception of the channel."""


def send(message_id: int) -> None:
    sent.append(message_id)


def fail(message_id: int) -> None:
    sent.append(message_id)
    raise ConnectionError("the mail server is away")


def end_its_worker(message_id: int) -> None:
    raise WorkerEnded


@pytest.fixture(autouse=True)
def channels(settings, time_stands_still: None) -> None:
    sent.clear()
    settings.OUTBOX_CHANNELS = {name: f"{__name__}.{name}" for name in ("send", "fail", "end_its_worker")}


def message(channel: str) -> OutboxMessage:
    return OutboxMessage.objects.create(channel=channel, key=channel, created_at=NOON, due_at=NOON)


def tried(one: OutboxMessage, *, at: datetime) -> OutboxMessage:
    """Return the message after its due tries were handed out and begun."""
    for message_id, number in delivery.lease_due(at=at):
        with suppress(WorkerEnded):
            delivery.deliver(message_id, number)
    one.refresh_from_db()
    return one


class TestDeliver:
    def test_sends_what_is_due_once(self) -> None:
        one = message("send")
        assert delivery.lease_due(at=NOON - timedelta(seconds=1)) == []
        assert tried(one, at=NOON).delivered_at == clock.now()
        assert delivery.lease_due(at=clock.now() + timedelta(days=2)) == []
        assert sent == [one.pk]

    def test_a_try_that_is_handed_out_twice_is_made_once(self) -> None:
        one = message("fail")
        for _ in range(2):
            delivery.deliver(one.pk, 1)
        one.refresh_from_db()
        assert (sent, one.tries) == ([one.pk], 1)

    def test_is_leased_to_the_one_who_begins_however_late_that_is(self) -> None:
        one = message("end_its_worker")
        with pytest.raises(WorkerEnded):
            delivery.deliver(one.pk, 1)
        assert delivery.lease_due(at=clock.now() + LEASE) == []


class TestATryThatFails:
    def test_is_followed_by_nine_more_over_a_day_and_then_it_is_given_up(self) -> None:
        one, waits = message("fail"), []
        for _ in range(9):
            assert tried(one, at=one.due_at).given_up_at is None
            waits.append((one.due_at - clock.now()).total_seconds())
        assert all(wait <= waited <= wait * 1.2 for wait, waited in zip(delivery.WAITS, waits, strict=True))

        one = tried(one, at=one.due_at)
        assert (one.tries, one.given_up_at) == (10, clock.now())
        assert one.last_error == "ConnectionError: the mail server is away"
        assert delivery.lease_due(at=clock.now() + timedelta(days=2)) == []

    def test_counts_from_the_first_that_was_made(self) -> None:
        one = message("fail")
        stale = [delivery.lease_due(at=NOON + timedelta(seconds=91 * turn)) for turn in range(11)]
        assert stale == [[(one.pk, 1)]] * 11  # no worker was free to begin one

        for _ in stale:
            delivery.deliver(one.pk, 1)
        one.refresh_from_db()
        assert (one.tries, one.given_up_at, len(sent)) == (1, None, 1)

    def test_because_it_ends_its_worker_counts_too(self) -> None:
        one = message("end_its_worker")
        for number in range(1, 11):
            assert tried(one, at=one.due_at).tries == number
            assert one.given_up_at is None and one.due_at >= clock.now() + LEASE

        one = tried(one, at=one.due_at)
        assert one.given_up_at is not None
        assert one.last_error == "The worker was lost during attempt 10, the last one."
