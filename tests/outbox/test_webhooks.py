"""Webhooks going out: written with the change, verified by the receiver's own library, tried again with the same id."""

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from queue_app import announce, clock, lifecycle, tickets
from queue_app.models import Batch, DeliveryTry, Job, OutboxMessage, State, User, WebhookEndpoint
from queue_app.models.job import TERMINAL_STATES
from queue_app.outbox import delivery, webhooks
from queue_app.work import endpoints
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory, advance, make_endpoint, make_job
from tests.outbox.support import deliver_due, verified
from tests.providers.wire import WireServer, answer

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> User:
    return UserFactory.create()


def told(**which: Any) -> list[tuple[str, Any]]:
    """Return the events of the webhooks written so far, each with the state it tells."""
    found = OutboxMessage.objects.filter(channel="webhooks", **which).order_by("id")
    return [(message.event, message.payload.get("state")) for message in found]


class TestAChangeOfAJob:
    def test_is_told_to_the_endpoints_of_its_owner_that_ask_for_it_and_to_nobody_else(self, owner: User) -> None:
        every = make_endpoint(owner, "https://a.example/", *(str(event) for event in announce.OutgoingEvent))
        ends = make_endpoint(owner, "https://b.example/")
        make_endpoint(owner, "https://c.example/", active=False)
        make_endpoint(UserFactory.create(), "https://d.example/", *(str(event) for event in announce.OutgoingEvent))

        job = JobFactory.create(owner=owner)
        advance(job, State.COMPLETED)

        assert told(endpoint=every) == [("job.queued", "queued"), ("job.started", "submitting"), ("job.completed", "completed")]
        assert told(endpoint=ends) == [("job.completed", "completed")]
        assert OutboxMessage.objects.count() == 4

    @pytest.mark.parametrize("state", TERMINAL_STATES)
    def test_to_its_end_is_told_to_its_own_address_and_counted_on_after_a_retry(self, owner: User, state: State) -> None:
        job = make_job(state, owner=owner, callback_url="https://example.com/done?x=1")
        assert told() == [(f"job.{state}", state)]
        if state != State.COMPLETED:
            lifecycle.queue_again([Job.objects.get(pk=job.pk)], at=NOON, actor="user")
            lifecycle.cancel([job.pk], at=NOON, actor="user")
            first, second = OutboxMessage.objects.order_by("id")
            assert first.payload["seq"] < second.payload["seq"] and second.event == "job.cancelled"

    def test_rolled_back_tells_nothing(self, owner: User) -> None:
        make_endpoint(owner, "https://a.example/", "job.queued")
        with pytest.raises(tickets.NotEnoughTickets):
            JobFactory.create(owner=owner, tickets=5_000)
        assert told() == []


class TestTheEndOfABatch:
    @pytest.mark.parametrize("origin", ["batch", "campaign"])
    def test_is_told_by_the_word_of_what_it_is_part_of(self, owner: User, origin: str) -> None:
        make_endpoint(owner, "https://a.example/", "batch.completed", "campaign.completed")
        batch: Batch = BatchFactory.create(owner=owner, origin=origin, callback_url="https://b.example/")
        announce.batch_ended(batch, at=NOON)
        assert told() == [(f"{origin}.completed", None)] * 2


class TestTickets:
    def test_running_low_are_told_once(self, owner: User) -> None:
        make_endpoint(owner, "https://a.example/", "wallet.low")
        JobFactory.create(owner=owner, tickets=980)
        assert told() == []
        JobFactory.create_batch(2, owner=owner, tickets=5)
        assert [message.payload for message in OutboxMessage.objects.filter(channel="webhooks")] == [
            {"available": 15, "low_at": 20}
        ]


class TestADelivery:
    def test_is_verified_by_the_receivers_library_and_says_what_happened_to_what(self, owner: User, receiver: WireServer) -> None:
        endpoint = make_endpoint(owner, f"{receiver.url}/hooks")
        job = make_job(State.COMPLETED, owner=owner, batch=BatchFactory.create(owner=owner))
        (message,) = deliver_due()
        assert message.delivered_at is not None

        (seen,) = receiver.seen
        body = verified(seen, endpoint.secret)
        job.refresh_from_db()
        assert body["type"] == "job.completed"
        assert body["data"] | {"links": None} == {
            "job": job.pk,
            "batch": job.batch_id,
            "campaign": None,
            "status": "completed",
            "seq": job.event_seq,
            "links": None,
        }
        assert body["data"]["links"]["job"].endswith(f"/api/v1/jobs/{job.pk}/")
        assert (seen.method, seen.target, seen.headers["content-type"]) == ("POST", "/hooks", "application/json")

    def test_that_fails_is_repeated_with_the_same_id_and_body_and_a_fresh_time(self, owner: User, receiver: WireServer) -> None:
        endpoint = make_endpoint(owner, receiver.url)
        make_job(State.FAILED, owner=owner)
        receiver.says(answer(503, b"busy", {"Retry-After": "120"}), answer(204))
        before = clock.now()
        (message,) = deliver_due()
        assert message.delivered_at is None and message.due_at >= before + timedelta(seconds=120)
        assert deliver_due() == []
        (message,) = deliver_due(at=message.due_at)
        assert message.delivered_at is not None

        first, second = receiver.seen
        assert first.body == second.body and first.headers["webhook-id"] == second.headers["webhook-id"]
        assert verified(first, endpoint.secret) == verified(second, endpoint.secret)
        assert [(one.status, one.answer, one.error) for one in message.log.all()] == [
            (503, "busy", "Answered 503."),
            (204, "", ""),
        ]
        endpoint.refresh_from_db()
        assert endpoint.failing_since is None

    def test_after_a_rotation_is_signed_by_both_secrets_for_a_while(self, owner: User, receiver: WireServer) -> None:
        old = endpoints.new_secret()
        until = clock.now() + timedelta(hours=1)
        endpoint = make_endpoint(owner, receiver.url, previous_secret=old, previous_until=until)
        make_job(State.FAILED, owner=owner)
        deliver_due()
        (seen,) = receiver.seen
        assert verified(seen, old) == verified(seen, endpoint.secret)

    def test_is_verified_by_hand_as_the_manual_says(self, owner: User, receiver: WireServer) -> None:
        endpoint = make_endpoint(owner, receiver.url, previous_secret=endpoints.new_secret(), previous_until=clock.now())
        make_job(State.FAILED, owner=owner)
        deliver_due()
        (seen,) = receiver.seen
        manual = (Path(__file__).parents[2] / "docs/api.md").read_text().partition("By hand")[2]
        said: dict[str, Any] = {}
        exec(manual.partition("```python\n")[2].partition("```")[0], said)  # noqa: S102 - our own document
        assert said["is_ours"](endpoint.secret, seen.headers, seen.body)
        assert not said["is_ours"](endpoint.secret, seen.headers, seen.body + b" ")
        assert not said["is_ours"](endpoints.new_secret(), seen.headers, seen.body)

    def test_to_a_server_that_is_gone_turns_the_endpoint_off_and_tells_its_owner(self, owner: User, receiver: WireServer) -> None:
        endpoint = make_endpoint(owner, receiver.url)
        make_job(State.FAILED, owner=owner)
        waiting = make_job(State.FAILED, owner=owner)
        OutboxMessage.objects.filter(job=waiting).update(due_at=clock.now() + timedelta(hours=1))
        receiver.says(answer(410))
        (message,) = deliver_due()
        endpoint.refresh_from_db()
        assert message.given_up_at and not endpoint.active and "410" in endpoint.off_reason
        assert OutboxMessage.objects.get(job=waiting).last_error == "The endpoint was turned off."
        assert OutboxMessage.objects.get(channel="notices").payload == {"endpoint": endpoint.pk}

    @pytest.mark.parametrize("in_a_day", [True, False])  # or within minutes, because somebody pressed Retry
    def test_that_fails_ten_times_in_a_day_without_any_that_succeeds_turns_the_endpoint_off(
        self, owner: User, receiver: WireServer, in_a_day: bool
    ) -> None:
        endpoint = make_endpoint(owner, receiver.url)
        make_job(State.FAILED, owner=owner)
        receiver.says(answer(500))
        at = clock.now()
        for number in range(10):
            endpoint.refresh_from_db()
            assert endpoint.active
            if number == 9 and in_a_day:
                DeliveryTry.objects.update(at=at - webhooks.A_DAY)
                WebhookEndpoint.objects.update(failing_since=at - 2 * webhooks.A_DAY)
            (message,) = deliver_due(at=at)
            at = message.due_at
        endpoint.refresh_from_db()
        assert (message.tries, message.log.count(), endpoint.active) == (10, 10, not in_a_day)

    @pytest.mark.parametrize(("origin", "why"), [("https://127.0.0.1:9", "not public"), ("http://127.0.0.1:9", "not https")])
    def test_goes_to_no_private_address_that_the_site_does_not_trust(
        self, owner: User, settings: Settings, origin: str, why: str
    ) -> None:
        settings.TRUSTED_ORIGINS = [origin]  # of providers
        make_endpoint(owner, f"{origin}/")
        make_job(State.FAILED, owner=owner)
        (message,) = deliver_due()
        assert why in message.last_error

    @pytest.mark.parametrize("asked", ["soon", "Mon, 01 Jan 99999999999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2300"])
    def test_waits_as_always_if_it_is_asked_for_a_time_that_no_calendar_has(
        self, owner: User, receiver: WireServer, asked: str
    ) -> None:
        make_endpoint(owner, receiver.url)
        make_job(State.FAILED, owner=owner)
        receiver.says(answer(503, b"", {"Retry-After": asked}))
        (message,) = deliver_due()
        assert message.last_error == "Answered 503." and message.due_at < clock.now() + timedelta(seconds=10)


class TestALane:
    def test_has_two_deliveries_under_way_and_delays_no_other(self, owner: User) -> None:
        slow, other = make_endpoint(owner, "https://slow.example/"), make_endpoint(owner, "https://other.example/")
        for _ in range(5):
            make_job(State.CANCELLED, owner=owner)
        lanes = dict(OutboxMessage.objects.values_list("pk", "endpoint"))
        first = [lanes[pk] for pk, _ in delivery.lease_due(at=NOON)]
        assert sorted(first) == sorted([slow.pk, slow.pk, other.pk, other.pk])
        assert delivery.lease_due(at=NOON) == [] and delivery.lease_next(f"endpoint:{slow.pk}", at=NOON) is None
        OutboxMessage.objects.filter(endpoint=slow, leased_until__isnull=False).update(leased_until=None, delivered_at=NOON)
        assert delivery.lease_next(f"endpoint:{slow.pk}", at=NOON) is not None
        assert OutboxMessage.objects.filter(endpoint=slow, leased_until__isnull=False).count() == 1

    def test_is_one_of_many_of_its_owner_who_has_eight_under_way(self, owner: User) -> None:
        for number in range(6):
            make_endpoint(owner, f"https://slow{number}.example/")
        other = make_endpoint(UserFactory.create(), "https://other.example/")
        for one in (owner, owner, other.owner):
            make_job(State.CANCELLED, owner=one)
        owners = dict(OutboxMessage.objects.values_list("pk", "owner"))
        first = Counter(owners[pk] for pk, _ in delivery.lease_due(at=NOON))
        assert first == {owner.pk: 8, other.owner_id: 1} and delivery.lease_due(at=NOON) == []


class TestAReplay:
    def test_sends_the_same_message_again_unless_it_is_being_sent(self, owner: User, receiver: WireServer) -> None:
        make_endpoint(owner, receiver.url)
        make_job(State.FAILED, owner=owner)
        open_one = OutboxMessage.objects.get(channel="webhooks")
        delivery.lease_due(at=NOON)
        with pytest.raises(endpoints.DeliveryRefused):
            endpoints.replay(open_one, at=NOON)
        OutboxMessage.objects.update(leased_until=None, tries=3, due_at=clock.now() + timedelta(hours=1))
        endpoints.replay(open_one, at=NOON)
        assert OutboxMessage.objects.get(pk=open_one.pk).tries == 3
        deliver_due()
        endpoints.replay(open_one, at=clock.now())
        deliver_due()
        first, second = receiver.seen
        assert first.headers["webhook-id"] == second.headers["webhook-id"] and open_one.log.count() == 2


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://example.com/hooks?token=1", None),
        ("https://93.184.215.14/", None),
        ("http://example.com/", "https"),
        ("https://user:secret@example.com/", "user or password"),
        ("https://user@example.com/", "user or password"),
        ("https://127.0.0.1/", "public"),
        ("https://[::ffff:10.0.0.1]/", "public"),
        ("https://localhost/", "public"),
        ("https://db.internal/", "public"),
        ("ftp://example.com/", "full URL"),
        ("example.com", "full URL"),
        ("https://exa mple.com/", "space"),
        ("https://example.com/ü", "Percent-encode"),
        ("https://example.com:99999/", "full URL"),
        ("http://hooks.test:8080/private", None),
        ("http://user@hooks.test:8080/", "user or password"),
        ("https://example.com/" + "x" * 2_000, "limit is 2,000"),
    ],
)
def test_an_address_is_refused_where_it_is_given(url: str, problem: str | None, settings: Settings) -> None:
    settings.WEBHOOK_TRUSTED_ORIGINS = ["http://hooks.test:8080"]
    found = endpoints.address_problem(url)
    assert (found is None) if problem is None else problem in (found or "")
