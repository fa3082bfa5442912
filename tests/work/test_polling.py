"""Polling: a provider's reports on a task, and our requests."""

from datetime import timedelta

import pytest
import requests

from queue_app import clock, lifecycle
from queue_app.models import ProviderAccount
from queue_app.rules import schedule
from queue_app.work import polling, progress
from tests.factories import make_job
from tests.genqueue_site.studio.process import StudioProcess
from tests.providers.wire import WireServer, answer, reset
from tests.work.steps import KEYS, account_of, attempt_of, bought, due_in, fresh, later, moves, swept, tickets_of, worked

pytestmark = pytest.mark.django_db
RUNNING = answer(200, {"id": "video_1", "object": "video", "status": "in_progress", "progress": 40})


def at_the_end(studio: StudioProcess, job):
    """Return the job when the provider has finished it and before it is checked."""
    studio.wait_until_idle()
    return fresh(job)


def running(remote_id: str = "video_1", **fields):
    return make_job("running", at=clock.now() - timedelta(seconds=20), remote_id=remote_id, **fields)


def taken_up(job):
    """Return a worker's job, attempt and lease of a job that is due."""
    job.__class__.objects.filter(pk=job.pk).update(next_check_at=clock.now())
    (lease,) = [lease for lease, _ in lifecycle.lease_due(clock.now()) if lease.job_id == job.pk]
    return lifecycle.begin(lease, at=clock.now())


class TestARunningTask:
    def test_is_looked_at_again_when_its_plan_says(self, vendor: WireServer):
        vendor.says(RUNNING)
        job = worked(running())

        assert (job.state, job.progress, job.lease_until) == ("running", 0.4, None)
        assert 0 < due_in(job) <= schedule.MOST
        assert job.events.count() == 3  # a check without news is no event

    def test_is_not_looked_at_sooner_than_the_provider_asks(self, vendor: WireServer):
        vendor.says(answer(200, {"id": "video_1", "status": "queued"}, {"openai-poll-after-ms": "29000"}))
        assert due_in(worked(running())) > 18

    def test_frees_its_slot_when_the_provider_is_done(self, studio: StudioProcess):
        job = at_the_end(studio, bought())
        handed_out = polling.check(*taken_up(job))

        job = fresh(job)
        assert moves(job)[-2:] == ["running", "storing"]
        assert [(lease.job_id, state) for lease, state in handed_out] == [(job.pk, "storing")]
        assert lifecycle.begin(handed_out[0][0], at=clock.now()) is not None
        assert tickets_of(job)[0] == "held"

    def test_has_ended_half_way_between_the_last_two_looks(self, vendor: WireServer):
        vendor.says(RUNNING, answer(200, {"id": "video_1", "status": "completed"}))
        job = worked(running())
        later(10)
        assert worked(job).ran_seconds == 20 + 10 / 2

    def test_says_how_long_its_files_are_kept_when_it_is_done(self, vendor: WireServer):
        vendor.says(answer(200, {"id": "video_1", "status": "completed", "expires_at": 1_800_000_000}))
        done = worked(running()).events.latest("seq")
        assert (done.to_state, done.data) == ("storing", {"kept_until": "2027-01-15T08:00:00+00:00"})

    def test_is_looked_at_by_one_worker_at_a_time(self, vendor: WireServer):
        vendor.says(answer(200, {"id": "video_1", "status": "completed"}))
        job = running()
        first = taken_up(job)
        assert lifecycle.lease_due(clock.now()) == []
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")  # changes the job while the first worker has it

        assert polling.check(*first) == []
        assert fresh(job).state == "cancelling"


class TestATaskThatFailed:
    def test_is_bought_again_after_a_while_until_its_attempts_are_spent(self, studio: StudioProcess):
        studio.queue_faults(create=["failed_job"] * 4)
        job = worked(at_the_end(studio, bought()))
        first = attempt_of(job)
        assert (job.state, first.outcome, first.spent) == ("queued", "failed", True)
        assert job.not_before is None or job.not_before <= clock.now() + timedelta(seconds=10)
        assert tickets_of(job) == ("held", 996, 4)

        for _ in range(3):
            job = worked(at_the_end(studio, bought(job)))

        assert (job.state, job.error_code) == ("failed", "generation_failed")
        assert job.error_message == "The video generation failed. (last attempt, 4 of 4)"
        assert tickets_of(job) == ("released", 1000, 0)
        assert [attempt.outcome for attempt in job.attempts.order_by("number")] == ["failed"] * 4

    def test_is_tried_5_min_later_where_the_kind_says_so(self, studio: StudioProcess, time_stands_still: None):
        studio.queue_faults(create=["failed_job"])
        job = worked(at_the_end(studio, bought(kind_id="daily_ca")))
        assert 290 < (job.not_before - clock.now()).total_seconds() <= 300

    def test_by_moderation_is_not_tried_again(self, studio: StudioProcess):
        studio.queue_faults(create=["moderated_job"])
        job = worked(at_the_end(studio, bought()))
        assert (job.state, job.error_code, job.attempt_number) == ("failed", "rejected", 1)
        assert tickets_of(job) == ("released", 1000, 0)

    def test_because_of_what_was_asked_is_not_tried_again(self, vendor: WireServer):
        vendor.says(answer(200, {"id": "video_1", "status": "failed", "error": {"code": "invalid_prompt", "message": "Empty."}}))
        assert worked(running()).state == "failed"

    def test_or_that_the_provider_stopped_by_itself_is_bought_again(self, vendor: WireServer):
        vendor.says(answer(200, {"id": "video_1", "status": "cancelled"}))
        job = worked(running())
        assert (job.state, attempt_of(job).outcome) == ("queued", "cancelled")


class TestATaskThatIsGone:
    def test_is_bought_again(self, studio: StudioProcess):
        job = bought()
        requests.delete(f"{studio.url}/v1/videos/{attempt_of(job).remote_id}", timeout=10)
        for _ in range(3):
            assert worked(job).state == "running"
            assert 30 < due_in(fresh(job)) <= 40
            later(40)
        job = worked(job)
        assert (job.state, attempt_of(job).outcome, attempt_of(job).spent) == ("queued", "lost", True)

    def test_is_not_lost_if_any_look_finds_it(self, vendor: WireServer):
        gone = answer(404, {"error": {"message": "No such video."}})
        vendor.says(answer(200, {"id": "video_1"}), gone, gone, gone, RUNNING, gone)
        job = bought()
        for _ in range(7):
            assert worked(job).state == "running"
            later(50 if attempt_of(job).missing_looks != 3 else 1)
        assert attempt_of(job).missing_looks == 3

    def test_is_said_by_the_provider_itself_not_by_a_proxy_before_it(self, vendor: WireServer):
        vendor.says(answer(404, b"<html>no route</html>"))
        job = worked(running())
        assert job.state == "running"
        assert 20 < due_in(job) <= 30


class TestAKeyThatComesOrGoes:
    """A task is checked where it was sent: the other place does not know it, and the job would be sent again."""

    GONE = answer(404, {"error": {"message": "No such video."}})

    def test_leaves_a_preview_with_the_studio(self, vendor: WireServer, keyed_vendor: WireServer, settings):
        job = running()
        settings.PROVIDER_KEYS = KEYS
        vendor.says(RUNNING)

        assert worked(job).progress == 0.4
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        worked(job)
        assert {request.method for request in vendor.seen} == {"GET", "DELETE"}
        assert keyed_vendor.seen == []

    def test_leaves_a_paid_task_unasked_where_the_key_is_gone(self, vendor: WireServer, keyed_vendor: WireServer, settings):
        settings.PROVIDER_KEYS = KEYS
        job = running()
        settings.PROVIDER_KEYS = {}
        vendor.says(self.GONE)

        job = worked(job)
        assert (job.state, vendor.seen) == ("running", [])
        assert due_in(job) == 30
        assert account_of(job).cooldown_until is None

        settings.PROVIDER_KEYS = KEYS
        keyed_vendor.says(RUNNING)
        assert worked(job).progress == 0.4


class TestAProviderThatDoesNotAnswer:
    @pytest.mark.parametrize("reply", [reset, answer(500), answer(503), answer(200, b"<p>hi</p>")])
    def test_is_asked_again_when_the_account_has_cooled_down(self, vendor: WireServer, reply):
        vendor.says(reply)
        job = worked(running())
        assert job.state == "running"
        assert job.next_check_at == account_of(job).cooldown_until
        assert due_in(job) <= 2

    def test_with_a_429_is_asked_again_as_late_as_it_says(self, vendor: WireServer):
        vendor.says(answer(429, {}, {"retry-after": "50"}))
        job = worked(running())
        assert 40 < due_in(job) <= 60
        assert account_of(job).lowered_by == 2

    def test_for_the_sake_of_our_key_pauses_the_account_and_the_task_runs_on(self, vendor: WireServer):
        vendor.says(answer(401, {"error": "no"}))
        job = worked(running())
        assert (job.state, account_of(job).paused) == ("running", True)


class TestACancel:
    @pytest.fixture
    def slow_studio(self, studio: StudioProcess, settings, tmp_path):
        process = StudioProcess(tmp_path, seconds_per_job=60)
        settings.STUDIO_URL = process.url
        settings.TRUSTED_ORIGINS = [process.url]
        yield process
        process.kill()

    def test_stops_the_task_and_gives_the_tickets_back(self, slow_studio: StudioProcess):
        job = bought()
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        assert tickets_of(job) == ("held", 996, 4)  # the cancel is requested, not yet confirmed
        job = worked(job)

        assert moves(job)[-2:] == ["cancelling", "cancelled"]
        assert tickets_of(job) == ("released", 1000, 0)
        assert slow_studio.log()["running"] == 0

    def test_comes_too_late_for_a_task_that_is_done_and_then_its_result_is_kept(self, studio: StudioProcess):
        job = at_the_end(studio, bought())
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        job = worked(job)

        assert moves(job)[-2:] == ["cancelling", "storing"]
        assert requests.get(f"{studio.url}/v1/videos/{attempt_of(job).remote_id}", timeout=10).ok

    def test_of_a_task_that_failed_meanwhile_is_a_cancel(self, studio: StudioProcess):
        studio.queue_faults(create=["failed_job"])
        job = at_the_end(studio, bought())
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        assert worked(job).state == "cancelled"

    def test_of_a_task_that_failed_is_settled_whatever_characters_say_so(self, vendor: WireServer):
        vendor.says(answer(200, {"id": "video_1", "status": "failed", "error": {"code": "x\x00", "message": "It \x00 broke."}}))
        job = running()
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        assert worked(job).state == "cancelled"

    def test_by_timeout_fails_the_job(self, slow_studio: StudioProcess):
        job = bought()
        later(1201)
        assert swept(job).state == "cancelling"
        job = worked(job)

        assert (job.state, job.error_code, attempt_of(job).outcome) == ("failed", "timeout", "cancelled")
        assert "1200s" in job.error_message
        assert tickets_of(job) == ("released", 1000, 0)

    def test_at_a_provider_that_cannot_stop_waits_for_the_end(self, vendor: WireServer, settings):
        settings.PROVIDER_KEYS = {"OPENAI_VIDEOS_API_KEY": "sk-12345678"}
        ProviderAccount.objects.filter(key="openai_videos").update(base_url=vendor.url)
        vendor.says(RUNNING, answer(200, {"id": "video_1", "status": "completed"}))
        job = running()
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")

        assert worked(job).state == "cancelling"
        assert worked(job).state == "storing"
        assert {request.method for request in vendor.seen} == {"GET"}

    def test_that_is_refused_leaves_the_word_to_the_look(self, vendor: WireServer):
        vendor.says(RUNNING, answer(500), RUNNING)
        job = running()
        lifecycle.cancel([job.pk], at=clock.now(), actor="user")
        assert worked(job).state == "cancelling"
        assert [request.method for request in vendor.seen] == ["GET", "DELETE", "GET"]

    def test_that_was_carried_out_by_a_worker_who_then_died_is_found_done(self, vendor: WireServer):
        vendor.says(answer(404, {"error": {"message": "No such video."}}))
        job = make_job("cancelling", at=clock.now() - timedelta(seconds=60), remote_id="video_1")
        for _ in range(3):
            assert worked(job).state == "cancelling"
            later(40)
        assert worked(job).state == "cancelled"


class TestPastRuns:
    def test_keeps_what_the_studio_made_apart(self):
        job = make_job("completed", at=clock.now())
        assert job.preview
        assert progress.past_runs("sora-2", preview=True) == progress.past_runs("sora-2") == [30.0]
        assert progress.past_runs("sora-2", preview=False) == progress.past_runs("manim") == []


def test_a_void_lease_records_nothing(vendor: WireServer):
    vendor.says(answer(200, {"id": "video_1", "status": "completed"}))
    first = taken_up(running())
    later(46)
    second = taken_up(swept(first[0]))

    assert polling.check(*first) == []
    assert len(polling.check(*second)) == 1
