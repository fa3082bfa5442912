"""A worker that leaves finishes the deliveries under way, begins no more, and is not taken for an idle one."""

from collections.abc import Iterator
from multiprocessing import util

import pytest

from queue_app.outbox import delivery
from queue_app.runtime import courier, heartbeats


@pytest.fixture(autouse=True)
def here_again() -> Iterator[None]:
    yield
    courier._leaving.clear()


def test_it_says_so_and_goes_on_with_no_other_message_of_the_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    delivered: list[int] = []
    monkeypatch.setattr(heartbeats, "name_task", said.append)

    def deliver(message_id: int, number: int) -> str:
        delivered.append(message_id)
        courier._leave()  # meanwhile
        return "endpoint:1"

    monkeypatch.setattr(delivery, "deliver", deliver)
    monkeypatch.setattr(delivery, "lease_next", lambda *_, **__: (2, 1))
    courier._work(1, 1)

    assert (delivered, said) == ([1], ["finish deliveries"])


def test_it_is_asked_to_before_its_process_joins_the_threads() -> None:
    courier._threads(True)
    assert any(one._callback is courier._leave for one in util._finalizer_registry.values())
