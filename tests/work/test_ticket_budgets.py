"""Ticket budgets: which jobs count, which wait, for how long, and who is told."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext

from campaigns.notices import TOPICS, wants
from queue_app import announce, lifecycle, tickets
from queue_app.insight import positions, waiting
from queue_app.lifecycle import Trouble
from queue_app.models import (
    ApiKey,
    AuditEntry,
    HeldFor,
    Job,
    ModelConcurrencyLimit,
    Notice,
    OutboxMessage,
    Outcome,
    ProviderAccount,
    QueueSettings,
    State,
    TicketBudget,
    User,
)
from queue_app.outbox import delivery
from queue_app.rules.limits import Blocker
from queue_app.work import dispatch, holds, jobs, keys, policy, recovery, retention, ticket_budgets
from queue_app.work.keys import NewKey
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory, advance, make_job
from tests.work.steps import fresh
from tests.work.test_claims_at_once import claims_at_once

pytestmark = pytest.mark.django_db
MIDNIGHT = NOON.replace(hour=0) + timedelta(days=1)
EACH = 4  # tickets of a job
DAY, TOTAL = TicketBudget.Period.DAY, TicketBudget.Period.TOTAL


@pytest.fixture(autouse=True)
def plenty_of_slots(db: None) -> None:
    QueueSettings.objects.update(max_concurrent=100)
    ProviderAccount.objects.update(max_concurrent=None)
    ModelConcurrencyLimit.objects.update(max_concurrent=50)


def budget(tickets: int, period: str = TOTAL, **fields: Any) -> TicketBudget:
    return TicketBudget.objects.create(tickets=tickets, period=period, created_at=NOON, **fields)


def queue(count: int, **fields: Any) -> list[Job]:
    return [JobFactory(at=NOON, **fields) for _ in range(count)]


def claimed(at: datetime = NOON) -> set[int]:
    return {lease.job_id for lease in dispatch.claim_due_jobs(at=at)}


def ids(found: Iterable[Job]) -> set[int]:
    return {job.pk for job in found}


def on_hold(**where: Any) -> list[int]:
    return list(Job.objects.filter(held_for="budget", held=True, **where).order_by("pk").values_list("pk", flat=True))


def used(row: TicketBudget, at: datetime = NOON) -> int:
    (found,) = ticket_budgets.standings(TicketBudget.objects.filter(pk=row.pk), at=at)
    return found.used


def a_key(user: User, **fields: Any) -> ApiKey:
    return keys.make(user, NewKey("render farm", ("read", "submit"), **fields), at=NOON, actor=None)[0]


def like(job: Job, count: int) -> None:
    """Add rows like that of a queued job, behind it."""
    others = ("id", "event_seq", "order_key")
    names = ", ".join(str(field.column) for field in Job._meta.concrete_fields if field.column not in others)
    rows = f"SELECT {names}, 1, order_key + number FROM queue_app_job, generate_series(1, {count}) number WHERE id = {job.pk}"
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO queue_app_job ({names}, event_seq, order_key) {rows}")


def fail(job: Job, at: datetime = NOON) -> None:
    with transaction.atomic():
        locked = Job.objects.lock().get(pk=job.pk)
        lifecycle.fail(locked, at=at, actor="worker", trouble=Trouble("x", "It broke."))


def put_back(job: Job, at: datetime = NOON) -> None:
    with transaction.atomic():
        locked, trouble = Job.objects.lock().get(pk=job.pk), Trouble("x", "It broke.")
        lifecycle.put_back(locked, at=at, actor="w", outcome=Outcome.FAILED, spent=True, trouble=trouble, not_before=None)


def told() -> list[str]:
    for message in OutboxMessage.objects.filter(event=announce.BUDGET_REACHED, channel="notices", delivered_at=None):
        delivery.deliver(message.pk, message.tries + 1)
    found = Notice.objects.filter(event=announce.BUDGET_REACHED).order_by("id")
    return list(found.values_list("text", flat=True))


class TestAClaim:
    @pytest.mark.parametrize("scope", ["user", "batch", "key"])
    def test_takes_jobs_until_the_budget_is_used_up_and_holds_the_next_one(self, scope: str) -> None:
        owner = UserFactory()
        row: Any = {"user": owner, "batch": BatchFactory(owner=owner), "key": a_key(owner)}[scope]
        limited = {"owner": owner} | ({} if scope == "user" else {{"batch": "batch", "key": "submitted_with"}[scope]: row})
        found = budget(10, **{scope: row})
        mine, others = queue(4, **limited), queue(3)
        assert claimed() == ids([*mine[:2], *others])
        assert used(found) == 8
        assert on_hold()[0] == mine[2].pk
        ticket_budgets.look(at=NOON)
        assert on_hold() == [job.pk for job in mine[2:]]
        assert claimed() == set()

    def test_gives_the_places_to_others_at_once_however_many_are_ahead(self) -> None:
        owner = UserFactory(tickets=1_000)
        budget(EACH, user=owner)
        jobs, others = queue(60, owner=owner, priority=9), queue(2)
        QueueSettings.objects.update(max_concurrent=3)
        assert claimed() == ids([jobs[0], *others])

    def test_lets_a_cheaper_job_go_that_still_fits(self) -> None:
        owner = UserFactory()
        budget(10, user=owner)
        dear, cheap = JobFactory(owner=owner, tickets=12), JobFactory(owner=owner, tickets=3)
        claimed()
        assert (claimed(), on_hold()) in [({cheap.pk}, [dear.pk]), (set(), [dear.pk])]
        assert fresh(cheap).state == State.SUBMITTING

    def test_costs_one_statement_less_where_nobody_has_a_budget(self) -> None:
        def statements() -> int:
            queue(2)
            with CaptureQueriesContext(connection) as seen:
                assert len(claimed()) == 2
            return len(seen)

        claimed()
        without = statements()
        budget(1_000, user=UserFactory())
        assert statements() == without + 1


class TestWhatCounts:
    def test_is_a_job_from_its_start_until_it_fails_or_is_cancelled(self) -> None:
        owner = UserFactory()
        found = budget(100, user=owner)
        states = (State.QUEUED, State.SUBMITTING, State.RUNNING, State.UNKNOWN, State.STORING, State.COMPLETED)
        sums = []
        for state in (*states, State.FAILED, State.CANCELLED):
            make_job(state, owner=owner)
            sums.append(used(found))
        assert sums == [0, 4, 8, 12, 16, 20, 20, 20]

    def test_is_one_job_once_however_many_attempts_it_needs(self) -> None:
        owner = UserFactory()
        found = budget(EACH, DAY, user=owner)
        job, other = queue(2, owner=owner)
        claimed()
        put_back(job)
        assert used(found) == EACH
        assert claimed() == {job.pk}
        put_back(job)
        ticket_budgets.look(at=MIDNIGHT)
        assert claimed(MIDNIGHT) == {job.pk, other.pk}  # the first one counts in the day before
        assert used(found, MIDNIGHT) == EACH

    def test_is_a_retried_job_at_its_new_price_from_its_new_start(self) -> None:
        owner = UserFactory()
        found = budget(100, user=owner)
        job = make_job(State.FAILED, owner=owner)
        assert used(found) == 0
        jobs.retry(job, at=NOON, actor=owner)
        assert used(found) == 0
        assert claimed() == {job.pk}
        assert used(found) == fresh(job).tickets

    def test_is_still_a_job_that_was_refunded(self) -> None:
        owner = UserFactory()
        found, job = budget(EACH, user=owner), make_job(State.COMPLETED, owner=owner)
        tickets.refund(job, at=NOON, actor="ana", reason="blurred")
        assert used(found) == EACH

    @pytest.mark.parametrize("of", ["user", "key"])
    def test_is_the_same_however_much_of_it_was_counted_before(self, of: str) -> None:
        owner = UserFactory()
        row: Any = {"user": owner, "key": a_key(owner)}[of]
        limited = {"owner": owner} | ({"submitted_with": row} if of == "key" else {})
        found, hour = budget(1_000, **{of: row}), timedelta(hours=1)
        for number, state in enumerate(3 * [State.COMPLETED, State.FAILED, State.CANCELLED, State.COMPLETED, State.RUNNING]):
            make_job(state, at=NOON + number * hour, tickets=number + 1, **limited)
        retried, running = (Job.objects.filter(state=state).order_by("pk")[0] for state in (State.FAILED, State.RUNNING))
        sums = []
        for step in range(12):
            moment = NOON + 3 * step * hour
            if step == 4:
                jobs.retry(retried, at=moment, actor=owner)
                advance(fresh(retried), State.COMPLETED, at=moment, remote_id="again")
            if step == 8:
                fail(running, moment)
            ticket_budgets.count_on(at=moment)
            costs = Job.objects.filter(started_at__isnull=False).exclude(state__in=[State.FAILED, State.CANCELLED])
            assert used(found, moment) == costs.aggregate(tickets=Sum("tickets"))["tickets"]
            sums.append(TicketBudget.objects.get().counted)
        assert 0 < sums[4] < sums[-1] and sums == sorted(sums)


class TestTheDay:
    def test_begins_at_the_reset_time_in_the_zone_of_the_queue(self, settings: Any) -> None:
        settings.QUEUE_TIME_ZONE = "America/New_York"
        row = budget(EACH, DAY, user=UserFactory(), resets_at=time(6))
        assert ticket_budgets.period(row, at=NOON) == (at("2026-11-20 11:00"), at("2026-11-21 11:00"))
        assert ticket_budgets.period(row, at=at("2026-11-20 10:59")) == (at("2026-11-19 11:00"), at("2026-11-20 11:00"))

    @pytest.mark.parametrize(
        ("day", "begins", "ends"),
        [
            ("2026-03-29 12:00", "2026-03-29 01:30", "2026-03-30 00:30"),  # clocks skip 02:30
            ("2026-10-25 12:00", "2026-10-25 00:30", "2026-10-26 01:30"),  # clocks show 02:30 twice
        ],
    )
    def test_is_whole_where_clocks_change(self, settings: Any, day: str, begins: str, ends: str) -> None:
        settings.QUEUE_TIME_ZONE = "Europe/Berlin"
        row = budget(EACH, DAY, user=UserFactory(), resets_at=time(2, 30))
        found = ticket_budgets.period(row, at=at(day))
        assert found == (at(begins), at(ends))
        for moment in (found[0], at(ends) - timedelta(seconds=1)):
            assert ticket_budgets.period(row, at=moment) == found

    def test_releases_what_fits_in_the_next_one_in_the_order_of_the_queue(self) -> None:
        owner = UserFactory()
        budget(2 * EACH, DAY, user=owner)
        mine = queue(6, owner=owner)
        claimed()
        ticket_budgets.look(at=NOON)
        assert dispatch.next_due(at=NOON).claims_at == MIDNIGHT
        assert ticket_budgets.look(at=MIDNIGHT - timedelta(seconds=1)) == 0
        assert ticket_budgets.look(at=MIDNIGHT) == 2
        assert on_hold() == [job.pk for job in mine[4:]]
        assert claimed(MIDNIGHT) == ids(mine[2:4])
        assert dispatch.next_due(at=MIDNIGHT).claims_at == MIDNIGHT + timedelta(days=1)
        assert ticket_budgets.look(at=MIDNIGHT + timedelta(days=1)) == 2
        assert not TicketBudget.objects.filter(held_since__isnull=False)


class TestAJobOnHold:
    def test_keeps_its_position_and_says_what_it_waits_for(self) -> None:
        owner = UserFactory()
        found = budget(EACH, DAY, user=owner)
        _, second, third = queue(3, owner=owner)
        claimed()
        job, looked = fresh(second), waiting.outlook([fresh(second)], at=NOON)
        (blocker,) = looked.waiting_on(job)
        said = Blocker("budget", "user", EACH, EACH, MIDNIGHT, "budget used up", is_pause=True, of=owner.pk)
        assert (blocker, looked.position(job), positions.of_job(fresh(third))) == (said, 1, 1)  # nothing is ahead of either
        assert looked.sentence(job) == "The owner's budget is used up until 2026-11-21 00:00:00 UTC (4 of 4 tickets)."
        estimate = looked.eta(job)
        assert estimate is not None and estimate.p50_seconds is None
        assert used(found) == EACH

    def test_names_all_budgets_that_are_used_up_the_narrower_one_holds_first(self) -> None:
        owner = UserFactory()
        batch = BatchFactory(owner=owner)
        mine, narrow = budget(3 * EACH, DAY, user=owner), budget(EACH, batch=batch)
        queue(1, owner=owner, batch=batch)
        job = JobFactory(owner=owner, batch=batch)
        assert len(claimed()) == 1
        assert [one.key for one in waiting.waiting_on(fresh(job), NOON)] == ["campaign"]
        queue(2, owner=owner)
        claimed()
        assert [one.key for one in waiting.waiting_on(fresh(job), NOON)] == ["user", "campaign"]
        ticket_budgets.save(narrow, {"tickets": 100}, at=NOON, actor=owner)
        assert on_hold() == [job.pk]
        assert [one.key for one in waiting.waiting_on(fresh(job), NOON)] == ["user"]
        assert ticket_budgets.look(at=MIDNIGHT) == 1
        assert claimed(MIDNIGHT) == {job.pk}
        assert used(mine, MIDNIGHT) == EACH

    def test_says_that_it_costs_more_than_the_whole_budget(self) -> None:
        owner = UserFactory()
        budget(EACH - 1, DAY, user=owner)
        job = JobFactory(owner=owner)
        claimed()
        (blocker,) = waiting.waiting_on(fresh(job), NOON)
        assert (blocker.until, blocker.reason) == (None, "this job costs more than the whole budget")
        assert told() == ["Budget reached: 0 of 3 tickets today. 1 job costs more than the whole budget."]

    def test_is_released_once_a_failure_returns_tickets(self) -> None:
        owner = UserFactory()
        budget(EACH, user=owner)
        first, second, third = queue(3, owner=owner)
        claimed()
        ticket_budgets.look(at=NOON)
        fail(first)
        assert ticket_budgets.look(at=NOON) == 1
        assert ticket_budgets.look(at=NOON) == 0  # the one that is released comes first
        assert on_hold() == [third.pk]
        assert claimed() == {second.pk}

    def test_can_be_cancelled(self) -> None:
        owner = UserFactory()
        budget(EACH, user=owner)
        job = queue(2, owner=owner)[1]
        claimed()
        lifecycle.cancel([job.pk], at=NOON, actor="ana")
        assert fresh(job).state == State.CANCELLED and not on_hold()
        ticket_budgets.look(at=NOON)
        assert not TicketBudget.objects.filter(held_since__isnull=False)

    @pytest.mark.parametrize("period", [DAY, TOTAL])
    def test_that_is_cancelled_with_its_whole_batch_leaves_nothing_to_look_at(self, period: str) -> None:
        owner = UserFactory()
        batch = BatchFactory(owner=owner)
        budget(EACH, period, batch=batch)
        started, held = queue(2, owner=owner, batch=batch)
        claimed()
        ticket_budgets.look(at=NOON)
        lifecycle.cancel([held.pk], at=NOON, actor="ana")
        fail(started)
        recovery.sweep(at=NOON)
        ticket_budgets.look(at=NOON)
        assert not TicketBudget.objects.filter(held_since__isnull=False)
        assert dispatch.next_due(at=MIDNIGHT).claims_at is None

    def test_stays_on_hold_while_its_batch_is_paused(self) -> None:
        owner = UserFactory()
        batch = BatchFactory(owner=owner)
        row = budget(EACH, batch=batch)
        job = queue(2, owner=owner, batch=batch)[1]
        claimed()
        policy.pause_batch(batch, at=NOON, actor=owner)
        ticket_budgets.remove(row, at=NOON, actor=owner)
        assert fresh(job).held and not on_hold()
        policy.resume_batch(batch, at=NOON, actor=owner)
        assert claimed() == {job.pk}


class TestARelease:
    def test_comes_before_newer_jobs_that_wait(self) -> None:
        owner = UserFactory()
        budget(EACH, DAY, user=owner)
        first, old = queue(2, owner=owner)
        assert claimed() == {first.pk}
        ticket_budgets.look(at=NOON)
        assert on_hold() == [old.pk]
        new = JobFactory(owner=owner, at=MIDNIGHT)
        assert ticket_budgets.look(at=MIDNIGHT) == 1
        assert claimed(MIDNIGHT) == {old.pk}
        assert on_hold() == [new.pk]

    def test_waits_for_older_jobs_but_not_for_those_of_a_paused_model(self) -> None:
        owner = UserFactory()
        row = budget(EACH, user=owner)
        queue(1, owner=owner)
        claimed()
        old, other = queue(1, owner=owner, priority=1)[0], JobFactory(owner=owner, model_id="manim", tickets=EACH)
        ticket_budgets.look_at(owner.pk, at=NOON)
        assert on_hold() == [old.pk, other.pk]
        holds.release([old.pk], HeldFor.BUDGET, at=NOON, actor="ana", reason="moved by hand")
        TicketBudget.objects.filter(pk=row.pk).update(tickets=2 * EACH)
        assert ticket_budgets.look(at=NOON) == 0
        ModelConcurrencyLimit.objects.filter(model="sora-2").update(paused=True)
        assert ticket_budgets.look(at=NOON) == 1
        assert ticket_budgets.look(at=NOON) == 0
        assert claimed() == {other.pk}

    def test_reaches_jobs_behind_any_number_that_stay(self) -> None:
        owner = UserFactory()
        batch = BatchFactory(owner=owner)
        row = budget(1, user=owner)
        budget(1, batch=batch)
        staying, behind = JobFactory(owner=owner, batch=batch, priority=1), JobFactory(owner=owner)
        claimed()
        ticket_budgets.look(at=NOON)
        with transaction.atomic():
            like(staying, 5_000)
            ticket_budgets.remove(row, at=NOON, actor=owner)
            assert (len(on_hold()), fresh(behind).held) == (5_001, False)
            assert not TicketBudget.objects.filter(lifted=True)
            transaction.set_rollback(True)  # they have no tickets reserved


class TestAChange:
    def used_up(self, **fields: Any) -> tuple[TicketBudget, list[Job]]:
        owner = UserFactory()
        row = budget(EACH, DAY, user=owner, **fields)
        mine = queue(4, owner=owner)
        claimed()
        ticket_budgets.look(at=NOON)
        return row, mine

    def test_that_raises_it_releases_what_fits_and_is_audited(self) -> None:
        row, mine = self.used_up()
        assert ticket_budgets.save(row, {"tickets": 3 * EACH}, at=NOON, actor=UserFactory(username="ana"), reason="launch week")
        assert claimed() == ids(mine[1:3])
        entry = AuditEntry.objects.latest("pk")
        assert (entry.action, entry.before, entry.after) == ("change ticket budget", {"tickets": 4}, {"tickets": 12})

    def test_that_lowers_it_stops_no_running_job(self) -> None:
        owner = UserFactory()
        row, mine = budget(100, user=owner), queue(2, owner=owner)
        claimed()
        ticket_budgets.save(row, {"tickets": 1}, at=NOON, actor=None)
        assert {fresh(job).state for job in mine} == {State.SUBMITTING}
        later = JobFactory(owner=owner)
        assert (claimed(), on_hold()) == (set(), [later.pk])

    def test_that_removes_it_releases_all_in_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        row, mine = self.used_up()
        monkeypatch.setattr(ticket_budgets, "CHUNK", 2)
        ticket_budgets.remove(row, at=NOON, actor=None)
        assert (len(on_hold()), TicketBudget.objects.get().lifted) == (1, True)
        assert waiting.waiting_on(fresh(mine[3]), NOON)[0].limit == "held"
        ticket_budgets.look(at=NOON)
        assert (on_hold(), TicketBudget.objects.count()) == ([], 0)
        assert claimed() == ids(mine[1:])

    def test_leaves_nothing_half_done_where_its_process_dies(self, monkeypatch: pytest.MonkeyPatch) -> None:
        row, _ = self.used_up()

        def dies(*_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(lifecycle, "note_each", dies)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            ticket_budgets.save(row, {"tickets": 100}, at=NOON, actor=None)
        assert (TicketBudget.objects.get().tickets, len(on_hold())) == (EACH, 3)
        job = JobFactory(owner=row.user)
        with pytest.raises(KeyboardInterrupt), transaction.atomic():
            dispatch._claim.__wrapped__(NOON)  # type: ignore[attr-defined]
        assert (job.pk in on_hold(), fresh(job).held) == (False, False)


class TestTelling:
    def test_happens_once_in_a_day_with_the_numbers(self) -> None:
        owner = UserFactory()
        row = budget(2 * EACH, DAY, user=owner)
        first, *_ = queue(5, owner=owner)
        claimed()
        ticket_budgets.look(at=NOON)
        fail(first)
        ticket_budgets.look(at=NOON)
        claimed()
        queue(1, owner=owner)
        claimed()
        assert told() == ["Budget reached: 8 of 8 tickets today. 3 jobs wait until 00:00."]
        ticket_budgets.look(at=MIDNIGHT)
        claimed(MIDNIGHT)
        JobFactory(owner=owner, at=MIDNIGHT)
        claimed(MIDNIGHT)
        ticket_budgets.look(at=MIDNIGHT)
        assert len(told()) == 2
        later = MIDNIGHT + timedelta(hours=1)
        ticket_budgets.save(row, {"tickets": 3 * EACH}, at=later, actor=None)
        queue(2, owner=owner)
        claimed(later)
        assert len(told()) == 3  # a raised budget is reached anew
        assert wants(owner, announce.BUDGET_REACHED, "app") and announce.BUDGET_REACHED in TOPICS

    def test_leads_to_the_page_where_the_budget_is(self) -> None:
        owner = UserFactory()
        budget(EACH, key=(key := a_key(owner)))
        queue(2, owner=owner, submitted_with=key)
        claimed()
        assert told() == ["Budget of API key render farm reached: 4 of 4 tickets. 1 job waits until the budget is raised."]
        assert Notice.objects.get().url == "/keys/"


class TestARow:
    def test_has_exactly_one_scope_and_one_budget_for_each_period(self) -> None:
        owner = UserFactory()
        budget(1, DAY, user=owner)
        budget(1, TOTAL, user=owner)
        for wrong in ({}, {"user": owner, "batch": BatchFactory()}, {"user": owner}):
            with pytest.raises(IntegrityError), transaction.atomic():
                budget(1, **wrong)

    def test_keeps_its_key_as_long_as_jobs_wait_for_it(self) -> None:
        owner = UserFactory()
        key = a_key(owner)
        row = budget(EACH, key=key)
        queue(2, owner=owner, submitted_with=key)
        claimed()
        keys.revoke(key, at=NOON - timedelta(days=60), actor=owner)
        retention.prune(at=NOON)
        assert len(on_hold()) == 1 and ApiKey.objects.filter(pk=key.pk).exists()
        ticket_budgets.remove(row, at=NOON, actor=owner)
        retention.prune(at=NOON)
        assert not ApiKey.objects.filter(pk=key.pk).exists()
        assert set(Job.objects.values_list("submitted_with", flat=True)) == {None}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.processes
def test_many_processes_never_exceed_a_budget_together(transactional_db: None) -> None:
    owner = UserFactory()
    found = budget(5 * EACH + 1, DAY, user=owner)
    with transaction.atomic():
        mine = queue(30, owner=owner)
    taken = [pk for each in claims_at_once() for pk in each]
    assert len(taken) == len(set(taken)) == 5 and set(taken) <= ids(mine)
    assert used(found) == 5 * EACH
