"""Jobs at synchronous providers: from the create call to the file, and every way in which the answer can get lost."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.storage import default_storage

from queue_app import clock, lifecycle
from queue_app.models import Asset, Attempt, Job
from queue_app.providers.base import RemoteRef
from queue_app.work import accounts, submission
from tests.factories import begun
from tests.genqueue_site.studio.process import StudioProcess
from tests.providers.vendors.chat import choice, says
from tests.providers.wire import WireServer, answer
from tests.work.steps import (
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
TEXT = {"model_id": "text-writer", "parameters": {}}
LOST_ANSWERS = ["reset_after_accept", "500_after_accept", "malformed_json", "late_accept:0"]
THROUGH = ["queued", "submitting", "running", "storing", "completed"]


@pytest.fixture(autouse=True)
def empty_media(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path / "media")


def answers_saved() -> list[str]:
    return [path.name for path in Path(settings.MEDIA_ROOT).glob("answers/*")]


def content_of(asset: Asset) -> bytes:
    with default_storage.open(asset.name) as file:
        return bytes(file.read())


def answered_only(job: Job) -> tuple[Job, Attempt, RemoteRef]:
    """Make the create call and save the answer, as a worker does that is killed before it records the task."""
    job, attempt, _ = begun(job, at=clock.now())
    ref = accounts.seller_for(attempt).submit(submission.request_for(job, attempt))
    return job, attempt, ref


class TestABoughtJob:
    def test_has_its_text_with_the_answer(self, studio: StudioProcess):
        job = bought(prompt="A ferry at dawn, with gulls.", **TEXT)

        attempt = attempt_of(job)
        assert (job.state, attempt.synchronous, attempt.remote_id) == ("storing", True, str(attempt.pk))
        assert answers_saved() == [str(attempt.pk)]
        assert job.ran_seconds is not None and job.ran_seconds >= 0.1
        assert job.events.get(to_state="storing").data["usage"]["total_tokens"] > 0

        job = worked(job)

        (asset,) = job.assets.all()
        assert moves(job) == THROUGH
        assert (asset.kind, asset.content_type, asset.preview, asset.name[-4:]) == ("text", "text/plain", True, ".txt")
        assert b"A ferry at dawn" in content_of(asset)
        assert tickets_of(job) == ("captured", 996, 0)
        assert accepted(studio, job) == 1
        assert answers_saved() == []

    def test_may_be_several_images(self, studio: StudioProcess):
        parameters = {"aspect_ratio": "3:2", "quality": "low", "count": 2}
        job = worked(bought(model_id="gpt-image-1.5", parameters=parameters))

        images = job.assets.filter(kind="image").order_by("number")
        assert [(one.number, one.content_type, one.width, one.height) for one in images] == [
            (1, "image/png", 160, 106),
            (2, "image/png", 160, 106),
        ]
        assert job.assets.filter(kind="thumbnail").count() == 2
        assert accepted(studio, job) == 1

    def test_is_plain_text_though_it_looks_like_a_page(self, vendor: WireServer):
        vendor.says(says(choice("<!doctype html><script>alert(1)</script>")))
        job = worked(bought(**TEXT))
        assert [(asset.kind, asset.content_type) for asset in job.assets.all()] == [("text", "text/plain")]

    def test_costs_what_the_answer_says(self, vendor: WireServer):
        vendor.says(says(usage={"cost": 0.0042, "total_tokens": 5}))
        job = bought(**TEXT)
        attempt = attempt_of(job)
        assert (float(attempt.cost), attempt.cost_source) == (0.0042, "vendor")

    def test_costs_what_it_was_expected_to_where_the_answer_says_nothing(self, vendor: WireServer):
        vendor.says(says())
        attempt = attempt_of(bought(**TEXT))
        assert (attempt.cost, attempt.cost_source) == (2, "estimate")

    def test_took_as_long_as_the_call(self, studio: StudioProcess):
        """Where checks find the end, half the time since the last one is taken off; here there is none."""
        job, attempt, lease = begun(queued(**TEXT), at=clock.now())
        submission.submit(job, attempt, lease)
        ran = fresh(job).ran_seconds
        assert ran is not None and 0.1 <= ran < 60


class TestAnAnswerWithoutAResult:
    def test_that_was_rejected_fails_the_job(self, vendor: WireServer):
        vendor.says(says(choice(None, refusal="I can't help with that.")))
        job = bought(**TEXT)
        assert (job.state, job.error_code, job.error_message) == ("failed", "rejected", "I can't help with that.")
        assert tickets_of(job)[0] == "released"

    def test_that_was_cut_off_is_not_asked_for_again(self, vendor: WireServer):
        vendor.says(says(choice(reason="length")))
        job = bought(**TEXT)
        assert (job.state, job.error_code) == ("failed", "cut_off")

    def test_that_is_empty_is_another_attempt(self, vendor: WireServer):
        vendor.says(says(choice("")), says())
        job = bought(**TEXT)
        attempt = attempt_of(job)
        assert (job.state, attempt.outcome, attempt.spent) == ("queued", "failed", True)
        later(3600)
        Job.objects.update(not_before=None)
        assert bought(job).state == "storing"
        assert len(vendor.seen) == 2

    def test_for_want_of_credit_pauses_the_account(self, vendor: WireServer):
        vendor.says(says({"error": {"message": "Your account has insufficient credits."}}))
        job = bought(**TEXT)
        assert (job.state, attempt_of(job).spent) == ("queued", False)
        assert account_of(job).paused

    def test_that_was_refused_needs_no_decision(self, vendor: WireServer):
        vendor.says(answer(400, {"error": {"code": "context_length_exceeded", "message": "Too long."}}))
        job = bought(**TEXT)
        assert (job.state, attempt_of(job).outcome) == ("failed", "not_accepted")


class TestALostAnswer:
    @pytest.mark.parametrize("fault", LOST_ANSWERS)
    def test_is_never_asked_for_again_and_a_person_decides(self, studio: StudioProcess, fault: str):
        studio.queue_faults(create=[fault])
        job = bought(**TEXT)
        assert job.state == "unknown"
        review = open_review(job)
        assert review is not None and review.decide_by == attempt_of(job).called_at + timedelta(hours=24)
        for seconds in (31, 120, 600, 3600):
            later(seconds)
            assert worked(job).state == "unknown"
        later(24 * 3600)
        job = swept(job)
        assert (job.state, attempt_of(job).outcome, tickets_of(job)[0]) == ("failed", "abandoned", "released")
        assert accepted(studio, job) <= 1
        assert attempt_of(job).number == 1

    def test_that_staff_let_be_bought_again_is(self, vendor: WireServer):
        vendor.says(answer(500, {}), says())
        job = bought(**TEXT)
        lifecycle.settle_unknown([job.pk], again=True, at=clock.now(), actor="staff", reason="Nothing on the bill.")
        job = fresh(job)
        assert (job.state, attempt_of(job).outcome) == ("queued", "abandoned")
        assert bought(job).state == "storing"

    def test_of_a_worker_killed_in_the_call_is_unknown(self, studio: StudioProcess):
        job = begun(queued(**TEXT), at=clock.now())[0]
        later(201)
        assert swept(job).state == "unknown"
        later(31)
        assert worked(job).state == "unknown"
        assert accepted(studio, job) == 0


class TestAWorkerKilledAfterTheAnswer:
    def test_has_left_it_where_a_lookup_finds_it(self, studio: StudioProcess):
        job, attempt, _ = answered_only(queued(**TEXT))
        later(201)
        assert swept(job).state == "unknown"
        later(31)

        job = worked(job)

        assert (job.state, attempt_of(job).remote_id) == ("running", str(attempt.pk))
        assert due_in(job) <= 0
        assert open_review(job) is None
        job = worked(worked(job))
        assert moves(job) == ["queued", "submitting", "unknown", "running", "storing", "completed"]
        assert accepted(studio, job) == 1
        assert tickets_of(job) == ("captured", 996, 0)

    def test_between_two_files_has_left_nothing(self, studio: StudioProcess):
        job, attempt, _ = answered_only(queued(**TEXT))
        (Path(settings.MEDIA_ROOT) / "answers" / str(attempt.pk) / "facts.json").unlink()
        later(201)
        swept(job)
        later(31)
        assert worked(job).state == "unknown"

    def test_is_found_though_the_account_was_paused_meanwhile(self, studio: StudioProcess):
        job, _, _ = answered_only(queued(**TEXT))
        account = account_of(job)
        account.paused = True
        account.save()
        later(201)
        swept(job)
        assert worked(job).state == "running"

    def test_is_looked_for_again_where_the_storage_cannot_be_read(self, studio: StudioProcess):
        job, attempt, _ = answered_only(queued(**TEXT))
        facts = Path(settings.MEDIA_ROOT) / "answers" / str(attempt.pk) / "facts.json"
        content = facts.read_bytes()
        facts.unlink()
        facts.mkdir()
        later(201)
        swept(job)
        job = worked(job)
        assert job.state == "unknown" and 0 < due_in(job) <= 600

        facts.rmdir()
        facts.write_bytes(content)
        assert worked(job).state == "running"

    def test_that_comes_back_goes_on_with_it(self, studio: StudioProcess):
        """It stood still after the answer, for longer than its lease."""
        job, attempt, ref = answered_only(queued(**TEXT))
        later(201)
        assert swept(job).state == "unknown"
        submission.adopt_late(attempt, ref, at=clock.now(), actor="worker")
        job = fresh(job)
        assert (job.state, due_in(job) <= 0) == ("running", True)

    def test_of_a_job_that_has_ended_notes_that_it_may_be_billed(self, studio: StudioProcess):
        job, attempt, ref = answered_only(queued(**TEXT))
        lifecycle.force_fail([job.pk], at=clock.now(), actor="staff", reason="stop")
        submission.adopt_late(attempt, ref, at=clock.now(), actor="worker")
        assert fresh(job).state == "failed"
        assert "may be billed" in job.events.latest("seq").reason


class TestALongCall:
    def test_has_a_longer_lease_than_others(self):
        ends = {}
        for name, fields in {"long": TEXT, "short": {}}.items():
            job, _, _ = begun(queued(**fields), at=clock.now())
            assert job.lease_until is not None
            ends[name] = (job.lease_until - clock.now()).total_seconds()
        assert ends == {"long": 200, "short": 45}

    def test_may_last_until_its_lease_is_over(self):
        job, _, _ = begun(queued(**TEXT), at=clock.now())
        later(199)
        assert swept(job).state == "submitting"
        later(2)
        assert swept(job).state == "unknown"

    @pytest.mark.parametrize(("seconds", "state"), [(29, "storing"), (31, "queued")])
    def test_is_not_begun_where_the_lease_could_end_before_it(self, vendor: WireServer, seconds: float, state: str):
        vendor.says(says())
        taken = begun(queued(**TEXT), at=clock.now())
        later(seconds)
        submission.submit(*taken)
        assert fresh(taken[0]).state == state
        assert len(vendor.seen) == (state == "storing")

    def test_can_be_begun_once(self):
        job = queued(**TEXT)
        begun(job, at=clock.now())
        lease = lifecycle.Lease(job.pk, fresh(job).fence - 1, synchronous=True)
        assert lifecycle.begin(lease, at=clock.now()) is None

    def test_is_found_again_after_a_cut_connection(self):
        job = queued(**TEXT)
        at = clock.now()
        taken = begun(job, at=at)
        found = lifecycle.begun(lifecycle.Lease(job.pk, taken[2].fence - 1), at=at, by="")
        assert found is not None and found[2] == taken[2]


class TestFilesThatAreGone:
    def test_fail_the_job_as_paid_and_not_delivered(self, studio: StudioProcess):
        job = bought(**TEXT)
        for path in sorted(Path(settings.MEDIA_ROOT).glob("answers/*/*"), reverse=True):
            path.unlink()
        for _ in range(3):
            job = worked(job)
        assert (job.state, job.error_code, tickets_of(job)[0]) == ("failed", "not_delivered", "released")
        assert accepted(studio, job) == 1
        assert open_review(job) is not None

    def test_of_a_running_job_never_mean_that_it_may_be_bought_again(self, studio: StudioProcess):
        job = answered_only(queued(**TEXT))[0]
        later(201)
        swept(job)
        worked(job)
        for path in Path(settings.MEDIA_ROOT).glob("answers/*/*"):
            path.unlink()
        for _ in range(5):
            later(60)
            job = worked(job)
        assert (job.state, attempt_of(job).number) == ("running", 1)
