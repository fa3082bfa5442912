"""Jobs that work in stages: what is kept, what is asked again, and what never is (I46)."""

import importlib
import itertools
import json
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.utils.module_loading import import_string

from queue_app import clock, lifecycle
from queue_app.insight import invariants
from queue_app.models import Attempt, Job, JobStage, ProviderAccount, State
from queue_app.models.job import LONG_CALLS, slots_in_use
from queue_app.providers.synchronous import Synchronous
from queue_app.runtime import tasks
from queue_app.work import intake, submission
from queue_app.work.answers import StoredAnswers
from queue_app.work.pipeline import Question, calls, running
from tests.providers.vendors.chat import choice, says
from tests.providers.wire import WireServer, answer, reset
from tests.work.staged import crash, leased, outcomes, work
from tests.work.steps import due_in, fresh, later, moves, open_review, queued, tickets_of

pytestmark = pytest.mark.django_db
CUT = says(choice("Half a", "length"))


@pytest.fixture(autouse=True)
def notes(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "SHARE_FOR_CALLS", math.inf)  # however busy the machine is
    settings.MEDIA_ROOT = str(tmp_path / "media")
    settings.PIPELINES = {"page": "tests.pipelines.NOTES"}


@pytest.fixture
def paid(vendor: WireServer, settings) -> dict[str, str]:
    """The account of the jobs has a key: the keys of its host."""
    account = ProviderAccount.objects.get(adapter="chat")
    ProviderAccount.objects.filter(pk=account.pk).update(base_url=vendor.url)
    settings.PROVIDER_KEYS = {account.api_key_env: "sk-12345678"}
    return dict(settings.PROVIDER_KEYS)


def note(**metadata) -> Job:
    return queued(model_id="page-writer", kind_id="page", parameters={}, metadata=metadata)


def texts(*words: str) -> list[bytes]:
    return [says(choice(word)) for word in words]


def may_repeat(value: bool) -> None:
    ProviderAccount.objects.filter(adapter="chat").update(may_repeat=value)


def asked(vendor: WireServer) -> list[str]:
    """Return the questions that the provider got."""
    return [json.loads(seen.body)["messages"][-1]["content"] for seen in vendor.seen]


class Killed(BaseException):
    """A worker is killed at this line."""


def killed_at(monkeypatch, place: str, *, time: int = 1, after: bool = False) -> None:
    """Kill the worker that calls a function for the n-th time, before it does anything or after it has."""
    where, _, name = place.rpartition(".")
    owner: Any = importlib.import_module(where) if where.rpartition(".")[2].islower() else import_string(where)
    original, calls = getattr(owner, name), itertools.count(1)

    def deadly(*args, **kwargs):
        is_now = next(calls) == time
        if is_now and not after:
            raise Killed
        answer = original(*args, **kwargs)
        if is_now:
            raise Killed
        return answer

    monkeypatch.setattr(owner, name, deadly)


class TestAJobInStages:
    def test_asks_each_step_once_keeps_each_result_and_pays_once(self, vendor: WireServer):
        vendor.says(*texts("One", "Two"))
        job = work(note(title="A"))

        assert moves(job) == ["queued", "submitting", "running", "storing", "completed"]
        assert tickets_of(job)[0] == "captured"
        assert [outcomes(job, step) for step in ("main", "first", "second")] == [["delivered"]] * 3
        rows = {(row.name, row.step): row for row in JobStage.objects.filter(job=job).order_by("pk")}
        assert {*rows} == {
            ("writing", ""),
            ("writing", "first"),
            ("writing", "second"),
            ("checking", ""),
            ("finishing", ""),
            ("saving", ""),
        }
        assert all(row.ended_at and len(row.sha256) == 64 and row.seconds is not None for row in rows.values())
        assert rows["writing", "second"].result == {"text": "Two"}
        (asset,) = job.assets.all()
        assert (asset.kind, default_storage.open(asset.name).read()) == ("page", b"One\nTwo")
        assert asked(vendor) == ["A: first", "A: second"]
        assert json.loads(vendor.seen[0].body)["response_format"]["json_schema"]["schema"] == {"type": "object"}
        assert list(Path(default_storage.location).glob("answers/*")) == []  # type: ignore[attr-defined]

    def test_leaves_out_a_stage_that_is_skipped(self, vendor: WireServer):
        vendor.says(*texts("One", "Two"))
        job = work(note(skip=True, broken=True))

        assert job.state == "completed"
        assert JobStage.objects.get(job=job, name="checking").skipped

    def test_asks_for_less_if_an_answer_was_cut_off_and_again_if_it_is_no_answer(self, vendor: WireServer):
        vendor.says(CUT, *texts("One", "? what", "Two"))
        job = work(note())

        assert job.state == "completed"
        assert asked(vendor) == ["Note: first", "Note: first (again: cut_off)", "Note: second", "Note: second (again: not_json)"]
        assert outcomes(job, "second") == ["failed", "delivered"]

    def test_fails_after_three_useless_answers_and_returns_its_tickets(self, vendor: WireServer):
        vendor.says(says(choice("? a")), CUT, *texts("? c", "Never"))
        job = work(note())

        assert (job.state, job.error_code, tickets_of(job)[0]) == ("failed", "not_json", "released")
        assert len(vendor.seen) == 3

    def test_fails_for_good_if_a_stage_says_so(self, vendor: WireServer):
        vendor.says(*texts("One", "Two"))
        job = work(note(broken=True))

        assert (job.state, job.error_code, tickets_of(job)[0]) == ("failed", "not_good", "released")

    def test_tries_a_stage_again_that_fails_otherwise_and_repeats_no_call(self, vendor: WireServer):
        vendor.says(*texts("One", "Two"))
        job = work(note(bug=True))
        assert (job.state, job.not_before is not None) == ("queued", True)

        Job.objects.filter(pk=job.pk).update(metadata={})
        assert work(job).state == "completed"
        assert len(vendor.seen) == 2

    def test_counts_its_calls_as_none_of_its_tries(self, vendor: WireServer):
        vendor.says(CUT, CUT, *texts("One", "Two"))
        job = work(note())

        assert (job.state, job.attempt_number) == ("completed", 1)


class TestAfterARetry:
    def test_by_a_person_finished_calls_are_not_repeated(self, vendor: WireServer):
        vendor.says(says(choice("One")), answer(400, {"error": {"message": "No"}}))
        job = work(note())
        assert (job.state, outcomes(job, "first"), outcomes(job, "second")) == ("failed", ["delivered"], ["not_accepted"])

        intake.retry([Job.objects.lock().get(pk=job.pk)], at=clock.now(), actor="user")
        vendor.says(*texts("Two"))
        job = work(job)

        assert job.state == "completed"
        assert asked(vendor) == ["Note: first", "Note: second", "Note: second"]

    @pytest.mark.parametrize("refusal", [answer(429, {}, {"Retry-After": "7"}), answer(401, {}), answer(402, {})])
    def test_for_the_account_no_try_counts(self, vendor: WireServer, refusal: bytes):
        vendor.says(says(choice("One")), refusal)
        job = work(note())
        assert (job.state, lifecycle.spent_tries(job)) == ("queued", 0)

        ProviderAccount.objects.update(cooldown_until=None, paused=False)
        vendor.says(*texts("Two"))
        assert work(job).state == "completed"
        assert asked(vendor) == ["Note: first", "Note: second", "Note: second"]

    def test_that_is_refused_for_good_ends_the_job(self, vendor: WireServer):
        vendor.says(answer(404, {"error": {"message": "No such model"}}))
        job = work(note())

        assert (job.state, tickets_of(job)[0], outcomes(job, "first")) == ("failed", "released", ["not_accepted"])

    def test_that_the_provider_failed_counts_as_a_try_of_the_job(self, vendor: WireServer):
        vendor.says(says(choice("")))
        job = work(note())

        assert (job.state, lifecycle.spent_tries(job), outcomes(job, "first")) == ("queued", 1, ["failed"])
        assert job.not_before is not None


class TestALostAnswer:
    def test_is_asked_again_where_an_operator_allows_it_and_counted(self, vendor: WireServer):
        may_repeat(True)
        vendor.says(says(choice("One")), reset)
        job = work(note())
        assert (job.state, outcomes(job, "second")) == ("queued", ["abandoned"])

        vendor.says(*texts("Two"))
        assert work(job).state == "completed"
        assert outcomes(job, "second") == ["abandoned", "delivered"]
        assert "may be billed" in job.events.get(reason__contains="is lost").reason

    def test_is_for_staff_to_decide_elsewhere(self, vendor: WireServer):
        may_repeat(False)
        vendor.says(says(choice("One")), reset)
        job = work(note())
        assert (job.state, outcomes(job, "second"), tickets_of(job)[0]) == ("unknown", ["abandoned"], "held")
        assert open_review(job) is not None

        lifecycle.settle_unknown([job.pk], again=True, at=clock.now(), actor="staff", reason="not in their log")
        vendor.says(*texts("Two"))
        assert work(job).state == "completed"
        assert asked(vendor) == ["Note: first", "Note: second", "Note: second"]


# where a worker may die, and how often the provider then gets the second question: twice only if its answer was not saved
PLACES = [
    ("queue_app.lifecycle.begin_steps", 1, False, 1),
    ("queue_app.lifecycle.begin_steps", 1, True, 1),
    ("queue_app.lifecycle.begin_call", 2, False, 1),
    ("queue_app.lifecycle.begin_call", 2, True, 1),
    ("queue_app.work.answers.StoredAnswers.save", 2, False, 2),
    ("queue_app.work.answers.StoredAnswers.save", 2, True, 1),
    ("queue_app.work.pipeline.calls.text_of", 2, True, 1),
    ("queue_app.lifecycle.end_call", 2, True, 1),
    ("queue_app.work.pipeline.running.Running._keep", 2, True, 1),
    ("queue_app.work.pipeline.running.Running._keep", 3, False, 1),
    ("queue_app.work.pipeline.running.Running._keep", 4, True, 1),
    ("queue_app.lifecycle.deliver", 1, False, 1),
    ("queue_app.lifecycle.deliver", 1, True, 1),
    ("queue_app.work.pipeline.files", 1, True, 1),
    ("queue_app.lifecycle.complete", 1, False, 1),
]


class TestAWorkerThatDies:
    @pytest.mark.parametrize(("place", "time", "after", "asks"), PLACES)
    def test_costs_no_finished_call(self, vendor: WireServer, monkeypatch, place, time, after, asks):
        may_repeat(True)
        vendor.says(*texts("One", "Two", "Two"))
        job = note()
        with monkeypatch.context() as patch:
            killed_at(patch, place, time=time, after=after)
            with pytest.raises(Killed):
                work(job)
        job = work(crash(job))

        assert (job.state, tickets_of(job)[0]) == ("completed", "captured")
        assert [asked(vendor).count(f"Note: {step}") for step in ("first", "second")] == [1, asks]
        assert outcomes(job, "second").count("delivered") == 1
        assert invariants.check(at=clock.now(), files=True) == []

    def test_three_times_at_one_place_ends_the_job(self, vendor: WireServer, monkeypatch):
        job = note()
        for _ in range(3):
            with monkeypatch.context() as patch:
                killed_at(patch, "queue_app.work.pipeline.running.Running.begin")
                with pytest.raises(Killed):
                    work(job)
            job = crash(job)

        assert (job.state, job.error_code, tickets_of(job)[0]) == ("failed", "poison", "released")


class TestACancel:
    def test_between_two_calls_ends_it(self, vendor: WireServer, monkeypatch):
        vendor.says(*texts("One", "Two"))
        job = note()
        original = lifecycle.end_call

        def cancelled(*args, **kwargs):
            ended = original(*args, **kwargs)
            lifecycle.cancel([job.pk], at=clock.now(), actor="user")
            return ended

        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "end_call", cancelled)
            job = work(job)
        assert job.state == "cancelling"

        job = work(job)
        assert (job.state, tickets_of(job)[0], asked(vendor)) == ("cancelled", "released", ["Note: first"])

    def test_waits_for_the_call_under_way_and_not_for_a_dead_worker(self, vendor: WireServer, monkeypatch):
        job = note()
        with monkeypatch.context() as patch:
            killed_at(patch, "queue_app.work.submission.may_call", after=True)
            with pytest.raises(Killed):
                work(job)
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        job = work(job)
        assert (job.state, outcomes(job, "first")) == ("cancelling", [None])

        later(201)
        job = work(job)
        assert (job.state, tickets_of(job)[0], outcomes(job, "first")) == ("cancelled", "released", ["abandoned"])


class TestASavedAnswer:
    def test_that_cannot_be_read_now_is_read_later_and_not_bought_again(self, vendor: WireServer, monkeypatch):
        vendor.says(*texts("One", "Two"))

        def stale(self, number):
            raise OSError("stale handle")

        with monkeypatch.context() as patch:
            patch.setattr(StoredAnswers, "facts", stale)
            job = work(note())
        assert (job.state, outcomes(job, "first"), due_in(job)) == ("running", [None], 30)

        assert work(job).state == "completed"
        assert asked(vendor) == ["Note: first", "Note: second"]

    def test_waits_for_a_host_with_the_accounts_key(self, vendor: WireServer, paid: dict[str, str], monkeypatch, settings):
        vendor.says(*texts("One", "Two"))
        job = note()
        with monkeypatch.context() as patch:
            killed_at(patch, "queue_app.work.answers.StoredAnswers.save", after=True)
            with pytest.raises(Killed):
                work(job)
        crash(job)
        settings.PROVIDER_KEYS = {}
        assert work(job).state == "running"

        settings.PROVIDER_KEYS = paid
        assert work(job).state == "completed"
        assert asked(vendor) == ["Note: first", "Note: second"]

    def test_that_comes_after_the_call_was_given_up_is_kept_for_when_staff_go_on(self, vendor: WireServer, monkeypatch):
        may_repeat(False)
        vendor.says(*texts("One", "Two"))
        job, original = note(), Synchronous.submit

        def slow(self, request):
            monkeypatch.setattr(Synchronous, "submit", original)
            crash(job)
            assert work(job).state == "unknown"
            return original(self, request)

        monkeypatch.setattr(Synchronous, "submit", slow)
        job = work(job)
        assert (job.state, JobStage.objects.get(job=job, step="first").result) == ("unknown", {"text": "One"})

        lifecycle.settle_unknown([job.pk], again=True, at=clock.now(), actor="staff", reason="go on")
        assert work(job).state == "completed"
        assert asked(vendor) == ["Note: first", "Note: second"]

    @pytest.mark.parametrize(("is_answered", "outcome"), [(True, "failed"), (False, "abandoned")])
    def test_that_is_not_needed_any_more_is_closed_as_paid(self, vendor: WireServer, monkeypatch, is_answered, outcome):
        may_repeat(False)
        vendor.says(*texts("One", "Two", "Three"))
        original = running.Running.deliver

        def left(self):
            if is_answered:
                calls.make_call(self._job, self._main, self._lease, "third", Question("Third", 9))
            else:
                lifecycle.begin_call(self._main, self._lease, "third", at=clock.now())
            return original(self)

        monkeypatch.setattr(running.Running, "deliver", left)
        job = work(note())
        assert (job.state, outcomes(job, "third"), outcomes(job, "main")) == ("completed", [outcome], ["delivered"])


class TestAnAccount:
    def test_whose_key_comes_in_the_middle_of_a_job_sells_no_preview_as_its_own(self, vendor: WireServer, paid, settings):
        vendor.says(*texts("One"), answer(429, {}, {"Retry-After": "7"}))
        settings.PROVIDER_KEYS = {}
        job = work(note())
        settings.PROVIDER_KEYS = paid
        ProviderAccount.objects.update(cooldown_until=None)
        vendor.says(*texts("Two"))
        job = work(job)

        assert (job.state, job.preview, job.assets.get().preview) == ("completed", True, True)
        assert [call.preview for call in Attempt.objects.exclude(step="main").filter(job=job, outcome="delivered")] == [
            True,
            False,
        ]

    def test_without_a_key_on_this_host_is_tried_elsewhere_after_a_while(self, vendor: WireServer, paid, settings):
        job = note()
        given = leased(job)
        settings.PROVIDER_KEYS = {}
        taken = lifecycle.begin(given[0], at=clock.now())
        tasks.STAGED[State.RUNNING].verb(*taken)
        job = fresh(job)
        assert (job.state, job.not_before, vendor.seen) == ("queued", clock.now() + timedelta(seconds=30), [])

    def test_that_loses_three_answers_is_paused_for_staff(self, vendor: WireServer):
        may_repeat(True)
        vendor.says(reset)
        for _ in range(3):
            work(note())
        assert Attempt.objects.filter(outcome="abandoned").count() == 3
        assert ProviderAccount.objects.filter(paused=True).count() == 1


class TestASlot:
    def test_and_a_long_worker_are_in_use_while_a_call_is_under_way_and_no_longer(self, vendor: WireServer, monkeypatch):
        job = note()
        with monkeypatch.context() as patch:
            killed_at(patch, "queue_app.work.submission.may_call", after=True)
            with pytest.raises(Killed):
                work(job)
        assert in_use() == (1, 1)
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        assert in_use() == (1, 1)
        lifecycle.force_fail([job.pk], at=clock.now(), actor="staff", reason="gone")
        assert in_use()[0] == 1
        later(171)
        assert in_use() == (0, 0)


def in_use() -> tuple[int, int]:
    """Return the used slots, and the workers of long calls in use."""
    with connection.cursor() as cursor:
        cursor.execute(LONG_CALLS, {"at": clock.now()})
        ((calls_under_way,),) = cursor.fetchall()
    return sum(row[-1] for row in slots_in_use(clock.now())), calls_under_way


class TestAWorkerThatStalls:
    def test_before_a_call_sends_nothing_and_gives_the_job_back(self, vendor: WireServer, monkeypatch):
        vendor.says(*texts("One", "Two"))
        with monkeypatch.context() as patch:
            patch.setattr(submission, "may_call", lambda call, lease: False)
            job = work(note())
        assert (job.state, job.lease_taken, job.worker_deaths, vendor.seen) == ("running", False, 0, [])
        assert work(job).state == "completed"

    def test_at_the_commit_of_a_call_finds_it_again(self):
        lease, _ = leased(note())
        _, main, own = lifecycle.begin(lease, at=clock.now())
        first, again = (lifecycle.begin_call(main, own, "first", at=clock.now()) for _ in range(2))
        assert first == again


class TestTime:
    def test_for_another_call_is_left_to_another_worker(self, vendor: WireServer, monkeypatch):
        vendor.says(*texts("One", "Two"))
        monkeypatch.setattr(running, "SHARE_FOR_CALLS", 0.0)
        job = work(note())
        assert (job.state, job.lease_taken, vendor.seen) == ("running", False, [])

        monkeypatch.setattr(running, "SHARE_FOR_CALLS", math.inf)
        assert work(job).state == "completed"


def test_hooks_are_told_of_stages_and_end_no_job(vendor: WireServer, settings):
    settings.STAGE_HOOKS = {when: [f"tests.work.test_pipeline.hook_{when}"] for when in ("before", "after", "error")}
    vendor.says(*texts("One", "Two"))
    job = work(note(broken=True))

    assert [
        ("before", job.pk, "writing"),
        ("after", job.pk, "writing"),
        ("before", job.pk, "checking"),
        ("error", job.pk, "checking", "not_good"),
    ] == TOLD


TOLD: list[tuple[Any, ...]] = []


def hook_before(job_id: int, stage: str) -> None:
    TOLD.append(("before", job_id, stage))


def hook_after(job_id: int, stage: str) -> None:
    TOLD.append(("after", job_id, stage))
    raise RuntimeError("a hook with a bug")


def hook_error(job_id: int, stage: str, error: Exception) -> None:
    TOLD.append(("error", job_id, stage, getattr(error, "code", "")))
