"""Requests that wait for a change, with a real server, and without one."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from django.db import connection, transaction

from genqueue_site.demo.children import is_taken
from queue_app import clock, tickets, wake
from queue_app.api.waits import preferred
from queue_app.live import hub
from queue_app.models import ApiKey, Job, State, User
from tests.campaigns.support import make_campaign
from tests.factories import BatchFactory, UserFactory, advance, make_job
from tests.live.conftest import connections_of_the_web, key_of
from tests.processes import free_port, wait_for

processes = pytest.mark.processes
TRAM = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}


class Asking:
    """A user's requests to the site, each in a thread of its own, and with a key of its own."""

    def __init__(self, url: str, user: User, threads: ThreadPoolExecutor) -> None:
        self._user = user
        self._url, self._threads = f"{url}/api/v1/", threads

    def get(self, call: str) -> Future[requests.Response]:
        return self._threads.submit(requests.get, self._url + call, headers=self._headers(), timeout=90)

    def post(self, call: str, **headers: str) -> Future[requests.Response]:
        return self._threads.submit(requests.post, self._url + call, json=TRAM, headers=self._headers() | headers, timeout=90)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {key_of(self._user, 'read', 'submit')}"}

    def wait_until_all_wait(self) -> None:
        """
        Wait until no request is on its way: the web has seen the key of each, and none is in a view, which holds a connection.
        """
        unknown = ApiKey.objects.filter(user=self._user, last_used_at=None)
        wait_for(lambda: not unknown.exists() and only_the_hub_is_connected(), seconds=30, of="a web that waits")

    def wait_until_told(self) -> None:
        """Wait until the web has told all who wait of the changes until now: until one who waits for a later one is answered."""
        job = make_job(owner=self._user)
        answer = self.get(f"jobs/{job.pk}/?wait=60&after=1")
        self.wait_until_all_wait()
        move(job, State.RUNNING)
        assert answer.result(timeout=30).json()["state"] == "running"


@pytest.fixture
def asking(site, rows):
    with ThreadPoolExecutor(max_workers=60) as threads:
        yield lambda user, url=site.url: Asking(url, user, threads)


def only_the_hub_is_connected() -> bool:
    """Whether the web's one connection is the hub's, by its last query: it listens, and looks up access, marks and jobs."""
    hubs = r"^\s*(LISTEN|SELECT page\.number|SELECT coalesce\(max\(id\)|SELECT id, owner_id, batch_id)"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(query ~ %s) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
            [hubs],
        )
        return cursor.fetchone() == ([True],)


def move(job: Job, state: str) -> None:
    with transaction.atomic():
        advance(job, state)


@processes
class TestAWait:
    @pytest.mark.parametrize("whose", ["jobs", "batches", "campaigns"])
    def test_ends_with_the_next_change(self, whose, asking):
        owner = UserFactory()
        if whose == "campaigns":
            batch = make_campaign(owner).batch
            job = batch.jobs.order_by("pk")[0]
        else:
            batch = BatchFactory(owner=owner)
            job = make_job(owner=owner, batch=batch)
        call, api = f"{whose}/{job.pk if whose == 'jobs' else batch.pk}/", asking(owner)
        before = api.get(call).result().json()
        answers = [api.get(f"{call}?wait=60"), api.get(f"{call}?wait=60&after={before['seq']}")]
        api.wait_until_all_wait()

        api.wait_until_told()
        move(job, State.RUNNING)

        seq = api.get(call).result(timeout=30).json()["seq"]
        assert seq > before["seq"]
        for answer in answers:
            told = answer.result(timeout=30).json()
            assert told["seq"] == seq and told["status" if whose == "jobs" else "processing"] in ("processing", 1)
            assert told.keys() == before.keys()

    def test_is_none_if_the_change_or_the_end_has_been(self, asking):
        owner = UserFactory()
        running, ended = make_job(State.RUNNING, owner=owner), make_job(State.COMPLETED, owner=owner)
        api = asking(owner)

        first = api.get(f"jobs/{running.pk}/?wait=60&after=1")
        second = api.get(f"jobs/{ended.pk}/?wait=60&after=1000")

        assert (first.result(timeout=30).json()["state"], second.result(timeout=30).json()["state"]) == ("running", "completed")

    def test_ends_with_its_time(self, asking):
        job = make_job()

        answer = asking(job.owner).get(f"jobs/{job.pk}/?wait=1").result(timeout=30)

        assert (answer.status_code, answer.json()["state"]) == (200, "queued")
        assert answer.elapsed.total_seconds() > 0.9 and int(answer.headers["Content-Length"]) == len(answer.content)

    def test_of_a_key_that_is_revoked_is_told_nothing(self, asking):
        job = make_job()
        api = asking(job.owner)
        answer = api.get(f"jobs/{job.pk}/?wait=60")
        api.wait_until_all_wait()

        ApiKey.objects.filter(user=job.owner).delete()
        move(job, State.RUNNING)

        assert (answer.result(timeout=30).status_code, answer.result().json()["code"]) == (401, "not_authenticated")
        assert job.prompt not in answer.result().text

    def test_holds_no_thread_and_no_connection(self, site, asking):
        def threads() -> int:
            status = Path(f"/proc/{site.programs[0].pid}/status").read_text()
            return int(status.split("Threads:")[1].split()[0])

        job = make_job()
        api = asking(job.owner)
        api.get(f"jobs/{job.pk}/?wait=1").result(timeout=30)
        before = threads()
        answers = [api.get(f"jobs/{job.pk}/?wait=60") for _ in range(50)]
        api.wait_until_all_wait()

        wait_for(lambda: threads() <= before + 6, of="threads that are given back")
        move(job, State.RUNNING)
        assert {answer.result(timeout=30).json()["state"] for answer in answers} == {"running"}
        wait_for(lambda: connections_of_the_web() == 0, of="no connection")

    def test_ends_at_once_when_the_web_stops(self, site, asking):
        port, job = free_port(), make_job()
        web = site.start("stopped", ["-m", "uvicorn", "genqueue_site.asgi:application", "--port", str(port)])
        wait_for(lambda: is_taken(port), of="the web")
        api = asking(job.owner, f"http://127.0.0.1:{port}")
        answer = api.get(f"jobs/{job.pk}/?wait=60")
        api.wait_until_all_wait()

        web.stop(seconds=30)

        assert (answer.result(timeout=30).status_code, answer.result().json()["state"]) == (200, "queued")


@processes
class TestANewJobWhoseCallerPrefersToWait:
    def test_is_told_when_it_has_ended_and_to_all_with_its_key_in_the_same_bytes(self, asking):
        owner = UserFactory()
        tickets.grant(owner, 100, at=clock.now(), actor="test", reason="test")
        api, headers = asking(owner), {"Prefer": "wait=50", "Idempotency-Key": "a tram"}
        first, twin = api.post("jobs/", **headers), api.post("jobs/", **headers)
        job = wait_for(lambda: Job.objects.filter(owner=owner).first())
        api.wait_until_all_wait()

        wake.jobs_changed([job.pk])
        api.wait_until_told()
        move(job, State.COMPLETED)

        told, again = first.result(timeout=30), twin.result(timeout=30)
        assert (told.status_code, told.json()["state"], told.headers["Preference-Applied"]) == (201, "completed", "wait=50")
        assert told.headers["Location"].endswith(f"/api/v1/jobs/{job.pk}/")
        later = api.post("jobs/", **headers).result(timeout=30)
        assert told.content == again.content == later.content
        assert later.headers["Idempotent-Replayed"] == "true" and "Preference-Applied" not in later.headers


class TestWaiting:
    @pytest.mark.parametrize(
        ("header", "seconds"),
        [
            ("", 0),
            ("respond-async", 0),
            ("wait", 60),
            ("wait=20", 20),
            ("return=minimal, Wait = 600; x=1", 60),
            ("wait=-1", 0),
            ("wait=soon", 0),
        ],
    )
    def test_is_preferred_in_these_words(self, header, seconds):
        assert preferred(header) == seconds

    @pytest.mark.django_db
    def test_is_answered_at_once_where_it_would_hold_a_thread(self, api_for):
        job = make_job()

        answer = api_for(job.owner).get(f"/api/v1/jobs/{job.pk}/?wait=60&after=1")

        assert (answer.status_code, answer.json()["seq"]) == (200, 1)

    @pytest.mark.parametrize("call", ["wait=61", "wait=-1", "after=-1", "wait=soon"])
    @pytest.mark.django_db
    def test_takes_these_seconds_only(self, call, api_for):
        job = make_job()

        assert api_for(job.owner).get(f"/api/v1/jobs/{job.pk}/?{call}").status_code == 400

    def test_is_refused_to_one_user_and_then_to_all_when_too_many_wait(self, monkeypatch):
        monkeypatch.setattr(hub, "MOST_WAITS_OF_ONE_USER", 2)
        monkeypatch.setattr(hub, "MOST_WAITS", 3)
        room = hub.Hub()

        def wait(user: int) -> hub.Waiter:
            waiter = hub.Waiter(User(pk=user), job=1)
            room.admit_waiter(waiter)
            return waiter

        inside = [wait(1), wait(1)]
        with pytest.raises(hub.TooManyWaits):
            wait(1)
        inside.append(wait(2))
        with pytest.raises(hub.TooManyWaits):
            wait(3)
        inside.pop()
        assert wait(3)
