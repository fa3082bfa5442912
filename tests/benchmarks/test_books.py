"""The judgement of a storm finds what was lost, what was accepted twice, and what was over a limit."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.books import Books, JobRow, Task, Tried, peak
from benchmarks.lanes import LANES, Lane
from queue_app.models import GenerationModel, ModelRoute
from queue_app.providers import registry
from queue_app.rules import parameters

KITE = "A kite over the bay"
LANE = Lane("fal", "nano-banana-pro", {}, of_model=2, of_account=1)
CHAT = Lane("chat", "text-writer", {}, of_model=8, of_account=8, synchronous=True)


def tried(number: int, called_at: float, **more: Any) -> Tried:
    return Tried(**{"account": "fal", "job": 1, "number": number, "called_at": called_at, "outcome": "delivered", **more})


def task(name: str, at: float, *, seconds: float = 0.5, **more: Any) -> Task:
    return Task(**{"id": name, "dialect": "fal", "prompt": KITE, "at": at, "ended": at + seconds, **more})


def books(attempts: Sequence[Tried], tasks: Sequence[Task], jobs: Sequence[JobRow] = (), **more: Any) -> Books:
    jobs = jobs or [JobRow(1, "completed", KITE)]
    return Books(
        **{"asked": [KITE], "jobs": jobs, "attempts": attempts, "tasks": tasks, "long_workers": 1, "lanes": [LANE], **more}
    )


def wrong(found: Books) -> list[str]:
    return [f"{sort}: {row}" for sort, rows in found.findings().items() for row in rows]


class TestAcceptedOnce:
    def test_a_job_of_one_attempt_and_its_task_is_well(self) -> None:
        assert wrong(books([tried(1, 10, remote_id="a")], [task("a", 11)])) == []

    @pytest.mark.parametrize("outcome", ["failed", "cancelled", "lost", "abandoned"])
    def test_a_job_may_be_accepted_again_after_its_attempt_ended_at_the_provider_or_by_a_person(self, outcome: str) -> None:
        first = tried(1, 10, remote_id=None if outcome == "abandoned" else "a", outcome=outcome)
        found = books([first, tried(2, 100, remote_id="b")], [task("a", 11), task("b", 101)])
        assert wrong(found) == []
        assert found.again == {outcome: 1}

    def test_a_task_that_was_thought_not_accepted_makes_the_next_one_a_second(self) -> None:
        attempts = [tried(1, 10, outcome="not_accepted"), tried(2, 100, remote_id="b")]
        assert wrong(books(attempts, [task("a", 11), task("b", 101)])) == [
            "lost: job 1, attempt 1 (not_accepted) does not know task a of fal",
            "twice: job 1, attempt 2 was accepted after attempt 1 (not_accepted) had been",
        ]

    def test_one_attempt_that_was_accepted_twice_is_found(self) -> None:
        found = books([tried(1, 10, remote_id="a")], [task("a", 11), task("b", 20)])
        assert "twice: job 1, attempt 1 was accepted 2 times: a, b" in wrong(found)

    def test_two_jobs_of_one_request_are_found(self) -> None:
        jobs = [JobRow(1, "completed", KITE), JobRow(2, "completed", KITE)]
        assert wrong(books([], [], jobs)) == [f"twice: 2 jobs: {KITE}"]

    def test_a_task_accepted_late_belongs_to_the_attempt_that_was_called_before_it(self) -> None:
        first = tried(1, 10, outcome="abandoned")
        found = books([first, tried(2, 100, remote_id="b")], [task("late", 99), task("b", 100.5)])
        assert wrong(found) == []


class TestLost:
    def test_a_job_that_did_not_end_or_was_given_up_is_found(self) -> None:
        jobs = [JobRow(1, "unknown", KITE), JobRow(2, "failed", "Another", "poison"), JobRow(3, "failed", "A third", "rejected")]
        assert wrong(books([], [], jobs)) == ["lost: job 1 is unknown", "lost: job 2 is given up as poison"]

    def test_a_request_without_a_job_is_found(self) -> None:
        assert wrong(books([], [], asked=[KITE, "Never"])) == ["lost: never queued: Never"]

    def test_a_task_that_no_attempt_sent_or_knows_is_found(self) -> None:
        attempts = [tried(1, 10, remote_id="b", outcome="failed")]
        strangers = [task("early", 9), task("a", 11)]
        assert wrong(books(attempts, strangers)) == [
            "lost: fal has a task that no attempt sent: early",
            "lost: job 1, attempt 1 (failed) does not know task a of fal",
        ]

    def test_a_task_that_the_provider_refused_in_its_answer_is_no_loss(self) -> None:
        refused = task("a", 11, failure="moderation_blocked")
        assert wrong(books([tried(1, 10, outcome="not_accepted")], [refused], [JobRow(1, "failed", KITE, "rejected")])) == []

    def test_a_synchronous_provider_has_an_id_of_its_own_for_what_we_have_the_answer_of(self) -> None:
        answered = tried(1, 10, account="chat", remote_id="id of the attempt", synchronous=True)
        assert wrong(books([answered], [task("chatcmpl-1", 11, dialect="chat")], lanes=[CHAT])) == []


class TestLimits:
    def test_spans_that_touch_do_not_overlap_and_empty_ones_do_not_count(self) -> None:
        assert peak([(0, 2), (2, 4), (3, 5), (4, 4), (6, 1)]) == 2
        assert peak([(0, math.inf), (1, math.inf)]) == 2
        assert peak([]) == 0

    def test_the_narrower_of_model_and_account_counts(self) -> None:
        jobs = [JobRow(1, "completed", KITE), JobRow(2, "completed", "Another")]
        attempts = [tried(1, 10, remote_id="a"), tried(1, 12, job=2, remote_id="b")]
        found = books(attempts, [task("a", 11, seconds=5), task("b", 13, prompt="Another")], jobs, asked=[])
        assert wrong(found) == ["over a limit: fal: 2 at once, limit 1"]

    def test_a_long_call_ends_for_its_worker_when_the_answer_is_lost(self) -> None:
        jobs = [JobRow(1, "completed", KITE), JobRow(2, "completed", "Another")]
        tasks = [task("a", 11, seconds=5, dialect="chat"), task("b", 13, dialect="chat", prompt="Another")]

        def found(lost_at: float | None) -> list[str]:
            first = tried(1, 10, account="chat", outcome="abandoned", synchronous=True, lost_at=lost_at)
            second = tried(1, 12, job=2, account="chat", remote_id="of the attempt", synchronous=True)
            return wrong(books([first, second], tasks, jobs, asked=[], lanes=[CHAT]))

        assert found(lost_at=12) == []
        assert found(lost_at=None) == ["over a limit: long calls: 2 at once, limit 1"]


@pytest.mark.django_db
def test_the_lanes_reach_every_adapter_with_parameters_that_its_model_takes() -> None:
    routes = [ModelRoute.objects.select_related("account").get(model=lane.model, account=lane.account) for lane in LANES]
    assert {route.account.adapter for route in routes} == {*registry.ADAPTERS}
    assert [lane.synchronous for lane in LANES] == [route.account.adapter in registry.SYNCHRONOUS for route in routes]
    for lane in LANES:
        taken = GenerationModel.objects.get(pk=lane.model).parameters
        assert parameters.settle(lane.model, taken, lane.parameters)[1] == {}
