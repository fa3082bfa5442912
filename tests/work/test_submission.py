"""Submission: one create call per attempt, with every possible result."""

from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import psycopg2
import pytest
from django.db import OperationalError, connection, transaction

from queue_app import clock, http, lifecycle
from queue_app.lifecycle import Lease
from queue_app.models import Attempt, AuditEntry, Job, Outcome, ProviderAccount, State
from queue_app.providers import calls
from queue_app.providers.base import ErrorKind, PollResult, ProviderError, RemoteRef, SubmitRequest, TaskState
from queue_app.work import accounts, dispatch, policy, submission
from queue_app.work.capacity import account_limit
from tests.factories import UserFactory, begun
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import free_port, wait_for
from tests.providers.wire import WireServer, answer
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
LOST_ANSWERS = ["reset_after_accept", "500_after_accept", "malformed_json", "hang_after_accept", "late_accept:0"]


@pytest.fixture
def nobody_there(settings):
    settings.STUDIO_URL = f"http://127.0.0.1:{free_port()}"
    settings.TRUSTED_ORIGINS = [settings.STUDIO_URL]


class TestAnAcceptedCall:
    def test_makes_the_job_run(self, studio: StudioProcess):
        job = bought()

        attempt = attempt_of(job)
        assert moves(job) == ["queued", "submitting", "running"]
        assert (attempt.remote["provider"], attempt.outcome) == ("openai_videos", None)
        assert attempt.remote_id in {row["id"] for row in studio.log()["creates"]}
        assert accepted(studio, job) == 1
        assert tickets_of(job) == ("held", 996, 4)
        assert 0 < due_in(job) <= 30

    def test_is_told_what_the_job_wants(self, vendor: WireServer):
        vendor.says(answer(200, {"id": "video_1"}))

        bought(prompt="A tram.", parameters={"duration": 8, "aspect_ratio": "9:16"})

        assert vendor.seen[0].form() == {"model": "sora-2", "prompt": "A tram.", "seconds": "8", "size": "720x1280"}

    def test_is_never_made_inside_a_transaction(self, vendor: WireServer):
        taken = begun(queued(), at=clock.now())
        with transaction.atomic(), pytest.raises(http.TransactionOpen):
            submission.submit(*taken)
        assert vendor.seen == []

    def test_leads_on_to_the_cancel_that_was_asked_meanwhile(self, studio: StudioProcess):
        job, attempt, lease = begun(queued(), at=clock.now())
        assert lifecycle.cancel([job.pk], at=clock.now(), actor="user") == {job.pk: "requested"}

        submission.submit(job, attempt, lease)

        assert moves(fresh(job)) == ["queued", "submitting", "running", "cancelling"]
        assert tickets_of(job)[0] == "held"


class AnswersAtOnce:
    """A synchronous provider, whose result comes with the answer to the create call."""

    caps = {"synchronous": True}

    def __init__(self, said: PollResult | ProviderError) -> None:
        self._said = said

    def submit(self, request: SubmitRequest) -> RemoteRef:
        return RemoteRef("openai_videos", "video_1")

    def poll(self, ref: RemoteRef) -> PollResult:
        if isinstance(self._said, ProviderError):
            raise self._said
        return self._said


class TestASynchronousProvider:
    def submitted(self, monkeypatch: pytest.MonkeyPatch, said: PollResult | ProviderError, *, cancel: bool = False):
        monkeypatch.setattr(submission.accounts, "seller_for", lambda _: AnswersAtOnce(said))
        job, attempt, lease = begun(queued(), at=clock.now())
        if cancel:
            lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        came = submission.submit(job, attempt, lease)
        return fresh(job), came

    def test_has_made_it_when_it_answers(self, monkeypatch: pytest.MonkeyPatch):
        job, came = self.submitted(monkeypatch, PollResult(TaskState.SUCCEEDED))

        assert moves(job) == ["queued", "submitting", "running", "storing"]
        assert came == [(Lease(job.pk, job.fence), State.STORING)]

    def test_may_take_longer_all_the_same(self, monkeypatch: pytest.MonkeyPatch):
        job, came = self.submitted(monkeypatch, PollResult(TaskState.RUNNING))

        assert (moves(job), came) == (["queued", "submitting", "running"], [])
        assert 0 < due_in(job) <= 30

    def test_may_have_failed(self, monkeypatch: pytest.MonkeyPatch):
        job, came = self.submitted(monkeypatch, PollResult(TaskState.REJECTED))

        assert (moves(job), came) == (["queued", "submitting", "running", "failed"], [])
        assert tickets_of(job)[0] == "released"

    def test_whose_answer_cannot_be_read_is_asked_later(self, monkeypatch: pytest.MonkeyPatch):
        job, came = self.submitted(monkeypatch, ProviderError(ErrorKind.RETRYABLE, "No.", code="no"))

        assert (moves(job), came) == (["queued", "submitting", "running"], [])
        assert 0 < due_in(job) <= 30

    def test_was_faster_than_a_cancel(self, monkeypatch: pytest.MonkeyPatch):
        job, _ = self.submitted(monkeypatch, PollResult(TaskState.SUCCEEDED), cancel=True)

        assert moves(job) == ["queued", "submitting", "running", "cancelling", "storing"]


@pytest.mark.usefixtures("nobody_there")
class TestACallThatWasNeverSent:
    def test_puts_the_job_back_with_no_attempt_spent_and_cools_the_account(self):
        job = bought()

        attempt = attempt_of(job)
        assert moves(job) == ["queued", "submitting", "queued"]
        assert (attempt.outcome, attempt.spent, attempt.error_kind) == ("not_accepted", False, "retryable")
        assert job.not_before == account_of(job).cooldown_until
        assert job.not_before <= clock.now() + timedelta(seconds=2)
        assert tickets_of(job) == ("held", 996, 4)

    def test_can_happen_more_often_than_a_job_has_attempts(self):
        job = queued()
        for _ in range(5):
            assert bought(job).state == "queued"
        assert attempt_of(job).number == 5

    def test_opens_the_breaker_for_60_s_when_it_is_the_fifth_in_a_row(self, time_stands_still: None):
        jobs = [bought(queued(owner=owner)) for owner in [UserFactory()] * 5]
        account = account_of(jobs[-1])
        assert account.failures_in_a_row == 5
        assert 45 < (account.cooldown_until - clock.now()).total_seconds() <= 60
        assert account_limit(account, at=clock.now()) == 4  # no 429 from the provider

    def test_is_forgotten_with_the_next_answer(self, vendor: WireServer):
        ProviderAccount.objects.update(failures_in_a_row=4)
        vendor.says(answer(200, {"id": "video_1"}))
        assert account_of(bought()).failures_in_a_row == 0

    def test_ends_in_the_cancel_that_was_asked_meanwhile(self):
        job, attempt, lease = begun(queued(), at=clock.now())
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")

        submission.submit(job, attempt, lease)

        assert moves(fresh(job)) == ["queued", "submitting", "queued", "cancelled"]
        assert tickets_of(job) == ("released", 1000, 0)


class TestAKeyThatCameOrWentSinceTheClaim:
    @pytest.mark.parametrize(("claimed_with", "found"), [({}, KEYS), (KEYS, {})])
    def test_has_the_job_claimed_anew_and_bought_nowhere(
        self, vendor: WireServer, keyed_vendor: WireServer, settings, claimed_with: dict[str, str], found: dict[str, str]
    ):
        settings.PROVIDER_KEYS = claimed_with
        taken = begun(queued(), at=clock.now())
        settings.PROVIDER_KEYS = found

        submission.submit(*taken)

        job = fresh(taken[0])
        assert (job.state, attempt_of(job).outcome, attempt_of(job).spent) == ("queued", "not_accepted", False)
        assert job.not_before == clock.now() + accounts.ELSEWHERE
        assert account_of(job).cooldown_until is None
        assert vendor.seen == keyed_vendor.seen == []


class TestA429:
    def test_puts_the_job_back_for_as_long_as_told_and_up_to_a_fifth_more(self, studio: StudioProcess, time_stands_still: None):
        studio.queue_faults(create=["429:7"])
        job = bought()

        assert (job.state, attempt_of(job).spent) == ("queued", False)
        assert 4 < (job.not_before - clock.now()).total_seconds() <= 7 * 1.2
        assert accepted(studio, job) == 0
        assert accepted(studio, bought(job)) == 1

    def test_is_obeyed_for_a_day_at_most(self, vendor: WireServer):
        vendor.says(answer(429, {}, {"Retry-After": "999999999999"}))
        job = bought()
        assert timedelta(days=1) <= job.not_before - clock.now() <= timedelta(days=1.2)

    def test_halves_the_accounts_limit_which_comes_back_within_ten_minutes(self, studio: StudioProcess):
        studio.queue_faults(create=["429:7", "429:7"])
        job = bought()
        assert account_limit(account_of(job), at=clock.now()) == 2

        later(60)
        bought(job)
        assert account_limit(account_of(job), at=clock.now()) == 1
        limits = []
        for _ in range(3):
            later(200)
            limits.append(account_limit(account_of(job), at=clock.now()))
        assert limits == [2, 3, 4]

    def test_of_several_calls_under_way_halves_it_once(self, studio: StudioProcess):
        studio.queue_faults(create=["429:7"] * 3)
        jobs = [bought() for _ in range(3)]
        assert account_limit(account_of(jobs[0]), at=clock.now()) == 2


class TestARefusedKey:
    @pytest.mark.parametrize(
        ("status", "words"), [(401, "rejected our API key"), (403, "rejected our API key"), (402, "credit has run out")]
    )
    def test_pauses_the_account_and_puts_the_job_back(self, vendor: WireServer, status: int, words: str):
        vendor.says(answer(status, {"error": {"message": "No."}}))
        job = bought()

        account = account_of(job)
        entry = AuditEntry.objects.get()
        assert (job.state, job.not_before, attempt_of(job).spent) == ("queued", None, False)
        assert account.paused and words in account.paused_reason
        assert (entry.target, entry.actor_name, entry.after["paused"]) == ("openai_videos", "genqueue", True)
        assert tickets_of(job) == ("held", 996, 4)

    @pytest.mark.parametrize("escaped", ["\\u0000", "\\ud800"])
    def test_does_so_whatever_characters_it_says_it_in(self, vendor: WireServer, escaped: str):
        vendor.says(answer(401, f'{{"error": {{"message": "No {escaped} key.", "code": "no{escaped}"}}}}'.encode()))
        job = bought()
        assert (job.state, account_of(job).paused) == ("queued", True)


class TestARefusedRequest:
    @pytest.mark.parametrize("status", [400, 404, 422])
    def test_fails_the_job_and_gives_the_tickets_back(self, vendor: WireServer, status: int):
        vendor.says(answer(status, {"error": {"code": "bad_size", "message": "No such size."}}))
        job = bought()

        assert moves(job) == ["queued", "submitting", "failed"]
        assert (job.error_code, job.error_message) == ("bad_size", f"HTTP {status}: No such size.")
        assert attempt_of(job).outcome == "not_accepted"
        assert tickets_of(job) == ("released", 1000, 0)
        assert len(vendor.seen) == 1

    def test_by_moderation_is_said_so(self, vendor: WireServer):
        vendor.says(answer(400, {"error": {"code": "moderation_blocked", "message": "Blocked."}}))
        assert bought().error_code == "rejected"

    def test_that_cannot_even_be_worded_is_never_sent(self, vendor: WireServer):
        job = bought(parameters={"duration": 4, "camera": "low"})
        assert (job.state, job.error_code, vendor.seen) == ("failed", "invalid_parameter", [])
        assert "camera" in job.error_message


class TestALostAnswer:
    @pytest.fixture(autouse=True)
    def short_calls(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(calls, "CREATE_SECONDS", 5.0)

    @pytest.mark.parametrize("fault", LOST_ANSWERS)
    def test_leaves_the_outcome_unknown_until_the_look_up_finds_the_task(self, studio: StudioProcess, fault: str):
        studio.queue_faults(create=[fault])
        job = bought()

        review = open_review(job)
        assert (job.state, attempt_of(job).outcome) == ("unknown", None)
        assert review is not None and review.decide_by == attempt_of(job).called_at + timedelta(days=1)
        assert 20 < due_in(job) <= 30
        assert tickets_of(job) == ("held", 996, 4)

        wait_for(lambda: accepted(studio, job))  # it may accept a call shortly after it has closed the connection
        job = worked(job)
        assert moves(job)[-2:] == ["unknown", "running"]
        assert attempt_of(job).remote_id in {row["id"] for row in studio.log()["creates"]}
        assert (job.attempt_number, accepted(studio, job), open_review(job)) == (1, 1, None)

    @pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504])
    def test_is_any_answer_that_does_not_surely_say_no(self, vendor: WireServer, status: int):
        vendor.says(answer(status, {"error": "no"}))
        assert bought().state == "unknown"

    def test_may_mean_no_where_the_operator_vouches_for_it(self, vendor: WireServer):
        ProviderAccount.objects.filter(key="openai_videos").update(options={"not_accepted_statuses": [503]})
        vendor.says(answer(503, b"busy"), answer(500, b"busy"))
        assert [bought().state, bought().state] == ["queued", "unknown"]

    def test_that_came_but_cannot_be_read_is_kept_for_a_person(self, vendor: WireServer):
        vendor.says(answer(200, b"<p>We have it: video_7</p>"))
        assert attempt_of(bought()).remote == {"unreadable": "<p>We have it: video_7</p>"}

    def test_is_not_followed_by_a_second_call_even_if_the_worker_is_handed_the_job_again(self, vendor: WireServer):
        job, attempt, lease = begun(queued(), at=clock.now())
        vendor.says(answer(500))
        submission.submit(job, attempt, lease)
        assert lifecycle.begin(lease, at=clock.now()) is None
        assert len(vendor.seen) == 1

    def test_pauses_the_account_when_it_is_the_third_in_ten_minutes_found_again_or_not(self, studio: StudioProcess):
        studio.queue_faults(create=["reset_after_accept"] * 4)
        first = worked(bought())
        later(601)
        second, third = worked(bought()), bought()
        assert first.state == second.state == "running"
        assert not account_of(third).paused
        account = account_of(bought())
        assert account.paused and account.paused_reason.startswith("3 unknown outcomes in 10 minutes")
        assert AuditEntry.objects.get().after["paused"] is True

    def test_counts_from_the_resume_once_a_person_has_resumed_the_account(self, vendor: WireServer):
        operator = UserFactory(staff=True)
        vendor.says(*[answer(500)] * 7)
        in_flight = begun(queued(), at=clock.now())
        for number in (1, 2, 3):
            account = account_of(bought())
            assert account.paused == (number == 3)
        later(1)
        policy.change(account, at=clock.now(), actor=operator, paused=False, paused_reason="", paused_until=None)

        submission.submit(*in_flight)
        for number in (1, 2):
            assert not account_of(bought()).paused, f"the {number}. since the resume"

        assert account_of(bought()).paused

    def test_counts_from_the_end_that_a_person_set_for_the_pause(self, vendor: WireServer):
        vendor.says(*[answer(500)] * 4)
        for _ in range(3):
            account = account_of(bought())
        later(1)
        policy.change(account, at=clock.now(), actor=UserFactory(staff=True), paused_until=clock.now())

        assert account_of(bought()).paused_until is not None, "it was not paused anew"

    def test_does_not_pause_the_account_when_it_was_our_own_worker_that_died(self, vendor: WireServer):
        for _ in range(4):
            begun(queued(), at=clock.now())
        later(46)
        job = swept(queued())
        vendor.says(answer(500))
        assert not account_of(bought(job)).paused


class TestJobsClaimedTogether:
    def test_wait_for_none_of_the_others(self, vendor: WireServer):
        """Their order was decided at the claim; the first worker calls first."""
        vendor.says(answer(200, {"id": "video_1"}))
        first, last = queued(), queued()
        leases = {lease.job_id: lease for lease in dispatch.claim_due_jobs(at=clock.now())}
        taken = lifecycle.begin(leases[last.pk], at=clock.now())
        assert taken is not None
        submission.submit(*taken)

        assert (fresh(first).state, fresh(last).state) == ("submitting", "running")


def stand_still_before_the_call(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let this much time pass between the beginning of a lease and its create call."""
    ask = submission.request_for

    def slowly(job: Job, attempt: Attempt) -> SubmitRequest:
        later(seconds)
        return ask(job, attempt)

    monkeypatch.setattr(submission, "request_for", slowly)


class TestAWorkerThatStandsStillBeforeItsCall:
    """For example a stopped process, a suspended machine, or a hanging statement."""

    @pytest.mark.parametrize(("seconds", "calls"), [(5, 1), (16, 0), (46, 0)])
    def test_makes_none_unless_its_lease_lasts_for_it_and_puts_the_job_back(
        self, vendor: WireServer, monkeypatch: pytest.MonkeyPatch, seconds: float, calls: int
    ):
        vendor.says(answer(200, {"id": "video_1"}))
        stand_still_before_the_call(monkeypatch, seconds)

        job = bought()

        assert len(vendor.seen) == calls
        assert job.state == ("running" if calls else "queued")
        assert (attempt_of(job).outcome, attempt_of(job).spent) == (None if calls else "not_accepted", False)

    def test_leaves_the_job_to_the_one_that_has_it_now(self, vendor: WireServer):
        taken = begun(queued(), at=clock.now())
        later(46)
        given_up(taken[0])
        begun(fresh(taken[0]), at=clock.now())

        assert submission.submit(*taken) == []

        assert vendor.seen == []


def given_up(job: Job) -> None:
    """Let the lease expire and staff decide that the provider does not have the task."""
    trouble = lifecycle.Trouble("none", "Staff says none.")
    outcome = Outcome.ABANDONED
    lifecycle.put_back(swept(job), at=clock.now(), actor="staff", outcome=outcome, spent=True, trouble=trouble, not_before=None)


class TestADatabaseThatGoesWhileTheCallIsUnderWay:
    """`test_cuts` covers cuts at every statement; here the database is gone for a while."""

    @pytest.mark.django_db(transaction=True)
    def test_gets_the_task_when_it_is_back(self, vendor: WireServer, monkeypatch: pytest.MonkeyPatch, caplog):
        vendor.says(answer(200, {"id": "video_1"}))
        connect, refused = connection.get_new_connection, []

        def gone(parameters: dict[str, Any]) -> Any:
            if len(refused) < 5:
                refused.append("refused")
                raise psycopg2.OperationalError("connection refused")
            return connect(parameters)

        def cut(*_: object) -> None:
            monkeypatch.setattr(connection, "get_new_connection", gone)
            with suppress(OperationalError), connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

        monkeypatch.setattr(submission, "_answered", cut)

        job = bought()

        assert len(refused) == 5
        assert moves(job) == ["queued", "submitting", "running"]
        assert (attempt_of(job).remote_id, len(vendor.seen)) == ("video_1", 1)

    def test_and_never_comes_back_has_the_task_in_the_log(self, vendor: WireServer, monkeypatch: pytest.MonkeyPatch, caplog):
        vendor.says(answer(200, {"id": "video_1"}))
        taken = begun(queued(), at=clock.now())
        monkeypatch.setattr(submission, "_accepted", Mock(side_effect=SystemExit))  # the task's time limit

        with pytest.raises(SystemExit):
            submission.submit(*taken)

        assert "task video_1 was accepted but could not be recorded" in caplog.text


class TestALateAnswer:
    def test_is_taken_up_while_the_outcome_is_unknown(self, studio: StudioProcess, meanwhile):
        job = queued()
        meanwhile(lambda: swept(job))

        job = bought(job)

        assert moves(job) == ["queued", "submitting", "unknown", "running"]
        assert (attempt_of(job).outcome, open_review(job)) == (None, None)

    def test_is_noted_when_the_job_has_been_bought_again(self, studio: StudioProcess, meanwhile):
        job = queued()
        meanwhile(lambda: (given_up(job), bought(fresh(job))))

        job = bought(job)

        late = job.events.latest("seq")
        assert (job.state, late.from_state, late.to_state) == ("running", "running", "running")
        assert "may be billed" in late.reason
        assert attempt_of(job, 1).remote_id != attempt_of(job, 2).remote_id
        assert Attempt.objects.filter(job=job, outcome=None).count() == 1

    def test_is_not_worth_a_note_when_a_look_up_has_found_the_same_task(self, vendor: WireServer, meanwhile):
        job = queued()
        found = {"id": "video_1", "model": "sora-2", "prompt": job.prompt}
        vendor.says(answer(200, {"id": "video_1"}), answer(200, {"data": [found]}))
        meanwhile(lambda: worked(swept(job)))

        job = bought(job)

        assert moves(job) == ["queued", "submitting", "unknown", "running"]
        assert job.events.latest("seq").to_state != job.events.latest("seq").from_state

    def test_that_says_no_leaves_the_outcome_to_the_look_up(self, vendor: WireServer, meanwhile):
        job = queued()
        vendor.says(answer(422, {"error": "no"}))
        meanwhile(lambda: swept(job))

        assert bought(job).state == "unknown"
