"""Eight processes claim at once under one limit; and what a claim reads when the queue is long."""

import json
import multiprocessing

import pytest
from django.db import connection, transaction

from queue_app import lifecycle
from queue_app.lifecycle import Trouble
from queue_app.models import Job, ModelConcurrencyLimit, Outcome, QueueSettings, State
from queue_app.models import job as job_module
from queue_app.models.settings import QueueSettingsQuerySet
from queue_app.work import dispatch
from tests.factories import NOON, JobFactory, UserFactory, make_job

FORK = multiprocessing.get_context("fork")
PROCESSES, QUEUED, LIMIT = 8, 200, 4


def claims_at_once(*, locked: bool = True) -> list[list[int]]:
    """Let eight processes, each with a connection of its own, begin a claim at the same moment; what each of them claimed."""
    connection.close()  # a fork would share it
    barrier, answers = FORK.Barrier(PROCESSES), FORK.Queue()
    processes = [FORK.Process(target=claim, args=(barrier, answers, locked)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    claimed = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=20)
    return claimed


def claim(barrier, answers, locked: bool) -> None:
    """In a process of its own: claim once, with the claim lock taken out if told so."""
    if not locked:
        QueueSettingsQuerySet.lock_claims = lambda rows, **_: rows.get(pk=1)
    connection.ensure_connection()
    barrier.wait(timeout=30)
    answers.put([lease.job_id for lease in dispatch.claim_due_jobs(at=NOON)])
    connection.close()


def put_all_back():
    """So that the next round finds the queue as it was."""
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
        """One limit of a model, then one of an account that two models share, then the first with the lock taken out."""
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
        """Rounds until two claims overlap; what the test above rests on is that they can."""
        for _ in range(10):
            claimed = [pk for pks in claims_at_once(locked=False) for pk in pks]
            if len(claimed) > LIMIT:
                return len(claimed)
            put_all_back()
        pytest.fail("Without the lock no two claims overlapped: this test proves nothing.")


LONG_QUEUE = """
    INSERT INTO queue_app_job (owner_id, kind_id, model_id, prompt, parameters, metadata, priority,
        priority_reasons, order_key, held, state, event_seq, attempt_number, fence, lease_taken, leased_by, worker_deaths,
        store_tries,        cancel_reason, error_code, error_message, preview, tickets, usd_estimate, queued_at, ended_at)
    SELECT owner_id, kind_id, (ARRAY['sora-2', 'sora-2-pro', 'manim'])[1 + n %% 3], 'x', '{}', '{}', (n <= 6000)::int,
        '[]', n + id, n <= 6000, CASE WHEN n <= 20000 THEN 'queued' ELSE 'completed' END, 1, 0, 0, false, '', 0, 0,
        '', '', '', false, 4, 1, queued_at, CASE WHEN n > 20000 THEN queued_at END
      FROM queue_app_job, generate_series(1, 25000) n WHERE id = %s
"""


@pytest.fixture
def long_queue(db):
    """20,000 queued jobs, the first 6,000 held, and 5,000 finished ones; written past the triggers, and gone after the test."""
    job = make_job()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("REINDEX TABLE queue_app_job")  # without what the tests before this one wrote and took back
        cursor.execute("REINDEX TABLE queue_app_attempt")
        cursor.execute("ALTER TABLE queue_app_job DISABLE TRIGGER USER")
        cursor.execute(LONG_QUEUE, [job.pk])
        cursor.execute("ANALYZE queue_app_job")
        yield cursor
        transaction.set_rollback(True)


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


LANES = ["sora-2", "sora-2-pro", "manim"]
NOTHING_FULL = {"at": NOON, "models": LANES, "kinds": [], "users": [], "batches": []}
SOME_FULL = NOTHING_FULL | {"users": [10**9], "kinds": ["doubt"], "rank": 0, "order_key": 12_000, "id": 12_000}


class TestAClaimOfALongQueue:
    def test_probes_each_lane_once_and_counts_what_is_in_flight(self, long_queue):
        for seek, values in (("", NOTHING_FULL), (dispatch._SEEK, SOME_FULL)):
            plan = explain(long_queue, dispatch._HEADS.format(seek=seek, page=dispatch.PAGE), values)
            (probe,) = (node for node in nodes(plan) if node.get("Relation Name") == "queue_app_job")
            assert (probe["Index Name"], probe["Actual Loops"], probe["Actual Rows"]) == ("job_lane", len(LANES), dispatch.PAGE)
            most = len(LANES) * (2 * dispatch.PAGE + 10)  # a descent, and an entry and its row for each on the page
            assert buffers(plan) < most, "whatever waits behind or is held before"

        plan = explain(long_queue, job_module.SLOTS_IN_USE, {"at": NOON})
        assert "Seq Scan" not in {node["Node Type"] for node in nodes(plan) if node.get("Relation Name") == "queue_app_job"}
        assert buffers(plan) < 30, "what waits and what has ended is not read"
