"""How long until a job, a batch, or a batch yet to be launched is done."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from queue_app import lifecycle
from queue_app.forecast import durations, estimates, inputs
from queue_app.forecast.estimates import Estimate
from queue_app.models import Kind, ModelConcurrencyLimit, ProviderAccount, QueueSettings, State, User
from queue_app.work import policy, progress
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def runs_of_30_seconds(monkeypatch):
    past(monkeypatch, [30.0] * 200)


def past(monkeypatch, seconds):
    """Let each model have runs that took so long, all at one price."""
    runs = [progress.Run(each, Decimal(2)) for each in seconds]
    monkeypatch.setattr(progress, "recent_runs", lambda models: dict.fromkeys(models, runs))


def queued(count=1, **fields):
    owner = fields.pop("owner", None) or UserFactory()
    jobs = [make_job(owner=owner, **fields) for _ in range(count)]
    return jobs if count > 1 else jobs[0]


def p50(job, at=NOON):
    return estimates.for_job(job, at).p50_seconds


def limit(model="sora-2", number=4):
    ModelConcurrencyLimit.objects.filter(model=model).update(max_concurrent=number)


class TestAQueuedJob:
    def test_starts_with_the_next_free_slot_of_its_model(self):
        limit(number=2)
        jobs = queued(6)

        assert [p50(job) for job in jobs] == [30, 30, 60, 60, 90, 90]

    def test_waits_for_what_runs(self):
        limit(number=1)
        make_job(State.RUNNING)

        assert p50(queued(), NOON) == 60

    def test_of_high_priority_goes_first(self):
        limit(number=1)
        normal, high = queued(), queued(priority=10)

        assert (p50(high), p50(normal)) == (30, 60)

    @pytest.mark.parametrize("narrow", ["queue", "account", "kind", "user", "batch"])
    def test_waits_at_every_limit_that_claims_know(self, narrow):
        limit(number=50)
        batch = BatchFactory(max_concurrent=1 if narrow == "batch" else None)
        ProviderAccount.objects.update(max_concurrent=1 if narrow == "account" else None)
        Kind.objects.filter(key="video").update(max_concurrent=1 if narrow == "kind" else None)
        QueueSettings.objects.update(max_concurrent=1 if narrow == "queue" else 100, peak_hours="")
        User.objects.update(max_concurrent=1 if narrow == "user" else None)

        jobs = queued(3, batch=batch, owner=batch.owner)

        assert [p50(job) for job in jobs] == [30, 60, 90]

    def test_shares_its_account_with_other_models(self):
        ProviderAccount.objects.filter(key="openai_videos").update(max_concurrent=1)
        pro, job = queued(model_id="sora-2-pro"), queued()

        assert (p50(pro), p50(job)) == (30, 60)

    def test_is_not_held_up_by_a_batch_at_its_own_limit(self):
        batch = BatchFactory(max_concurrent=1)
        slow = queued(5, batch=batch, owner=batch.owner)
        job = queued()

        assert (p50(slow[-1]), p50(job)) == (150, 30)

    def test_gains_from_peak_hours_to_come(self):
        limit(number=50)
        ProviderAccount.objects.update(max_concurrent=None)
        QueueSettings.objects.update(max_concurrent=2, peak_hours="12:01-15:00", peak_factor=2)

        assert [p50(job) for job in queued(8)] == [30, 30, 60, 60, 90, 90, 90, 90]

    def test_waits_for_the_end_of_a_pause(self):
        ModelConcurrencyLimit.objects.update(paused=True, paused_until=NOON + timedelta(minutes=10))

        assert p50(queued()) == 630

    def test_waits_for_the_end_of_a_cool_down(self):
        ProviderAccount.objects.update(cooldown_until=NOON + timedelta(minutes=1))

        assert p50(queued()) == 90

    @pytest.mark.parametrize("paused", [QueueSettings, ModelConcurrencyLimit, ProviderAccount])
    def test_has_no_estimate_while_a_pause_has_no_end(self, paused):
        paused.objects.update(paused=True)

        assert estimates.for_job(queued(), NOON) == Estimate(None, None, "paused")

    def test_has_no_estimate_while_its_batch_is_paused(self):
        batch = BatchFactory()
        job = queued(batch=batch, owner=batch.owner)
        policy.pause_batch(batch, at=NOON, actor=None)
        job.refresh_from_db()

        assert estimates.for_job(job, NOON) == Estimate(None, None, "paused")
        assert estimates.for_batch(batch.pk, NOON) == Estimate(None, None, "paused")

    def test_takes_as_long_as_jobs_at_its_price_do_once_enough_have_run(self, monkeypatch):
        limit(number=1)
        short, long = ([progress.Run(seconds, Decimal(usd))] * 100 for seconds, usd in ((30.0, "2.00"), (90.0, "6.00")))
        monkeypatch.setattr(progress, "recent_runs", lambda models: {model: [*short, *long] for model in models})
        jobs = [queued(usd_estimate=usd) for usd in (Decimal("6.00"), Decimal("2.00"), Decimal("9.00"))]

        assert [p50(job) for job in jobs[:2]] == [90, 120]
        assert [estimates.for_job(job, NOON).basis for job in jobs] == [*["the last 100 similar runs"] * 2, "the last 200 runs"]

    def test_of_low_priority_rises_while_it_waits(self):
        limit(number=1)
        QueueSettings.objects.update(aging_minutes=1)
        low, others = queued(priority=-10), queued(20, owner=UserFactory())

        assert (p50(low), p50(others[-1])) == (90, 630)
        QueueSettings.objects.update(aging_minutes=None)
        cache.clear()
        assert (p50(low), p50(others[-1])) == (630, 600)

    def test_starts_not_before_it_may(self):
        job = queued(not_before=NOON + timedelta(hours=1))

        assert p50(job) == 3630

    def test_starts_when_jobs_before_it_have_ended_and_has_no_start_to_wait_for_once_it_runs(self):
        limit(number=1)
        batch = BatchFactory()
        running, (first, last) = make_job(State.RUNNING), queued(2, owner=batch.owner, batch=batch)
        held = queued(owner=batch.owner)
        held.held = True

        starts = estimates.starts_of_jobs([running, first, last, held], NOON)

        assert {job: start and start.p50_seconds for job, start in starts.items()} == {
            running.pk: None,
            first.pk: 30.0,
            last.pk: 60.0,
            held.pk: None,
        }
        assert (starts[first.pk].basis, starts[held.pk].basis) == ("the last 200 runs", "paused")
        assert estimates.start_of_batch(batch.pk, NOON) == starts[first.pk]
        first.started_at = NOON
        first.save()
        assert estimates.start_of_batch(batch.pk, NOON) is None

    def test_is_nearer_its_end_some_seconds_later(self):
        limit(number=1)
        jobs = queued(3)

        assert p50(jobs[2]) == 90
        assert p50(jobs[2], NOON + timedelta(seconds=4)) == 86


class TestWhatItRestsOn:
    def test_is_the_last_runs(self):
        assert estimates.for_job(queued(), NOON).basis == "the last 200 runs"

    @pytest.mark.parametrize(("preview", "seconds"), [(True, 3.0), (False, 90.0)])
    def test_is_what_is_typical_there_while_fewer_than_five_are_known(self, preview, seconds, monkeypatch, settings):
        settings.STUDIO_SECONDS = 3
        past(monkeypatch, [1.0] * (durations.ENOUGH - 1))

        found = estimates.for_job(queued(preview=preview), NOON)

        assert (found.p50_seconds, found.basis) == (seconds, "the model's typical time")
        assert found.p90_seconds > seconds

    def test_spreads_as_the_past_did(self, monkeypatch):
        past(monkeypatch, [float(seconds) for seconds in range(1, 101)])

        found = estimates.for_job(queued(), NOON)

        assert (found.p50_seconds, found.p90_seconds) == (pytest.approx(50.5, abs=1), pytest.approx(90, abs=3))


class TestOtherStates:
    def test_a_running_job_has_left_what_is_left(self):
        assert p50(make_job(State.RUNNING), NOON + timedelta(seconds=20)) == 10

    def test_a_stored_one_next_to_nothing_and_an_ended_one_nothing(self):
        assert (p50(make_job(State.STORING)), p50(make_job(State.COMPLETED))) == (0, 0)

    @pytest.mark.parametrize("state", [State.UNKNOWN, State.CANCELLING])
    def test_nobody_knows_of_the_others(self, state):
        found = estimates.for_job(make_job(state), NOON)

        assert (found.p50_seconds, found.basis) == (None, State(state).label.lower())


class TestABatch:
    def test_is_done_when_its_last_job_is(self):
        other = BatchFactory()
        batch = BatchFactory(owner=other.owner)
        queued(4, batch=other, owner=other.owner)
        queued(5, batch=batch, owner=batch.owner)

        assert (estimates.for_batch(other.pk, NOON), estimates.for_batch(batch.pk, NOON)) == (
            Estimate(30.0, 30.0, "the last 200 runs"),
            Estimate(90.0, 90.0, "the last 200 runs"),
        )

    def test_is_done_when_its_running_jobs_are(self):
        batch = BatchFactory()
        make_job(State.RUNNING, batch=batch, owner=batch.owner)

        assert estimates.for_batch(batch.pk, NOON + timedelta(seconds=10)).p50_seconds == 20

    def test_that_has_ended_takes_no_time(self):
        batch = BatchFactory()
        make_job(State.COMPLETED, batch=batch, owner=batch.owner)

        assert estimates.for_batch(batch.pk, NOON) == Estimate(0.0, 0.0, "finished")

    def test_names_outcomes_that_are_unknown(self):
        batch = BatchFactory()
        make_job(State.UNKNOWN, batch=batch, owner=batch.owner)
        assert estimates.for_batch(batch.pk, NOON) == Estimate(None, None, "1 job has an unknown outcome")

        queued(batch=batch, owner=batch.owner)
        assert estimates.for_batch(batch.pk, NOON) == Estimate(30.0, 30.0, "the last 200 runs; 1 job has an unknown outcome")

    def test_retried_is_seen_at_once(self):
        batch = BatchFactory()
        queued(batch=batch, owner=batch.owner)
        estimates.for_batch(batch.pk, NOON)
        estimates._drawn.cost = 0.0
        queued(4, batch=batch, owner=batch.owner)

        assert estimates.for_batch(batch.pk, NOON).p50_seconds == 60

    def test_shrunk_by_a_cancel_is_seen_at_once(self):
        limit(number=1)
        batch = BatchFactory()
        jobs = queued(6, batch=batch, owner=batch.owner)
        assert estimates.for_batch(batch.pk, NOON).p50_seconds == 180
        estimates._drawn.cost = 0.0
        lifecycle.cancel([job.pk for job in jobs[1:]], at=NOON, actor="user")

        assert estimates.for_batch(batch.pk, NOON).p50_seconds == 30

    def test_of_which_nothing_waits_any_more_ends_with_what_runs_however_old_the_curves_are(self):
        limit(number=1)
        batch = BatchFactory()
        make_job(State.RUNNING, batch=batch, owner=batch.owner)
        jobs = queued(5, batch=batch, owner=batch.owner)
        assert estimates.for_batch(batch.pk, NOON).p50_seconds == 180
        estimates._drawn.cost = 3_600.0  # too dear to be drawn anew
        lifecycle.cancel([job.pk for job in jobs], at=NOON, actor="user")

        assert estimates.for_batch(batch.pk, NOON).p50_seconds == 30

    def test_of_which_all_is_being_cancelled_ends_nobody_knows_when(self):
        batch = BatchFactory()
        make_job(State.CANCELLING, batch=batch, owner=batch.owner)
        assert estimates.for_batch(batch.pk, NOON) == Estimate(None, None, "cancelling")

        make_job(State.RUNNING, batch=batch, owner=batch.owner)
        assert estimates.for_batch(batch.pk, NOON).p50_seconds == 30


class TestANewBatch:
    @pytest.mark.parametrize(
        ("count", "cap", "priority"), [(1, None, 0), (12, None, 0), (12, 2, 0), (100, None, -10), (7, 3, 10)]
    )
    def test_takes_what_it_then_takes(self, count, cap, priority):
        queued(9)
        queued(5, model_id="sora-2-pro", priority=-10)
        owner = UserFactory()

        promised = estimates.for_new("sora-2", count, priority, owner, cap, "video", at=NOON)

        batch = BatchFactory(owner=owner, max_concurrent=cap)
        JobFactory.create_batch(count, batch=batch, owner=owner, priority=priority)
        estimates._drawn.cost = 0.0
        assert promised == estimates.for_batch(batch.pk, NOON)

    def test_is_answered_at_every_keystroke(self):
        queued(9)
        owner = UserFactory()
        estimates.for_new("sora-2", 660, 0, owner, None, "video", at=NOON)

        began = time.process_time()  # of the processor: others may be at work beside it
        with CaptureQueriesContext(connection) as asked:
            answers = [estimates.for_new("sora-2", cells, 0, owner, None, "video", at=NOON) for cells in (660, 600, 540)]
        each = (time.process_time() - began) / len(answers)

        print(f"\na keystroke: {each * 1000:.1f} ms")
        assert each < 0.02 and not asked
        assert [answer.p50_seconds for answer in answers] == sorted((answer.p50_seconds for answer in answers), reverse=True)


class TestTheCurves:
    def test_reckon_what_lies_behind_the_heads_of_lanes_in_heaps(self, monkeypatch):
        capped = BatchFactory(max_concurrent=1)
        jobs = [*queued(8, batch=capped, owner=capped.owner), *queued(6), *queued(3, priority=-10)]
        exact = estimates.for_jobs(jobs, NOON)
        cache.clear()
        monkeypatch.setattr(inputs, "EXACT", 3)

        assert estimates.for_jobs(jobs, NOON) == exact

    def test_place_a_newcomer_behind_the_last_they_know_until_drawing_them_anew_is_worth_it(self, monkeypatch):
        monkeypatch.setattr(estimates, "WORTH", 40)
        limit(number=1)
        first = queued()
        estimates.for_job(first, NOON)
        estimates._drawn.cost = 1.0
        newcomer = queued()

        assert p50(newcomer) == 30
        estimates._drawn.cost = 0.0
        assert p50(newcomer) == 60

    def test_are_drawn_once_for_all_who_ask(self):
        jobs = queued(3)
        estimates.for_job(jobs[0], NOON)

        with CaptureQueriesContext(connection) as queries:
            estimates.for_jobs(jobs, NOON)

        assert len(queries) == 0
