"""Decisions on unknown outcomes: applied with a reason and an audit entry, or refused without any change."""

from datetime import timedelta

import pytest

from queue_app import lifecycle
from queue_app.models import Attempt, AuditEntry, Job, ReviewItem, State, User
from queue_app.work import decisions
from queue_app.work.decisions import DecisionRefused
from tests.factories import NOON, UserFactory, make_job
from tests.providers.wire import Reply, WireServer, answer, reset

pytestmark = pytest.mark.django_db
LATER = NOON + timedelta(minutes=40)


@pytest.fixture(autouse=True)
def every_task_is_known(vendor: WireServer) -> None:
    vendor.says(answer(200, {"id": "video_found", "object": "video", "status": "in_progress"}))


@pytest.fixture
def ana() -> User:
    return UserFactory(staff=True, username="ana", tickets=0)


def item_of(job: Job) -> ReviewItem:
    return ReviewItem.objects.get(job=job, closed_at=None)


def state(job: Job) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job.pk)


class TestTakeUp:
    def test_the_job_goes_on_with_the_task_and_asks_about_it_at_once(self, ana: User) -> None:
        job = make_job(State.UNKNOWN)
        decisions.take_up(item_of(job), " video_found ", at=LATER, actor=ana, reason="in their console")
        job.refresh_from_db()
        assert (job.state, job.next_check_at) == (State.RUNNING, LATER)
        attempt = Attempt.objects.get(job=job)
        assert (attempt.remote_id, attempt.remote["remote_id"]) == ("video_found", "video_found")
        event = job.events.latest("seq")
        assert (event.actor, event.reason) == ("ana", "Task ID entered by staff: in their console")
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.reason, entry.after) == ("link provider task", "in their console", {"task": "video_found"})
        assert (entry.target_model, entry.target_pk) == ("queue_app.job", str(job.pk))
        assert not ReviewItem.objects.filter(closed_at=None).exists()

    def test_a_task_of_another_attempt_is_refused(self, ana: User) -> None:
        other, job = make_job(State.RUNNING, remote_id="video_taken"), make_job(State.UNKNOWN)
        with pytest.raises(DecisionRefused, match=f"already belongs to job {other.pk}, attempt 1"):
            decisions.take_up(item_of(job), "video_taken", at=LATER, actor=ana, reason="looks like it")
        assert state(job) == "unknown" and not AuditEntry.objects.exists()

    @pytest.mark.parametrize(
        "reply", [answer(404, {"error": {"message": "Video with id video_typo not found."}}), answer(404, b"<h1>No</h1>")]
    )
    def test_a_task_that_the_provider_does_not_know_is_refused(self, ana: User, vendor: WireServer, reply: Reply) -> None:
        vendor.says(reply)
        job = make_job(State.UNKNOWN)
        with pytest.raises(DecisionRefused, match="has no task video_typo"):
            decisions.take_up(item_of(job), "video_typo", at=LATER, actor=ana, reason="in their console")
        assert state(job) == "unknown" and not AuditEntry.objects.exists()

    @pytest.mark.parametrize("reply", [reset, answer(503), answer(401), answer(200, b"<html>Back soon.</html>")])
    def test_without_an_answer_of_the_provider_is_refused(self, ana: User, vendor: WireServer, reply: Reply) -> None:
        vendor.says(reply)
        job = make_job(State.UNKNOWN)
        with pytest.raises(DecisionRefused, match="Could not check task video_found"):
            decisions.take_up(item_of(job), "video_found", at=LATER, actor=ana, reason="in their console")
        assert state(job) == "unknown" and not AuditEntry.objects.exists()

    def test_asks_nobody_about_a_job_that_has_moved_on(self, ana: User, vendor: WireServer) -> None:
        job = make_job(State.UNKNOWN)
        item = item_of(job)
        lifecycle.force_fail([job.pk], at=NOON, actor="ben", reason="no time")
        with pytest.raises(DecisionRefused, match="ben already resolved this"):
            decisions.take_up(item, "video_found", at=LATER, actor=ana, reason="in their console")
        assert vendor.seen == []

    @pytest.mark.parametrize("wrong", ["", "   ", "two words", "a\x00b", "tab\there", "x" * 501])
    def test_what_is_no_id_is_refused(self, ana: User, wrong: str) -> None:
        job = make_job(State.UNKNOWN)
        with pytest.raises(DecisionRefused, match=r"task ID|Task IDs"):
            decisions.take_up(item_of(job), wrong, at=LATER, actor=ana, reason="found")
        assert state(job) == "unknown"

    def test_a_cancel_asked_meanwhile_is_asked_at_the_provider(self, ana: User) -> None:
        job = make_job(State.UNKNOWN)
        lifecycle.cancel([job.pk], at=NOON, actor="user")
        decisions.take_up(item_of(job), "video_found", at=LATER, actor=ana, reason="found")
        assert state(job) == "cancelling"


class TestSettle:
    @pytest.mark.parametrize(("again", "comes_to"), [(True, State.QUEUED), (False, State.FAILED)])
    def test_queues_again_or_fails_with_an_audit_entry(self, ana: User, again: bool, comes_to: State) -> None:
        job = make_job(State.UNKNOWN)
        assert decisions.settle(item_of(job), again=again, at=LATER, actor=ana, reason="not in their list") == comes_to
        assert state(job) == comes_to
        entry = AuditEntry.objects.get()
        assert (entry.actor_name, entry.reason, entry.after) == ("ana", "not in their list", {"state": comes_to})

    def test_says_beforehand_where_another_try_would_lead(self, ana: User) -> None:
        job = make_job(State.UNKNOWN)
        assert decisions.after_another_try(job) == State.QUEUED
        lifecycle.cancel([job.pk], at=NOON, actor="user")
        job.refresh_from_db()
        assert decisions.after_another_try(job) == State.CANCELLED
        job.kind.max_attempts = 1
        assert decisions.after_another_try(job) == State.FAILED

    @pytest.mark.parametrize("again", [True, False])
    def test_of_a_job_that_moved_on_is_refused_and_says_where_it_is(self, ana: User, again: bool) -> None:
        job = make_job(State.UNKNOWN)
        item = item_of(job)
        decisions.take_up(item, "video_found", at=LATER, actor=ana, reason="found")
        with pytest.raises(DecisionRefused, match=f"ana already resolved this. Job {job.pk} is now running"):
            decisions.settle(item, again=again, at=LATER, actor=ana, reason="late")
        assert state(job) == "running" and AuditEntry.objects.count() == 1

    def test_needs_a_reason(self, ana: User) -> None:
        item = item_of(make_job(State.UNKNOWN))
        for decide in (
            lambda: decisions.settle(item, again=True, at=LATER, actor=ana, reason=" "),
            lambda: decisions.take_up(item, "video_1", at=LATER, actor=ana, reason=""),
            lambda: decisions.settle_each([item], again=False, at=LATER, actor=ana, reason=""),
            lambda: decisions.close(item, at=LATER, actor=ana, reason=""),
        ):
            with pytest.raises(DecisionRefused, match="Enter a reason"):
                decide()

    def test_of_many_leaves_out_what_moved_on(self, ana: User) -> None:
        moved, job = make_job(State.UNKNOWN), make_job(State.UNKNOWN)
        items = [item_of(moved), item_of(job)]
        decisions.take_up(items[0], "video_found", at=LATER, actor=ana, reason="found")
        assert decisions.settle_each(items, again=False, at=LATER, actor=ana, reason="gone") == {job.pk: State.FAILED}


class TestClose:
    def flagged(self) -> Job:
        job = make_job(State.COMPLETED)
        lifecycle.flag(job, "Two tasks at the provider match.", at=NOON)
        return job

    def test_is_noted_and_audited_and_changes_nothing_else(self, ana: User) -> None:
        job = self.flagged()
        decisions.close(item_of(job), at=LATER, actor=ana, reason="they credited it")
        assert state(job) == "completed"
        event = job.events.latest("seq")
        assert (event.actor, event.reason, event.from_state) == ("ana", "Checked: they credited it", "completed")
        assert AuditEntry.objects.get().reason == "they credited it"
        assert ReviewItem.objects.get(job=job).closed_by == "ana"

    def test_twice_is_refused(self, ana: User) -> None:
        item = item_of(self.flagged())
        decisions.close(item, at=LATER, actor=ana, reason="seen")
        with pytest.raises(DecisionRefused, match="ana already resolved this"):
            decisions.close(item, at=LATER, actor=ana, reason="seen")

    def test_decides_nothing_about_an_outcome_that_is_unknown_since(self, ana: User) -> None:
        job = make_job(State.UNKNOWN)
        decided = item_of(job)
        lifecycle.flag(job, "Two tasks at the provider match.", at=NOON)
        flagged = ReviewItem.objects.get(job=job, decide_by=None)
        with pytest.raises(DecisionRefused, match="in its other item"):
            decisions.settle(flagged, again=True, at=LATER, actor=ana, reason="gone")
        assert decisions.settle_each([flagged], again=True, at=LATER, actor=ana, reason="gone") == {}
        decisions.close(flagged, at=LATER, actor=ana, reason="they credited it")
        assert (item_of(job), state(job)) == (decided, "unknown")

    def test_of_an_unknown_outcome_is_refused(self, ana: User) -> None:
        job = make_job(State.UNKNOWN)
        with pytest.raises(DecisionRefused, match="Decide on it first"):
            decisions.close(item_of(job), at=LATER, actor=ana, reason="seen")
        assert item_of(job)
