"""Every rule sees what breaks it. The rows are broken behind the triggers' and constraints' backs, and rolled back."""

import json
import subprocess
import sys
from datetime import timedelta
from io import StringIO

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection, transaction

from queue_app import lifecycle, tickets
from queue_app.insight import invariants
from queue_app.insight.invariant_queries import RULES
from queue_app.models import Asset, Job, LedgerEntry, LedgerTransaction, Reservation
from tests.factories import NOON, JobFactory, UserFactory, make_asset, make_job
from tests.settings import ROOT

pytestmark = pytest.mark.django_db

JOB, ATTEMPT, EVENT, REVIEW = "queue_app_job", "queue_app_attempt", "queue_app_jobevent", "queue_app_reviewitem"
WALLET, HOLD, LEDGER, LEG = "queue_app_wallet", "queue_app_reservation", "queue_app_ledgertransaction", "queue_app_ledgerentry"
ANOTHER_ATTEMPT = f"""
    INSERT INTO {ATTEMPT} (id, job_id, reservation_id, step, number, account_id, endpoint_id, preview, token, created_at,
                           called_at, remote_id, remote, spent, lookups_none, lookups, missing_looks, error_kind, error_message,
                           synchronous, cost_source, ended_at, outcome)
    SELECT gen_random_uuid(), job_id, reservation_id, step, {{number}}, account_id, endpoint_id, preview, 'another', created_at,
           called_at, {{remote_id}}, remote, spent, 0, '[]', 0, '', '', synchronous, '', now(),
           {{outcome}} FROM {ATTEMPT}"""
LATER = NOON + timedelta(days=2)

# rule, words of its sentence, the state of the one job there is, what breaks it
BREAKS = [
    ("I1", "sum to 0", "queued", f"UPDATE {LEG} SET amount = amount + 1 WHERE side = 'issued'"),
    ("I1", "sum to 0", "queued", f"DELETE FROM {LEG} WHERE side = 'issued'"),
    ("I2", "below 0", "queued", f"UPDATE {WALLET} SET available = -1"),
    ("I3", "ledger entries", "queued", f"UPDATE {WALLET} SET available = available + 1"),
    ("I3", "ledger entries", "queued", f"UPDATE {WALLET} SET reserved = reserved - 1"),
    ("I4", "held reservations", "queued", f"UPDATE {HOLD} SET amount = amount + 1"),
    ("I5", "exactly one held", "queued", f"UPDATE {HOLD} SET state = 'released', settled_at = now()"),
    ("I5", "exactly one held", "completed", f"UPDATE {HOLD} SET state = 'held', settled_at = NULL"),
    ("I6", "one settle", "completed", f"DELETE FROM {LEDGER} WHERE kind = 'capture'"),
    ("I6", "one settle", "queued", f"UPDATE {LEDGER} SET kind = 'release' WHERE kind = 'reserve'"),
    ("I6", "one settle", "completed", f"UPDATE {HOLD} SET amount = amount + 1"),
    ("I6", "one settle", "failed", f"UPDATE {LEDGER} SET kind = 'capture' WHERE kind = 'release'"),
    ("I7", "means charged", "completed", f"UPDATE {HOLD} SET state = 'released'"),
    ("I7", "means charged", "failed", f"UPDATE {HOLD} SET state = 'captured'"),
    ("I8", "never exceed", "completed", f"UPDATE {LEG} SET amount = 5 WHERE side = 'available' AND amount = 1"),
    ("I8", "never exceed", "completed", f"UPDATE {LEDGER} SET reason = '' WHERE kind = 'refund'"),
    ("I9", "refuse changes", "queued", f"ALTER TABLE {EVENT} DISABLE TRIGGER gq_append_only"),
    ("I9", "is missing", "running", f"DELETE FROM {EVENT} WHERE seq = 2"),
    ("I10", "built from its cause", "queued", f"UPDATE {LEDGER} SET key = 'reserve:job' WHERE kind = 'reserve'"),
    ("I10", "built from its cause", "queued", f"UPDATE {LEDGER} SET reservation_id = NULL WHERE kind = 'reserve'"),
    ("I11", "together", "queued", f"UPDATE {LEG} SET amount = amount + 1 WHERE side = 'reserved'"),
    ("I11", "only from a grant", "queued", f"UPDATE {LEG} SET side = 'issued' WHERE side = 'available' AND amount < 0"),
    ("I12", "every limit", "submitting", f"""UPDATE {EVENT} SET data = '{{"limits": {{"model": [5, 4]}}}}' WHERE seq = 2"""),
    ("I12", "every limit", "submitting", f"UPDATE {EVENT} SET data = '{{}}' WHERE seq = 2"),
    ("I14", "numbered 1..n", "running", f"UPDATE {ATTEMPT} SET number = 2"),
    ("I14", "numbered 1..n", "running", ANOTHER_ATTEMPT.format(number=2, remote_id="NULL", outcome="NULL")),
    ("I14", "its last one", "running", f"UPDATE {JOB} SET attempt_number = 0"),
    ("I15", "to one attempt", "running", ANOTHER_ATTEMPT.format(number=2, remote_id="remote_id", outcome="'failed'")),
    ("I16", "was called", "running", f"UPDATE {ATTEMPT} SET called_at = NULL"),
    ("I17", "without a delivery", "completed", ANOTHER_ATTEMPT.format(number=2, remote_id="NULL", outcome="'failed'")),
    ("I17", "two saved proofs", "unknown", f"UPDATE {ATTEMPT} SET outcome = 'not_accepted', ended_at = now()"),
    ("I17", "Any other job has none", "running", f"UPDATE {ATTEMPT} SET outcome = 'failed', ended_at = now()"),
    ("I17", "Any other job has none", "completed", f"UPDATE {ATTEMPT} SET outcome = NULL"),
    ("I19", "two sweeps", "running", f"UPDATE {JOB} SET next_check_at = '{NOON - timedelta(seconds=11)}'"),
    ("I19", "two sweeps", "submitting", f"UPDATE {JOB} SET lease_until = '{NOON - timedelta(seconds=11)}'"),
    ("I19", "two sweeps", "storing", f"UPDATE {JOB} SET lease_until = NULL, next_check_at = NULL"),
    ("I19", "review item", "unknown", f"UPDATE {REVIEW} SET closed_at = now()"),
    ("I20", "past its timeout", "running", f"UPDATE {ATTEMPT} SET accepted_at = '{NOON - timedelta(seconds=1_211)}'"),
    ("I20", "past its timeout", "cancelling", f"UPDATE {ATTEMPT} SET accepted_at = '{NOON - timedelta(seconds=2_411)}'"),
    ("I41", "the same medium", "queued", f"UPDATE {JOB} SET kind_id = 'image'"),
    ("I43", "its client requested", "queued", f"UPDATE {JOB} SET client_not_before = '{NOON + timedelta(hours=1)}'"),
    ("I43", "after its deadline", "queued", f"UPDATE {JOB} SET deadline = '{NOON - timedelta(seconds=11)}'"),
    ("I44", "looked at again", "queued", f"UPDATE {JOB} SET held = true, held_for = 'budget'"),
    ("I23", "one event", "running", f"UPDATE {JOB} SET state = 'storing'"),
    ("I23", "one event", "running", f"UPDATE {EVENT} SET from_state = 'queued', to_state = 'cancelled' WHERE seq = 2"),
    ("I23", "one event", "queued", f"UPDATE {EVENT} SET actor = ''"),
    ("I24", "known transitions", "running", f"UPDATE {EVENT} SET to_state = 'completed' WHERE seq = 2"),
    (
        "I25",
        "only by a retry",
        "completed",
        f"UPDATE {EVENT} SET from_state = 'completed', to_state = 'queued' WHERE seq = 4",
    ),
    ("I33", "at least one saved asset", "completed", "DELETE FROM queue_app_asset"),
    ("I33", "at least one saved asset", "completed", "UPDATE queue_app_asset SET kind = 'thumbnail'"),
    ("I33", "allow-list", "completed", "UPDATE queue_app_asset SET size = 0"),
    ("I33", "allow-list", "completed", "UPDATE queue_app_asset SET sha256 = ''"),
    ("I33", "allow-list", "completed", "UPDATE queue_app_asset SET content_type = 'image/svg+xml'"),
    ("I33", "allow-list", "completed", "UPDATE queue_app_asset SET name = '../../etc/passwd'"),
]
# what PostgreSQL itself holds, put aside
CONSTRAINTS = {
    WALLET: ["wallet_available_not_below_0", "wallet_reserved_not_below_0"],
    LEG: ["ledger_entry_moves_something"],
    "queue_app_asset": ["asset_is_not_empty"],
}
INDEXES = ["attempt_one_without_outcome", "reservation_one_held_per_job"]


def broken_by(*statements, at=None, files=False):
    """What `check` finds once the statements have been run; nothing of them stays."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table, names in CONSTRAINTS.items():
            for name in names:
                cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        cursor.execute("DROP INDEX provider_task_of_one_attempt")
        for name in INDEXES:
            cursor.execute(f"DROP INDEX {name}")
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)
        found = invariants.check(at=at, files=files)
        transaction.set_rollback(True)
    return found


class TestCheck:
    @pytest.mark.parametrize(
        ("rule", "words", "state", "statement"), BREAKS, ids=[f"{row[0]} {row[1]} {row[2]}" for row in BREAKS]
    )
    def test_sees_what_is_broken(self, rule, words, state, statement):
        job = make_job(state)
        if state == "completed":
            tickets.refund(job, at=NOON, actor="staff", reason="a gift", amount=1)

        found = broken_by(statement, at=NOON)

        (offender,) = [one for one in found if one.rule.id == rule and words in one.rule.sentence]
        assert offender.rows and offender.rows[0]["id"]

    def test_has_a_test_for_each_rule(self):
        seen = {rule for rule in RULES for id_, words, *_ in BREAKS if rule.id == id_ and words in rule.sentence}

        assert seen == set(RULES)

    def test_names_the_job_that_is_broken_and_no_other(self):
        job, _ = make_job("running"), make_job("running")

        found = broken_by(f"UPDATE {ATTEMPT} SET called_at = NULL WHERE job_id = {job.pk}")

        assert [row["id"] for row in found[0].rows] == [job.pk]

    @pytest.mark.parametrize("state", ["queued", "submitting", "running", "unknown", "cancelling", "storing"])
    def test_finds_nothing_wrong_with_an_open_job(self, state):
        make_job(state)

        assert invariants.check(at=NOON) == []

    def test_finds_nothing_wrong_with_a_rich_history(self):
        owner = UserFactory()
        done, failed = make_job("completed", owner=owner), make_job("failed", owner=owner)
        tickets.refund(done, at=NOON, actor="staff", reason="a gift", amount=1)
        tickets.refund(done, at=NOON, actor="staff", reason="all of it")
        with transaction.atomic():
            lifecycle.queue_again([Job.objects.lock().get(pk=failed.pk)], at=NOON, actor="user")
        lifecycle.cancel([failed.pk], at=NOON, actor="user")
        make_job("cancelled")
        running = make_job("running")
        lifecycle.force_fail([running.pk], at=NOON, actor="staff", reason="stuck")

        assert invariants.check(at=LATER) == []

    def test_leaves_out_what_compares_with_the_present_unless_told_the_time(self):
        make_job("running")

        assert invariants.check(at=None) == []
        assert {offender.rule.id for offender in invariants.check(at=LATER)} == {"I19", "I20"}

    def test_misses_the_object_of_an_asset(self, settings, tmp_path):
        settings.MEDIA_ROOT = str(tmp_path)
        there, gone, expired = make_job("completed"), make_job("completed"), make_job("completed")
        default_storage.save(there.assets.get().name, ContentFile(b"film"))
        Asset.objects.filter(job=expired).update(expired_at=NOON)

        (offender,) = invariants.check(at=None, files=True)

        assert (offender.rule.id, [row["job"] for row in offender.rows]) == ("I34", [gone.pk])

    def test_tells_at_most_a_hundred_rows(self):
        JobFactory.create_batch(3, owner=UserFactory(tickets=10_000))

        found = broken_by(
            f"INSERT INTO {LEDGER} (key, kind, wallet_id, at, actor, reason) "
            f"SELECT 'wrong' || n, 'grant', (SELECT id FROM {WALLET} LIMIT 1), now(), 'tests', '' FROM generate_series(1, 150) n"
        )

        assert {offender.rule.id: len(offender.rows) for offender in found} == {"I1": 100, "I10": 100}


class TestTheCommand:
    def run(self, *arguments):
        output = StringIO()
        try:
            call_command("check_invariants", *arguments, stdout=output)
        except SystemExit as ended:
            return ended.code, output.getvalue()
        return 0, output.getvalue()

    def test_says_ok_for_each_rule(self):
        UserFactory()

        status, output = self.run()

        assert (status, len(output.splitlines())) == (0, len(RULES) + 1)
        assert "BROKEN" not in output

    def test_names_offenders_and_leaves_with_status_1(self):
        job = make_job("completed")  # the factory stores no file

        status, output = self.run()

        assert status == 1
        assert "BROKEN I34" in output and f"job {job.pk}" in output

    def test_tells_it_in_json_too(self):
        job = make_job("completed")

        status, output = self.run("--json")

        said = json.loads(output)
        assert (status, said["holds"]) == (1, False)
        assert [rule["offenders"][0]["job"] for rule in said["rules"] if rule["offenders"]] == [job.pk]


@pytest.mark.django_db(transaction=True)
def test_the_command_leaves_with_status_1_as_a_process(process_environment):
    job = make_job("completed")
    command = [sys.executable, "manage.py", "check_invariants"]

    done = subprocess.run(command, env=process_environment, cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, f"job {job.pk}" in done.stdout) == (1, True), done.stderr


class TestTheLedger:
    def test_of_a_captured_job_is_what_the_rules_expect(self):
        job = make_job("completed")
        held = Reservation.objects.get(job=job)

        keys = LedgerTransaction.objects.filter(reservation=held).values_list("key", flat=True)

        assert set(keys) == {f"reserve:{held.pk}", f"settle:{held.pk}"}
        assert sum(LedgerEntry.objects.values_list("amount", flat=True)) == 0
        assert make_asset(job).kind == "video"
