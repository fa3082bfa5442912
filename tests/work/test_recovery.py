"""Recovery: jobs return to a known state after crashes, timeouts and lost answers, and nothing is sent twice."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
from django.db import Error, connection

from queue_app import clock, database, lifecycle
from queue_app.models import Job, ProviderAccount, ReviewItem, WorkerProcess
from queue_app.models.job import slots_in_use
from queue_app.providers.base import ErrorKind, ProviderError
from queue_app.rules.lookup import Walk
from queue_app.work import lookup, recovery
from tests.cuts import end_backend
from tests.factories import BatchFactory, begun, claimed, make_job
from tests.genqueue_site.studio.process import StudioProcess
from tests.providers.wire import WireServer, answer, reset
from tests.work.steps import (
    KEYS,
    accepted,
    account_of,
    attempt_of,
    bought,
    due_in,
    fresh,
    later,
    moves,
    open_review,
    queued,
    swept,
    tickets_of,
    worked,
)

pytestmark = pytest.mark.django_db


def proof(vendor: WireServer) -> bytes:
    """Return a list that proves "none": it shows a known task as it was sent, and goes back to before any call."""
    vendor.says(answer(200, {"id": "known_1"}))
    bought(queued(prompt="Known to be there."))
    made = clock.now().timestamp()
    known = {"id": "known_1", "object": "video", "model": "sora-2", "prompt": "Known to be there.", "created_at": int(made)}
    return answer(
        200, {"object": "list", "data": [known, known | {"id": "old", "created_at": int(made) - 9_000}], "has_more": True}
    )


def called(**fields) -> Job:
    """Return a job whose worker crashed in the create call, after a sweep."""
    job, _, _ = begun(queued(**fields), at=clock.now())
    later(46)
    return swept(job)


def listed(*videos: tuple[str, str], at: datetime | None = None) -> bytes:
    """Return the provider's list of (id, prompt), newest first, each a second older than the previous one."""
    made = int((at or datetime.now(UTC)).timestamp())
    data = [
        {"id": number, "object": "video", "model": "sora-2", "prompt": prompt, "created_at": made - age}
        for age, (number, prompt) in enumerate(videos)
    ]
    return answer(200, {"object": "list", "data": data, "has_more": False})


class TestAWorkerThatNeverCame:
    def test_costs_the_job_nothing_but_its_time(self):
        job = queued()
        claimed(job, at=clock.now())
        assert swept(job).state == "submitting"
        later(21)
        job = swept(job)

        assert moves(job) == ["queued", "submitting", "queued"]
        assert (attempt_of(job).outcome, attempt_of(job).spent, attempt_of(job).called_at) == ("not_accepted", False, None)
        assert (job.worker_deaths, job.not_before, tickets_of(job)[0]) == (0, None, "held")

    def test_finds_its_lease_void_when_it_comes_at_last(self):
        job = queued()
        lease = claimed(job, at=clock.now())
        later(21)
        assert lifecycle.begin(lease, at=clock.now()) is None
        swept(job)
        assert lifecycle.begin(lease, at=clock.now()) is None

    def test_leaves_a_cancel_that_was_asked_meanwhile_to_be_carried_out(self):
        job = queued()
        claimed(job, at=clock.now())
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        later(21)
        assert moves(swept(job)) == ["queued", "submitting", "queued", "cancelled"]


class TestAWorkerThatDiedInTheCall:
    def test_leaves_the_outcome_unknown_with_a_person_told_and_the_tickets_held(self):
        job = called()
        review = open_review(job)
        assert moves(job) == ["queued", "submitting", "unknown"]
        assert review is not None and "crashed while sending the request" in review.what
        assert (job.worker_deaths, attempt_of(job).outcome, tickets_of(job)[0]) == (1, None, "held")
        assert due_in(job) < 1  # more than 30 s have passed since the call

    def test_before_the_provider_took_it_is_bought_again_once_the_list_has_said_none_twice(self, studio: StudioProcess):
        bought(queued(prompt="Known to be there, from before."))
        later(1)
        job = worked(called())
        assert (job.state, attempt_of(job).lookups_none) == ("unknown", 0)  # the task may still appear
        assert 60 < due_in(job) <= 120 - 46

        later(120 - 46)
        job = worked(job)
        assert (job.state, attempt_of(job).lookups_none) == ("unknown", 1)
        assert 50 < due_in(job) <= 60

        later(60)
        job = worked(job)
        assert moves(job)[-2:] == ["unknown", "queued"]
        assert (attempt_of(job).outcome, attempt_of(job).spent, open_review(job)) == ("not_accepted", True, None)
        assert accepted(studio, job) == 0

        job = bought(job)
        assert (job.state, job.attempt_number, accepted(studio, job)) == ("running", 2, 1)

    def test_after_the_provider_took_it_goes_on_with_that_task(self, studio: StudioProcess):
        job, _, _ = begun(queued(), at=clock.now())
        body = {"prompt": job.prompt, "seconds": "4", "size": "1280x720", "model": "sora-2"}
        number = requests.post(f"{studio.url}/v1/videos", json=body, timeout=15).json()["id"]  # the crashed worker's call
        later(46)
        job = worked(swept(job))

        assert moves(job)[-2:] == ["unknown", "running"]
        assert attempt_of(job).remote_id == number
        assert (job.attempt_number, accepted(studio, job), job.worker_deaths) == (1, 1, 0)

    def test_three_times_is_the_jobs_fault(self, vendor: WireServer):
        vendor.says(proof(vendor))
        job = called()
        for _ in range(2):
            self.find_none(job)
            assert fresh(job).state == "queued"
            begun(fresh(job), at=clock.now())
            later(46)
            swept(job)
        self.find_none(job)

        job = fresh(job)
        assert (job.state, job.error_code, job.attempt_number) == ("failed", "poison", 3)
        assert tickets_of(job) == ("released", 1000, 0)

    @staticmethod
    def find_none(job: Job) -> None:
        later(120)
        worked(job)
        later(60)
        worked(job)


class TestALookUp:
    def test_that_says_none_does_not_count_before_the_grace_is_over_nor_twice_at_once(self, vendor: WireServer):
        vendor.says(proof(vendor))
        job = called()
        for _ in range(3):
            assert attempt_of(worked(job)).lookups_none == 0
        later(120)
        for _ in range(3):
            assert attempt_of(worked(job)).lookups_none == 1
        assert fresh(job).state == "unknown"

    def test_that_finds_several_takes_the_earliest_and_tells_a_person(self, vendor: WireServer):
        job = called()
        vendor.says(listed(("video_3", job.prompt), ("video_2", "Another."), ("video_1", job.prompt)))
        job = worked(job)

        review = open_review(job)
        assert (job.state, attempt_of(job).remote_id) == ("running", "video_1")
        assert review is not None and review.what.startswith("1 more provider task matches")

    def test_never_takes_what_belongs_to_another_attempt(self, vendor: WireServer):
        first, second = called(prompt="The same."), called(prompt="The same.")
        vendor.says(listed(("video_2", "The same."), ("video_1", "The same.")))
        assert attempt_of(worked(first)).remote_id == "video_1"
        assert attempt_of(worked(second)).remote_id == "video_2"

        third = called(prompt="The same.")
        later(120)
        assert (worked(third).state, attempt_of(third).remote_id) == ("unknown", None)

    def test_waits_while_a_like_job_is_in_its_create_call_for_what_is_found_may_be_its_task(self, vendor: WireServer):
        job = called(prompt="The same.")
        other, _, _ = begun(queued(prompt="The same."), at=clock.now())
        vendor.says(listed(("video_1", "The same.")))
        assert worked(job).state == "unknown"

        assert attempt_of(job).lookups[-1]["took"] is None

        at = clock.now()
        lifecycle.start(other, at=at, actor="worker", remote_id="video_1", remote={}, next_check_at=at + timedelta(seconds=30))
        assert worked(job).state == "unknown"
        assert attempt_of(job).remote_id is None

    def test_takes_only_what_was_made_around_the_call(self, vendor: WireServer):
        job = called()
        for age in (-1200, 1200):
            vendor.says(listed(("video_1", job.prompt), at=attempt_of(job).called_at - timedelta(seconds=age)))
            assert worked(job).state == "unknown"

    def test_when_attempts_are_spent_ends_the_job(self, vendor: WireServer):
        vendor.says(proof(vendor))
        job = called(kind_id="video")
        job.kind.__class__.objects.filter(pk="video").update(max_attempts=1)
        TestAWorkerThatDiedInTheCall.find_none(job)

        job = fresh(job)
        assert moves(job)[-2:] == ["unknown", "failed"]
        assert (job.error_code, tickets_of(job)) == ("not_accepted", ("released", 1000, 0))

    @pytest.mark.parametrize(
        "reply", [reset, answer(500), answer(200, b"hi"), answer(200, {"data": [{"id": "v", "prompt": None}]})]
    )
    def test_without_an_answer_says_nothing_and_is_made_ever_more_rarely(self, vendor: WireServer, reply):
        vendor.says(reply)
        job = called()
        later(120)
        waits = []
        for passed in (0, 600, 10_000):
            later(passed)
            waits.append(due_in(worked(job)))
        assert (fresh(job).state, attempt_of(job).lookups_none) == ("unknown", 0)
        assert waits == [pytest.approx(83, abs=9), pytest.approx(383, abs=9), pytest.approx(600, abs=9)]

    def test_whose_lease_is_over_writes_nothing_over_what_the_next_one_proved(self, vendor: WireServer, monkeypatch):
        vendor.says(proof(vendor))
        job = called()
        later(120)

        def stand_still(*_: object, **__: object) -> Walk:
            monkeypatch.undo()
            Job.objects.filter(pk=job.pk).update(lease_until=None, lease_taken=False)
            assert attempt_of(worked(job)).lookups_none == 1
            raise ProviderError(ErrorKind.RETRYABLE, "Its connection was gone when it went on.")

        monkeypatch.setattr(lookup, "walk", stand_still)
        worked(job)
        assert [seen["none"] for seen in attempt_of(job).lookups] == [True]

    def test_leads_on_to_the_cancel_that_was_asked_meanwhile(self, vendor: WireServer):
        job = called()
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        vendor.says(listed(("video_1", job.prompt)))
        assert moves(worked(job))[-3:] == ["unknown", "running", "cancelling"]

    def test_that_says_none_twice_carries_out_the_cancel_that_was_asked_meanwhile(self, vendor: WireServer):
        vendor.says(proof(vendor))
        job = called()
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        TestAWorkerThatDiedInTheCall.find_none(job)
        assert moves(fresh(job))[-3:] == ["unknown", "queued", "cancelled"]
        assert tickets_of(job) == ("released", 1000, 0)


class TestALookUpAfterTheKeyWentOrCame:
    def test_asks_the_place_that_was_called_or_nobody(self, vendor: WireServer, keyed_vendor: WireServer, settings):
        proves = proof(vendor)
        asked = len(vendor.seen)
        preview = called()
        settings.PROVIDER_KEYS = KEYS
        paid = called()
        vendor.says(proves)
        keyed_vendor.says(proves)
        later(120)

        assert attempt_of(worked(preview)).lookups_none == 1
        assert keyed_vendor.seen == []
        settings.PROVIDER_KEYS = {}
        for _ in range(2):
            assert attempt_of(worked(paid)).lookups_none == 0
            later(60)
        assert (fresh(paid).state, len(vendor.seen) - asked, keyed_vendor.seen) == ("unknown", 1, [])


class TestAProviderThatCannotBeAsked:
    @pytest.fixture(autouse=True)
    def cannot(self, vendor: WireServer):
        ProviderAccount.objects.update(can_look_up=False)
        yield
        assert vendor.seen == []

    def test_leaves_the_job_to_a_person_with_its_slot_free_after_its_timeout(self):
        job = worked(called())
        assert job.state == "unknown"
        assert due_in(job) > 20 * 3600
        assert self.slots() == 1
        later(1200)
        assert (swept(job).state, self.slots()) == ("unknown", 0)
        assert tickets_of(job)[0] == "held"

    def test_fails_the_job_after_a_day(self):
        job = worked(called())
        later(24 * 3600)
        job = swept(job)
        assert (job.state, job.error_code, attempt_of(job).outcome) == ("failed", "unknown", "abandoned")
        assert "may have billed it" in job.error_message
        assert tickets_of(job) == ("released", 1000, 0)
        assert open_review(job) is None

    @staticmethod
    def slots() -> int:
        return sum(row[-1] for row in slots_in_use(clock.now()))


class TestAWorkerThatDiedAtACheck:
    def test_is_followed_by_another(self, vendor: WireServer):
        job = make_job("running", at=clock.now(), remote_id="video_1")
        for _ in range(4):
            self.die_at(job)  # the timeout ends it, not the number of crashes

        vendor.says(answer(200, {"id": "video_1", "status": "queued"}))
        job = worked(job)
        assert (job.state, job.worker_deaths) == ("running", 0)

    def test_or_at_storing_three_times_in_a_row_is_the_jobs_fault(self):
        job = make_job("storing", at=clock.now(), remote_id="video_1")
        for deaths in (1, 2, 3):
            assert fresh(job).state == "storing"
            self.die_at(job)
            assert fresh(job).worker_deaths == deaths
        job = fresh(job)
        assert (job.state, job.error_code, attempt_of(job).outcome) == ("failed", "poison", "lost")
        assert tickets_of(job) == ("released", 1000, 0)
        assert open_review(job) is not None

    @staticmethod
    def die_at(job: Job) -> None:
        Job.objects.filter(pk=job.pk).update(next_check_at=clock.now(), lease_until=None, lease_taken=False)
        (lease,) = [lease for lease, _ in lifecycle.lease_due(clock.now())]
        assert lifecycle.begin(lease, at=clock.now())
        Job.objects.filter(pk=job.pk).update(lease_until=clock.now())
        swept(job)

    def test_that_never_began_does_not_count(self):
        job = make_job("running", at=clock.now(), remote_id="video_1")
        Job.objects.filter(pk=job.pk).update(next_check_at=clock.now())
        assert len(lifecycle.lease_due(clock.now())) == 1
        later(21)
        assert swept(job).worker_deaths == 0
        assert len(lifecycle.lease_due(clock.now())) == 1


MINE, OTHER = "mill:7:1", "mill:8:1"


def taken_by(worker: str, state: str) -> Job:
    """Return a job in this state with a lease of a worker of this name."""
    job = queued() if state == "submitting" else make_job(state, at=clock.now())
    lease = claimed(job, at=clock.now()) if state == "submitting" else due_lease(job)
    assert lifecycle.begin(lease, at=clock.now(), by=worker)
    return fresh(job)


def due_lease(job: Job) -> lifecycle.Lease:
    Job.objects.filter(pk=job.pk).update(next_check_at=clock.now(), lease_until=None, lease_taken=False)
    return {lease.job_id: lease for lease, _ in lifecycle.lease_due(clock.now())}[job.pk]


class TestAWorkerThatEnded:
    @pytest.mark.parametrize(
        ("state", "then", "deaths"),
        [("submitting", "unknown", 1), ("running", "running", 0), ("unknown", "unknown", 0), ("storing", "storing", 1)],
    )
    def test_ends_its_leases_with_it(self, state: str, then: str, deaths: int):
        """Before they would expire: after 45 s for a call, 330 s for files."""
        job, beside = taken_by(MINE, state), taken_by(OTHER, state)
        recovery.workers_ended([MINE], at=clock.now())

        job, other = fresh(job), fresh(beside)
        assert (job.state, job.lease_taken, job.worker_deaths) == (then, False, deaths)
        assert job.next_check_at <= clock.now() + timedelta(seconds=30)
        assert (other.state, other.lease_taken, other.leased_by) == (state, True, OTHER)

    def test_is_followed_by_another_at_once(self):
        job = taken_by(MINE, "storing")
        assert lifecycle.lease_due(clock.now()) == []
        recovery.workers_ended([MINE], at=clock.now())
        assert [lease.job_id for lease, _ in lifecycle.lease_due(clock.now())] == [job.pk]

    def test_may_have_ended_after_it_was_done(self):
        job = taken_by(MINE, "storing")
        lifecycle.let_go(lifecycle.Lease(job.pk, job.fence), at=clock.now())
        recovery.workers_ended([MINE], at=clock.now())
        assert fresh(job).worker_deaths == 0

    @pytest.mark.django_db(transaction=True)
    def test_is_said_again_where_somebody_has_locked_its_job(self):
        job = taken_by(MINE, "storing")
        other = connection.get_new_connection(connection.get_connection_params())
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM queue_app_job WHERE id = %s FOR UPDATE", [job.pk])
        assert recovery.workers_ended([MINE, OTHER], at=clock.now()) == {MINE}
        other.rollback()  # a closed session ends a moment later
        other.close()
        assert recovery.workers_ended([MINE], at=clock.now()) == set()
        assert not fresh(job).lease_taken

    @pytest.mark.parametrize(("silent", "heard", "ends"), [(19, 60, False), (20, 60, True), (20, 19, False), (600, 20, True)])
    def test_with_its_machine_is_known_by_its_silence_once_it_could_have_been_heard(self, silent: int, heard: int, ends: bool):
        at = clock.now()
        facts = {"host": "mill", "pid": 7, "group_id": 7, "group_started": "1", "started_at": at}
        row = WorkerProcess.objects.create(role="worker", beat_at=at - timedelta(seconds=silent), **facts)
        job = taken_by(row.name, "storing")
        recovery.sweep(at=at, heard_since=at - timedelta(seconds=heard))
        assert fresh(job).lease_taken is not ends


class TestALeaseThatIsLetGo:
    @pytest.mark.parametrize("state", ["running", "unknown", "cancelling", "storing"])
    def test_leaves_the_job_as_it_was_and_due(self, state: str):
        job = make_job(state, at=clock.now())
        before = fresh(job)
        taken = lifecycle.begin(due_lease(job), at=clock.now(), by=MINE)
        assert taken
        lifecycle.let_go(taken[2], at=clock.now())
        after = fresh(job)
        assert (after.state, after.store_tries, after.worker_deaths, after.event_seq) == (state, 0, 0, before.event_seq)
        assert (after.lease_taken, after.next_check_at <= clock.now()) == (False, True)

    def test_is_void_from_then_on(self):
        job = make_job("running", at=clock.now())
        taken = lifecycle.begin(due_lease(job), at=clock.now(), by=MINE)
        assert taken
        lifecycle.let_go(taken[2], at=clock.now())
        assert lifecycle.held_by(taken[2]) is None

    def test_of_a_create_call_stays_taken_for_it_is_never_made_again(self):
        job = taken_by(MINE, "submitting")
        lifecycle.let_go(lifecycle.Lease(job.pk, job.fence), at=clock.now())
        assert (fresh(job).state, fresh(job).lease_taken) == ("submitting", True)


class TestABeginning:
    """A lease whose answer was lost is found by its worker's name and its time."""

    def test_is_found_by_the_worker_that_began(self):
        at, job = clock.now(), queued()
        lease = claimed(job, at=at)
        began = lifecycle.begin(lease, at=at, by=MINE)
        found = lifecycle.begun(lease, at=at, by=MINE)
        assert began and found and (found[0].pk, found[1].pk, found[2]) == (job.pk, began[1].pk, began[2])

    def test_is_nobody_elses_and_no_other_moments(self):
        at, lease = clock.now(), claimed(queued(), at=clock.now())
        assert lifecycle.begun(lease, at=at, by=MINE) is None
        assert lifecycle.begin(lease, at=at, by=MINE)
        assert lifecycle.begun(lease, at=at, by=OTHER) is None
        assert lifecycle.begun(lease, at=at + timedelta(microseconds=1), by=MINE) is None

    def test_that_has_come_to_its_end_is_not_taken_up_again(self):
        at, lease = clock.now(), claimed(queued(), at=clock.now())
        taken = lifecycle.begin(lease, at=at, by=MINE)
        assert taken
        lifecycle.start(taken[0], at=at, actor="worker", remote_id="video_1", remote={}, next_check_at=at)
        assert lifecycle.begun(lease, at=at, by=MINE) is None


class TestAJobPastItsTime:
    def test_is_asked_to_stop_after_its_timeout(self):
        job = make_job("running", at=clock.now() - timedelta(seconds=1_199))
        assert swept(job).state == "running"
        later(1)
        job = swept(job)
        assert (job.state, job.cancel_reason) == ("cancelling", "timeout")

    def test_that_was_found_late_has_its_whole_timeout_from_then(self, vendor: WireServer):
        job = called()
        later(3_600)
        vendor.says(listed(("video_1", job.prompt), at=attempt_of(job).called_at))
        assert worked(job).state == "running"
        assert attempt_of(job).slot_until == clock.now() + timedelta(seconds=1_200)

        later(1_199)
        assert swept(job).state == "running"
        later(1)
        assert swept(job).state == "cancelling"
        later(1_199)
        assert swept(job).state == "cancelling"
        later(1)
        assert swept(job).state == "failed"

    def test_has_the_models_own_timeout_where_it_has_one(self):
        job = make_job("running", at=clock.now() - timedelta(seconds=100))
        job.model.__class__.objects.filter(pk="sora-2").update(timeout_seconds=60)
        assert swept(job).state == "cancelling"

    def test_fails_after_twice_its_timeout_without_a_word_and_a_person_is_told(self):
        job = make_job("cancelling", at=clock.now() - timedelta(seconds=2_399))
        assert swept(job).state == "cancelling"
        later(1)
        job = swept(job)
        assert (job.state, job.error_code, attempt_of(job).outcome) == ("failed", "timeout", "abandoned")
        assert open_review(job) is not None
        assert tickets_of(job) == ("released", 1000, 0)

    def test_is_left_alone_while_it_waits_in_the_queue_or_is_stored(self):
        jobs = [make_job(state, at=clock.now() - timedelta(days=3)) for state in ("queued", "storing")]
        assert [swept(job).state for job in jobs] == ["queued", "storing"]


class TestABatch:
    def test_ends_with_its_last_open_job(self):
        batch = BatchFactory()
        first, last = queued(batch=batch, owner=batch.owner), queued(batch=batch, owner=batch.owner)
        lifecycle.cancel([first.pk], at=clock.now(), actor="user")
        recovery.sweep(at=clock.now())
        batch.refresh_from_db()
        assert batch.ended_at is None

        lifecycle.cancel([last.pk], at=clock.now(), actor="user")
        at = clock.now()
        recovery.sweep(at=at)
        recovery.sweep(at=at + timedelta(seconds=5))
        batch.refresh_from_db()
        assert batch.ended_at == at


class TestALateResult:
    def test_of_a_job_that_has_ended_is_noted_and_changes_nothing(self, vendor: WireServer, meanwhile):
        job = queued()
        vendor.says(answer(200, {"id": "video_1"}))
        meanwhile(lambda: lifecycle.force_fail([job.pk], at=clock.now(), actor="staff", reason="no time to wait"))

        job = bought(job)

        note = job.events.latest("seq")
        assert (job.state, note.to_state, attempt_of(job).remote_id) == ("failed", "failed", "video_1")
        assert "may be billed" in note.reason
        assert tickets_of(job) == ("released", 1000, 0)


class TestASweep:
    def test_changes_nothing_where_nothing_is_wrong(self):
        for state in ("queued", "submitting", "running", "unknown", "cancelling", "storing", "completed", "failed"):
            make_job(state, at=clock.now())
        before = list(Job.objects.order_by("pk").values())
        recovery.sweep(at=clock.now())
        assert list(Job.objects.order_by("pk").values()) == before
        assert ReviewItem.objects.filter(closed_at=None).count() == 1

    def test_goes_on_past_a_job_that_cannot_be_mended(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
        bad, good = (make_job("running", at=clock.now() - timedelta(seconds=1_200)) for _ in range(2))
        self.break_at(bad, ValueError("a row that nobody has foreseen"), monkeypatch)

        assert swept(good).state == "cancelling"
        assert fresh(bad).state == "running"
        assert f"job {bad.pk} could not be recovered" in caplog.text and "nobody has foreseen" in caplog.text

    @pytest.mark.django_db(transaction=True)
    def test_ends_with_its_connection(self, monkeypatch: pytest.MonkeyPatch):
        job = make_job("running", at=clock.now() - timedelta(seconds=1_200))
        self.break_at(job, None, monkeypatch)
        with pytest.raises(Error) as raised:
            recovery.sweep(at=clock.now())
        assert database.is_gone(raised.value)
        connection.close()
        assert fresh(job).state == "running"

    @staticmethod
    def break_at(bad: Job, fault: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
        """Raise an error, or end the connection, after this job's recovery and before its commit."""
        expire = lifecycle.expire

        def breaking(job: Job, *, at: datetime) -> None:
            expire(job, at=at)
            if job.pk == bad.pk and fault is None:
                end_backend(connection.connection)
            elif job.pk == bad.pk:
                raise fault

        monkeypatch.setattr(lifecycle, "expire", breaking)

    def test_leaves_the_account_of_a_dead_worker_alone(self):
        job = called()
        account = account_of(job)
        assert (account.paused, account.failures_in_a_row, account.cooldown_until) == (False, 0, None)
