"""What a verified webhook leads to: the provider is asked now, and what it says counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from queue_app import clock, lifecycle
from queue_app.models import Attempt, InboundWebhook, Job, ProviderAccount, State
from queue_app.rules import schedule
from queue_app.work import polling, retention, submission, webhooks
from tests.factories import JobFactory, begun
from tests.hooks.speakers import SPEAKERS, Speaker, Vendor
from tests.providers.vendors import VENDORS
from tests.providers.wire import Reply, answer, reset
from tests.work.steps import attempt_of, due_in, fresh, later, moves, worked

pytestmark = pytest.mark.django_db
PER_ATTEMPT = [name for name, speaker in SPEAKERS.items() if speaker.per_attempt]
RUNNING = {"openai_videos": "in_progress", "replicate": "processing", "openrouter": "in_progress", "fal": "IN_PROGRESS"}


@pytest.fixture(autouse=True)
def one_moment(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("processes") is None:
        request.getfixturevalue("time_stands_still")


def running(speaker: Speaker, number: str = "t-1") -> bytes:
    return answer(200, VENDORS[speaker.account].task(number, RUNNING[speaker.account]))


def accepted(speaker: Speaker, number: str = "t-1") -> bytes:
    vendor = VENDORS[speaker.account]
    return answer(vendor.create_status, vendor.accepted(number))


def unknown_task(speaker: Speaker) -> bytes:
    return answer(404, VENDORS[speaker.account].error(404, "Not found"))


def called(speaker: Speaker) -> tuple[Job, Attempt, lifecycle.Lease]:
    """Make a job whose create call may follow."""
    speaker.job("queued")  # opens its route alone
    return begun(JobFactory(model_id=speaker.model, at=clock.now()), at=clock.now())


def sent(speaker: Speaker, vendor: Vendor, *replies: Reply) -> Job:
    """Make the create call of a job, with these answers."""
    vendor.says(*replies)
    job, attempt, lease = called(speaker)
    submission.submit(job, attempt, lease)
    return fresh(job)


def effects() -> list[str]:
    return list(InboundWebhook.objects.order_by("id").values_list("effect", flat=True))


class TestARunningJob:
    def test_is_checked_now_and_goes_on_as_the_provider_says(self, speaker: Speaker, vendor: Vendor) -> None:
        job = speaker.job(at=clock.now() - timedelta(seconds=20))
        assert due_in(job) > -20
        Job.objects.filter(pk=job.pk).update(next_check_at=clock.now() + timedelta(seconds=55))
        assert speaker.call(attempt_of(job)).status_code == 204
        job = fresh(job)
        assert (due_in(job), job.state, effects()) == (0, "running", ["checked"])
        vendor.says(running(speaker))
        assert worked(job).state == "running"  # the webhook said "done", the provider does not

    def test_is_asked_again_when_the_worker_had_asked_too_early(self, speaker: Speaker, vendor: Vendor) -> None:
        job = speaker.job(at=clock.now() - timedelta(seconds=20))
        Job.objects.filter(pk=job.pk).update(next_check_at=clock.now() - timedelta(seconds=1))
        (lease,) = [lease for lease, _ in lifecycle.lease_due(clock.now()) if lease.job_id == job.pk]
        taken = lifecycle.begin(lease, at=clock.now())
        assert taken is not None
        assert speaker.call(attempt_of(job)).status_code == 204
        vendor.says(running(speaker))
        polling.check(*taken)
        assert due_in(fresh(job)) == 0

    def test_waits_for_the_end_of_a_cooldown(self, speaker: Speaker) -> None:
        job = speaker.job()
        ProviderAccount.objects.filter(pk=speaker.account).update(cooldown_until=clock.now() + timedelta(seconds=40))
        speaker.call(attempt_of(job))
        assert due_in(fresh(job)) == 40

    def test_is_checked_once_for_an_event_that_comes_twice(self, speaker: Speaker, vendor: Vendor) -> None:
        job = speaker.job()
        speaker.call(attempt_of(job))
        vendor.says(running(speaker))
        job = worked(job)
        assert due_in(job) > 0
        assert speaker.call(attempt_of(job)).status_code == 204
        assert (due_in(fresh(job)), effects()) == (due_in(job), ["checked"])

    @pytest.mark.parametrize("account", PER_ATTEMPT)
    def test_is_not_asked_about_without_end(self, vendor: Vendor, settings: Any, account: str) -> None:
        speaker = SPEAKERS["openrouter"]
        settings.PROVIDER_KEYS = settings.PROVIDER_KEYS | {"OPENROUTER_WEBHOOK_SECRET": ""}
        attempt = attempt_of(speaker.job())
        for number in range(webhooks.EVENTS_MOST + 5):  # each another body, so another event
            assert speaker.call(attempt, speaker.body(word=f"word {number}"), headers={}).status_code == 204
        assert len(effects()) == webhooks.EVENTS_MOST


class TestBeforeTheAnswer:
    """The webhook is faster than the answer to the create call, or comes in its place."""

    @pytest.mark.parametrize("account", PER_ATTEMPT)
    def test_it_is_kept_and_the_task_is_checked_as_soon_as_it_is_known(self, vendor: Vendor, account: str) -> None:
        speaker = SPEAKERS[account]
        job, attempt, lease = called(speaker)
        assert speaker.call(attempt).status_code == 204
        assert (fresh(job).state, effects()) == ("submitting", ["early"])
        vendor.says(accepted(speaker))
        submission.submit(job, attempt, lease)
        job = fresh(job)
        assert (job.state, attempt_of(job).remote_id, due_in(job)) == ("running", "t-1", 0)

    @pytest.mark.parametrize("account", PER_ATTEMPT)
    def test_it_says_nothing_of_another_task(self, vendor: Vendor, account: str) -> None:
        speaker = SPEAKERS[account]
        job, attempt, lease = called(speaker)
        speaker.call(attempt, speaker.body("t-7"))
        vendor.says(accepted(speaker))
        submission.submit(job, attempt, lease)
        assert due_in(fresh(job)) > 0

    def test_an_event_of_the_account_is_kept_too(self, vendor: Vendor) -> None:
        speaker = SPEAKERS["openai_videos"]
        job, attempt, lease = called(speaker)
        assert speaker.call(attempt).status_code == 204
        assert effects() == ["unmatched"]
        vendor.says(accepted(speaker))
        submission.submit(job, attempt, lease)
        assert due_in(fresh(job)) == 0

    @pytest.mark.parametrize("account", PER_ATTEMPT)
    def test_it_leads_to_a_task_whose_answer_was_lost(self, vendor: Vendor, account: str) -> None:
        speaker = SPEAKERS[account]
        job = sent(speaker, vendor, reset)
        assert (job.state, due_in(job) > 0) == ("unknown", True)
        assert speaker.call(attempt_of(job)).status_code == 204
        assert due_in(fresh(job)) == 0
        vendor.says(running(speaker))
        job = worked(job)
        assert moves(job)[-2:] == ["unknown", "running"]
        attempt = attempt_of(job)
        assert (attempt.remote_id, due_in(job)) == ("t-1", 0)
        assert attempt.lookups[-1]["took"] == "t-1"
        assert job.events.latest("seq").actor == "webhook"

    @pytest.mark.parametrize("account", PER_ATTEMPT)
    def test_it_is_looked_for_immediately_when_the_answer_is_lost_later(self, vendor: Vendor, account: str) -> None:
        speaker = SPEAKERS[account]
        job, attempt, lease = called(speaker)
        speaker.call(attempt)
        vendor.says(reset)
        submission.submit(job, attempt, lease)
        assert (fresh(job).state, due_in(fresh(job))) == ("unknown", 0)

    @pytest.mark.parametrize("account", PER_ATTEMPT)
    def test_it_is_not_believed_where_the_provider_does_not_know_the_task(self, vendor: Vendor, account: str) -> None:
        speaker = SPEAKERS[account]
        job = sent(speaker, vendor, reset)
        speaker.call(attempt_of(job))
        vendor.says(unknown_task(speaker))
        for _ in range(4):
            later(3_600)
            job = worked(job)
            assert (job.state, attempt_of(job).remote_id) == ("unknown", None)
        # nor is anything proved: a second create call would generate twice what the webhook told of
        assert attempt_of(job).lookups_none == 0
        assert "webhook named task t-1" in attempt_of(job).lookups[-1]["why_not"][0]

    @pytest.mark.parametrize("account", PER_ATTEMPT)
    def test_it_cannot_take_a_task_of_another_job(self, vendor: Vendor, account: str) -> None:
        speaker = SPEAKERS[account]
        owner = speaker.job(remote_id="t-1")
        ProviderAccount.objects.filter(pk=account).update(can_look_up=False)
        job = sent(speaker, vendor, reset)
        speaker.call(attempt_of(job))
        vendor.says(running(speaker))
        assert worked(job).state == "unknown"
        assert attempt_of(owner).remote_id == "t-1"


class TestTheAddress:
    @pytest.mark.parametrize("account", PER_ATTEMPT)
    def test_goes_along_with_the_create_call(self, vendor: Vendor, account: str) -> None:
        speaker = SPEAKERS[account]
        job = sent(speaker, vendor, accepted(speaker))
        seen = next(one for one in vendor.seen if one.method == "POST")
        token = attempt_of(job).token
        assert f"queue.example/hooks/{account}/{token}" in f"{seen.target} {seen.body.decode()}".replace("%2F", "/")
        assert webhooks.url_for(attempt_of(job)) == "https://queue.example" + reverse(
            "webhooks-of-attempt", args=[account, token]
        )

    @pytest.mark.parametrize("origin", ["", "http://queue.example"])
    @pytest.mark.parametrize("account", SPEAKERS)
    def test_is_none_where_the_provider_could_not_call(self, vendor: Vendor, settings: Any, account: str, origin: str) -> None:
        settings.WEBHOOK_URL = origin
        speaker = SPEAKERS[account]
        job = sent(speaker, vendor, accepted(speaker))
        seen = next(one for one in vendor.seen if one.method == "POST")
        assert "hooks" not in f"{seen.target} {seen.body.decode()}"
        assert webhooks.url_for(attempt_of(job)) is None

    def test_may_be_http_for_the_studio(self, settings: Any, db: None) -> None:
        settings.WEBHOOK_URL = "http://127.0.0.1:8000"
        attempt = attempt_of(SPEAKERS["fal"].job())
        assert attempt.preview
        assert webhooks.url_for(attempt) == f"http://127.0.0.1:8000/hooks/fal/{attempt.token}"

    def test_is_none_where_nothing_could_be_verified(self, vendor: Vendor, settings: Any) -> None:
        settings.PROVIDER_KEYS = settings.PROVIDER_KEYS | {"OPENROUTER_WEBHOOK_SECRET": ""}
        attempt = attempt_of(SPEAKERS["openrouter"].job())
        assert webhooks.url_for(attempt) is not None  # its token is proof enough, as seeded
        ProviderAccount.objects.filter(pk="openrouter").update(options={})
        assert webhooks.url_for(attempt_of(attempt.job)) is None


class TestChecks:
    """With webhooks they are rarer; they stay, in case one does not come."""

    def planned(self, speaker: Speaker, vendor: Vendor) -> float:
        number = f"t-{Job.objects.count() + 10}"
        job = speaker.job(at=clock.now() - timedelta(seconds=90), remote_id=number)
        vendor.says(running(speaker, number))
        return due_in(worked(job))

    def test_are_rarer_while_webhooks_of_the_account_come(self, speaker: Speaker, vendor: Vendor) -> None:
        before = [self.planned(speaker, vendor) for _ in range(5)]
        speaker.call(attempt_of(speaker.job(remote_id="t-2")), speaker.body("t-2"))
        after = [self.planned(speaker, vendor) for _ in range(5)]
        assert max(before) < min(after)
        assert max(after) <= schedule.BESIDE_WEBHOOKS.most

    def test_are_as_before_when_none_has_come_for_a_quarter_of_an_hour(self, speaker: Speaker, vendor: Vendor) -> None:
        speaker.call(attempt_of(speaker.job(remote_id="t-2")), speaker.body("t-2"))
        after = [self.planned(speaker, vendor) for _ in range(5)]
        InboundWebhook.objects.update(received_at=clock.now() - webhooks.HEARD_WITHIN)
        assert max(self.planned(speaker, vendor) for _ in range(5)) < min(after)


class TestStored:
    def test_rows_go_when_their_time_is_over(self, vendor: Vendor, settings: Any) -> None:
        speaker = SPEAKERS["fal"]
        for number in ("t-1", "t-2"):
            speaker.call(attempt_of(speaker.job(remote_id=number)), speaker.body(number))
        InboundWebhook.objects.filter(remote_id="t-1").update(received_at=clock.now() - settings.WEBHOOKS_KEPT * 1.01)
        retention.prune(at=clock.now())
        assert InboundWebhook.objects.get().remote_id == "t-2"

    @pytest.mark.parametrize("number", ["n" * 3_000, "a\0b", "\ud800", "é"])
    def test_ids_and_types_fit_their_columns_whatever_they_are(self, vendor: Vendor, settings: Any, number: str) -> None:
        settings.PROVIDER_KEYS = settings.PROVIDER_KEYS | {"OPENROUTER_WEBHOOK_SECRET": ""}
        speaker = SPEAKERS["openrouter"]
        attempt = attempt_of(speaker.job())
        headers = {"X-OpenRouter-Idempotency-Key": "n" * 3_000}
        assert speaker.call(attempt, speaker.body(word=number), headers=headers).status_code == 204
        row = InboundWebhook.objects.get()
        assert row.event_id.startswith("sha256:") and len(row.type) <= webhooks.TYPE_MOST

    def test_the_token_is_in_no_log(self, speaker: Speaker, caplog: pytest.LogCaptureFixture) -> None:
        attempt = attempt_of(speaker.job())
        with caplog.at_level("DEBUG"):
            speaker.call(attempt)
            speaker.call(attempt, headers={})
        assert attempt.token not in "".join(record.getMessage() for record in caplog.records if "queue_app" in record.name)


@pytest.mark.django_db(transaction=True)
@pytest.mark.processes
def test_many_deliveries_at_once_are_one_event(vendor: Vendor) -> None:
    speaker = SPEAKERS["fal"]
    job = speaker.job()
    attempt, body = attempt_of(job), speaker.body()
    headers = speaker.signed(body)

    def deliver(_: int) -> int:
        try:
            where = speaker.address(attempt)
            return int(Client().post(where, body, content_type="application/json", headers=headers).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(deliver, range(24))) == {204}
    assert effects() == ["checked"]
    assert Job.objects.get(pk=job.pk).state == State.RUNNING
