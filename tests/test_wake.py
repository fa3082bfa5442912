"""Wake-ups: sent once, after the commit, and never after a rollback. And the clock that all machines share."""

from contextlib import closing
from datetime import timedelta

import pytest
from django.db import connection, transaction

from queue_app import clock, wake


@pytest.fixture
def heard(transactional_db):
    """Return a function that returns the notifications since its last call."""
    with closing(connection.get_new_connection(connection.get_connection_params())) as listener:
        listener.autocommit = True
        with listener.cursor() as cursor:
            cursor.execute(f"LISTEN {wake.CHANNEL}; LISTEN {wake.DISPATCHER}")

            def look() -> list[str]:
                cursor.execute("SELECT 1")
                listener.poll()
                said = [note.payload for note in listener.notifies]
                listener.notifies.clear()
                return said

            yield look


class TestWakeUps:
    def test_are_sent_after_the_commit(self, heard):
        with transaction.atomic():
            wake.dispatcher()
            assert heard() == []
        assert heard() == ["dispatch"]

    def test_that_cannot_be_sent_leave_what_was_committed_a_success(self, heard, monkeypatch, caplog):
        monkeypatch.setattr(wake, "DISPATCHER", "c" * 64)  # too long a name for PostgreSQL
        with transaction.atomic():
            wake.dispatcher()
        assert "channel name too long" in caplog.text
        wake.dispatcher()  # and by itself

    def test_are_not_sent_for_what_was_rolled_back(self, heard):
        with transaction.atomic():
            wake.dispatcher()
            transaction.set_rollback(True)
        assert heard() == []

    def test_said_often_are_sent_once(self, heard):
        with transaction.atomic():
            for _ in range(5):
                wake.dispatcher()
                wake.jobs_changed([7, 8])
        assert heard() == ["dispatch", "jobs:7,8"]

    def test_survive_the_rollback_of_a_savepoint_that_said_them_first(self, heard):
        with transaction.atomic():
            with transaction.atomic():
                wake.dispatcher()
                transaction.set_rollback(True)
            wake.dispatcher()
        assert heard() == ["dispatch"]

    def test_said_outside_are_not_said_again_within_a_savepoint(self, heard):
        with transaction.atomic():
            wake.dispatcher()
            with transaction.atomic():
                wake.dispatcher()
        assert heard() == ["dispatch"]

    @pytest.mark.parametrize(("seconds", "said"), [(0.5, ["plan"]), (wake.SLEEP_SECONDS, []), (30.0, [])])
    def test_of_a_look_are_sent_where_the_dispatcher_could_oversleep_it(self, heard, seconds, said):
        wake.looks_in(seconds)
        assert heard() == said

    def test_name_the_jobs_up_to_what_a_payload_takes(self, heard):
        largest = 2**63 - 1
        wake.jobs_changed(range(largest - 200, largest))
        wake.jobs_changed(range(1_000))
        wake.jobs_changed([])

        named, many = heard()
        assert named.startswith("jobs:") and len(named.split(",")) == 200
        assert many == "jobs:*"

    def test_of_the_queue_tell_pages_and_the_dispatcher(self, heard):
        wake.queue_changed()

        assert heard() == ["queue", "dispatch"]


@pytest.mark.django_db
class TestClock:
    def test_is_the_database_s_and_moves_on_inside_a_transaction(self):
        first = clock.now()
        second = clock.now()

        assert first < second < first + timedelta(seconds=5)
        assert first.utcoffset() == timedelta(0)
