"""/webhooks/: endpoints, their deliveries, secrets that are shown once, tests and replays. It works without a script."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from queue_app import clock
from queue_app.models import OutboxMessage, User, WebhookEndpoint
from queue_app.work import endpoints
from tests.campaigns.test_page import HTMX, text_of
from tests.factories import UserFactory, make_endpoint, make_job
from tests.markup import html_of
from tests.outbox.support import deliver_due
from tests.providers.wire import WireServer, answer

pytestmark = pytest.mark.django_db
URL = "/webhooks/"
FORM = {"url": " https://dam.example/hooks ", "description": "the archive", "events": ["job.completed"], "key": "a"}


@pytest.fixture
def owner() -> User:
    return UserFactory.create()


@pytest.fixture
def web(client_for: Callable[[User], Client], owner: User) -> Client:
    return client_for(owner)


def part(html: str, name: str) -> str:
    """What one part of the page says."""
    return text_of(re.search(rf'<section[^>]*id="{name}".*?</section>', html, re.DOTALL)[0])  # type: ignore[index]


class TestAnEndpoint:
    def test_is_made_once_per_form_and_shows_its_secret_once(self, web: Client, owner: User) -> None:
        assert "No endpoints yet" in html_of(web.get(URL))
        first, second = web.post(f"{URL}new/", FORM), web.post(f"{URL}new/", FORM)

        made = WebhookEndpoint.objects.get(owner=owner)
        assert (made.url, made.events) == ("https://dam.example/hooks", ["job.completed"])
        assert first.status_code == second.status_code == 302 and first["Location"] == second["Location"]
        shown = web.get(first["Location"])
        assert made.secret in html_of(shown) and "no-store" in shown["Cache-Control"]
        for address in (first["Location"], URL):
            assert made.secret not in html_of(web.get(address))

    def test_keeps_what_was_typed_when_it_is_refused(self, web: Client) -> None:
        refused = web.post(f"{URL}new/", {"url": "http://10.0.0.1/", "description": "the archive"})

        html = html_of(refused)
        assert refused.status_code == 422 and not WebhookEndpoint.objects.exists()
        assert "must begin with https" in html and "at least one event" in html and 'value="the archive"' in html

    def test_is_changed_turned_off_and_on_rotated_and_deleted(self, web: Client, owner: User) -> None:
        endpoint = make_endpoint(owner, failing_since=clock.now())
        at = f"{URL}{endpoint.pk}/"
        web.post(at, FORM | {"events": ["wallet.low", "job.failed"]})
        web.post(f"{at}switch/", {"active": "off"})
        assert "You turned it off" in html_of(web.get(URL))
        web.post(f"{at}switch/", {"active": "on"})
        assert WebhookEndpoint.objects.get().failing_since is None
        shown = html_of(web.post(f"{at}rotate/", follow=True))
        now = WebhookEndpoint.objects.get()
        assert (now.description, now.events, now.previous_secret) == (
            "the archive",
            ["job.failed", "wallet.low"],
            endpoint.secret,
        )
        assert now.secret in shown
        make_job("failed", owner=owner)
        delivery = OutboxMessage.objects.get(endpoint=endpoint)
        assert delivery.name in html_of(web.get(URL))
        web.post(f"{at}delete/")
        for query in ("", f"?delivery={delivery.name}", f"?endpoint={endpoint.pk}"):
            shown = web.get(f"{URL}{query}").context
            assert (shown["rows"], shown["deliveries"], shown["chosen"]) == ([], [], None)
        assert web.post(f"{URL}deliveries/{delivery.pk}/replay/").status_code == 404

    def test_of_another_user_is_not_found(self, web: Client) -> None:
        other = make_endpoint(UserFactory.create(), "https://secret.example/")
        make_job("failed", owner=other.owner)
        delivery = OutboxMessage.objects.get(endpoint=other)

        assert "secret.example" not in html_of(web.get(f"{URL}?delivery={delivery.name}&endpoint={other.pk}"))
        assert web.get(f"{URL}{other.pk}/").status_code == 404
        for verb in ("switch", "rotate", "test", "retry", "delete"):
            assert web.post(f"{URL}{other.pk}/{verb}/").status_code == 404
        assert web.post(f"{URL}deliveries/{delivery.pk}/replay/").status_code == 404


class TestTheList:
    def test_shows_a_day_a_note_for_what_fails_and_each_answer(self, web: Client, owner: User, receiver: WireServer) -> None:
        make_endpoint(owner, f"{receiver.url}/in/genqueue")
        now = clock.now()
        good, bad = make_job("completed", at=now, owner=owner), make_job("failed", at=now, owner=owner)
        receiver.says(answer(204), answer(503, b"<b>busy</b>"))
        deliver_due()

        html = html_of(web.get(URL))

        assert "1 of 2, 95% within" in part(html, "endpoints") and "/in/genqueue" in part(html, "endpoints")
        deliveries = part(html, "deliveries")
        assert f"job {good.pk}" in deliveries and f"job {bad.pk}" in deliveries
        assert "204 in" in deliveries and "attempt 1, next" in deliveries
        note = text_of(html.partition('id="troubles"')[2].partition("</button>")[0])
        assert "answers 503 since" in note and "1 delivery waits" in note and "is turned off" in note
        chosen = part(html, "chosen")
        assert "&quot;type&quot;: &quot;job.failed&quot;" in chosen and "&lt;b&gt;busy&lt;/b&gt;" in chosen

    def test_is_narrowed_by_endpoint_and_status_and_leads_to_older_ones(self, web: Client, owner: User) -> None:
        first = make_endpoint(owner, "https://one.example/", "job.cancelled")
        make_endpoint(owner, "https://two.example/", "job.cancelled")
        for _ in range(26):
            make_job("cancelled", owner=owner)
        make_job("cancelled", owner=owner, callback_url="https://three.example/")

        shown = part(html_of(web.get(f"{URL}?endpoint={first.pk}&status=waiting")), "deliveries")
        assert shown.count("one.example") == 26 and "two.example" not in shown and "Older" in shown  # 25 rows and the head
        assert "No deliveries found" in html_of(web.get(f"{URL}?endpoint={first.pk}&status=failed"))
        assert part(html_of(web.get(f"{URL}?endpoint=callbacks")), "deliveries").count("three.example") == 1

    def test_sends_a_test_and_replays_and_tries_again_now(self, web: Client, owner: User, receiver: WireServer) -> None:
        endpoint = make_endpoint(owner, receiver.url)
        receiver.says(answer(500))
        sent = web.post(f"{URL}{endpoint.pk}/test/")
        deliver_due()
        message = OutboxMessage.objects.get(event="ping")
        assert sent["Location"].endswith(f"?delivery={message.name}")

        web.post(f"{URL}{endpoint.pk}/retry/")
        deliver_due()
        web.post(f"{URL}deliveries/{message.pk}/replay/")
        deliver_due()

        assert [seen.headers["webhook-id"] for seen in receiver.seen] == [message.name] * 3
        endpoints.change(endpoint, {"active": False}, at=clock.now(), actor=owner)
        assert "Turn it on" in html_of(web.post(f"{URL}{endpoint.pk}/test/", follow=True))

    def test_costs_a_fixed_number_of_queries_and_answers_204_when_nothing_changed(self, web: Client, owner: User) -> None:
        def look() -> int:
            cache.clear()
            with CaptureQueriesContext(connection) as asked:
                assert web.get(URL).status_code == 200
            return len(asked)

        make_endpoint(owner)
        make_job("failed", owner=owner)
        look()
        few = look()
        make_endpoint(owner)
        for _ in range(5):
            make_job("failed", owner=owner)
        assert look() == few

        fresh = web.get(URL, headers=HTMX)
        seen = re.search(r'name="seen" value="(\w+)"', html_of(fresh))
        assert seen and web.get(URL, {"seen": seen[1]}, headers=HTMX).status_code == 204


def test_the_secret_of_callbacks_is_rotated(web: Client, owner: User) -> None:
    first = endpoints.callback_secret(owner).secret
    assert first in html_of(web.get(URL))

    web.post(f"{URL}callback-secret/rotate/")

    row = endpoints.callback_secret(owner)
    assert row.secret != first and row.secrets(clock.now()) == [row.secret, first]
    assert row.secrets(clock.now() + timedelta(hours=25)) == [row.secret]
