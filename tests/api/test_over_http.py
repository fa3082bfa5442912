"""The API of the web process itself, over real connections: how much is read, what is held meanwhile, and for how long."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import pytest
import requests
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from campaigns.models import Combination
from queue_app import lifecycle
from queue_app.live import hub
from queue_app.models import ApiKey, Job, User
from tests.campaigns.support import bring, jobs_of, make_campaign
from tests.factories import NOON, UserFactory, make_asset
from tests.processes import Site, wait_for

pytestmark = pytest.mark.processes
MOST = 8_000_000
GOOD = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}
LARGE = 40_000_000  # bytes: more than the kernel's buffers take in


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with closing(Site()) as made:
        made.env |= {"MEDIA_ROOT": str(made.home / "media"), "SECRET_KEY": settings.SECRET_KEY}  # it knows our sessions
        made.prepare()
        made.start_web()
        yield made


@pytest.fixture
def owner(site: Site, django_db_blocker) -> Iterator[User]:
    with django_db_blocker.unblock(), site.orm():
        yield UserFactory(tickets=1_000)


def key_of(user: User, *scopes: str) -> str:
    return ApiKey.objects.create(user, scopes=list(scopes or ("read", "submit")))[1]


def session_of(user: User) -> str:
    browser = Client()
    browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return browser.cookies["sessionid"].value


def raw(site: Site, lines: list[str], body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """Send a request as it is written here, and read its answer."""
    with socket.create_connection(("127.0.0.1", urlsplit(site.url).port), timeout=60) as door:
        door.sendall("\r\n".join([*lines, "Host: 127.0.0.1", "", ""]).encode("latin-1") + body)
        reader = door.makefile("rb")
        status = int(reader.readline().split()[1])
        headers = {}
        while line := reader.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, reader.read(int(headers.get("content-length", 0)))


def is_problem(answer: tuple[int, dict[str, str], bytes], status: int, code: str) -> bool:
    body = json.loads(answer[2])
    return (answer[0], answer[1]["content-type"], body["code"]) == (status, "application/problem+json", code)


def connections_of_the_web() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )
        return cursor.fetchone()[0]


class TestABody:
    """Up to 8 MB, and not a byte of one that will be refused anyway."""

    def post(self, site, owner, body, **headers):
        given = {"Authorization": f"Bearer {key_of(owner)}", "Content-Type": "application/json", **headers}
        return requests.post(f"{site.url}/api/v1/jobs/", data=body, headers=given, timeout=60)

    def padded(self, size: int) -> bytes:
        packed = json.dumps(GOOD).encode()
        return packed[:-1] + b" " * (size - len(packed)) + b"}"

    @pytest.mark.parametrize("size", [3_000_000, MOST])
    def test_of_up_to_8_mb_is_taken(self, site, owner, size):
        assert self.post(site, owner, self.padded(size)).status_code == 201

    def test_that_comes_in_pieces_is_taken_as_well(self, site, owner):
        answer = self.post(site, owner, iter([json.dumps(GOOD).encode()]))

        assert (answer.status_code, answer.json()["prompt"]) == (201, "A tram.")

    def test_of_more_is_413_and_a_problem(self, site, owner):
        answer = self.post(site, owner, self.padded(MOST + 1))

        assert (answer.status_code, answer.headers["Content-Type"]) == (413, "application/problem+json")
        assert (answer.json()["code"], "8,000,000 bytes" in answer.json()["detail"]) == ("body_too_large", True)

    def test_of_more_in_pieces_is_413_too(self, site, owner):
        answer = self.post(site, owner, (b"x" * 1_000_000 for _ in range(9)))

        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")

    def test_of_a_page_has_the_same_limit(self, site):
        answer = requests.post(f"{site.url}/login/", data=b"x" * (MOST + 1), timeout=60)

        assert (answer.status_code, answer.headers["Content-Type"]) == (413, "text/plain; charset=utf-8")

    @pytest.mark.parametrize("length", ["Content-Length: 7000000", "Transfer-Encoding: chunked"])
    @pytest.mark.parametrize(
        "named", ["X-Key: x", "Authorization: x", "Authorization: Bearer", f"Authorization: Bearer gq_{'x' * 64}", "Cookie: a=b"]
    )
    def test_of_nobody_is_refused_before_it_is_sent(self, site, length, named):
        lines = ["POST /api/v1/jobs/ HTTP/1.1", "Content-Type: application/json", length, named, "Expect: 100-continue"]

        assert is_problem(raw(site, lines), 401, "not_authenticated")

    def test_that_is_too_large_is_refused_before_it_is_sent(self, site, owner):
        lines = ["POST /api/v1/jobs/ HTTP/1.1", f"Authorization: Bearer {key_of(owner)}", f"Content-Length: {MOST + 1}"]

        assert is_problem(raw(site, [*lines, "Expect: 100-continue"]), 413, "body_too_large")


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        "line",
        [
            "Content-Type: application/json; charset*=BOGUS''x",
            "Content-Type: text/html; charset=rot13",
            "Content-Type: application/json; charset=utf-16",
            "Host: a b",
            'Cookie: sessionid="a\\000b"',
        ],
    )
    def test_in_a_header_is_400_and_a_problem(self, site, line):
        with socket.create_connection(("127.0.0.1", urlsplit(site.url).port), timeout=60) as door:
            host = "" if line.startswith("Host") else "Host: 127.0.0.1\r\n"
            door.sendall(f"GET /api/v1/jobs/ HTTP/1.1\r\n{host}{line}\r\nConnection: close\r\n\r\n".encode())
            answer = door.makefile("rb").read()

        assert answer.startswith(b"HTTP/1.1 400")
        assert b"content-type: application/problem+json" in answer.lower()
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "malformed_request"

    @pytest.mark.parametrize("path", ["/api/v1/jobs/%00/", "/api/v1/models/a%00b/"])
    def test_in_an_address_is_400_and_a_problem(self, site, path):
        assert is_problem(raw(site, [f"GET {path} HTTP/1.1"]), 400, "malformed_request")

    def test_is_404_and_a_problem_where_nothing_is(self, site):
        answer = requests.get(f"{site.url}/api/v2/%E2%80%AE", timeout=60)

        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")

    def test_elsewhere_is_a_page(self, site):
        answer = requests.get(f"{site.url}/login/%00", timeout=60)

        assert (answer.status_code, "html" in answer.headers["Content-Type"]) == (400, True)


class TestASlowReader:
    """Whoever takes a file at leisure holds no connection of the database meanwhile."""

    @pytest.fixture
    def stored(self, site, owner):
        campaign = make_campaign(owner)
        for job in jobs_of(campaign):
            bring(job, "storing")
            self.deliver(site, Job.objects.select_related("model", "kind", "batch").get(pk=job.pk))
        Combination.objects.filter(campaign=campaign).update(review="approved")
        return campaign

    def deliver(self, site, job):
        asset = make_asset(job, size=LARGE)
        FileSystemStorage(site.env["MEDIA_ROOT"]).save(asset.name, ContentFile(b"x" * LARGE))
        with transaction.atomic():
            lifecycle.complete(job, [asset], at=NOON, actor="worker", stages=[])

    @pytest.mark.parametrize("what", ["file", "zip"])
    def test_holds_none(self, site, owner, stored, what):
        asset = jobs_of(stored)[0].assets.get()
        path = f"/files/{asset.pk}/{asset.file_name}" if what == "file" else f"/campaigns/{stored.pk}/review/approved.zip"
        headers = {"Authorization": f"Bearer {key_of(owner)}"} if what == "file" else {"Cookie": f"sessionid={session_of(owner)}"}
        doors = [HTTPConnection("127.0.0.1", urlsplit(site.url).port, timeout=60) for _ in range(5)]
        for door in doors:
            door.request("GET", path, headers=headers)
        answers = [door.getresponse() for door in doors]

        assert {(answer.status, len(answer.read(100_000))) for answer in answers} == {(200, 100_000)}
        wait_for(lambda: connections_of_the_web() == 0, of="no connection")

        for door in doors:
            door.sock.shutdown(socket.SHUT_RDWR)
            door.close()


class TestAQuery:
    @pytest.mark.parametrize("name", ["wait", "x"])
    def test_of_too_many_parameters_is_refused_with_a_problem(self, site, owner, name):
        headers = {"Authorization": f"Bearer {key_of(owner)}"}

        answer = requests.get(f"{site.url}/api/v1/jobs/?wait=1{f'&{name}=1' * 1_000}", headers=headers, timeout=60)

        assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


class TestAStream:
    """It ends soon after what let its listener in: the hub looks every few seconds."""

    class Listener:
        def __init__(self, site, **headers):
            door = HTTPConnection("127.0.0.1", urlsplit(site.url).port, timeout=120)
            door.request("GET", "/api/v1/queue/stream/", headers=headers)
            self._socket, self.answer, self.has_ended = door.sock, door.getresponse(), False
            assert self.answer.status == 200, self.answer.read()
            self.answer.readline()
            threading.Thread(target=self._listen, daemon=True).start()

        def _listen(self):
            with suppress(OSError, HTTPException):
                for _ in self.answer:
                    continue
            self.has_ended = True

        def close(self):
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def by_key(self, site, user):
        return self.Listener(site, Authorization=f"Bearer {key_of(user)}")

    def test_is_looked_after_often_enough(self):
        assert hub.LOOK_SECONDS * 2 <= 10

    def test_ends_with_what_let_it_in_and_others_go_on(self, site, owner):
        kept = [self.by_key(site, owner), self.Listener(site, Cookie=f"sessionid={session_of(owner)}")]
        keys = {user: ApiKey.objects.filter(user=user) for user in [UserFactory() for _ in range(4)]}
        ended = {user: self.by_key(site, user) for user in keys}
        revoked, expired, narrowed, inactive = keys
        staff = [UserFactory(staff=True) for _ in range(3)]
        browsers = {user: Client() for user in staff}
        for user, browser in browsers.items():
            browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
            ended[user] = self.Listener(site, Cookie=f"sessionid={browser.cookies['sessionid'].value}")

        keys[revoked].delete()
        keys[expired].update(expiry=timezone.now())
        keys[narrowed].update(scopes=["submit"])
        User.objects.filter(pk=inactive.pk).update(is_active=False)
        browsers[staff[0]].logout()
        User.objects.filter(pk=staff[1].pk).update(password="another")
        User.objects.filter(pk=staff[2].pk).update(is_staff=False)

        wait_for(lambda: all(one.has_ended for one in ended.values()), of="the end of the streams")
        last = self.by_key(site, UserFactory())
        ApiKey.objects.filter(user=User.objects.latest("pk")).delete()
        wait_for(lambda: last.has_ended, of="the end of the last stream")  # which took another look
        assert [one.has_ended for one in kept] == [False, False]
        for one in kept:
            one.close()
