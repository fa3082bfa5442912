"""Each fault has the effect of its name on the client and on the number of jobs."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from genqueue_site.studio import server
from genqueue_site.studio.config import Config
from genqueue_site.studio.faults import FAULTS, Faults, UnknownFault
from genqueue_site.studio.wire import KINDS
from tests.genqueue_site.studio.conftest import StartStudio, create, post
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import wait_for

pytestmark = pytest.mark.processes


def accepted(process: StudioProcess, prompt: str) -> list[bool]:
    return [row["accepted"] for row in process.log()["creates"] if row["prompt"] == prompt]


class TestACreate:
    @pytest.mark.parametrize(
        ("fault", "status", "taken"),
        [("429:7", 429, False), ("500_before_accept", 500, False), ("500_after_accept", 500, True), ("latency:0.3", 200, True)],
    )
    def test_that_is_answered(self, shared: StudioProcess, fault: str, status: int, taken: bool) -> None:
        shared.queue_faults(create=[fault])
        began = time.monotonic()
        answer = post(shared, fault)
        assert (answer.status_code, accepted(shared, fault)) == (status, [taken])
        assert answer.headers.get("retry-after") == ("7" if status == 429 else None)
        assert time.monotonic() - began >= (0.3 if fault.startswith("latency") else 0)

    @pytest.mark.parametrize(
        ("fault", "error", "taken"),
        [
            ("hang_before_accept", requests.Timeout, False),
            ("hang_after_accept", requests.Timeout, True),
            ("hang_after_accept:0.2", requests.ConnectionError, True),
            ("reset_before_accept", requests.ConnectionError, False),
            ("reset_after_accept", requests.ConnectionError, True),
        ],
    )
    def test_that_gets_no_answer(self, shared: StudioProcess, fault: str, error: type[Exception], taken: bool) -> None:
        shared.queue_faults(create=[fault])
        with pytest.raises(error):
            post(shared, fault, timeout=0.7 if error is requests.Timeout else 30)
        wait_for(lambda: accepted(shared, fault) == [taken], of="the row of the log")

    def test_that_is_accepted_after_the_client_has_given_up(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["late_accept:2"])
        with pytest.raises(requests.ConnectionError):
            post(shared, "Late")
        assert accepted(shared, "Late") == []
        wait_for(lambda: accepted(shared, "Late") == [True], of="the late accept")

    def test_that_is_answered_with_half_a_document(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["malformed_json"])
        answer = post(shared, "Half")
        assert answer.status_code == 200
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
        assert accepted(shared, "Half") == [True]

    @pytest.mark.parametrize(("fault", "code"), [("failed_job", "generation_failed"), ("moderated_job", "moderation_blocked")])
    def test_whose_job_fails(self, shared: StudioProcess, fault: str, code: str) -> None:
        shared.queue_faults(create=[fault])
        video = create(shared, "A whale")
        shared.wait_until_idle()
        answer = requests.get(f"{shared.url}/v1/videos/{video}", timeout=5)
        assert (answer.status_code, answer.json()["status"], answer.json()["error"]["code"]) == (200, "failed", code)
        assert requests.get(f"{shared.url}/v1/videos/{video}/content", timeout=5).status_code == 404

    def test_whose_files_are_never_there(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["dead_asset"])
        video = create(shared, "A whale")
        shared.wait_until_idle()
        assert requests.get(f"{shared.url}/v1/videos/{video}", timeout=5).json()["status"] == "completed"
        for _ in range(2):
            assert requests.get(f"{shared.url}/v1/videos/{video}/content", timeout=5).status_code == 404


@pytest.fixture(scope="module")
def fetch(shared: StudioProcess) -> Callable[[str], requests.Response]:
    video = create(shared, "Content")
    shared.wait_until_idle()

    def get(fault: str) -> requests.Response:
        shared.queue_faults(content=[fault])
        return requests.get(f"{shared.url}/v1/videos/{video}/content", timeout=5, stream=True)

    return get


class TestContent:
    def test_may_be_gone_or_broken(self, fetch: Callable[[str], requests.Response]) -> None:
        assert (fetch("404").status_code, fetch("500").status_code) == (404, 500)

    def test_may_be_of_another_type(self, fetch: Callable[[str], requests.Response]) -> None:
        honest, disguised, empty = fetch("wrong_type"), fetch("disguised"), fetch("empty")
        assert (honest.headers["content-type"], honest.content[:9]) == ("text/html", b"<!doctype")
        assert (disguised.headers["content-type"], disguised.content[:9]) == ("video/mp4", b"<!doctype")
        assert empty.content == b""

    def test_may_be_huge(self, fetch: Callable[[str], requests.Response]) -> None:
        with fetch("huge") as announced:
            assert announced.headers["content-length"] == str(4096 * 2**20)
            assert announced.raw.read(8)[4:] == b"ftyp"
        small = fetch("huge_unannounced:3")
        assert "content-length" not in small.headers and len(small.content) == 3 * 2**20

    def test_may_break_off(self, fetch: Callable[[str], requests.Response]) -> None:
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            _ = fetch("truncated").content


class TestRetrieve:
    def test_may_fail_and_then_work(self, shared: StudioProcess) -> None:
        video = create(shared, "A whale")
        shared.queue_faults(retrieve=["500", "429:2", "unknown_status", "malformed_json"])
        answers = [requests.get(f"{shared.url}/v1/videos/{video}", timeout=5) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [500, 429, 200, 200, 200]
        assert answers[2].json()["status"] == "reticulating"
        assert answers[4].json()["id"] == video


class TestTheTable:
    def test_refuses_an_unknown_name_whole_and_lists_the_known(self, shared: StudioProcess) -> None:
        answer = requests.post(f"{shared.url}/_studio/faults", json={"create": ["429", "huge"]}, timeout=5)
        assert answer.status_code == 400
        assert "late_accept" in answer.json()["error"]
        assert post(shared, "A whale").status_code == 200

    def test_says_when_each_queued_one_has_begun(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["429", "latency:0"])
        post(shared, "A whale")
        assert not shared.has_met_all_faults()
        post(shared, "A whale")
        assert shared.has_met_all_faults()

    @pytest.mark.parametrize("script", [[], {"create": "429"}, {"dance": ["429"]}, {"create": [None]}, {"create": ["429:soon"]}])
    def test_refuses_what_is_no_script(self, script: object) -> None:
        with pytest.raises(UnknownFault):
            Faults(None).queue(script)

    def test_is_not_served_unless_asked_for(self, studio: StartStudio) -> None:
        process = studio(env={"STUDIO_TEST_FAULTS": "0"})
        for call in (requests.post, requests.get):
            assert call(f"{process.url}/_studio/faults", json={}, timeout=5).status_code == 404

    def test_is_counted_by_dialect_and_kind_of_call(self, studio: StartStudio) -> None:
        process = studio()
        process.queue_faults(create=["429", "429", "500_before_accept"])
        for _ in range(4):
            post(process, "A whale")
        assert process.log()["faults"] == [
            {"dialect": "openai_videos", "kind": "create", "fault": "429", "count": 2},
            {"dialect": "openai_videos", "kind": "create", "fault": "500_before_accept", "count": 1},
        ]

    def test_has_faults_for_every_kind_of_call(self) -> None:
        assert {kind for fault in FAULTS.values() for kind in fault.kinds} == set(KINDS)


class TestRandomFaults:
    @pytest.mark.parametrize("seed", [7, "a bad day"])
    def test_are_the_same_for_the_same_seed(self, studio: StartStudio, tmp_path: Path, seed: int | str) -> None:
        def answers(name: str) -> list[int]:
            process = studio(tmp_path / name, faults=seed, seconds_per_job=60)
            return [self.ask(process) for _ in range(30)]

        first = answers("a")
        assert answers("b") == first
        assert len(set(first)) > 1

    def test_are_drawn_for_each_dialect_and_kind_of_call_on_its_own(self) -> None:
        alone, mixed = Faults(7), Faults(7)
        expected = [alone.draw("fal", "create") for _ in range(40)]
        found, of_others = [], []
        for _ in range(40):
            of_others += [mixed.draw("chat", "create"), mixed.draw("fal", "retrieve")]
            found.append(mixed.draw("fal", "create"))
        assert found == expected
        assert any(found) and of_others[::2] != found

    @pytest.mark.parametrize(("text", "seed"), [("7", 7), ("07", 7), ("-3", -3), ("²", "²"), ("bad day", "bad day"), ("", "")])
    def test_are_seeded_by_any_text_and_by_a_number_as_a_number(self, text: str, seed: int | str) -> None:
        parser = ArgumentParser()
        server.add_arguments(parser)

        assert parser.parse_args(["--faults", text]).faults == seed

    @staticmethod
    def ask(process: StudioProcess) -> int:
        """Return the HTTP status of a list call, or 0 without an answer."""
        try:
            return requests.get(f"{process.url}/v1/videos", timeout=0.5).status_code
        except requests.RequestException:
            return 0

    def test_are_off_without_a_seed(self, tmp_path: Path) -> None:
        assert Config(home=tmp_path).fault_seed is None and not Config(home=tmp_path).scripted_faults
