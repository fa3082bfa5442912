"""Why a queued job waits, and how long."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app.insight import waiting
from queue_app.models import Job, ModelConcurrencyLimit, ModelRoute, ProviderAccount, QueueSettings, State
from queue_app.work import policy
from tests.factories import NOON, BatchFactory, UserFactory, make_job, make_route

pytestmark = pytest.mark.django_db


def ready(**fields):
    return Job.objects.select_related("model").get(pk=make_job(**fields).pk)


def set_limit(model, number):
    ModelConcurrencyLimit.objects.filter(model=model).update(max_concurrent=number)


class TestWaitingOn:
    def test_names_the_full_model_with_its_numbers(self):
        set_limit("sora-2", 1)
        make_job(State.RUNNING)
        make_job()
        job = ready()

        (blocker,) = waiting.waiting_on(job, NOON)

        assert (blocker.limit, blocker.key, blocker.used, blocker.max, blocker.until) == ("model", "sora-2", 1, 1, None)
        assert waiting.outlook([job], at=NOON).sentence(job) == "sora-2 is full (1 of 1 running). 1 job ahead."

    def test_names_every_limit_that_blocks(self):
        QueueSettings.objects.update(max_concurrent=1)
        set_limit("sora-2", 1)
        make_job(State.RUNNING)

        assert [blocker.limit for blocker in waiting.waiting_on(ready(), NOON)] == ["queue", "model"]

    def test_names_a_pause_with_its_end_and_reason(self):
        until = NOON + timedelta(minutes=30)
        ModelConcurrencyLimit.objects.filter(model="sora-2").update(paused=True, paused_until=until, paused_reason="maintenance")
        job = ready()

        (blocker,) = waiting.waiting_on(job, NOON)

        assert (blocker.limit, blocker.max, blocker.until, blocker.reason) == ("model", 0, until, "maintenance")
        assert "sora-2 is paused until 2026-11-20 12:30:00 UTC (maintenance)" in waiting.outlook([job], at=NOON).sentence(job)

    def test_tells_a_cool_down_and_a_model_that_nobody_offers_from_a_pause(self):
        ProviderAccount.objects.update(cooldown_until=NOON + timedelta(minutes=1))
        job, gone = ready(), ready(model_id="manim")
        ModelRoute.objects.filter(model="manim").update(active=False)

        said = waiting.outlook([job, gone], at=NOON)

        assert said.sentence(job).startswith("Account openai_videos is cooling down until 2026-11-20 12:01:00 UTC. ")
        assert said.sentence(gone).startswith("manim has no provider right now. ")

    @pytest.mark.parametrize(
        ("held_for", "said"),
        [
            ("canary", "On hold for a review of the first results of its campaign. Next in line."),
            ("storyboard", "On hold for the approval of its still. Next in line."),
            ("breaker", "On hold for a decision, as similar jobs failed. Next in line."),
        ],
    )
    def test_says_what_a_job_is_on_hold_for(self, held_for, said):
        job = ready(held_for=held_for, held=True)

        assert waiting.outlook([job], at=NOON).sentence(job) == said

    def test_names_the_paused_batch_of_a_held_job(self):
        batch = BatchFactory()
        job = ready(batch=batch, owner=batch.owner)
        policy.pause_batch(batch, at=NOON, actor=None)

        assert [(one.limit, one.key) for one in waiting.waiting_on(job, NOON)] == [("batch", str(batch.pk))]

    def test_names_the_time_before_which_it_may_not_start(self):
        until = NOON + timedelta(hours=2)

        (blocker,) = waiting.waiting_on(ready(not_before=until), NOON)

        assert (blocker.limit, blocker.until) == ("not_before", until)

    def test_says_that_no_provider_has_words_for_it(self):
        job = ready(parameters={"duration": 4, "resolution": "8K"})
        Job.objects.filter(pk=job.pk).update(not_before=NOON + timedelta(seconds=10))
        job.refresh_from_db()

        lacking, aside = waiting.outlook([job], at=NOON).waiting_on(job)

        assert (lacking.names, lacking.reason) == (("model", "sora-2"), "its parameters are not supported")
        assert (aside.limit, aside.reason) == ("not_before", "no free provider supports its parameters")
        said = waiting.outlook([job], at=NOON).sentence(job)
        assert said.startswith("sora-2 has no provider that supports these parameters. Starts at ")

    def test_a_model_that_nobody_offers_hides_no_other_limit(self):
        job = ready()
        ModelRoute.objects.filter(model="sora-2").update(active=False)
        QueueSettings.objects.update(paused=True)

        assert [(one.limit, one.reason) for one in waiting.waiting_on(job, NOON)] == [
            ("queue", "paused"),
            ("model", "not available"),
        ]

    def test_names_the_account_whose_route_can_express_it(self):
        codec = {"duration": {"field": "seconds", "as": "string", "values": [8]}, "aspect": {"field": "size", "values": ["16:9"]}}
        ModelRoute.objects.filter(model="sora-2").update(codec=codec)
        make_route(model_id="sora-2", account_id="studio", endpoint_id="there", position=1)
        ProviderAccount.objects.filter(pk="studio").update(paused=True)

        assert [one.names for one in waiting.waiting_on(ready(), NOON)] == [("account", "studio")]

    def test_names_a_limit_twice_that_is_paused_and_full(self):
        set_limit("sora-2", 1)
        make_job(State.RUNNING)
        ModelConcurrencyLimit.objects.filter(model="sora-2").update(paused=True)

        assert [(one.names, one.max) for one in waiting.waiting_on(ready(), NOON)] == [
            (("model", "sora-2"), 0),
            (("model", "sora-2"), 1),
        ]

    def test_tells_of_the_jobs_ahead_when_nothing_blocks(self):
        make_job()
        make_job()

        (blocker,) = waiting.waiting_on(ready(), NOON)

        assert (blocker.limit, blocker.key, blocker.used, blocker.max) == ("jobs_ahead", "sora-2", 2, 4)

    def test_is_empty_for_a_running_job(self):
        assert waiting.waiting_on(make_job(State.RUNNING), NOON) == []


class TestEta:
    def test_is_the_forecast_and_says_what_it_rests_on(self, settings):
        settings.STUDIO_SECONDS = 3

        eta = waiting.eta(ready(preview=True), NOON)

        assert eta.basis == "the model's typical time"
        assert 0 < eta.p50_seconds <= eta.p90_seconds < 10

    def test_grows_with_the_jobs_ahead(self):
        set_limit("sora-2", 1)
        first, *_, last = [ready(preview=True) for _ in range(8)]

        looked = waiting.outlook([first, last], at=NOON)

        assert looked.eta(last).p50_seconds > 4 * looked.eta(first).p50_seconds

    def test_is_unknown_for_a_pause_without_an_end(self):
        ModelConcurrencyLimit.objects.filter(model="sora-2").update(paused=True, paused_reason="maintenance")

        eta = waiting.eta(ready(), NOON)

        assert (eta.p50_seconds, eta.p90_seconds) == (None, None)
        assert eta.basis

    def test_is_none_once_it_has_ended(self):
        assert waiting.eta(make_job(State.COMPLETED), NOON) is None


def test_an_outlook_takes_as_many_queries_for_fifty_jobs_as_for_five():
    owner = UserFactory()
    jobs = [ready(owner=owner) for _ in range(50)]

    def queries(some):
        with CaptureQueriesContext(connection) as made:
            outlook = waiting.outlook(some, at=NOON)
            for job in some:
                outlook.sentence(job), outlook.eta(job)
        return len(made)

    queries(jobs[:1])  # durations are remembered from here on
    assert queries(jobs) == queries(jobs[:5])


class TestWhoAsksOften:
    @pytest.fixture(autouse=True)
    def kept(self, monkeypatch):
        monkeypatch.setattr(waiting, "SHARED_FOR", float("inf"))
        waiting.forget()
        yield
        waiting.forget()

    @pytest.mark.parametrize("runs", [False, True])
    def test_sees_a_pause_of_a_batch_and_its_end_at_once(self, runs):
        """Whether or not the limits of the batch are among those that were read for what runs."""
        batch, owner = BatchFactory(), UserFactory()
        if runs:
            make_job("running", batch=batch, owner=owner)
        job = ready(batch=batch, owner=owner)

        def limits():
            return [found.limit for found in waiting.outlook([job], at=NOON, share=True).waiting_on(job)]

        assert limits() == ["jobs_ahead"]
        policy.pause_batch(batch, at=NOON, actor=None)
        assert limits() == ["batch"]
        policy.resume_batch(batch, at=NOON, actor=None)
        assert limits() == ["jobs_ahead"]
