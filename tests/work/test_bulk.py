"""Bulk actions: what is kept of them, when they start, that each job is done exactly once, and what each verb comes to."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from queue_app import clock, lifecycle
from queue_app.insight.positions import of_job as position
from queue_app.models import (
    Attempt,
    AuditEntry,
    BulkAction,
    BulkRefusal,
    GenerationModel,
    Job,
    JobEvent,
    LedgerTransaction,
    ProviderAccount,
    State,
    User,
    Wallet,
)
from queue_app.models.job import JobQuerySet
from queue_app.work import bulk, dispatch
from queue_app.work.bulk import BulkRefused, record
from queue_app.work.bulk.verbs import VERBS, Refund
from tests.factories import NOON, BatchFactory, UserFactory, make_job
from tests.work.steps import KEYS

Verb, Phase = BulkAction.Verb, BulkAction.Phase
LATER = NOON + timedelta(seconds=11)
pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    return UserFactory(admin=True, username="ana", tickets=0)


@pytest.fixture
def beyond_stopping(settings: Any) -> None:
    """What runs runs at the vendor, which has no cancel."""
    settings.PROVIDER_KEYS = KEYS
    ProviderAccount.objects.filter(key="openai_videos").update(base_url="https://vendor.example")


def drafted(verb: Verb, jobs: "Iterable[Job] | JobQuerySet", by: User, **options: object) -> BulkAction:
    chosen = jobs if isinstance(jobs, JobQuerySet) else [job.pk for job in jobs]
    return bulk.draft(verb, chosen, at=NOON, actor=by, chosen="by hand", options=options)


def done(verb: Verb, jobs: "Iterable[Job] | JobQuerySet", by: User, *, reason: str = "", **options: object) -> BulkAction:
    """Draft, confirm and work through it."""
    action = drafted(verb, jobs, by, **options)
    bulk.confirm(action, at=NOON, actor=by, reason=reason)
    bulk.work(action.pk, may_go_on=lambda: True)
    action.refresh_from_db()
    assert action.phase == Phase.DONE
    assert action.worked == action.total == sum(action.results.values())
    assert action.results.get("refused", 0) == action.refusals.count()
    return action


def small_chunks(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    for verb in VERBS.values():
        monkeypatch.setattr(verb, "chunk", jobs)


def states(jobs: Iterable[Job]) -> list[str]:
    found = dict(Job.objects.values_list("pk", "state"))
    return [found[job.pk] for job in jobs]


def why_not(action: BulkAction, job: Job) -> str:
    return BulkRefusal.objects.get(action=action, job=job).why


class TestTable:
    def test_every_choice_of_the_model_has_its_verb(self) -> None:
        assert set(VERBS) == set(Verb)

    def test_every_button_of_a_job_page_has_a_place_of_its_own(self) -> None:
        assert len({verb.on_page.place for verb in VERBS.values()}) == len(VERBS)

    @pytest.mark.parametrize(
        ("verb", "name"),
        [
            (Verb.CANCEL, "Cancel 1 job"),
            (Verb.PRIORITY, "Set priority of 1 job"),
            (Verb.FRONT, "Move 1 job to the front"),
            (Verb.FORCE_FAIL, "Force-fail 1 job"),
        ],
    )
    def test_an_action_is_named_by_its_verb(self, ana: User, verb: Verb, name: str) -> None:
        assert bulk.name(drafted(verb, [make_job()], ana)) == name


class TestDraft:
    def test_keeps_the_jobs_as_chosen_and_does_nothing(self, ana: User) -> None:
        jobs = [make_job(), make_job(State.RUNNING)]
        action = drafted(Verb.CANCEL, Job.objects.filter(state=State.QUEUED), ana)
        assert (action.phase, action.job_ids, action.total) == (Phase.DRAFT, [jobs[0].pk], 1)
        make_job()
        assert bulk.lease_due(at=LATER) == []
        bulk.work(action.pk, may_go_on=lambda: True)
        assert states(jobs) == ["queued", "running"]
        assert not AuditEntry.objects.exists()

    def test_acts_on_those_alone_whatever_matches_later(self, ana: User) -> None:
        job = make_job()
        action = drafted(Verb.CANCEL, Job.objects.filter(state=State.QUEUED), ana)
        later = make_job()
        bulk.confirm(action, at=NOON, actor=ana, reason="")
        bulk.work(action.pk, may_go_on=lambda: True)
        assert states([job, later]) == ["cancelled", "queued"]

    def test_numbers_of_no_job_are_left_out(self, ana: User) -> None:
        job = make_job()
        assert bulk.draft("cancel", [job.pk, job.pk, 10**12], at=NOON, actor=ana, chosen="").job_ids == [job.pk]

    def test_of_no_job_or_of_too_many_is_refused_in_words(self, ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(BulkRefused, match="No jobs selected"):
            bulk.draft("cancel", [10**12], at=NOON, actor=ana, chosen="")
        monkeypatch.setattr(record, "MOST", 1)
        with pytest.raises(BulkRefused, match="Narrow the filter"):
            drafted(Verb.CANCEL, [make_job(), make_job()], ana)

    @pytest.mark.parametrize("value", ["soon", "1.5", "101", "٣x"])
    def test_an_option_that_makes_no_sense_is_refused(self, ana: User, value: str) -> None:
        with pytest.raises(BulkRefused, match="whole number from -100 to 100"):
            drafted(Verb.PRIORITY, [make_job()], ana, priority=value)

    def test_is_removed_when_nobody_confirmed_it_within_a_day(self, ana: User) -> None:
        kept = drafted(Verb.CANCEL, [make_job()], ana)
        bulk.confirm(kept, at=NOON, actor=ana)
        drafted(Verb.CANCEL, [make_job()], ana)
        bulk.prune(at=NOON + timedelta(hours=23))
        assert BulkAction.objects.count() == 2
        bulk.prune(at=NOON + timedelta(hours=25))
        assert BulkAction.objects.get() == kept

    def test_of_an_old_one_goes_the_list_of_jobs_and_what_it_came_to_stays(self, ana: User) -> None:
        old = done(Verb.CLEAR, [make_job(State.COMPLETED), make_job()], ana)
        running = drafted(Verb.CANCEL, [make_job()], ana)
        bulk.confirm(running, at=NOON, actor=ana)
        BulkAction.objects.filter(pk=old.pk).update(ended_at=NOON)
        bulk.prune(at=NOON + bulk.JOBS_KEPT)
        assert len(BulkAction.objects.get(pk=old.pk).job_ids) == 2

        bulk.prune(at=NOON + bulk.JOBS_KEPT + timedelta(seconds=1))
        old.refresh_from_db()
        assert (old.job_ids, old.total, old.results) == ([], 2, {"cleared": 1, "refused": 1})
        assert not BulkRefusal.objects.filter(action=old).exists()
        running.refresh_from_db()
        assert len(running.job_ids) == 1


class TestStart:
    def test_it_starts_ten_seconds_after_it_was_confirmed(self, ana: User) -> None:
        action = drafted(Verb.CANCEL, [make_job()], ana)
        bulk.confirm(action, at=NOON, actor=ana, reason="wrong brief")
        assert dispatch.next_due(at=NOON).at == NOON + timedelta(seconds=10)
        assert bulk.lease_due(at=NOON + timedelta(seconds=9.9)) == []
        assert bulk.lease_due(at=NOON + timedelta(seconds=10)) == [action.pk]

    def test_leased_it_is_handed_out_again_only_when_its_worker_is_silent(self, ana: User) -> None:
        action = drafted(Verb.CANCEL, [make_job()], ana)
        bulk.confirm(action, at=NOON, actor=ana)
        assert bulk.lease_due(at=LATER) == [action.pk]
        assert bulk.lease_due(at=LATER + timedelta(seconds=29)) == []
        assert dispatch.next_due(at=LATER).at == LATER + timedelta(seconds=30)
        assert bulk.lease_due(at=LATER + timedelta(seconds=30)) == [action.pk]

    def test_one_of_an_actor_and_two_in_all_are_leased_and_they_take_turns(
        self, ana: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small_chunks(monkeypatch, 1)
        people = [ana, *(UserFactory(admin=True, tickets=0) for _ in range(2))]
        first, again, second, third = (drafted(Verb.CANCEL, [make_job(), make_job()], by) for by in (ana, *people))
        for action in (first, again, second, third):
            bulk.confirm(action, at=NOON, actor=action.actor)

        assert bulk.lease_due(at=NOON + timedelta(seconds=10)) == [first.pk, second.pk]
        assert bulk.lease_due(at=LATER) == []
        assert dispatch.next_due(at=LATER).at == NOON + timedelta(seconds=10)  # the third, as soon as there is room
        bulk.work(first.pk, may_go_on=lambda: False)
        assert bulk.lease_due(at=clock.now()) == [again.pk, third.pk]  # the lease of the second has long been over

    def test_what_waits_for_another_of_its_actor_is_due_after_that(self, ana: User) -> None:
        actions = [drafted(Verb.CANCEL, [make_job()], ana) for _ in range(2)]
        for action in actions:
            bulk.confirm(action, at=NOON, actor=ana)
        assert bulk.lease_due(at=LATER) == [actions[0].pk]
        assert dispatch.next_due(at=LATER).at == LATER + record.LEASE

    def test_a_task_that_comes_too_early_does_nothing(self, ana: User) -> None:
        job = make_job()
        action = drafted(Verb.CANCEL, [job], ana)
        bulk.confirm(action, at=clock.now(), actor=ana)
        bulk.work(action.pk, may_go_on=lambda: True)
        assert states([job]) == ["queued"]

    def test_run_now_skips_the_wait(self, ana: User) -> None:
        action = drafted(Verb.CANCEL, [make_job()], ana)
        bulk.confirm(action, at=NOON, actor=ana)
        bulk.run_now(action, at=NOON + timedelta(seconds=1), actor=ana)
        assert bulk.lease_due(at=NOON + timedelta(seconds=1)) == [action.pk]

    def test_undone_it_touches_no_job(self, ana: User) -> None:
        job = make_job()
        action = drafted(Verb.CANCEL, [job], ana)
        bulk.confirm(action, at=NOON, actor=ana)
        assert bulk.lease_due(at=LATER) == [action.pk]
        bulk.undo(action, at=LATER, actor=ana)
        bulk.work(action.pk, may_go_on=lambda: True)
        assert states([job]) == ["queued"]
        assert bulk.lease_due(at=LATER + timedelta(hours=1)) == []

    def test_once_begun_it_cannot_be_undone(self, ana: User) -> None:
        action = done(Verb.CANCEL, [make_job()], ana)
        with pytest.raises(BulkRefused, match="Status: done"):
            bulk.undo(action, at=LATER, actor=ana)

    def test_confirmed_twice_it_is_one(self, ana: User) -> None:
        action = drafted(Verb.CANCEL, [make_job()], ana)
        bulk.confirm(action, at=NOON, actor=ana)
        with pytest.raises(BulkRefused):
            bulk.confirm(action, at=NOON, actor=ana)
        assert AuditEntry.objects.count() == 1

    @pytest.mark.parametrize("verb", [Verb.FORCE_FAIL, Verb.REFUND])
    def test_what_cannot_be_taken_back_needs_a_reason(self, ana: User, verb: Verb) -> None:
        action = drafted(verb, [make_job(State.COMPLETED)], ana)
        with pytest.raises(BulkRefused, match="Enter a reason"):
            bulk.confirm(action, at=NOON, actor=ana, reason=" ")

    def test_a_set_priority_needs_a_priority(self, ana: User) -> None:
        action = drafted(Verb.PRIORITY, [make_job()], ana)
        with pytest.raises(BulkRefused, match="Choose a priority"):
            bulk.confirm(action, at=NOON, actor=ana)
        bulk.confirm(action, at=NOON, actor=ana, options={"priority": "10"})
        assert BulkAction.objects.get().options == {"priority": 10}

    @pytest.mark.parametrize(
        ("verb", "right"),
        [
            *((verb, "operate_queue") for verb in (Verb.CANCEL, Verb.RETRY, Verb.FRONT, Verb.CLEAR)),
            (Verb.FORCE_FAIL, "force_fail_job"),
            (Verb.REFUND, "move_tickets"),
        ],
    )
    def test_each_verb_needs_its_right(self, ana: User, verb: Verb, right: str) -> None:
        action = drafted(verb, [make_job()], ana)
        for one in ("operate_queue", "force_fail_job", "move_tickets"):
            clerk = UserFactory(staff=True, tickets=0)
            clerk.user_permissions.set(Permission.objects.filter(codename=one))
            if one != right:
                with pytest.raises(BulkRefused, match="don't have permission"):
                    bulk.confirm(action, at=NOON, actor=clerk, reason="why not")
        bulk.confirm(action, at=NOON, actor=ana, reason="why not")

    def test_a_promise_of_a_refund_needs_the_right_to_refund_and_a_reason(self, ana: User) -> None:
        action = drafted(Verb.CANCEL, [make_job(State.RUNNING)], ana)
        operator = UserFactory(staff=True, tickets=0, rights=["operate_queue"])
        for by, reason, words in ((operator, "why not", "can't promise"), (ana, " ", "Enter a reason")):
            with pytest.raises(BulkRefused, match=words):
                bulk.confirm(action, at=NOON, actor=by, reason=reason, options={"refund": "1"})
        assert BulkAction.objects.get().options == {}
        bulk.confirm(action, at=NOON, actor=operator)

    def test_every_step_is_audited(self, ana: User) -> None:
        bo = UserFactory(admin=True, username="bo", tickets=0)
        job = make_job()
        action = drafted(Verb.CANCEL, [job], ana)
        bulk.confirm(action, at=NOON, actor=ana, reason="wrong brief")
        bulk.run_now(action, at=NOON, actor=bo)
        bulk.undo(action, at=NOON, actor=bo)
        said = [(entry.actor_name, entry.action, entry.reason) for entry in AuditEntry.objects.order_by("id")]
        assert said == [
            ("ana", "cancel jobs", "wrong brief"),
            ("bo", "cancel jobs: run now", ""),
            ("bo", "cancel jobs: undone", ""),
        ]
        entry = AuditEntry.objects.earliest("id")
        assert (entry.target_model, entry.target_pk) == ("queue_app.bulkaction", str(action.pk))
        assert entry.after["jobs"] == 1 and entry.after["first"] == [job.pk]

    @pytest.mark.parametrize(
        ("verb", "said"),
        [
            (Verb.PRIORITY, "set job priority"),
            (Verb.FRONT, "move jobs to front"),
            (Verb.FORCE_FAIL, "force-fail jobs"),
            (Verb.CLEAR, "clear jobs"),
        ],
    )
    def test_its_name_in_the_audit_is_a_deed(self, ana: User, verb: Verb, said: str) -> None:
        bulk.confirm(drafted(verb, [make_job()], ana), at=NOON, actor=ana, reason="why not", options={"priority": 10})
        assert AuditEntry.objects.get().action == said


class TestExactlyOnce:
    @pytest.fixture(autouse=True)
    def _small_chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        small_chunks(monkeypatch, 2)

    def test_a_worker_that_dies_between_the_verb_and_the_pointer_leaves_nothing_of_its_chunk(
        self, ana: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jobs = [make_job(State.COMPLETED, tickets=4) for _ in range(5)]
        action = drafted(Verb.REFUND, jobs, ana)
        bulk.confirm(action, at=NOON, actor=ana, reason="bad light")
        apply, calls = Refund.apply, iter(range(10))

        def dies_in_its_second_chunk(*args: Any, **kwargs: Any) -> object:
            outcome = apply(*args, **kwargs)
            if next(calls) == 1:
                raise KeyboardInterrupt
            return outcome

        monkeypatch.setattr(Refund, "apply", dies_in_its_second_chunk)
        with pytest.raises(KeyboardInterrupt):
            bulk.work(action.pk, may_go_on=lambda: True)
        action.refresh_from_db()
        assert (action.phase, action.worked, action.results) == (Phase.RUNNING, 2, {"refunded": 2})
        assert LedgerTransaction.objects.filter(kind="refund").count() == 2

        bulk.work(action.pk, may_go_on=lambda: True)
        action.refresh_from_db()
        assert (action.phase, action.worked, action.results) == (Phase.DONE, 5, {"refunded": 5})
        assert LedgerTransaction.objects.filter(kind="refund").count() == 5

    def test_a_slice_ends_after_a_chunk_and_the_rest_is_due_at_once(self, ana: User) -> None:
        jobs = [make_job() for _ in range(5)]
        action = drafted(Verb.CANCEL, jobs, ana)
        bulk.confirm(action, at=NOON, actor=ana)
        bulk.work(action.pk, may_go_on=lambda: False)
        action.refresh_from_db()
        assert (action.phase, action.worked) == (Phase.RUNNING, 2)
        assert states(jobs) == ["cancelled"] * 2 + ["queued"] * 3
        assert bulk.lease_due(at=clock.now()) == [action.pk]

    def test_aborted_it_keeps_what_was_done_and_does_no_more(self, ana: User) -> None:
        jobs = [make_job() for _ in range(5)]
        action = drafted(Verb.CANCEL, jobs, ana)
        bulk.confirm(action, at=NOON, actor=ana)
        bulk.work(action.pk, may_go_on=lambda: False)
        bulk.abort(action, at=LATER, actor=ana)
        bulk.work(action.pk, may_go_on=lambda: True)
        action.refresh_from_db()
        assert (action.phase, action.worked, action.results) == (Phase.ABORTED, 2, {"cancelled": 2})
        assert AuditEntry.objects.latest("id").action == "cancel jobs: stopped after 2"

    def test_a_fault_at_one_job_is_its_own_refusal(
        self, ana: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        jobs = [make_job(State.COMPLETED) for _ in range(3)]
        note_each = lifecycle.note_each

        def breaks_at_the_second(some: list[Job], **fields: object) -> None:
            if jobs[1].pk in {job.pk for job in some}:
                raise ValueError("a bad row")
            note_each(some, **fields)  # type: ignore[arg-type]

        monkeypatch.setattr(lifecycle, "note_each", breaks_at_the_second)
        action = done(Verb.CLEAR, jobs, ana)
        assert action.results == {"cleared": 2, "refused": 1}
        assert "ValueError" in why_not(action, jobs[1]) and "a bad row" in caplog.text
        assert [job.archived_at is None for job in Job.objects.order_by("pk")] == [False, True, False]


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_take_turns(ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
    small_chunks(monkeypatch, 3)
    owner = UserFactory()
    jobs = [make_job(State.COMPLETED, owner=owner, tickets=4) for _ in range(20)]
    before = Wallet.objects.get(owner=owner).available
    action = drafted(Verb.REFUND, jobs, ana)
    bulk.confirm(action, at=NOON, actor=ana, reason="bad light")

    def slice_of_it(_: int) -> None:
        try:
            bulk.work(action.pk, may_go_on=lambda: True)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(slice_of_it, range(2)))
    action.refresh_from_db()
    assert (action.phase, action.worked, action.results) == (Phase.DONE, 20, {"refunded": 20})
    assert Wallet.objects.get(owner=owner).available == before + 80
    assert LedgerTransaction.objects.filter(kind="refund").count() == 20


class TestVerbs:
    def test_cancel_comes_to_a_verdict_for_each(self, ana: User) -> None:
        jobs = [make_job(one) for one in (State.QUEUED, State.RUNNING, State.UNKNOWN, State.STORING, State.COMPLETED)]
        action = done(Verb.CANCEL, jobs, ana, reason="wrong brief")
        assert action.results == {"cancelled": 1, "requested": 2, "refused": 2}
        assert "saving" in why_not(action, jobs[3]) and "too late" in why_not(action, jobs[3])
        event = jobs[0].events.latest("seq")
        assert (event.actor, event.reason) == ("ana", "wrong brief")

    def test_cancel_promises_a_refund_of_what_its_provider_cannot_stop(self, ana: User, beyond_stopping: None) -> None:
        preview = make_job(State.RUNNING)
        Attempt.objects.filter(job=preview).update(preview=True)  # the studio stops
        jobs = [make_job(State.RUNNING), preview, make_job(State.CANCELLING), make_job(State.UNKNOWN), make_job()]
        action = done(Verb.CANCEL, jobs, ana, reason="wrong brief", refund=True)
        assert action.results == {"requested": 4, "cancelled": 1}
        promised = {"by": "ana", "reason": "wrong brief"}
        assert [fresh(job).refund_promised for job in jobs] == [promised, None, None, None, None]
        assert "refund promised" in jobs[0].events.latest("seq").reason
        assert AuditEntry.objects.latest("id").after["refund"] is True

    def test_cancel_promises_none_unasked(self, ana: User, beyond_stopping: None) -> None:
        job = make_job(State.RUNNING)
        done(Verb.CANCEL, [job], ana, reason="wrong brief")
        assert fresh(job).refund_promised is None

    def test_retry_queues_again_at_todays_price_in_one_set(self, ana: User) -> None:
        owner = UserFactory()
        jobs = [make_job(State.FAILED, owner=owner, batch=BatchFactory(owner=owner)) for _ in range(3)]
        GenerationModel.objects.filter(pk="sora-2").update(tickets_per_unit=3)
        action = done(Verb.RETRY, jobs, ana)
        assert action.results == {"queued": 3}
        again = list(Job.objects.order_by("order_key"))
        assert again == jobs and {job.tickets for job in again} == {12}
        assert [position(job) for job in again] == [1, 2, 3]
        assert Wallet.objects.get(owner=owner).reserved == 36

    def test_retry_refuses_what_the_wallet_cannot_pay_the_lower_numbers_first(self, ana: User) -> None:
        poor = UserFactory(tickets=8)
        jobs = [make_job(State.FAILED, owner=poor, tickets=4) for _ in range(3)]
        action = done(Verb.RETRY, [*jobs, running := make_job(State.RUNNING)], ana)
        assert states(jobs) == ["queued", "queued", "failed"]
        assert "0 are available" in why_not(action, jobs[2])
        assert "You can only retry failed or cancelled jobs" in why_not(action, running)

    def test_retry_refuses_a_model_that_nobody_offers(self, ana: User) -> None:
        job = make_job(State.FAILED)
        GenerationModel.objects.filter(pk="sora-2").update(active=False)
        assert "is not available right now" in why_not(done(Verb.RETRY, [job], ana), job)

    def test_set_priority_moves_what_is_queued_and_writes_before_and_after(self, ana: User) -> None:
        first, second, running = make_job(), make_job(), make_job(State.RUNNING)
        action = done(Verb.PRIORITY, [second, running], ana, priority=20)
        assert action.results == {"changed": 1, "refused": 1}
        assert (position(fresh(second)), position(fresh(first))) == (1, 2)
        event = second.events.latest("seq")
        assert (event.actor, event.reason, event.data) == ("ana", "priority set to urgent", {"before": 0, "after": 20})
        assert event.from_state == event.to_state == State.QUEUED
        assert fresh(second).priority_reasons == ["set by ana"]

    def test_set_priority_to_what_it_is_writes_nothing(self, ana: User) -> None:
        job = make_job()
        assert done(Verb.PRIORITY, [job], ana, priority=0).results == {"unchanged": 1}
        assert JobEvent.objects.filter(job=job).count() == 1

    def test_move_to_front_keeps_the_order_of_the_chosen(self, ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
        small_chunks(monkeypatch, 2)
        jobs = [make_job() for _ in range(8)]
        other_lane = make_job(model_id="kling-1.6")
        smallest = min(job.order_key for job in jobs)
        action = done(Verb.FRONT, [jobs[7], jobs[3], jobs[6], jobs[5], other_lane], ana)
        assert action.results == {"moved": 5}
        lane = Job.objects.filter(model_id="sora-2").in_dispatch_order()
        assert list(lane) == [jobs[3], jobs[5], jobs[6], jobs[7], jobs[0], jobs[1], jobs[2], jobs[4]]
        assert [position(job) for job in lane] == list(range(1, 9))
        assert fresh(jobs[7]).order_key == smallest - 1
        event = jobs[7].events.latest("seq")
        assert event.data == {"before": jobs[7].order_key, "after": smallest - 1}

    def test_move_to_front_stays_within_the_priority(self, ana: User) -> None:
        urgent, normal, chosen = make_job(priority=20), make_job(), make_job()
        done(Verb.FRONT, [chosen], ana)
        assert [position(fresh(job)) for job in (urgent, chosen, normal)] == [1, 2, 3]

    def test_clear_takes_ended_jobs_out_of_view_and_keeps_them(self, ana: User) -> None:
        jobs = [make_job(one) for one in (State.COMPLETED, State.FAILED, State.CANCELLED, State.QUEUED)]
        action = done(Verb.CLEAR, jobs, ana)
        assert action.results == {"cleared": 3, "refused": 1}
        assert [job.archived_at is not None for job in Job.objects.order_by("pk")] == [True, True, True, False]
        assert jobs[0].events.latest("seq").reason == "cleared from the list"
        assert done(Verb.CLEAR, jobs[:3], ana).results == {"unchanged": 3}

    def test_force_fail_ends_what_is_open_and_gives_the_tickets_back(self, ana: User) -> None:
        jobs = [make_job(one) for one in (State.QUEUED, State.RUNNING, State.UNKNOWN, State.STORING, State.COMPLETED)]
        action = done(Verb.FORCE_FAIL, jobs, ana, reason="the provider is gone")
        assert action.results == {"failed": 4, "refused": 1}
        assert states(jobs) == ["failed"] * 4 + ["completed"]
        assert Wallet.objects.get(owner=jobs[1].owner).reserved == 0

    def test_refund_gives_back_what_was_captured_once(self, ana: User) -> None:
        paid, failed = make_job(State.COMPLETED, tickets=8), make_job(State.FAILED)
        action = done(Verb.REFUND, [paid, failed], ana, reason="bad light", tickets=5)
        assert action.results == {"refunded": 1, "refused": 1}
        assert "only completed jobs are charged" in why_not(action, failed)
        assert Wallet.objects.get(owner=paid.owner).available == 997
        event = paid.events.latest("seq")
        assert event.reason == "refunded: bad light" and event.data["tickets"] == 5
        assert AuditEntry.objects.get(action="refund").target_pk == str(paid.pk)
        again = done(Verb.REFUND, [paid], ana, reason="still bad", tickets=5)
        assert "5 already refunded. Enter 1 to 3." in why_not(again, paid)
        done(Verb.REFUND, [paid], ana, reason="all of it")
        assert Wallet.objects.get(owner=paid.owner).available == 1000


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)
