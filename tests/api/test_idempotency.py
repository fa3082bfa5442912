"""Idempotency-Key: one request, one effect, one answer (I29)."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory

from queue_app import lifecycle
from queue_app.api import idempotency
from queue_app.models import ApiKey, IdempotencyRecord, Job
from tests.factories import UserFactory, make_job

URL = "/api/v1/jobs/"
GOOD = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}


def client(owner):
    _, key = ApiKey.objects.create(owner, scopes=["read", "submit"])
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    return api


@pytest.fixture
def owner(db):
    return UserFactory(tickets=100)


class TestARepeatedRequest:
    def test_happens_once_and_gives_the_first_answer(self, owner):
        api = client(owner)

        first = api.post(URL, GOOD, headers={"Idempotency-Key": "a"})
        lifecycle.cancel([first.json()["id"]], at=Job.objects.get().queued_at, actor="user")
        again = api.post(URL, GOOD, headers={"Idempotency-Key": "a"})

        assert (first.status_code, again.status_code) == (201, 201)
        assert again.json() == first.json()
        assert (first.get("Idempotent-Replayed"), again["Idempotent-Replayed"]) == (None, "true")
        assert Job.objects.count() == 1

    def test_may_spell_its_body_differently(self, owner):
        api = client(owner)
        api.post(URL, GOOD, headers={"Idempotency-Key": "a"})

        body = '{"parameters": {"duration":4},\n "prompt": "A tram.", "model": "sora-2"}'
        assert api.post(URL, body, content_type="application/json", headers={"Idempotency-Key": "a"}).status_code == 201
        assert Job.objects.count() == 1

    def test_with_another_body_or_address_is_422(self, owner):
        api = client(owner)
        api.post(URL, GOOD, headers={"Idempotency-Key": "a"})

        other = api.post(URL, GOOD | {"prompt": "A bus."}, headers={"Idempotency-Key": "a"})
        elsewhere = api.post(f"{URL}batch/", {"jobs": [GOOD]}, headers={"Idempotency-Key": "a"})

        for answer in (other, elsewhere):
            assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
        assert Job.objects.count() == 1

    def test_of_another_account_is_another_request(self, owner):
        client(owner).post(URL, GOOD, headers={"Idempotency-Key": "a"})
        client(UserFactory()).post(URL, GOOD, headers={"Idempotency-Key": "a"})

        assert Job.objects.count() == 2

    def test_covers_batches_and_retries(self, owner):
        api, failed = client(owner), make_job("failed", owner=owner)

        batches = [api.post(f"{URL}batch/", {"jobs": [GOOD]}, headers={"Idempotency-Key": "b"}).json() for _ in range(2)]
        retries = [api.post(f"{URL}{failed.pk}/retry/", headers={"Idempotency-Key": "r"}) for _ in range(2)]

        assert batches[0] == batches[1]
        assert [answer.status_code for answer in retries] == [200, 200]
        assert api.post(f"{URL}{failed.pk}/retry/").status_code == 409

    def test_after_a_refusal_is_tried_anew(self, db):
        owner = UserFactory(tickets=1)
        api = client(owner)

        assert api.post(URL, GOOD, headers={"Idempotency-Key": "a"}).status_code == 402
        assert not IdempotencyRecord.objects.exists()
        other = GOOD | {"model": "haiper-2.0", "parameters": {}}
        assert api.post(URL, other, headers={"Idempotency-Key": "a"}).json()["code"] == "model_not_available"

    @pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\tb"])
    def test_needs_a_key_of_1_to_255_printable_characters(self, owner, key):
        answer = client(owner).post(URL, GOOD, headers={"Idempotency-Key": key})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
        assert not Job.objects.exists()

    def test_a_dry_run_takes_no_key(self, owner):
        api = client(owner)
        api.post(f"{URL}?dry_run=true", GOOD, headers={"Idempotency-Key": "a"})

        assert api.post(URL, GOOD, headers={"Idempotency-Key": "a"}).status_code == 201


@pytest.mark.django_db(transaction=True)
class TestATwinThatComesMeanwhile:
    def test_waits_and_gives_the_same_answer(self):
        owner = UserFactory(tickets=1_000)
        api, start = client(owner), threading.Barrier(6)

        def send(_):
            start.wait()
            try:
                return api.post(URL, GOOD, headers={"Idempotency-Key": "a"})
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(send, range(6)))

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert Job.objects.count() == 1

    def test_is_409_when_the_first_takes_too_long(self, monkeypatch):
        monkeypatch.setattr(idempotency, "WAIT_SECONDS", 1)
        owner = UserFactory()
        api, first_is_in, may_end = client(owner), threading.Event(), threading.Event()

        def first():
            with transaction.atomic():
                IdempotencyRecord.objects.create(account=owner, key="a", body_sha256="x", created_at=owner.date_joined)
                first_is_in.set()
                may_end.wait(10)
                transaction.set_rollback(True)
            connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(first)
            first_is_in.wait(10)
            late = api.post(URL, GOOD, headers={"Idempotency-Key": "a"})
            may_end.set()

        assert (late.status_code, late.json()["code"], late["Retry-After"]) == (409, "idempotency_twin_running", "1")
        assert api.post(URL, GOOD, headers={"Idempotency-Key": "a"}).status_code == 201

    def test_does_the_work_itself_when_the_first_died_before_its_commit(self, monkeypatch):
        owner = UserFactory()
        api = client(owner)
        monkeypatch.setattr(IdempotencyRecord, "save", dies)
        with pytest.raises(SystemExit):
            api.post(URL, GOOD, headers={"Idempotency-Key": "a"})
        monkeypatch.undo()

        assert not Job.objects.exists()
        assert api.post(URL, GOOD, headers={"Idempotency-Key": "a"}).status_code == 201
        assert Job.objects.count() == 1

    def test_gets_the_stored_answer_when_the_first_died_after_its_commit(self, monkeypatch):
        owner = UserFactory()
        api = client(owner)
        monkeypatch.setattr(idempotency, "HttpResponse", dies)
        with pytest.raises(SystemExit):
            api.post(URL, GOOD, headers={"Idempotency-Key": "a"})
        monkeypatch.undo()

        answer = api.post(URL, GOOD, headers={"Idempotency-Key": "a"})

        assert (answer.status_code, answer.json()["id"]) == (201, Job.objects.get().pk)


@pytest.mark.django_db(transaction=True)
class TestTheAnswer:
    """It is rendered when the work is committed and no lock is held, by whoever comes first; then it never changes."""

    @pytest.mark.parametrize("address", [URL, f"{URL}batch/", "/api/v1/campaigns/"])
    def test_is_replayed_byte_for_byte(self, address):
        campaign = {"brand": "Größe ✓", "big_idea": "A.", "dimensions": {"mood": ["calm"]}, "model": "sora-2", "duration": 4}
        body = {URL: GOOD, f"{URL}batch/": {"jobs": [GOOD, GOOD | {"prompt": "Ein süßer Hund ✓"}]}}.get(address, campaign)
        api = client(UserFactory(tickets=100))

        first, again = (api.post(address, body, headers={"Idempotency-Key": "a"}) for _ in range(2))

        assert (first.status_code, again.status_code) == (201, 201)
        assert first.content == again.content == IdempotencyRecord.objects.get().answer.encode()
        assert (first["Content-Type"], first["Location"]) == (again["Content-Type"], again["Location"])

    def request(self, owner):
        asked = Request(APIRequestFactory().post("/", {}, headers={"Idempotency-Key": "a"}), parsers=[JSONParser()])
        asked.user = owner
        return asked

    def test_is_rendered_after_the_commit(self):
        seen = []

        def render(made):
            others = IdempotencyRecord.objects.using("default").filter(key="a", status=201).count()
            seen.append((made, connection.in_atomic_block, others))
            return {"url": "/made/7/"}

        answer = idempotency.once(self.request(UserFactory()), status=201, do=lambda: {"made": 7}, render=render)

        assert seen == [({"made": 7}, False, 1)]
        assert (answer.content, answer["Location"]) == (b'{"url":"/made/7/"}', "/made/7/")

    def test_that_its_first_request_could_not_render_is_rendered_by_the_next(self):
        owner, done = UserFactory(), []
        with pytest.raises(SystemExit):
            idempotency.once(self.request(owner), status=200, do=lambda: {"made": done.append(1) or 7}, render=dies)

        answers = [
            idempotency.once(self.request(owner), status=200, do=dies, render=lambda made, turn=turn: made | {"turn": turn})
            for turn in (1, 2)
        ]

        assert [answer.content for answer in answers] == [b'{"made":7,"turn":1}'] * 2
        assert [answer["Idempotent-Replayed"] for answer in answers] == ["true", "true"]
        assert done == [1]

    def test_of_two_that_render_at_once_is_the_one_that_was_stored_first(self):
        owner, meet = UserFactory(), threading.Barrier(2)
        with pytest.raises(SystemExit):
            idempotency.once(self.request(owner), status=200, do=lambda: {"made": 7}, render=dies)

        def send(name):
            def render(made):
                meet.wait(30)
                return made | {"by": name}

            try:
                return idempotency.once(self.request(owner), status=200, do=dies, render=render).content
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            contents = list(pool.map(send, ("one", "two")))

        assert contents[0] == contents[1]


def dies(*args, **kwargs):
    raise SystemExit("killed")
