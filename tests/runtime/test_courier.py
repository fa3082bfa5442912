"""A worker that leaves finishes the deliveries under way, and is not taken for an idle one."""

import multiprocessing
from multiprocessing.connection import Connection
from threading import Event

import pytest

from queue_app.runtime import courier, heartbeats


def work(told: Connection, begun: Event) -> None:
    """What a worker does whose last task has begun a delivery: it ends."""

    def deliver() -> None:
        begun.set()
        courier._leaving.wait()
        told.send("delivered")

    courier._threads(True).submit(deliver)
    begun.wait()


def test_it_says_so_while_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = multiprocessing.Pipe(duplex=False)
    monkeypatch.setattr(heartbeats, "name_task", there.send)
    worker = multiprocessing.get_context("fork").Process(target=work, args=(there, Event()))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0
    assert sorted([here.recv(), here.recv()]) == ["delivered", "finish deliveries"]
