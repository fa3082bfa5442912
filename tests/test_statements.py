"""Prepared statements: one per connection and SQL, with the same result at every use."""

from datetime import UTC, datetime
from weakref import WeakSet

import pytest
from django.db import Error, IntegrityError, connection, transaction

from queue_app import database, statements
from queue_app.models import Attempt, Job
from queue_app.runtime import tasks  # noqa: F401 - knows them all
from queue_app.statements import Statement, columns, keep_all, read, statement
from tests.factories import make_job

pytestmark = pytest.mark.django_db(transaction=True)
SUM = Statement("SELECT %(one)s::int + %(one)s::int + %(two)s::int")


def kept() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'gq\\_%'")
        return int(cursor.fetchone()[0])


class TestAStatement:
    def test_gives_its_rows_each_time_and_is_kept_from_the_second_on(self) -> None:
        connection.close()
        for number in range(4):
            assert SUM.run(one=number, two=5) == [(2 * number + 5,)]
            assert kept() == (number > 0)

    def test_is_kept_anew_by_a_new_connection(self) -> None:
        for _ in range(2):
            connection.close()
            for _ in range(2):
                assert SUM.run(one=1, two=2) == [(4,)]
            assert kept() == 1

    def test_is_planned_once_for_any_values(self) -> None:
        connection.close()
        for number in range(9):
            SUM.run(one=number, two=5)
        with connection.cursor() as cursor:
            cursor.execute("SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE name LIKE 'gq\\_%'")
            assert cursor.fetchall() == [(8, 0)]

    def test_of_before_a_migration_is_kept_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The server refuses a prepared plan after a migration has changed the types of its columns."""
        monkeypatch.setattr(statements, "_all", WeakSet())  # it is not among those that `keep_all` prepares for other tests
        words = Statement("SELECT words FROM gq_migrated")

        def change(sql: str) -> None:
            with connection.cursor() as cursor:
                cursor.execute(sql)

        change("CREATE TABLE gq_migrated AS SELECT 'so'::varchar(2) AS words")
        try:
            assert [words.run() for _ in range(3)] == [[("so",)]] * 3
            change("ALTER TABLE gq_migrated ALTER words TYPE varchar(20)")
            with pytest.raises(Error, match="must not change result type"):
                words.run()
            assert database.again(words.run) == [("so",)]
        finally:
            change("DROP TABLE gq_migrated")

    def test_outlives_a_transaction_that_was_rolled_back(self) -> None:
        connection.close()
        with pytest.raises(IntegrityError), transaction.atomic():
            for _ in range(2):
                SUM.run(one=1, two=1)
            raise IntegrityError
        assert SUM.run(one=2, two=2) == [(6,)]

    def test_without_values_or_rows(self) -> None:
        for _ in range(3):
            assert Statement("SELECT 7").run() == [(7,)]
            assert Statement("UPDATE queue_app_job SET progress = %(progress)s WHERE false").run(progress=0.5) == []

    @pytest.mark.parametrize("value", ["it's", "%(one)s", "$1", "\\", "a\nb", "ü✓"])
    def test_takes_values_for_values(self, value: str) -> None:
        echo = statement("SELECT %(value)s::text, %(values)s::text[]")
        for _ in range(3):
            assert echo.run(value=value, values=[value, ""]) == [(value, [value, ""])]

    def test_of_a_process_that_runs_them_for_long_are_all_planned_before_the_first_use(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection.close()
        monkeypatch.setattr(statements, "_at_once", False)
        job = make_job("running")
        keep_all()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*), min(generic_plans), max(custom_plans) FROM pg_prepared_statements")
            count, fewest_plans, custom = cursor.fetchone()
        assert count >= 20 and (fewest_plans, custom) == (1, 0)
        assert SUM.run(one=1, two=2) == [(4,)]
        assert Job.objects.get(pk=job.pk).state == "running", "none of them was run"
        before = kept()
        Statement("SELECT 'another'").run()
        assert kept() == before + 1, "one that comes later is kept from its first use on"

    def test_of_the_same_text_is_one(self) -> None:
        assert statement("SELECT 1") is statement("SELECT 1")


class TestRead:
    def test_gives_what_the_orm_gives(self) -> None:
        job = make_job("running", at=datetime(2026, 11, 20, tzinfo=UTC))
        both = Statement(f"""
            SELECT {columns(Job, "job")}, {columns(Attempt, "attempt")}
              FROM queue_app_job job JOIN queue_app_attempt attempt ON attempt.job_id = job.id WHERE job.id = %(id)s
        """)
        for _ in range(2):
            values = iter(both.run(id=job.pk)[0])
            for model, known in ((Job, Job.objects.get(pk=job.pk)), (Attempt, Attempt.objects.get(job=job))):
                found = read(model, values)
                names = [field.attname for field in model._meta.concrete_fields]
                assert {name: getattr(found, name) for name in names} == {name: getattr(known, name) for name in names}
                assert not found._state.adding
