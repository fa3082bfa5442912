"""What a search gives first: the same by the index and by blocks; newer jobs without its words do not raise its cost."""

import json

import pytest
from django.db import connection, transaction

from queue_app.insight import search
from queue_app.models import Job, State
from queue_app.models.job import BLOCK
from tests.factories import BatchFactory, UserFactory, make_job

pytestmark = pytest.mark.django_db
OLD, ALL, APART, BASE = 4_000, 6_000, 10, 100_000  # jobs, and how far from each other their ids are: fifteen blocks of them
HISTORY = f"""
    INSERT INTO queue_app_job (
        id, owner_id, kind_id, model_id, prompt, parameters, metadata, priority, priority_reasons, order_key, held,
        state, event_seq, attempt_number, fence, lease_taken, leased_by, worker_deaths, store_tries, cancel_reason,
        error_code, error_message, preview, tickets, usd_estimate, queued_at, ended_at)
    SELECT {BASE} + n * {APART}, owner_id, kind_id, (ARRAY['sora-2', 'manim'])[1 + n %% 2],
        CASE WHEN n <= {OLD} THEN 'A finished tram ' ELSE 'A boat ' END || n || CASE n %% 1500 WHEN 0 THEN ' harbour' ELSE '' END,
        '{{}}', '{{}}', 0, '[]', n, false, CASE WHEN n <= {OLD} THEN 'completed' ELSE 'queued' END, 1, 0, 0, false, '', 0, 0,
        '', '', '', false, 4, 1, queued_at, CASE WHEN n <= {OLD} THEN queued_at END
      FROM queue_app_job, generate_series(1, {ALL}) n WHERE id = %s
"""


@pytest.fixture
def history():
    """4,000 finished jobs, then 2,000 queued ones without their words; written past the triggers, and gone after the test."""
    job = make_job(prompt="A sleeping cat.")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE queue_app_job DISABLE TRIGGER USER")
        cursor.execute(HISTORY, [job.pk])
        cursor.execute("SELECT gin_clean_pending_list('job_prompt_words')")  # sorted in, as all but the latest jobs are
        cursor.execute("ANALYZE queue_app_job")
        yield
        transaction.set_rollback(True)


@pytest.fixture(params=["by the index", "by blocks"])
def way(request, monkeypatch):
    monkeypatch.setattr(search, "_is_rare", lambda *found: request.param == "by the index")


def ids(ns):
    return [BASE + n * APART for n in ns]


@pytest.mark.usefixtures("history", "way")
class TestTheFirst:
    def test_are_the_newest_with_all_words(self):
        jobs = Job.objects.all()

        assert search.first(jobs, "finished", 3) == ids([4000, 3999, 3998])
        assert search.first(jobs, "FINISHED harbour", 3) == ids([3000, 1500])
        assert search.first(jobs, "harbour", 9) == ids([6000, 4500, 3000, 1500])
        assert search.first(jobs, "cat", 3) == list(Job.objects.filter(prompt="A sleeping cat.").values_list("pk", flat=True))
        assert search.first(jobs, "tram boat", 3) == search.first(jobs, "?!", 3) == []

    def test_can_be_passed_over(self):
        jobs, all_of_them = Job.objects.all(), ids(range(4000, 0, -1))

        assert search.first(jobs, "finished", 5_000) == all_of_them
        assert search.first(jobs, "finished", 50, skip=3_000) == all_of_them[3_000:3_050]
        assert search.first(jobs, "finished", 50, skip=3_990) == all_of_them[3_990:]

    def test_follow_an_id_in_either_order(self):
        jobs = Job.objects.all()

        assert search.first(jobs, "tram", 2, beyond=ids([2500])[0]) == ids([2499, 2498])
        assert search.first(jobs, "tram", 2, beyond=10**17) == ids([4000, 3999])
        assert search.first(jobs, "tram", 2, rising=True) == ids([1, 2])
        assert search.first(jobs, "tram", 2, beyond=ids([2500])[0], rising=True) == ids([2501, 2502])
        assert search.first(jobs, "tram", 2, beyond=ids([3999])[0], rising=True) == ids([4000])
        assert search.first(jobs, "tram", 2, beyond=10**17, rising=True) == search.first(jobs, "tram", 2, beyond=0) == []

    def test_are_of_the_jobs_asked_for(self):
        owner = UserFactory(tickets=0)

        assert search.first(Job.objects.filter(model="manim"), "finished", 2) == ids([3999, 3997])
        assert search.first(Job.objects.filter(state=State.QUEUED), "harbour", 9) == ids([6000, 4500])
        assert search.first(Job.objects.filter(state=State.QUEUED), "finished", 9) == []
        assert search.first(Job.objects.of(owner), "finished", 9) == search.first(Job.objects.none(), "finished", 9) == []

    def test_take_a_number_for_a_job_s_too(self):
        (own,) = ids([77])

        assert set(ids([77])) <= set(search.first(Job.objects.all(), "77", 9)) <= {*ids([77]), 77}
        assert search.first(Job.objects.all(), str(own), 9) == [own]
        assert search.first(Job.objects.filter(state=State.QUEUED), str(own), 9) == []

    def test_are_also_those_of_a_batch_with_the_words_in_its_name(self):
        batch = BatchFactory(name="The Autumn scent, phones", owner=UserFactory(tickets=0))
        Job.objects.filter(pk__in=ids([7, 9])).update(batch=batch)

        assert search.first(Job.objects.all(), "autumn PHONES", 9) == ids([9, 7])
        assert search.first(Job.objects.filter(model="manim"), "autumn", 1) == ids([9])
        assert search.first(Job.objects.all(), "autumn harbour", 9) == []


@pytest.mark.usefixtures("history")
class TestTheirCost:
    def buffers(self, jobs, words, monkeypatch):
        monkeypatch.setattr(search, "_is_rare", lambda *found: False)
        sql, values = search.statement(jobs, words, 50)
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql, values)
            ((plans,),) = cursor.fetchall()
        (plan,) = plans if isinstance(plans, list) else json.loads(plans)
        return plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]

    def test_follows_the_blocks_and_not_the_jobs_in_them(self, monkeypatch):
        blocks = ALL * APART // BLOCK + 2
        with connection.cursor() as cursor:
            cursor.execute("REINDEX TABLE queue_app_job")  # without what other tests took back

        for narrowed in ({}, {"state": State.QUEUED}, {"archived_at": None}):
            for words in ("finished", "nothing", "boat", "finished harbour"):
                assert self.buffers(Job.objects.filter(**narrowed), words, monkeypatch) < 24 * blocks, (narrowed, words)
