"""The studio's own counts must be exact, because tests of limits rely on them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.genqueue_site.studio.conftest import StartStudio, create, post

pytestmark = pytest.mark.processes


class TestTheLog:
    def test_counts_parallel_creates_exactly(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=1.5)
        barrier = threading.Barrier(6)

        def create(number: int) -> requests.Response:
            barrier.wait()
            return post(process, f"Number {number}")

        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(create, range(6)))
        log = process.log()
        assert (log["running"], log["peak"]) == (6, 6)
        assert {row["id"] for row in log["creates"]} == {answer.json()["id"] for answer in answers}
        assert [row["at"] for row in log["creates"]] == sorted(row["at"] for row in log["creates"])
        process.wait_until_idle()
        post(process, "One more")
        log = process.log()
        assert (log["running"], log["peak"]) == (1, 6)
        assert all(row["ended"] - row["at"] >= 1.5 for row in log["creates"][:-1])

    def test_lists_refused_creates_as_not_accepted(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=30, env={"STUDIO_MAX_RUNNING": "1"})
        taken = create(process, "Taken", model="manim")
        full = post(process, "Too many")
        assert full.status_code == 429
        assert 1 <= int(full.headers["retry-after"]) <= 30
        assert full.json()["error"]["type"] == "rate_limit_error"
        post(process, "Unknown model", model="sora-9")
        log = process.log()
        assert [(row["id"], row["model"], row["prompt"], row["accepted"]) for row in log["creates"]] == [
            (taken, "manim", "Taken", True),
            (None, "sora-2", "Too many", False),
            (None, "sora-9", "Unknown model", False),
        ]
        assert {row["dialect"] for row in log["creates"]} == {"openai_videos"}
        assert log["peak"] == 1

    def test_keeps_the_cap_however_many_ask_at_once(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=30, env={"STUDIO_MAX_RUNNING": "3"})
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda number: post(process, f"Number {number}"), range(10)))
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 7
        assert process.log()["peak"] == 3
