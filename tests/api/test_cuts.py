"""A connection that is cut during a request: 503 and when to try again, at every statement, in words that suit who asked."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from queue_app.models import Job
from tests.cuts import Scissors
from tests.factories import UserFactory, make_job

pytestmark = pytest.mark.django_db(transaction=True)


def cut_each(client: Client, ask: Callable[[], object], *, judge: Callable[[object], None]) -> list[int]:
    """Ask once uncut, then with a cut at each place; gives the statuses."""
    client.raise_request_exception = False
    uncut = Scissors()
    with uncut.at_work():
        statuses = [ask().status_code]  # type: ignore[attr-defined]
    for number in range(len(uncut.places)):
        with Scissors(number).at_work():
            answer = ask()
        connection.close()  # as the request's end would, were this its thread
        judge(answer)
        statuses.append(answer.status_code)  # type: ignore[attr-defined]
    return statuses


def judge_problem(answer) -> None:
    if answer.status_code < 300:
        return  # cut after what was asked for was done: at a wake-up
    assert answer.status_code == 503, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["code"] == "database_unavailable"
    assert "server closed" not in answer.content.decode()


class TestTheApi:
    def test_says_so_when_it_is_asked(self, api_for: Callable[..., APIClient]) -> None:
        job = make_job("running")
        api = api_for(job.owner)
        statuses = cut_each(api, lambda: api.get(f"/api/v1/jobs/{job.pk}/"), judge=judge_problem)
        assert statuses.count(503) > 3

    def test_does_what_is_repeated_with_its_key_once(self, api_for: Callable[..., APIClient]) -> None:
        owner = UserFactory()
        api = api_for(owner)
        keys = iter(f"key-{number}" for number in range(1_000))
        asked: list[str] = []

        def ask():
            asked.append(next(keys))
            return submit(asked[-1])

        def submit(key: str):
            body = {"model": "sora-2", "prompt": f"A kite, {key}.", "parameters": {"duration": 4}}
            return api.post("/api/v1/jobs/", body, format="json", headers={"Idempotency-Key": key})

        def judge(answer) -> None:
            judge_problem(answer)
            assert submit(asked[-1]).status_code == 201
            assert Job.objects.filter(prompt=f"A kite, {asked[-1]}.").count() == 1

        statuses = cut_each(api, ask, judge=judge)
        assert statuses[0] == 201 and statuses.count(503) > 10


class TestPages:
    @pytest.mark.parametrize("address", ["/", "/campaigns/new/", "/admin/"])
    def test_say_so_in_words(self, client_for: Callable[..., Client], address: str) -> None:
        client = client_for(UserFactory(admin=True))

        def judge(answer) -> None:
            if answer.status_code < 300:
                return
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert "Nothing in the queue is lost" in answer.content.decode()

        statuses = cut_each(client, lambda: client.get(address), judge=judge)
        assert statuses.count(503) > 3


class TestReadiness:
    def test_is_503_too(self) -> None:
        client = Client()

        def judge(answer) -> None:
            assert (answer.status_code, list(answer.json()["missing"])) in ((503, ["database"]), (503, ["worker"]))

        cut_each(client, lambda: client.get("/readyz"), judge=judge)
