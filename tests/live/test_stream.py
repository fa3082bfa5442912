"""The live stream, with real clients and a real server whose real database is lost. Figures are printed."""

import asyncio
import json
import signal
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from statistics import quantiles
from urllib.parse import urlsplit

import pytest
import requests
from django.db import connection, transaction
from django.urls import reverse

from genqueue_site.demo.children import is_taken
from queue_app import wake
from queue_app.live import hub, stream
from queue_app.models import ModelConcurrencyLimit, User
from queue_app.work import policy
from tests.factories import NOON, UserFactory, make_job
from tests.live.conftest import connections_of_the_web, key_of
from tests.processes import Site, free_port, wait_for

pytestmark = pytest.mark.processes
STOP_SECONDS = 60


class Listener:
    """A client that records events and their times."""

    def __init__(self, url: str, key: str, **headers: str) -> None:
        self.heard: list[tuple[float, str, dict]] = []
        self.marks: list[str] = []
        self.has_ended = False
        door = HTTPConnection(urlsplit(url).netloc, timeout=30)
        door.request(
            "GET", "/api/v1/queue/stream/", headers={"Authorization": f"Bearer {key}", "Accept": "text/event-stream", **headers}
        )
        self._socket = door.sock  # the only way to close a connection while it is being read
        self.answer = door.getresponse()
        assert self.answer.status == 200, self.answer.read()
        threading.Thread(target=self._listen, daemon=True).start()
        wait_for(lambda: self.names(), of="the first event")

    def _listen(self) -> None:
        name = ""
        with suppress(OSError, HTTPException):
            for line in self.answer:
                field, _, value = line.decode().strip().partition(": ")
                if field == "event":
                    name = value
                elif field == "id":
                    self.marks.append(value)
                elif field == "data":
                    self.heard.append((time.monotonic(), name, json.loads(value)))
        self.has_ended = True

    def names(self) -> list[str]:
        return [name for _, name, _ in list(self.heard)]

    def jobs(self) -> set[int]:
        return {job for _, name, data in list(self.heard) if name == "change" for job in data["jobs"]}

    def heard_of(self, job: int) -> float | None:
        return next((at for at, name, data in list(self.heard) if name == "change" and job in data["jobs"]), None)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def listen(site: Site, rows):
    opened: list[Listener] = []

    def opens(user: User, **headers: str) -> Listener:
        opened.append(Listener(site.url, key_of(user), **headers))
        return opened[-1]

    yield opens
    for one in opened:
        one.close()


def status_of(url: str, headers: dict[str, str]) -> int:
    with requests.get(url, headers=headers, stream=True, timeout=10) as answer:
        return answer.status_code


class TestWhoHearsWhat:
    def test_an_owner_hears_of_own_jobs_staff_of_all_and_strangers_of_none(self, listen):
        owner, stranger, staff = UserFactory(), UserFactory(), UserFactory(staff=True)
        hears = {user: listen(user) for user in (owner, stranger, staff)}

        job, of_stranger = make_job(owner=owner), make_job(owner=stranger)

        wait_for(lambda: hears[staff].jobs() == {job.pk, of_stranger.pk})
        wait_for(lambda: hears[owner].jobs() and hears[stranger].jobs())
        assert (hears[owner].jobs(), hears[stranger].jobs()) == ({job.pk}, {of_stranger.pk})

    def test_everybody_hears_that_a_limit_changed(self, listen):
        one = listen(UserFactory())

        policy.change(ModelConcurrencyLimit.objects.get(model="sora-2"), at=NOON, actor=None, max_concurrent=3)

        wait_for(lambda: "queue" in one.names())
        assert one.jobs() == set()

    def test_too_many_jobs_to_name_are_a_resync(self, listen):
        one = listen(UserFactory())

        wake.jobs_changed(range(1, 1_000))

        wait_for(lambda: one.names() == ["resync", "resync"])

    def test_what_happens_meanwhile_becomes_one_event(self, listen):
        staff = listen(UserFactory(staff=True))

        for job in range(1_000, 1_200):
            wake.jobs_changed([job])

        wait_for(lambda: staff.jobs() == set(range(1_000, 1_200)))
        assert len(staff.names()) < 100

    def test_a_change_is_heard_of_within_a_second(self, listen):
        owner, delays = UserFactory(), []
        one = listen(owner)
        for _ in range(40):
            with transaction.atomic():
                job = make_job(owner=owner)
            committed = time.monotonic()
            delays.append(wait_for(lambda job=job: one.heard_of(job.pk), of="the event") - committed)

        p50, p95 = quantiles(delays, n=100)[49], quantiles(delays, n=100)[94]
        print(f"\nchange → event: p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")
        assert p95 < 1


class TestAClientThatComesAgain:
    def test_hears_what_it_has_missed_of_its_own_and_looks_again_if_nobody_knows_what_that_is(self, listen):
        owner = UserFactory()
        one = listen(owner)
        wait_for(lambda: one.marks)
        one.close()
        missed, _ = make_job(owner=owner), make_job()

        again, lost, strange = (listen(owner, **{"Last-Event-ID": mark}) for mark in (one.marks[-1], str(10**17), "x"))

        wait_for(lambda: again.names() == ["change", "queue"])
        assert again.jobs() == {missed.pk}
        wait_for(lambda: lost.names() == ["resync", "queue"] and strange.names() == ["resync"])
        later = make_job(owner=owner)
        wait_for(lambda: again.jobs() == {missed.pk, later.pk})


class TestTheDoor:
    def test_answers_401_without_a_key(self, site):
        answer = requests.get(f"{site.url}/api/v1/queue/stream/", headers={"Accept": "text/event-stream"}, timeout=10)

        assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
        assert answer.json()["code"] == "not_authenticated"

    def test_answers_403_to_a_key_that_may_not_read(self, site, rows):
        headers = {"Authorization": f"Bearer {key_of(UserFactory(), 'submit')}"}

        assert requests.get(f"{site.url}/api/v1/queue/stream/", headers=headers, timeout=10).status_code == 403

    def test_lets_twenty_streams_of_a_user_in_and_then_those_that_take_a_place_left(self, site, listen):
        user = UserFactory()
        opened = [listen(user) for _ in range(hub.MOST_OF_ONE_USER)]
        headers = {"Authorization": f"Bearer {key_of(user)}"}

        answer = requests.get(f"{site.url}/api/v1/queue/stream/", headers=headers, timeout=10)

        assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
        assert "Too many live pages or streams open (20)." in answer.json()["detail"]
        opened[0].close()
        wait_for(lambda: status_of(answer.url, headers) == 200)

    def test_is_told_to_proxies_as_what_it_is(self, listen):
        headers = listen(UserFactory()).answer.headers

        assert headers["Content-Type"] == "text/event-stream"
        assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-cache", "no")

    @pytest.mark.django_db
    def test_answers_204_where_streams_cannot_be_served(self, client_for):
        assert client_for(UserFactory()).get(reverse("queue-stream")).status_code == 204


class TestTheEndOfTheWeb:
    def test_ends_the_streams_at_sigterm(self, site, rows):
        port = free_port()
        web = site.start("README", ["-m", "uvicorn", "genqueue_site.asgi:application", "--port", str(port)])
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: is_taken(port), of="the web")
        opened = [Listener(url, key_of(UserFactory())) for _ in range(2)]

        status, seconds = web.stop(seconds=STOP_SECONDS)

        print(f"\nSIGTERM → end of the web with two streams: {seconds:.1f} s")
        assert status in (0, -signal.SIGTERM)  # uvicorn stops cleanly, then ends by the signal it received
        assert "Finished server process" in web.said() and "Traceback" not in web.said()
        wait_for(lambda: all(one.has_ended for one in opened), of="the end of both streams")


class TestTheHub:
    def test_takes_one_database_connection_for_fifty_pages_and_none_for_nobody(self, listen):
        wait_for(lambda: connections_of_the_web() == 0, of="no connection")
        users = [UserFactory() for _ in range(5)]
        opened = [listen(users[number % 5]) for number in range(50)]

        wait_for(lambda: connections_of_the_web() == 1, of="one connection")
        jobs = [make_job(owner=user) for user in users]
        wait_for(lambda: all(one.jobs() == {jobs[number % 5].pk} for number, one in enumerate(opened)))
        assert connections_of_the_web() == 1

        for one in opened:
            one.close()
        wait_for(lambda: connections_of_the_web() == 0, of="no connection")

    def test_is_left_by_a_page_that_goes_before_it_hears_anything(self):
        async def comes_and_goes() -> bool:
            client = hub.hub.admit(User(pk=1))
            page = stream.events(client)
            assert await anext(page) == stream.COME_AGAIN
            await page.aclose()
            return client in hub.hub._clients

        assert not asyncio.run(comes_and_goes())

    @pytest.mark.parametrize("turns", range(4))
    def test_is_left_by_a_page_that_goes_while_news_reach_it(self, turns, monkeypatch):
        monkeypatch.setattr(hub.hub, "join", lambda _: None)

        async def told_and_gone() -> bool:
            client = hub.hub.admit(User(pk=1))
            heard: list[bytes] = []

            async def page() -> None:
                async for part in stream.events(client):
                    heard.append(part)

            served = asyncio.ensure_future(page())
            while not heard:
                await asyncio.sleep(0.01)
            client.tell(hub.News(resync=True))
            for _ in range(turns):
                await asyncio.sleep(0)
            served.cancel()
            await asyncio.wait([served], timeout=30)
            return client in hub.hub._clients

        assert not asyncio.run(told_and_gone())

    def test_goes_on_after_news_that_it_cannot_read(self, listen):
        owner = UserFactory()
        one = listen(owner)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, 'jobs:none')", [wake.CHANNEL])

        wait_for(lambda: one.names() == ["resync", "resync"], of="resync")
        job = make_job(owner=owner)
        wait_for(lambda: one.jobs() == {job.pk})

    def test_comes_back_after_a_restart_of_the_database_and_says_look_again(self, site, listen):
        owner = UserFactory()
        one = listen(owner)
        began = time.monotonic()
        site.database.stop()
        took = sorted(requests.get(f"{site.url}/healthz", timeout=60).elapsed.total_seconds() for _ in range(11))
        site.database.ensure()

        wait_for(lambda: one.names() == ["resync", "resync"], of="resync")
        print(f"\nresync {one.heard[-1][0] - began:.1f} s after the stop; meanwhile a request took {took[5] * 1000:.0f} ms")
        connection.close()
        job = make_job(owner=owner)
        wait_for(lambda: one.jobs() == {job.pk})
        assert took[5] < 1  # a hub that waits for the database in the event loop would delay each of them


class TestASilentStream:
    def test_says_that_it_is_still_there_and_ends_when_its_time_is_over(self, monkeypatch):
        monkeypatch.setattr(stream, "STILL_HERE_SECONDS", 0.5)
        monkeypatch.setattr(stream, "LIFETIME_SECONDS", 1.2)
        monkeypatch.setattr(hub.hub, "join", lambda _: None)
        client = hub.Client(User(pk=7))

        async def heard() -> list[bytes]:
            return [part async for part in stream.events(client)]

        first, *rest = asyncio.run(heard())
        assert first == stream.COME_AGAIN
        assert set(rest) == {stream.STILL_HERE} and len(rest) <= 3  # fewer on a slow machine
