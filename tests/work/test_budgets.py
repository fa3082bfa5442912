"""Daily budgets: what counts, when an account pauses, and when it goes on."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from queue_app import clock, lifecycle
from queue_app.insight import accounts, repeats, waiting
from queue_app.lifecycle import Trouble
from queue_app.models import Alert, AlertRule, Attempt, AuditEntry, Job, ModelConcurrencyLimit, Outcome, ProviderAccount
from queue_app.work import alerts, budgets, dispatch, policy
from tests.factories import JobFactory, UserFactory, make_job
from tests.pipelines import call
from tests.work.steps import KEYS, fresh

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MIDNIGHT = NOON.replace(hour=0) + timedelta(days=1)


@pytest.fixture(autouse=True)
def sold_by_a_provider(settings: Any, db: None) -> None:
    """`sora-2` goes to a provider with a key; ten of its jobs may run, at $2 each."""
    settings.PROVIDER_KEYS = KEYS
    ProviderAccount.objects.filter(pk="openai_videos").update(max_concurrent=None)
    ModelConcurrencyLimit.objects.filter(pk="sora-2").update(max_concurrent=10)


def budget(usd: str | None) -> None:
    ProviderAccount.objects.filter(pk="openai_videos").update(daily_budget_usd=usd and Decimal(usd))


def account() -> ProviderAccount:
    return ProviderAccount.objects.get(pk="openai_videos")


def queue(count: int, **fields: Any) -> list[Job]:
    return [JobFactory(at=NOON, **fields) for _ in range(count)]


def claimed(at: datetime = NOON) -> int:
    return len(dispatch.claim_due_jobs(at=at))


def today(at: datetime = NOON) -> budgets.Spend:
    return budgets.spent("openai_videos", since=budgets.day_of(at)[0])


class TestAClaim:
    def test_takes_jobs_until_the_budget_is_spent_the_last_one_may_go_over(self) -> None:
        budget("5.00")
        queue(6)
        assert claimed() == 3
        found = account()
        assert (found.paused, found.paused_reason, found.paused_until) == (True, "Daily budget of $5.00 spent", MIDNIGHT)
        assert claimed() == 0

    def test_takes_all_where_there_is_no_budget(self) -> None:
        queue(6)
        assert claimed() == 6
        assert not account().paused

    def test_does_not_pause_an_account_that_has_some_left(self) -> None:
        budget("4.01")
        queue(2)
        assert claimed() == 2
        assert not account().paused
        queue(2)
        assert claimed() == 1
        assert account().paused

    def test_counts_what_was_spent_before(self) -> None:
        budget("5.00")
        make_job("completed", at=NOON - timedelta(hours=2))
        make_job("completed", at=NOON - timedelta(hours=1))
        queue(3)
        assert claimed() == 1

    def test_leaves_previews_alone(self, settings: Any) -> None:
        settings.PROVIDER_KEYS = {}
        budget("0.01")
        queue(4)
        assert claimed() == 4

    def test_leaves_the_other_accounts_alone(self) -> None:
        budget("1.00")
        queue(2)
        queue(3, model_id="manim")
        assert claimed() == 1 + 3
        assert list(ProviderAccount.objects.filter(paused=True)) == [account()]

    def test_gives_the_places_to_others_next_time(self) -> None:
        """The whole queue takes 10: of jobs that the budget left out, none holds a place."""
        budget("1.00")
        queue(12, priority=5)
        queue(12, model_id="manim")
        ModelConcurrencyLimit.objects.filter(pk="manim").update(max_concurrent=20)
        assert claimed() == 1
        assert claimed() == 9

    def test_goes_on_the_next_day(self) -> None:
        budget("1.00")
        queue(3)
        assert claimed() == 1
        Attempt.objects.update(called_at=NOON)
        assert dispatch.next_due(at=NOON).claims_at == MIDNIGHT
        assert (claimed(MIDNIGHT - timedelta(seconds=1)), claimed(MIDNIGHT + timedelta(seconds=1))) == (0, 1)

    def test_says_why_the_others_wait(self) -> None:
        budget("1.00")
        _, last = queue(2)
        claimed()
        looked = waiting.outlook([fresh(last)], at=NOON)
        (blocker,) = looked.waiting_on(fresh(last))
        assert (blocker.limit, blocker.key, blocker.until) == ("account", "openai_videos", MIDNIGHT)
        assert "paused until 2026-11-21 00:00:00 UTC (Daily budget of $1.00 spent)" in looked.sentence(fresh(last))

    def test_is_audited_as_our_own_deed(self) -> None:
        budget("1.00")
        queue(2)
        claimed()
        entry = AuditEntry.objects.get()
        assert (entry.actor_name, entry.action, entry.target, entry.reason) == (
            "genqueue",
            "pause account",
            "openai_videos",
            "Daily budget of $1.00 spent",
        )


class TestWhatCounts:
    def test_is_the_cost_of_delivered_jobs_and_the_estimate_of_running_ones(self) -> None:
        make_job("completed", at=NOON)
        Attempt.objects.update(cost=Decimal("1.25"))
        make_job("running", at=NOON)
        make_job("unknown", at=NOON)
        assert today() == budgets.Spend(Decimal("1.25"), Decimal(4), Decimal(0))

    def test_is_a_job_from_its_claim_on(self) -> None:
        queue(1)
        claimed()
        assert Attempt.objects.get().called_at is None
        assert today().running == 2

    def test_is_what_may_be_billed_of_jobs_that_were_given_up(self) -> None:
        job = make_job("running", at=NOON)
        lifecycle.force_fail([job.pk], at=NOON, actor="ana", reason="stuck")
        assert today() == budgets.Spend(Decimal(0), Decimal(0), Decimal(2))

    @pytest.mark.parametrize("outcome", [Outcome.NOT_ACCEPTED, Outcome.FAILED, Outcome.CANCELLED])
    def test_is_nothing_of_what_the_provider_did_not_deliver(self, outcome: Outcome) -> None:
        job = make_job("running", at=NOON)
        lifecycle.put_back(
            job, at=NOON, actor="worker", outcome=outcome, spent=True, trouble=Trouble("x", "It broke."), not_before=None
        )
        assert today().total == 0

    def test_is_the_day_of_the_queue_s_time_zone(self, settings: Any) -> None:
        settings.QUEUE_TIME_ZONE = "America/New_York"
        begins, ends = budgets.day_of(NOON)
        assert (begins.isoformat(), ends.isoformat()) == ("2026-11-20T00:00:00-05:00", "2026-11-21T00:00:00-05:00")
        make_job("completed", at=NOON.replace(hour=4))  # yesterday there
        make_job("completed", at=NOON.replace(hour=6))
        assert today().charged == 2

    def test_is_a_day_of_23_or_25_hours_where_clocks_change(self, settings: Any) -> None:
        settings.QUEUE_TIME_ZONE = "Europe/Berlin"
        begins, ends = budgets.day_of(datetime(2026, 10, 25, 12, tzinfo=UTC))
        assert ends.astimezone(UTC) - begins.astimezone(UTC) == timedelta(hours=25)


class TestAChangedBudget:
    def spent_out(self) -> ProviderAccount:
        budget("1.00")
        queue(3)
        claimed()
        return account()

    def test_that_leaves_some_resumes_the_account(self) -> None:
        row = self.spent_out()
        policy.change(row, at=NOON, actor=None, daily_budget_usd=Decimal("6.00"))
        assert budgets.reconsider(row, at=NOON, actor=UserFactory(username="ana"))
        assert not account().paused
        assert AuditEntry.objects.latest("pk").actor_name == "ana"
        assert claimed() == 2

    def test_that_was_taken_away_resumes_it_too(self) -> None:
        row = self.spent_out()
        policy.change(row, at=NOON, actor=None, daily_budget_usd=None)
        assert budgets.reconsider(row, at=NOON, actor=None)

    def test_that_leaves_none_does_not(self) -> None:
        row = self.spent_out()
        policy.change(row, at=NOON, actor=None, daily_budget_usd=Decimal("2.00"))
        assert not budgets.reconsider(row, at=NOON, actor=None)
        assert account().paused

    def test_resumes_no_account_that_a_person_has_paused(self) -> None:
        row = account()
        policy.change(row, at=NOON, actor=None, paused=True, paused_reason="the bill explodes")
        assert not budgets.reconsider(row, at=NOON, actor=None)
        assert account().paused


def test_an_alert_opens_at_four_fifths_and_closes_the_next_day() -> None:
    budget("10.00")
    at = clock.now()
    for _ in range(4):
        make_job("completed", at=at)
    AlertRule.objects.exclude(pk="budget_spent").update(active=False)
    alerts.review(at=at)
    found = Alert.objects.get()
    assert (found.subject, found.value, found.words) == (
        "openai_videos",
        80,
        "Account openai_videos has spent $8.00 of its daily budget of $10.00 (80%).",
    )
    alerts.review(at=at + timedelta(days=1))
    found.refresh_from_db()
    assert found.closed_at is not None


class TestAJobInSteps:
    def page(self, state: str, *calls: tuple[str, int, str | None, str | None]) -> Job:
        """Return a job of $2 with these calls: step, number, outcome and cost."""
        job = make_job(state, at=NOON)
        for step, number, outcome, cost in calls:
            call(job, step, number, outcome, cost=cost and Decimal(cost), at=NOON)
        return job

    def test_is_running_once_whatever_its_calls_cost(self) -> None:
        self.page("running", ("hero", 1, "delivered", "0.10"), ("body", 1, None, None))
        assert today() == budgets.Spend(Decimal(0), Decimal(2), Decimal(0))

    def test_is_charged_once_with_all_its_calls(self) -> None:
        job = self.page(
            "completed", ("hero", 1, "delivered", "0.10"), ("body", 1, "failed", "0.20"), ("body", 2, "delivered", "0.20")
        )
        job.attempts.filter(step="main").update(cost=Decimal("0.50"))
        assert today() == budgets.Spend(Decimal("0.50"), Decimal(0), Decimal(0))

    def test_has_each_lost_call_that_was_repeated_on_top(self) -> None:
        job = self.page("completed", ("hero", 1, "abandoned", None), ("hero", 2, "delivered", "0.10"))
        job.attempts.filter(step="main").update(cost=Decimal("0.10"))
        assert today() == budgets.Spend(Decimal("0.10"), Decimal(0), Decimal(2))

    def test_that_failed_costs_what_its_calls_did(self) -> None:
        self.page("failed", ("hero", 1, "delivered", "0.10"), ("body", 1, "failed", None))
        assert today() == budgets.Spend(Decimal("0.10"), Decimal(0), Decimal(0))

    def test_that_was_given_up_is_unclear_once(self) -> None:
        job = self.page("running", ("hero", 1, "delivered", "0.10"), ("body", 1, None, None))
        lifecycle.force_fail([job.pk], at=NOON, actor="ana", reason="stuck")
        assert today() == budgets.Spend(Decimal(0), Decimal(0), Decimal(2))

    def test_is_shown_with_its_repeated_calls(self) -> None:
        self.page("completed", ("hero", 1, "abandoned", None), ("hero", 2, "delivered", None))
        self.page("running", ("hero", 1, "abandoned", None))  # staff decide about this one
        assert repeats.by_account(since=NOON - timedelta(days=1)) == {"openai_videos": 1}
        assert accounts.look(account(), at=NOON).repeated == 1
        assert repeats.by_account(since=NOON + timedelta(days=1)) == {}
