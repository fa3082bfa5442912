"""Owners change the order and the priority of their own waiting jobs; nobody else's job moves for that."""

import pytest

from queue_app.insight import positions
from queue_app.lifecycle import MoveRefused
from queue_app.models import AuditEntry, HeldFor, Job, JobEvent, QueueSettings, State, User
from queue_app.rules.priority import HIGH, LOW, NORMAL
from queue_app.work import holds, jobs, reorder
from queue_app.work.jobs import PriorityRestricted
from tests.factories import NOON, JobFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> User:
    return UserFactory(username="ana")


@pytest.fixture
def ben() -> User:
    return UserFactory(username="ben")


def order(*owners: User) -> list[int]:
    """The waiting jobs in the order of their positions."""
    found = positions.of_jobs(Job.objects.filter(state=State.QUEUED).values_list("pk", flat=True))
    mine = set(Job.objects.filter(owner__in=owners).values_list("pk", flat=True)) if owners else found
    return sorted((pk for pk in found if pk in mine), key=found.__getitem__)


def places(owner: User) -> dict[int, int]:
    return positions.of_jobs(Job.objects.filter(owner=owner, state=State.QUEUED).values_list("pk", flat=True))


def queued(*owners: User, **fields: object) -> list[Job]:
    return [JobFactory(owner=owner, **fields) for owner in owners]


def move(job: Job, actor: User, *, before: Job | None = None) -> None:
    jobs.move(job, before=before and before.pk, at=NOON, actor=actor)


@pytest.mark.parametrize("fair", [True, False])
class TestMove:
    @pytest.fixture(autouse=True)
    def mode(self, fair: bool) -> None:
        QueueSettings.objects.update(fair_share=fair)

    def test_before_all_others_of_its_owner(self, ana: User, ben: User) -> None:
        first, second, third = queued(ana, ana, ana)
        queued(ben, ben)
        before = places(ben)
        move(third, ana)
        assert order(ana) == [third.pk, first.pk, second.pk]
        assert places(ben) == before

    def test_before_one_of_them_up_and_down(self, ana: User) -> None:
        first, second, third, fourth = queued(ana, ana, ana, ana)
        move(fourth, ana, before=second)
        assert order() == [first.pk, fourth.pk, second.pk, third.pk]
        move(first, ana, before=third)
        assert order() == [fourth.pk, second.pk, first.pk, third.pk]

    def test_no_job_of_another_account_changes_its_turn_however_they_mingle(self, ana: User, ben: User, fair: bool) -> None:
        cid = UserFactory(username="cid")
        mine = [job for job in queued(ana, ben, cid, ana, cid, ben, ana, ben, ana, cid) if job.owner == ana]
        others = Job.objects.exclude(owner=ana)
        turns, before = dict(others.values_list("pk", "order_key")), {**places(ben), **places(cid)}
        for _ in range(3):
            move(mine[-1], ana)
            move(mine[0], ana, before=mine[-1])
            move(mine[-1], ana)
        assert order(ana)[0] == mine[-1].pk
        assert dict(others.values_list("pk", "order_key")) == turns
        after = {**places(ben), **places(cid)}
        most = 1 if fair else 0  # in one round, jobs of different accounts go by their numbers
        assert all(abs(after[pk] - before[pk]) <= most for pk in before)

    def test_of_a_heavier_account_holds_within_a_round_too(self, ana: User) -> None:
        User.objects.update(share_weight=3)
        mine = queued(*[ana] * 7)
        move(mine[2], ana)
        move(mine[6], ana, before=mine[1])
        assert order() == [mine[number].pk for number in (2, 0, 6, 1, 3, 4, 5)]

    def test_is_noted_in_the_history_of_the_job_that_was_named(self, ana: User) -> None:
        first, second = queued(ana, ana)
        move(second, ana)
        event = JobEvent.objects.filter(job=second).latest("seq")
        assert (event.actor, event.reason) == ("ana", "moved before the owner's other jobs")
        assert JobEvent.objects.filter(job=first).count() == 1
        move(second, ana)  # is there already
        assert JobEvent.objects.filter(job=second).latest("seq").seq == event.seq

    def test_of_another_user_s_job_is_audited(self, ana: User) -> None:
        operator = UserFactory(staff=True)
        _, second = queued(ana, ana)
        move(second, operator)
        assert AuditEntry.objects.get(actor=operator).action == "reorder job"

    def test_past_a_job_of_another_account_model_or_priority_is_refused(self, ana: User, ben: User) -> None:
        (job,) = queued(ana)
        others = [*queued(ben), *queued(ana, model_id="manim"), *queued(ana, priority=LOW), make_job(State.RUNNING, owner=ana)]
        for other in others:
            with pytest.raises(MoveRefused, match="is not a queued job of the same owner, model and priority"):
                move(job, ana, before=other)

    def test_of_what_has_started_or_is_on_hold_is_refused(self, ana: User) -> None:
        running = make_job(State.RUNNING, owner=ana)
        with pytest.raises(MoveRefused, match=r"is running\. Only queued jobs have a position"):
            move(running, ana)
        (held,) = queued(ana)
        holds.hold([held.pk], HeldFor.CANARY, at=NOON, actor="ana", reason="waits")
        with pytest.raises(MoveRefused, match="is on hold"):
            move(held, ana)

    def test_past_too_many_is_refused(self, ana: User, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(jobs, "PASSED_MOST", 2)
        mine = queued(ana, ana, ana, ana)
        with pytest.raises(MoveRefused, match="at most 2 others at once"):
            move(mine[3], ana)
        move(mine[3], ana, before=mine[1])
        assert order() == [mine[number].pk for number in (0, 3, 1, 2)]

    def test_of_a_page_is_not_undone_by_the_next_page(self, ana: User) -> None:
        good, poor = (JobFactory(owner=ana, model_id="page-writer", score=points) for points in (80, 20))
        move(poor, ana)
        JobFactory(owner=ana, model_id="page-writer", score=50)
        assert order()[0] == poor.pk
        assert good.pk in order()


class TestPriority:
    def set(self, job: Job, level: int, actor: User) -> None:
        jobs.set_priority(job, level, at=NOON, actor=actor)

    def now(self, job: Job) -> tuple[int, int, int]:
        return Job.objects.values_list("base_priority", "priority", "raised").get(pk=job.pk)

    def test_is_lowered_by_its_owner_and_taken_back(self, ana: User) -> None:
        (job,) = queued(ana)
        self.set(job, LOW, ana)
        assert self.now(job) == (LOW, LOW, 0)
        assert JobEvent.objects.filter(job=job).latest("seq").reason == "priority set to low"
        self.set(job, NORMAL, ana)
        assert self.now(job) == (NORMAL, NORMAL, 0)
        assert not AuditEntry.objects.exists()

    def test_is_not_raised_by_its_owner_above_what_it_had(self, ana: User) -> None:
        low, normal, high = (
            queued(ana, priority=LOW, base_priority=LOW)[0],
            *queued(ana),
            *queued(ana, priority=HIGH, base_priority=HIGH),
        )
        for job, level in ((low, NORMAL), (normal, HIGH), (high, HIGH + 1)):
            with pytest.raises(
                PriorityRestricted, match=r"You can only lower the priority of a job\. Job .* at most\. Ask staff"
            ):
                self.set(job, level, ana)
        self.set(high, NORMAL, ana)
        self.set(high, HIGH, ana)
        assert self.now(high) == (HIGH, HIGH, 0)

    def test_that_staff_set_is_the_most_from_then_on(self, ana: User) -> None:
        operator = UserFactory(staff=True)
        (job,) = queued(ana)
        self.set(job, LOW, operator)
        with pytest.raises(PriorityRestricted):
            self.set(job, NORMAL, ana)
        self.set(job, HIGH, operator)
        self.set(job, LOW, ana)
        self.set(job, HIGH, ana)
        assert self.now(job) == (HIGH, HIGH, 0)
        assert AuditEntry.objects.filter(action="set job priority").count() == 2

    def test_that_waiting_raised_falls_back_to_what_is_set(self, ana: User) -> None:
        (job,) = queued(ana, priority=LOW, base_priority=LOW)
        Job.objects.filter(pk=job.pk).update(priority=NORMAL, raised=1)
        self.set(job, LOW - 10, ana)
        assert self.now(job) == (LOW - 10, LOW - 10, 0)

    def test_of_a_raised_job_set_to_its_level_by_staff_counts_from_then_on(self, ana: User) -> None:
        (job,) = queued(ana, priority=LOW, base_priority=LOW)
        Job.objects.filter(pk=job.pk).update(priority=NORMAL, raised=1)
        job.refresh_from_db()
        assert reorder.has_other(job, NORMAL)
        assert reorder.has_other(job, LOW)

    def test_of_what_has_started_is_refused(self, ana: User) -> None:
        with pytest.raises(MoveRefused, match="Only queued jobs have a priority"):
            self.set(make_job(State.RUNNING, owner=ana), LOW, ana)
