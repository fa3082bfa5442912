"""Tickets: reservations, charges, refunds and grants. The sums are right after any sequence, also of concurrent calls."""

import threading
from collections import Counter
from contextlib import closing

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queue_app import lifecycle, tickets
from queue_app.models import Job, LedgerEntry, LedgerTransaction, Reservation, User, Wallet
from queue_app.tickets import NotEnoughTickets, RefundRefused
from tests.factories import NOON, JobFactory, UserFactory, begun, make_asset, make_job

Side = LedgerEntry.Side


def refund(job, amount=None, reason="it was blurred"):
    return tickets.refund(job, at=NOON, actor="staff", reason=reason, amount=amount)


def check_sums() -> None:
    """Check I1 to I8, I10 and I11 on the rows."""
    entries = list(LedgerEntry.objects.select_related("transaction"))
    for movement in LedgerTransaction.objects.prefetch_related("entries"):
        amounts = [entry.amount for entry in movement.entries.all()]
        assert len(amounts) >= 2 and sum(amounts) == 0 and all(amounts), "I1"
        assert {entry.wallet_id for entry in movement.entries.all()} == {movement.wallet_id}
    assert sum(entry.amount for entry in entries) == 0, "I11"
    assert {entry.transaction.kind for entry in entries if entry.side == Side.ISSUED} <= {"grant"}, "I11"
    for wallet in Wallet.objects.all():
        sums = Counter(dict.fromkeys(Side.values, 0))
        for entry in entries:
            sums[entry.side] += entry.amount * (entry.wallet_id == wallet.pk)
        assert (wallet.available, wallet.reserved) == (sums[Side.AVAILABLE], sums[Side.RESERVED]), "I3"
        assert min(wallet.available, wallet.reserved) >= 0, "I2"
        held = wallet.reservations.filter(state="held").aggregate(sum=Sum("amount"))["sum"] or 0
        assert wallet.reserved == held, "I4"
    for job in Job.objects.prefetch_related("reservations"):
        held = [hold for hold in job.reservations.all() if hold.state == "held"]
        assert len(held) == job.is_open, "I5"
        if not job.is_open:
            last = max(job.reservations.all(), key=lambda hold: hold.pk)
            assert last.state == ("captured" if job.state == "completed" else "released"), "I7"
    for hold in Reservation.objects.prefetch_related("transactions__entries"):
        check_hold(hold)


def check_hold(hold: Reservation) -> None:
    movements = list(hold.transactions.all())
    kinds = Counter(movement.kind for movement in movements)
    assert kinds["reserve"] == 1 and kinds["capture"] + kinds["release"] == (hold.state != "held"), "I6"
    for movement in movements:
        size = sum(entry.amount for entry in movement.entries.all() if entry.amount > 0)
        assert movement.kind == "refund" or size == hold.amount, "I6"
    refunds = [movement for movement in movements if movement.kind == "refund"]
    given_back = sum(entry.amount for one in refunds for entry in one.entries.all() if entry.side == Side.AVAILABLE)
    assert given_back <= (hold.amount if hold.state == "captured" else 0), "I8"
    assert all(one.actor and one.reason for one in refunds), "I8"
    keys = {f"reserve:{hold.pk}", f"settle:{hold.pk}", *(f"refund:{hold.pk}:{n}" for n in range(1, len(refunds) + 1))}
    assert {movement.key for movement in movements} == keys - ({f"settle:{hold.pk}"} if hold.state == "held" else set()), "I10"


@pytest.mark.django_db
class TestAnyOrderOfMovements:
    STEPS = st.tuples(
        st.sampled_from(["grant", "enter", "enter", "cancel", "complete", "fail", "refund", "retry"]),
        st.integers(min_value=0, max_value=5),
        st.integers(min_value=1, max_value=9),
    )

    @given(steps=st.lists(STEPS, max_size=14))
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    def test_keeps_every_sum(self, steps):
        with transaction.atomic():
            owners = [UserFactory(tickets=12), UserFactory(tickets=0)]
            jobs: list[Job] = []
            for verb, which, amount in steps:
                with_owner = owners[which % 2]
                try:
                    with transaction.atomic():
                        self.do(verb, with_owner, jobs, which, amount)
                except (NotEnoughTickets, RefundRefused, lifecycle.MoveRefused):
                    check_sums()
            check_sums()
            transaction.set_rollback(True)

    @staticmethod
    def do(verb: str, owner: User, jobs: list[Job], which: int, amount: int) -> None:
        if verb == "grant":
            tickets.grant(owner, amount, at=NOON, actor="staff", reason="to spend")
        elif verb == "enter":
            jobs.append(JobFactory(owner=owner, tickets=amount))
        elif jobs:
            job = Job.objects.lock().get(pk=jobs[which % len(jobs)].pk)
            if verb == "cancel":
                lifecycle.cancel([job.pk], at=NOON, actor="user")
            elif verb == "complete" and job.state == "queued":
                complete(job)
            elif verb == "fail" and job.is_open:
                lifecycle.force_fail([job.pk], at=NOON, actor="staff", reason="it hangs")
            elif verb == "refund":
                refund(job, amount)
            elif verb == "retry":
                job.tickets = amount
                lifecycle.queue_again([job], at=NOON, actor="user")


def complete(job: Job) -> None:
    started, attempt, _ = begun(job)
    lifecycle.start(started, at=NOON, actor="worker", remote_id=str(attempt.pk), remote={}, next_check_at=NOON)
    lifecycle.deliver(started, at=NOON, actor="worker", ran_seconds=9.0)
    lifecycle.complete(started, [make_asset(started)], at=NOON, actor="worker", stages=[])


@pytest.mark.django_db
class TestGrant:
    def test_brings_tickets_in(self):
        owner = UserFactory(tickets=0)

        tickets.grant(owner, 5, at=NOON, actor="staff", reason="to spend")

        assert tickets.balances(owner) == {"available": 5, "reserved": 0, "captured": 0, "refunded": 0}
        assert sorted(LedgerEntry.objects.values_list("side", "amount")) == [("available", 5), ("issued", -5)]

    def test_with_the_same_key_grants_once(self):
        owner = UserFactory(tickets=0)

        first, second = (tickets.grant(owner, 5, at=NOON, actor="staff", reason="June", key="june") for _ in range(2))

        assert first == second and first.key == "grant:june"
        assert tickets.balances(owner)["available"] == 5

    @pytest.mark.parametrize(("amount", "reason"), [(0, "why"), (-3, "why"), (10**12, "why"), (5, ""), (5, " \n")])
    def test_needs_a_sound_amount_and_a_reason(self, amount, reason):
        owner = UserFactory(tickets=0)

        with pytest.raises(ValueError, match=r"Enter 1 to 1,000,000,000 tickets|Enter a reason"):
            tickets.grant(owner, amount, at=NOON, actor="staff", reason=reason)

        assert not Wallet.objects.exists()

    def test_a_long_reason_is_cut(self):
        assert len(tickets.grant(UserFactory(tickets=0), 1, at=NOON, actor="staff", reason="x" * 900).reason) == 500


@pytest.mark.django_db
class TestBalances:
    def test_of_an_account_without_a_wallet_are_zeros_and_make_none(self):
        assert set(tickets.balances(UserFactory(tickets=0)).values()) == {0}
        assert not Wallet.objects.exists()

    def test_tell_what_was_charged_and_given_back(self):
        owner = UserFactory(tickets=20)
        make_job("queued", owner=owner)
        refund(make_job("completed", owner=owner), 1)
        make_job("completed", owner=owner)

        assert tickets.balances(owner) == {"available": 9, "reserved": 4, "captured": 8, "refunded": 1}


@pytest.mark.django_db
class TestReserve:
    def test_says_what_is_missing(self):
        with pytest.raises(NotEnoughTickets, match="Ask staff for tickets") as refused:
            JobFactory(owner=UserFactory(tickets=3), tickets=4)

        assert (refused.value.needed, refused.value.available, refused.value.missing) == (4, 3, 1)

    def test_leaves_no_wallet_behind_for_who_cannot_pay(self):
        owner = UserFactory(tickets=0)

        with pytest.raises(NotEnoughTickets):
            JobFactory(owner=owner)

        assert not Wallet.objects.filter(owner=owner).exists()

    def test_takes_the_last_ticket(self):
        owner = UserFactory(tickets=4)

        JobFactory(owner=owner, tickets=4)

        assert tickets.balances(owner)["available"] == 0


@pytest.mark.django_db
class TestRefund:
    def test_gives_back_all_that_is_left_when_no_amount_is_said(self):
        job = make_job("completed")
        refund(job, 1)

        movement = refund(job)

        assert movement.key == f"refund:{movement.reservation_id}:2"
        assert tickets.balances(job.owner)["refunded"] == 4

    @pytest.mark.parametrize("amount", [0, -1, 4, 10**12])
    def test_is_never_more_than_what_is_left(self, amount):
        job = make_job("completed")
        refund(job, 1)

        with pytest.raises(RefundRefused, match=r"charged 4 tickets, 1 already refunded. Enter 1 to 3"):
            refund(job, amount)

    def test_of_all_is_the_last(self):
        job = make_job("completed")
        refund(job)

        with pytest.raises(RefundRefused):
            refund(job)

    @pytest.mark.parametrize("state", ["queued", "running", "failed", "cancelled"])
    def test_of_what_was_not_charged_is_refused(self, state):
        with pytest.raises(RefundRefused, match="has not been charged"):
            refund(make_job(state))

    def test_needs_a_reason(self):
        with pytest.raises(RefundRefused, match="Enter a reason"):
            refund(make_job("completed"), reason=" ")

    def test_leaves_the_job_completed(self):
        job = make_job("completed")

        refund(job)

        job.refresh_from_db()
        assert job.state == "completed"


@pytest.mark.django_db
class TestSettle:
    @pytest.mark.parametrize("first", ["captured", "released"])
    @pytest.mark.parametrize("second", ["complete", "fail"])
    def test_happens_once(self, first, second):
        job = make_job("storing")
        Reservation.objects.filter(job=job).update(state=first, settled_at=NOON)
        entries = LedgerEntry.objects.count()

        with pytest.raises(RuntimeError, match="I5"), transaction.atomic():
            locked = Job.objects.lock().get(pk=job.pk)
            if second == "complete":
                lifecycle.complete(locked, [make_asset(locked)], at=NOON, actor="worker", stages=[])
            else:
                lifecycle.fail(locked, at=NOON, actor="worker", trouble=lifecycle.Trouble("failed", "It failed."))

        job.refresh_from_db()
        assert job.state == "storing" and LedgerEntry.objects.count() == entries
        Reservation.objects.filter(job=job).update(state="held", settled_at=None)


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """Concurrent calls, in threads with their own connections."""

    def together(self, count, act):
        barrier, results, lock = threading.Barrier(count), [], threading.Lock()

        def one() -> None:
            with closing(connection):
                connection.ensure_connection()
                barrier.wait(timeout=20)
                try:
                    found = act()
                except (NotEnoughTickets, RefundRefused) as refused:
                    found = type(refused)
                with lock:
                    results.append(found)

        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert len(results) == count
        return results

    def test_reserving_never_overdraws(self):
        owner = UserFactory(tickets=10)

        results = self.together(6, lambda: JobFactory(owner=owner, tickets=4).pk)

        assert results.count(NotEnoughTickets) == 4
        assert tickets.balances(owner) == {"available": 2, "reserved": 8, "captured": 0, "refunded": 0}
        check_sums()

    def test_refunding_gives_back_once(self):
        job = make_job("completed")

        results = self.together(4, lambda: refund(job).key)

        assert results.count(RefundRefused) == 3
        check_sums()

    def test_a_first_grant_makes_one_wallet(self):
        owner = UserFactory(tickets=0)

        self.together(4, lambda: tickets.grant(owner, 5, at=NOON, actor="staff", reason="June", key="june").key)

        assert tickets.balances(owner)["available"] == 5
        check_sums()
