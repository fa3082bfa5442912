"""Changes that PostgreSQL itself refuses: illegal moves, changes without events, rewritten history, tickets from nowhere."""

import itertools

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from queue_app.lifecycle import MOVES
from queue_app.models import AuditEntry, Job, JobEvent, LedgerEntry, LedgerTransaction, Reservation, State, Wallet
from tests.factories import NOON, UserFactory, make_job

pytestmark = pytest.mark.django_db

TERMINAL = "('completed', 'failed', 'cancelled')"
MOVE = f"""
    UPDATE queue_app_job SET state = %(to)s, event_seq = event_seq + 1,
           ended_at = CASE WHEN %(to)s IN {TERMINAL} THEN now() END WHERE id = %(job)s
"""
TELL = """
    INSERT INTO queue_app_jobevent (job_id, seq, at, from_state, to_state, actor, reason, data)
    SELECT id, coalesce(%(seq)s, event_seq), now(), %(before)s, %(to)s, 'tests', '', '{}' FROM queue_app_job WHERE id = %(job)s
"""


def run(*statements, **values):
    """Run SQL in one transaction and check its deferred constraints, too."""
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, values or None)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")


def refused(words, *statements, **values):
    with pytest.raises(DatabaseError, match=words):
        run(*statements, **values)


class TestMovesOfJobs:
    @pytest.mark.parametrize("before", State.values)
    def test_the_database_allows_what_lifecycle_allows_and_nothing_else(self, before):
        job = make_job(before)
        for to in State.values:
            if to == before:
                continue
            told = {"job": job.pk, "before": before, "to": to, "seq": None}
            try:
                with transaction.atomic():
                    run(MOVE, TELL, **told)
                    allowed = True
                    transaction.set_rollback(True)
            except DatabaseError as error:
                assert "(I24)" in str(error)
                allowed = False
            assert allowed == (to in MOVES[before]), f"{before} > {to}"

    @pytest.mark.parametrize("state", [state for state in State.values if state != State.QUEUED])
    def test_a_job_begins_queued(self, state):
        job = make_job()

        refused(r"begins queued", "CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM queue_app_job WHERE id = %(job)s",
                "UPDATE copy SET id = -id, state = %(state)s, ended_at = CASE WHEN state IN ('completed') THEN now() END",
                "INSERT INTO queue_app_job SELECT * FROM copy", job=job.pk, state=state)  # fmt: skip

    def test_a_job_begins_with_its_first_event(self):
        copy = "CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM queue_app_job WHERE id = %(job)s"

        refused("I23", copy, "UPDATE copy SET id = -id, event_seq = 0", "INSERT INTO queue_app_job SELECT * FROM copy",
                job=make_job().pk)  # fmt: skip
        refused("I23", copy, "UPDATE copy SET id = -id", "INSERT INTO queue_app_job SELECT * FROM copy", job=make_job().pk)


class TestOneEventForEachChange:
    def test_a_change_without_an_event_is_refused_when_it_ends(self):
        refused(r"no event 2 from .queued. to .submitting.", MOVE, job=make_job().pk, to="submitting")

    def test_a_change_that_does_not_count_is_refused_at_once(self):
        refused("without an event", "UPDATE queue_app_job SET state = 'submitting' WHERE id = %(job)s", job=make_job().pk)

    def test_an_event_without_a_change_is_refused(self):
        told = {"job": make_job().pk, "before": "queued", "to": "submitting"}

        refused("an event without its change", TELL, seq=2, **told)
        refused("an event without its change", TELL, seq=0, **told)

    def test_two_events_for_one_change_are_refused(self):
        told = {"job": make_job().pk, "before": "queued", "to": "submitting", "seq": None}

        refused("job_event_in_order", MOVE, TELL, TELL, **told)
        refused("without its change", MOVE, TELL, TELL.replace("coalesce(%(seq)s, event_seq)", "event_seq + 1"), **told)

    @pytest.mark.parametrize(("before", "to"), [("running", "submitting"), ("queued", "cancelled"), ("", "submitting")])
    def test_an_event_that_tells_another_change_is_refused(self, before, to):
        refused("I23", MOVE.replace("%(to)s", "'submitting'"), TELL, job=make_job().pk, before=before, to=to, seq=None)

    def test_events_are_not_counted_in_leaps(self):
        refused("one event at a time", "UPDATE queue_app_job SET event_seq = event_seq + 2 WHERE id = %(job)s", job=make_job().pk)
        refused("one event at a time", "UPDATE queue_app_job SET event_seq = event_seq - 1 WHERE id = %(job)s", job=make_job().pk)

    def test_two_changes_in_one_transaction_need_an_event_each(self):
        told = {"job": make_job().pk, "before": "queued", "to": "submitting", "seq": None}

        refused("I23", MOVE, TELL, MOVE.replace("%(to)s", "'running'"), **told)

    def test_a_note_is_an_event_that_changes_nothing(self):
        job = make_job()

        run("UPDATE queue_app_job SET event_seq = event_seq + 1 WHERE id = %(job)s", TELL,
            job=job.pk, before="queued", to="queued", seq=None)  # fmt: skip

        assert job.events.count() == 2


class TestHistory:
    @pytest.mark.parametrize("table", ["jobevent", "ledgertransaction", "ledgerentry", "auditentry"])
    def test_is_never_changed_or_deleted(self, table):
        make_job()
        AuditEntry.objects.create(at=NOON, actor_name="tests", action="look", target="nothing")

        refused("append-only", f"DELETE FROM queue_app_{table}")
        refused("append-only", f"UPDATE queue_app_{table} SET id = id")

    @pytest.mark.parametrize("model", [JobEvent, LedgerEntry])
    def test_nor_by_the_orm(self, model):
        make_job()

        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            model.objects.order_by("-pk")[0].delete()

    def test_a_job_with_a_history_is_not_deleted(self):
        refused("foreign key", "DELETE FROM queue_app_job WHERE id = %(job)s", job=make_job().pk)


class TestTheLedger:
    @pytest.fixture
    def wallet(self):
        return Wallet.objects.get(owner=UserFactory())

    @staticmethod
    def book(wallet, *legs):
        with transaction.atomic():
            entry = LedgerTransaction.objects.create(key="grant:x", kind="grant", wallet=wallet, at=NOON, actor="tests")
            for side, amount in legs:
                LedgerEntry.objects.create(transaction=entry, wallet=wallet, side=side, amount=amount)
            run()

    @pytest.mark.parametrize(
        ("legs", "words"),
        [
            ([], "has 0 entries"),
            ([("available", 5)], "has 1 entries that sum to 5"),
            ([("available", 5), ("issued", -4)], "has 2 entries that sum to 1"),
            ([("available", 5), ("available", 5), ("issued", -9)], "has 3 entries that sum to 1"),
        ],
    )
    def test_a_transaction_that_does_not_sum_to_zero_is_refused(self, wallet, legs, words):
        with pytest.raises(DatabaseError, match=words):
            self.book(wallet, *legs)

    def test_no_entry_is_zero(self, wallet):
        with pytest.raises(IntegrityError, match="ledger_entry_moves_something"):
            self.book(wallet, ("available", 0), ("issued", 0))

    def test_no_leg_is_added_later(self, wallet):
        self.book(wallet, ("available", 5), ("issued", -5))
        entry = LedgerTransaction.objects.get(key="grant:x")

        with pytest.raises(DatabaseError, match="sum to 7"), transaction.atomic():
            LedgerEntry.objects.create(transaction=entry, wallet=wallet, side="available", amount=7)
            run()

    def test_one_cause_is_booked_once(self, wallet):
        self.book(wallet, ("available", 5), ("issued", -5))

        with pytest.raises(IntegrityError, match="key"):
            self.book(wallet, ("available", 5), ("issued", -5))

    @pytest.mark.parametrize("column", ["available", "reserved"])
    def test_a_wallet_is_never_below_zero(self, wallet, column):
        with pytest.raises(IntegrityError, match=f"wallet_{column}_not_below_0"):
            Wallet.objects.filter(pk=wallet.pk).update(**{column: -1})


class TestConstraints:
    def test_a_job_has_one_held_reservation(self):
        job = make_job()

        with pytest.raises(IntegrityError, match="reservation_one_held_per_job"):
            Reservation.objects.create(job=job, wallet=Wallet.objects.get(owner=job.owner), amount=1, created_at=NOON)

    def test_a_job_has_one_attempt_without_an_outcome(self):
        job = make_job("running")

        refused("attempt_one_without_outcome", """
            CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM queue_app_attempt WHERE job_id = %(job)s;
            UPDATE copy SET id = gen_random_uuid(), number = 2, token = 'x', remote_id = NULL;
            INSERT INTO queue_app_attempt SELECT * FROM copy""", job=job.pk)  # fmt: skip

    def test_a_provider_task_belongs_to_one_attempt(self):
        make_job("running", remote_id="video_1")

        with pytest.raises(IntegrityError, match="provider_task_of_one_attempt"):
            make_job("running", remote_id="video_1")

    def test_a_job_has_ended_exactly_when_it_is_terminal(self):
        with pytest.raises(IntegrityError, match="job_ended_exactly_when_terminal"):
            Job.objects.filter(pk=make_job().pk).update(ended_at=NOON)

    @pytest.mark.parametrize("limit", [0, 51])
    def test_a_model_s_limit_is_1_to_50(self, limit):
        refused("model_limit_is_1_to_50", "UPDATE queue_app_modelconcurrencylimit SET max_concurrent = %(limit)s", limit=limit)

    def test_settings_are_one_row(self):
        refused("queue_settings_is_one_row", "UPDATE queue_app_queuesettings SET id = 2")


def test_every_state_has_its_moves():
    assert set(MOVES) == {"", *State.values}
    assert all(to in State.values for to in itertools.chain(*MOVES.values()))
