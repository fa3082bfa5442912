"""webhook-endpoints/: users say where their own servers are told, read what became of each delivery, and send it again."""

from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse

from queue_app import announce, clock
from queue_app.models import AuditEntry, Batch, CallbackSecret, IdempotencyRecord, OutboxMessage, WebhookEndpoint
from queue_app.models.outbox import OPEN
from queue_app.work import batches, endpoints, recovery
from tests.factories import UserFactory, make_endpoint, make_job
from tests.markup import html_of
from tests.outbox.support import deliver_due, verified
from tests.providers.wire import answer

pytestmark = pytest.mark.django_db
URL = "/api/v1/webhook-endpoints/"
GOOD = {"url": "https://example.com/hooks", "events": ["job.failed", "job.completed", "job.failed"]}


@pytest.fixture
def owner():
    return UserFactory()


@pytest.fixture
def api(api_for, owner):
    return api_for(owner, "read", "submit", "manage")


def fields_of(answer):
    return [error["field"] for error in answer.json()["errors"]]


class TestAnEndpoint:
    def test_is_made_with_a_secret_that_is_shown_once_and_kept_by_no_idempotency_key(self, api, owner):
        made = api.post(URL, GOOD | {"description": "the shop"}, headers={"Idempotency-Key": "one"})

        assert (made.status_code, made["Cache-Control"]) == (201, "no-store")
        found = made.json()
        assert found["secret"].startswith("whsec_")
        assert (found["url"], found["events"], found["active"]) == (GOOD["url"], ["job.completed", "job.failed"], True)
        assert made["Location"] == found["links"]["self"]
        read = api.get(made["Location"])
        assert read.json() == {name: value for name, value in found.items() if name != "secret"}
        assert api.get(URL).json()["results"] == [read.json()]
        assert not IdempotencyRecord.objects.exists()

    @pytest.mark.parametrize(
        ("change", "field", "words"),
        [
            ({"url": "http://example.com/"}, "url", "must begin with https"),
            ({"url": "https://10.0.0.1/"}, "url", "public server"),
            ({"url": ""}, "url", "blank"),
            ({"events": []}, "events", "at least one event"),
            ({"events": ["job.done"]}, "events[0]", "Unknown event “job.done”. Available: job.queued"),
            ({"events": "job.failed"}, "events", "Send a list"),
            ({"description": "x" * 201}, "description", "201 of 200 characters"),
            ({"secret": "whsec_x"}, "secret", "Unknown field"),
        ],
    )
    def test_is_refused_naming_the_field(self, api, change, field, words):
        refused = api.post(URL, GOOD | change)

        assert (refused.status_code, fields_of(refused)) == (400, [field])
        assert words in refused.json()["detail"]

    def test_is_one_of_twenty_at_most(self, api, owner):
        for _ in range(endpoints.ENDPOINTS_MOST):
            make_endpoint(owner)

        refused = api.post(URL, GOOD)

        assert (refused.status_code, "Delete one first" in refused.json()["detail"]) == (409, True)

    def test_is_turned_off_with_what_waits_for_it_and_on_again_without_its_failures(self, api, owner):
        endpoint = make_endpoint(owner, failing_since=clock.now(), off_reason="No delivery succeeded.")
        make_job("failed", owner=owner)

        off = api.patch(f"{URL}{endpoint.pk}/", {"active": False}).json()

        assert (off["active"], off["failing_since"]) == (False, None)
        assert not OutboxMessage.objects.filter(OPEN, endpoint=endpoint).exists()
        on = api.patch(f"{URL}{endpoint.pk}/", {"active": True, "events": ["wallet.low"]}).json()
        assert (on["active"], on["off_reason"], on["events"]) == (True, "", ["wallet.low"])

    def test_is_deleted_for_all_to_see_and_told_nothing_any_more(self, api, owner):
        endpoint = make_endpoint(owner, previous_secret="whsec_old")
        make_job("failed", owner=owner)
        sent = OutboxMessage.objects.get(endpoint=endpoint)

        assert api.delete(f"{URL}{endpoint.pk}/").status_code == 204

        make_job("failed", owner=owner)
        assert api.get(URL).json()["results"] == [] and owner.webhook_endpoints.count() == 0
        for call in ("", "deliveries/"):
            assert api.get(f"{URL}{endpoint.pk}/{call}").status_code == 404
        assert api.delete(f"{URL}{endpoint.pk}/").status_code == 404
        assert api.post(f"{URL}{endpoint.pk}/deliveries/{sent.name}/replay/").status_code == 404
        assert not OutboxMessage.objects.get(channel="webhooks").is_open
        left = WebhookEndpoint.with_deleted.get()
        assert (left.active, left.secret, left.previous_secret) == (False, "", "")

    def test_that_is_deleted_makes_room_for_another(self, api, owner):
        for _ in range(endpoints.ENDPOINTS_MOST):
            endpoint = make_endpoint(owner)

        api.delete(f"{URL}{endpoint.pk}/")

        assert api.post(URL, GOOD).status_code == 201

    def test_that_is_deleted_fails_no_transaction_that_read_it_as_active(self, api, owner):
        endpoint, job = make_endpoint(owner), make_job("failed", owner=owner)
        api.delete(f"{URL}{endpoint.pk}/")

        announce.to_endpoint(endpoint, "job.failed", f"{job.pk}:late", at=clock.now())
        connection.check_constraints()

        deliver_due()
        late = OutboxMessage.objects.get(channel="webhooks", key__endswith=":late")
        assert (late.is_open, late.last_error) == (False, "The endpoint was turned off.")

    def test_gets_a_new_secret_while_the_previous_one_still_signs(self, api, owner, receiver):
        endpoint = make_endpoint(owner, receiver.url)

        fresh = api.post(f"{URL}{endpoint.pk}/rotate-secret/").json()["secret"]

        assert fresh != endpoint.secret
        api.post(f"{URL}{endpoint.pk}/test/")
        deliver_due()
        (seen,) = receiver.seen
        assert verified(seen, fresh) == verified(seen, endpoint.secret)


class TestWho:
    def test_needs_manage_to_change_and_a_session_is_enough(self, api_for, client_for, owner):
        assert api_for(owner).post(URL, GOOD).status_code == 403
        assert api_for(owner).get(URL).status_code == 200
        assert client_for(owner).post(URL, GOOD, content_type="application/json").status_code == 201

    def test_with_manage_is_no_staff(self, api, client_for, owner):
        change = {"max_concurrent": 5}

        assert api.patch("/api/v1/models/sora-2/", change).status_code == 403
        assert client_for(owner).patch("/api/v1/models/sora-2/", change, content_type="application/json").status_code == 403

    def test_owns_an_endpoint_alone_reaches_it(self, api_for, owner):
        endpoint, staff = make_endpoint(owner), api_for(UserFactory(admin=True), "read", "submit", "manage")
        make_job("failed", owner=owner)
        replay = f"deliveries/{OutboxMessage.objects.get(endpoint=endpoint).name}/replay/"
        calls = [("get", ""), ("patch", ""), ("delete", ""), ("post", "test/"), ("get", "deliveries/"), ("post", replay)]

        for method, rest in calls:
            body = {"data": {"active": False}} if method == "patch" else {}
            assert getattr(staff, method)(f"{URL}{endpoint.pk}/{rest}", **body).status_code == 404
        assert staff.get(URL).json()["results"] == []


class TestDeliveries:
    def test_say_every_attempt_with_its_answer_and_what_comes_next(self, api, owner, receiver):
        endpoint = make_endpoint(owner, receiver.url)
        job = make_job("failed", owner=owner)
        receiver.says(answer(503, b"busy"))
        deliver_due()

        (found,) = api.get(f"{URL}{endpoint.pk}/deliveries/").json()["results"]

        assert (found["id"], found["event"], found["job"]) == (receiver.seen[0].headers["webhook-id"], "job.failed", job.pk)
        assert (found["status"], found["tries"], found["error"]) == ("waiting", 1, "Answered 503.")
        assert found["next_try_at"] > found["created_at"]
        (attempt,) = found["log"]
        assert attempt | {"at": "", "seconds": 0} == {
            "at": "",
            "seconds": 0,
            "status": 503,
            "answer": "busy",
            "error": "Answered 503.",
        }

    def test_are_listed_by_status_and_sent_again_with_the_same_id(self, api, owner, receiver):
        endpoint = make_endpoint(owner, receiver.url)
        make_job("failed", owner=owner)
        address = f"{URL}{endpoint.pk}/deliveries/"
        (waiting,) = api.get(f"{address}?status=waiting").json()["results"]
        OutboxMessage.objects.update(leased_until=clock.now() + timedelta(minutes=1))
        early = api.post(waiting["links"]["replay"])
        OutboxMessage.objects.update(leased_until=None)
        assert (early.status_code, early.json()["code"]) == (409, "delivery_refused")

        deliver_due()
        (done,) = api.get(f"{address}?status=delivered").json()["results"]
        again = api.post(done["links"]["replay"]).json()

        assert (again["id"], again["status"], again["tries"]) == (waiting["id"], "waiting", 0)
        deliver_due()
        assert [seen.headers["webhook-id"] for seen in receiver.seen] == [waiting["id"]] * 2
        assert api.get(f"{address}?status=failed").json()["results"] == []
        for other in ("msg_999999999", "7", "msg_0", f"msg_{'9' * 30}"):
            assert api.post(f"{address}{other}/replay/").status_code == 404

    def test_of_a_test_are_refused_while_the_endpoint_is_off(self, api, owner):
        endpoint = make_endpoint(owner, active=False)

        refused = api.post(f"{URL}{endpoint.pk}/test/")

        assert (refused.status_code, "Turn it on" in refused.json()["detail"]) == (409, True)


class TestTheSecretOfCallbacks:
    def test_stays_the_same_until_it_is_rotated_and_is_not_for_keys_that_only_read(self, api, api_for, owner):
        first = api.get(f"{URL}callback-secret/").json()

        assert first == {"secret": CallbackSecret.objects.get(owner=owner).secret, "previous_until": None}
        assert api.get(f"{URL}callback-secret/").json() == first
        second = api.post(f"{URL}callback-secret/rotate-secret/").json()
        assert second["secret"] != first["secret"] and second["previous_until"] is not None
        assert api_for(owner, "read").get(f"{URL}callback-secret/").status_code == 403
        assert api_for(owner).get(f"{URL}callback-secret/").json() == second


def test_another_users_endpoint_is_turned_off_with_a_reason_in_the_audit_and_for_its_owner(owner):
    endpoint, by = make_endpoint(owner), UserFactory(staff=True)

    endpoints.stop(endpoint, at=clock.now(), actor=by, reason="floods a customer")

    endpoint.refresh_from_db()
    entry = AuditEntry.objects.get(action="turn off webhook endpoint")
    assert (endpoint.active, endpoint.off_reason) == (False, f"Turned off by {by.username}: floods a customer")
    assert (entry.actor, entry.reason) == (by, "floods a customer")
    assert OutboxMessage.objects.get(channel="notices").payload == {"endpoint": endpoint.pk}


JOB = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}
BRIEF = {"brand": "Alder", "big_idea": "A parcel.", "dimensions": {"mood": ["calm"]}, "model": "sora-2", "duration": 4}


class TestACallback:
    def test_is_made_at_the_end_of_a_job_signed_with_the_owners_secret(self, api, owner, receiver):
        asked = JOB | {"callback_url": f"{receiver.url}/done"}
        job = api.post("/api/v1/jobs/", asked).json()
        assert (job["callback_url"], receiver.seen) == (asked["callback_url"], [])

        api.post(job["links"]["cancel"])
        deliver_due()

        (seen,) = receiver.seen
        body = verified(seen, api.get(f"{URL}callback-secret/").json()["secret"])
        assert (seen.target, body["type"], body["data"]["job"]) == ("/done", "job.cancelled", job["id"])

    @pytest.mark.parametrize(
        ("address", "body", "event"),
        [("jobs/batch/", {"jobs": [JOB, JOB]}, "batch.completed"), ("campaigns/", BRIEF, "campaign.completed")],
    )
    def test_is_made_at_the_end_of_a_batch_or_campaign(self, api, owner, receiver, address, body, event):
        made = api.post(f"/api/v1/{address}", body | {"callback_url": receiver.url}).json()
        number = made.get("batch") or made["id"]
        assert api.get(made["url"]).json()["callback_url"] == receiver.url

        batches.cancel(Batch.objects.get(pk=number), at=clock.now(), actor=owner)
        recovery.sweep(at=clock.now())
        deliver_due()

        (seen,) = receiver.seen
        told = verified(seen, CallbackSecret.objects.get(owner=owner).secret)
        assert (told["type"], told["data"]["batch"], told["data"]["status"]) == (event, number, "completed")

    def test_shows_its_query_to_its_owner_alone(self, api, api_for, owner, client_for):
        asked = {"callback_url": "https://example.com/done?token=abc123"}
        made = [
            api.post(f"/api/v1/{address}", body | asked).json()
            for address, body in (("jobs/", JOB), ("jobs/batch/", {"jobs": [JOB]}), ("campaigns/", BRIEF))
        ]
        addresses = [one.get("url") or one["links"]["self"] for one in made]
        staff = UserFactory(admin=True)

        for address in addresses:
            assert api.get(address).json()["callback_url"] == asked["callback_url"]
            assert api_for(staff).get(address).json()["callback_url"] == "https://example.com/done?…"
        desk = client_for(staff)
        of_batch = html_of(desk.get(reverse("admin:queue_app_batch_change", args=[made[1]["batch"]])))
        of_job = html_of(desk.get(reverse("admin:queue_app_job_change", args=[made[0]["id"]])))
        assert "https://example.com/done?…" in of_batch
        assert "abc123" not in of_batch + of_job

    @pytest.mark.parametrize("query", ["", "?dry_run=true"])
    def test_to_a_private_address_is_refused_at_its_field(self, api, query):
        bad = {"callback_url": "https://10.0.0.1/"}
        wrong = {"jobs": [JOB, JOB | bad], **bad}

        assert fields_of(api.post(f"/api/v1/jobs/batch/{query}", wrong)) == ["callback_url", "jobs[1].callback_url"]
        assert fields_of(api.post(f"/api/v1/campaigns/{query}", BRIEF | bad)) == ["callback_url"]
