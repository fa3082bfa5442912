"""Concurrent claims by eight processes under one limit, and the rows a claim reads in a long queue."""

import json
import multiprocessing
import re
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction

from queue_app import lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import Batch, Job, Kind, ModelConcurrencyLimit, Outcome, ProviderAccount, QueueSettings, State, User
from queue_app.models import job as job_module
from queue_app.models.settings import QueueSettingsQuerySet
from queue_app.statements import Statement
from queue_app.work import dispatch
from tests.factories import NOON, BatchFactory, JobFactory, UserFactory, make_job

FORK = multiprocessing.get_context("fork")
PROCESSES, QUEUED, LIMIT = 8, 200, 4
LATER = NOON + timedelta(days=1)


def claims_at_once(*, locked: bool = True) -> list[list[int]]:
    """Let eight processes with their own connections claim at the same moment; return what each of them claimed."""
    connection.close()  # so that no fork shares it
    barrier, answers = FORK.Barrier(PROCESSES), FORK.Queue()
    processes = [FORK.Process(target=claim, args=(barrier, answers, locked)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    claimed = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=20)
    return claimed


def claim(barrier, answers, locked: bool) -> None:
    """Claim once, in a process of its own, with or without the claim lock."""
    if not locked:
        QueueSettingsQuerySet.lock_claims = lambda rows, **_: rows.get(pk=1)
    connection.ensure_connection()
    barrier.wait(timeout=30)
    leases = None
    while leases is None:
        try:
            leases = dispatch.claim_due_jobs(at=NOON)
        except dispatch.ClaimsLocked as busy:  # the others needed more than a second: claim again, as the dispatcher does
            print(busy)
    answers.put([lease.job_id for lease in leases])
    connection.close()


def put_all_back():
    """Restore the queue for the next round."""
    for job in Job.objects.filter(state=State.SUBMITTING):
        with transaction.atomic():
            locked = Job.objects.lock().get(pk=job.pk)
            lifecycle.put_back(
                locked,
                at=NOON,
                actor="tests",
                outcome=Outcome.NOT_ACCEPTED,
                spent=False,
                trouble=Trouble("x", "x"),
                not_before=None,
            )


def queue(*models):
    owner = UserFactory(tickets=QUEUED)
    jobs = [JobFactory.build(owner=owner, model_id=models[n % len(models)], tickets=1) for n in range(QUEUED)]
    lifecycle.enter(jobs, at=NOON, actor="user")


@pytest.mark.processes
class TestEightProcessesAtOnce:
    def test_claim_what_the_limit_allows_and_more_without_the_lock(self, transactional_db, figures):
        """A model's limit, then the limit of an account that two models share, then the first one without the claim lock."""
        QueueSettings.objects.update(max_concurrent=QUEUED)
        queue("manim")
        of_a_model = claims_at_once()
        assert sorted(len(claimed) for claimed in of_a_model) == [0] * (PROCESSES - 1) + [LIMIT]
        assert Job.objects.filter(state=State.SUBMITTING).count() == LIMIT
        put_all_back()

        unlocked = self.claims_without_the_lock()
        put_all_back()
        Job.objects.filter(state=State.QUEUED).update(held=True)

        ModelConcurrencyLimit.objects.filter(model__in=["sora-2", "sora-2-pro"]).update(max_concurrent=50)
        queue("sora-2", "sora-2-pro")
        of_an_account = claims_at_once()
        assert sum(len(claimed) for claimed in of_an_account) == LIMIT
        assert set(Job.objects.filter(state=State.SUBMITTING).values_list("model", flat=True)) == {"sora-2", "sora-2-pro"}
        told = [
            job.events.latest("seq").data["limits"]["account"]
            for job in Job.objects.filter(state=State.SUBMITTING).order_by("pk")
        ]
        assert told == [[n, LIMIT] for n in range(1, LIMIT + 1)]
        Job.objects.update(held=False)

        figures(
            f"{PROCESSES} processes, {QUEUED} queued, limit {LIMIT}: claimed {sum(map(len, of_a_model))} under a model's, "
            f"{sum(map(len, of_an_account))} under an account's of two models, {unlocked} with the lock taken out"
        )

    def claims_without_the_lock(self) -> int:
        """Claim without the lock until two claims overlap: proves that the test above can detect it."""
        for _ in range(10):
            claimed = [pk for pks in claims_at_once(locked=False) for pk in pks]
            if len(claimed) > LIMIT:
                return len(claimed)
            put_all_back()
        pytest.fail("Without the lock no two claims overlapped: this test proves nothing.")


LONG_QUEUE = """
    INSERT INTO queue_app_job (owner_id, batch_id, kind_id, model_id, prompt, parameters, metadata, priority,
        priority_reasons, order_key, held, not_before, state, event_seq, attempt_number, fence, lease_taken, leased_by,
        worker_deaths, store_tries, cancel_reason, error_code, error_message, preview, tickets, usd_estimate, queued_at, ended_at)
    SELECT CASE WHEN n <= blocked THEN %(owner)s ELSE (%(others)s::bigint[])[1 + n %% %(count)s] END,
        CASE WHEN n <= blocked THEN %(batch)s END, CASE WHEN n <= blocked THEN 'doubt' ELSE 'video' END,
        (ARRAY['sora-2', 'sora-2-pro', 'manim'])[1 + n %% 3], 'x', '{}', '{}', (n <= aside)::int,
        '[]', n, n <= aside AND n %% 2 = 0, CASE WHEN n <= aside AND n %% 2 = 1 THEN %(later)s END,
        CASE WHEN n <= jobs THEN 'queued' ELSE 'completed' END, 1, 0, 0, false, '', 0, 0,
        '', '', '', false, 4, 1, queued_at, CASE WHEN n > jobs THEN queued_at END
      FROM queue_app_job, LATERAL (SELECT %(jobs)s AS jobs, %(jobs)s / 5 AS aside, %(jobs)s * 4 / 5 AS blocked) share,
           generate_series(1, jobs * 5 / 4) n
     WHERE id = %(like)s
"""
HOLD = """
    INSERT INTO queue_app_reservation (job_id, wallet_id, amount, state, created_at)
    SELECT id, (SELECT id FROM queue_app_wallet LIMIT 1), 4, 'held', queued_at FROM queue_app_job
     WHERE prompt = 'x' AND state = 'queued'
"""


@pytest.fixture
def long_queue(db):
    """
    Return a function that fills a queue: first a fifth of held or delayed jobs, then three fifths of one user, batch and kind, of
    which one runs, then those of other users; and finished ones. Rows are written without triggers and removed after the test.
    """

    def fill(jobs, others=5):
        owners = [user.pk for user in User.objects.bulk_create(User(username=f"other{n}") for n in range(others))]
        values = {"like": running.pk, "owner": running.owner_id, "batch": running.batch_id, "others": owners}
        cursor.execute(LONG_QUEUE, values | {"count": others, "jobs": jobs, "later": LATER})
        cursor.execute(HOLD)
        for table in ("job", "attempt", "reservation"):  # remove rolled back rows
            cursor.execute(f"REINDEX TABLE queue_app_{table}")
        cursor.execute("ANALYZE queue_app_job")
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")  # no scan of a short queue
        return running

    running = make_job("running", batch=BatchFactory(), kind_id="doubt")
    with connection.cursor() as cursor:
        before = transaction.savepoint()
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in ("job", "reservation", "wallet"):
            cursor.execute(f"ALTER TABLE queue_app_{table} DISABLE TRIGGER USER")
        yield fill
        transaction.savepoint_rollback(before)


def explain(cursor, sql, values):
    cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, values)
    ((plans,),) = cursor.fetchall()
    (plan,) = plans if isinstance(plans, list) else json.loads(plans)
    return plan["Plan"]


def nodes(plan):
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def buffers(plan):
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def queries(monkeypatch):
    """Record the plans of the prepared statements that a claim runs."""
    plans, run = [], Statement.run

    def noted(statement, **values):
        if not re.search("UPDATE|INSERT", statement.sql):
            with connection.cursor() as cursor:
                plans.append(explain(cursor, statement.sql, values))
        return run(statement, **values)

    monkeypatch.setattr(Statement, "run", noted)
    return plans


# name: whether it blocks the first jobs, and how it is set up
BACKLOGS = {
    "others held or delayed": (False, lambda running: None),
    "a model full": (False, lambda running: ModelConcurrencyLimit.objects.filter(model="sora-2").update(max_concurrent=1)),
    "an account full": (False, lambda running: ProviderAccount.objects.filter(pk="openai_videos").update(max_concurrent=1)),
    "a user full": (True, lambda running: User.objects.filter(pk=running.owner_id).update(max_concurrent=1)),
    "a batch full": (True, lambda running: Batch.objects.filter(pk=running.batch_id).update(max_concurrent=1)),
    "a batch paused": (True, lambda running: Batch.objects.filter(pk=running.batch_id).update(paused=True)),
    "a kind full": (True, lambda running: Kind.objects.filter(pk="doubt").update(max_concurrent=1)),
}
FEW, MANY = 4_000, 40_000


@contextmanager
def taken_back():
    beginning = transaction.savepoint()
    yield
    transaction.savepoint_rollback(beginning)


class TestAClaimOfALongQueue:
    @pytest.mark.parametrize("others", [5, 400])
    def test_reads_no_more_than_of_a_short_one(self, others, long_queue, monkeypatch):
        """
        Whatever is full, with few or many other users, and although all blocked jobs come first. Reading the queue in full would
        read ten times as much; a claim reads a part of one stretch, which the short queue does not fill.
        """
        QueueSettings.objects.update(max_concurrent=2, peak_hours="")
        ModelConcurrencyLimit.objects.update(max_concurrent=50)
        ProviderAccount.objects.update(max_concurrent=None)
        plans, read = queries(monkeypatch), {}
        for jobs in (FEW, MANY):
            with taken_back():
                running = long_queue(jobs, others)
                for backlog, (is_blocked, make) in BACKLOGS.items():
                    with taken_back():
                        make(running)
                        plans.clear()
                        (lease,) = dispatch.claim_due_jobs(at=NOON)
                        assert is_blocked == (Job.objects.get(pk=lease.job_id).kind_id != "doubt")
                        read[backlog, jobs] = len(plans), sum(map(buffers, plans))
        more = {backlog: (read[backlog, FEW], read[backlog, MANY]) for backlog in BACKLOGS}
        assert all(many[1] <= 4 * few[1] for few, many in more.values()), "\n".join(map(str, more.items()))

    def test_counts_what_is_in_flight(self, long_queue):
        long_queue(MANY)
        with connection.cursor() as cursor:
            plan = explain(cursor, job_module.SLOTS_IN_USE, {"at": NOON})

        assert "Seq Scan" not in {node["Node Type"] for node in nodes(plan) if node.get("Relation Name") == "queue_app_job"}
        assert buffers(plan) < 30, "what waits and what has ended is not read"
