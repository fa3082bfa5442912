"""The studio renders a few jobs at a time, and writes texts beside them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genqueue_site.studio.config import Config
from genqueue_site.studio.floor import Floor, Order
from genqueue_site.studio.jobs import Recipe
from genqueue_site.studio.rendering import Rendering


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[Floor]:
    floor = Floor(Config(home=tmp_path, seconds_per_job=0, parallel_renders=1), tell=lambda job, moment: None)
    floor.open()
    yield floor
    floor.close()


def order(name: str, codec: str) -> Order:
    recipe = Recipe(prompt=name, model="m", seed=1, width=64, height=64, seconds=1, codec=codec)
    return Order(dialect="chat", id=name, recipe=recipe, echo={})


def test_texts_do_not_wait_for_a_render(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_go_on = threading.Event(), threading.Event()

    def run(*_: Any) -> None:
        begun.set()
        assert may_go_on.wait(60)

    monkeypatch.setattr(Rendering, "run", run)
    first, second = (floor.accept(order(name, "vp9")) for name in ("first", "second"))
    assert begun.wait(60)
    texts = [floor.accept(order(f"text {number}", "text")) for number in range(10)]
    for text in texts:
        floor.wait_for_end(text)
    assert first.ends_at is None and second.started_at is None
    assert floor.waiting_before(second) == 0
    may_go_on.set()
    for video in (first, second):
        floor.wait_for_end(video)
