"""Requests that ask the web application to wait, when all its doors are taken."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from asgiref.sync import async_to_sync
from django.core import signals
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse

from genqueue_site import asgi
from queue_app.live.hub import hub
from queue_app.live.waits import AT_ONCE
from queue_app.models import ApiKey, Job, User
from tests.factories import UserFactory, make_job

JOBS = "/api/v1/jobs/"
TRAM = {"model": "sora-2", "prompt": "A tram.", "parameters": {"duration": 4}}


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Keep the test's connection open at the end of requests."""
    ends = (signals.request_started, signals.request_finished)
    for end in ends:
        end.disconnect(close_old_connections)
    yield
    for end in ends:
        end.connect(close_old_connections)


@pytest.fixture(autouse=True)
def taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all doors, for ever."""
    monkeypatch.setattr(asgi, "_DOORS", {True: asyncio.Semaphore(0), False: asyncio.Semaphore(0)})
    monkeypatch.setattr(asgi, "DOOR_SECONDS", 0.01)


def scope_of(method: str, path: str, *, query: str = "", body: bytes = b"", **headers: str) -> dict[str, Any]:
    """Return a request as a server hands it over."""
    sent = {"host": "testserver", "content-type": "application/json", "content-length": str(len(body)), **headers}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 5),
        "server": ("testserver", 80),
    }


async def exchange(scope: dict[str, Any], body: bytes = b"") -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return the status, the headers and the JSON of the answer."""
    parts: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()  # the client does not disconnect
        return parts.pop()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asgi.Handler().handle(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, json.loads(b"".join(message.get("body", b"") for message in sent))


@pytest.mark.parametrize(
    ("method", "path", "query", "prefer", "can_wait"),
    [
        ("GET", f"{JOBS}1/", "after=1&wait=5", "", True),
        ("GET", f"{JOBS}1/", "%77ait=5", "", True),
        ("GET", f"{JOBS}1/", "waits=5", "wait=5", False),
        ("GET", "/", "wait=5", "", False),
        ("POST", JOBS, "", "respond-async, wait", True),
        ("POST", JOBS, "wait=5", "return=minimal", False),
        ("POST", f"{JOBS}batch/", "", "wait=5", False),
        ("PATCH", f"{JOBS}1/", "", "wait=5", False),
    ],
)
def test_only_calls_that_can_wait_look_for_a_door(method: str, path: str, query: str, prefer: str, can_wait: bool) -> None:
    handler, seen = asgi.Handler(), []

    async def answer(request: HttpRequest) -> HttpResponse:
        seen.append(request.META[AT_ONCE])
        return HttpResponse()

    handler.get_response_async = answer
    async_to_sync(handler.run_get_response)(ASGIRequest(scope_of(method, path, query=query, prefer=prefer), Mock()))

    assert seen == [can_wait]


@pytest.mark.django_db
@pytest.mark.usefixtures("one_connection")
class TestWithoutADoor:
    @pytest.fixture
    def owner(self, monkeypatch: pytest.MonkeyPatch) -> User:
        monkeypatch.setattr(hub, "admit_waiter", Mock(side_effect=AssertionError("it waits")))
        return UserFactory.create(tickets=100)

    @pytest.fixture
    def key(self, owner: User) -> str:
        return f"Bearer {ApiKey.objects.create(owner, scopes=['read', 'submit'])[1]}"

    def test_a_read_is_answered_with_the_state_as_it_is(self, owner: User, key: str) -> None:
        job = make_job(owner=owner)

        status, _, told = async_to_sync(exchange)(scope_of("GET", f"{JOBS}{job.pk}/", query="wait=60", authorization=key))

        assert (status, told["id"], told["state"]) == (200, job.pk, "queued")

    def test_a_new_job_is_made_and_not_waited_for(self, owner: User, key: str) -> None:
        body = json.dumps(TRAM).encode()
        scope = scope_of("POST", JOBS, body=body, authorization=key, prefer="wait=60")

        status, headers, told = async_to_sync(exchange)(scope, body)

        assert (status, told["id"], told["state"]) == (201, Job.objects.get(owner=owner).pk, "queued")
        assert "Preference-Applied" not in headers
