"""The task queue in PostgreSQL, tested on two connections of its own where visibility matters."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.db import connection, transaction
from django_q.models import OrmQ

from queue_app import clock
from queue_app.runtime import broker, canary
from queue_app.runtime.broker import QueueBroker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueBroker]:
    """A queue whose next canary is not due for a while, and that waits at most 1 second."""
    monkeypatch.setattr(canary, "CANARY_SECONDS", 1_000)
    monkeypatch.setattr(broker.Conf, "POLL", 1)
    queue = QueueBroker("tests")
    assert len(queue.dequeue()) == 1  # the first canary
    yield queue
    queue._forget_connections()


class TestDequeue:
    def test_first_in_first_out(self, queue: QueueBroker) -> None:
        numbers = [queue.enqueue(f"task {n}") for n in range(3)]
        assert [queue.dequeue() for _ in numbers] == [[(number, f"task {n}")] for n, number in enumerate(numbers)]

    def test_a_task_is_taken_by_one_only(self, queue: QueueBroker) -> None:
        for n in range(20):
            queue.enqueue(f"task {n}")
        taken: list[str] = []

        def take() -> None:
            mine = QueueBroker("tests")
            mine._canaries = queue._canaries
            while got := mine.dequeue():
                taken.extend(task for _, task in got)
            mine._forget_connections()

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == sorted(f"task {n}" for n in range(20))

    def test_a_task_that_another_is_just_taking_is_passed_over(self, queue: QueueBroker) -> None:
        first, second = queue.enqueue("first"), queue.enqueue("second")
        with transaction.atomic():
            OrmQ.objects.select_for_update().get(pk=first)
            got: list[object] = []
            other = threading.Thread(target=lambda: got.extend(_taken_elsewhere(queue)))
            other.start()
            other.join()
        assert got == [(second, "second")]

    def test_other_queues_are_left_alone(self, queue: QueueBroker) -> None:
        QueueBroker("others").enqueue("theirs")
        assert queue.dequeue() == []

    def test_a_task_not_acknowledged_comes_back_and_an_acknowledged_one_does_not(self, queue: QueueBroker) -> None:
        number = queue.enqueue("task")
        queue.dequeue()
        assert queue.dequeue() == []
        OrmQ.objects.update(lock=clock.now())  # the time for its acknowledgement is over
        assert queue.dequeue() == [(number, "task")]
        queue.acknowledge(number)
        assert not OrmQ.objects.exists()

    def test_an_enqueued_task_wakes_who_waits(self, queue: QueueBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(broker.Conf, "POLL", 300)
        queue.dequeue()  # listens from here on
        sender = threading.Timer(1, _enqueue_elsewhere)
        began = time.monotonic()
        sender.start()
        assert queue.dequeue() == []  # it waited
        assert [task for _, task in queue.dequeue()] == ["task"]
        assert time.monotonic() - began < 50  # it was woken: its own poll would come after 300 s

    def test_a_task_enqueued_in_a_transaction_comes_with_its_commit(self, queue: QueueBroker) -> None:
        with pytest.raises(RuntimeError), transaction.atomic():
            queue.enqueue("never")
            raise RuntimeError
        assert queue.dequeue() == []

    def test_nothing_more_is_handed_over_once_the_line_is_cut(self, queue: QueueBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        queue.enqueue("task")
        monkeypatch.setattr(broker.LINE, "is_cut", lambda: True)
        assert queue.dequeue() == []

    def test_a_lost_connection_is_made_anew(self, queue: QueueBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        queue.dequeue()
        queue.enqueue("task")
        connection.connection.close()
        assert queue.dequeue() == []
        assert [task for _, task in queue.dequeue()] == ["task"]

    def test_the_index_serves_it(self, queue: QueueBroker) -> None:
        OrmQ.objects.bulk_create(OrmQ(key=f"queue {n % 50}", payload="x", lock="2026-01-01T00:00Z") for n in range(5_000))
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE django_q_ormq")
            cursor.execute(f"EXPLAIN {broker._TAKE}", ["queue 7", broker.BEGINNING, 1, 300])
            plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "gq_broker_queue" in plan

    def test_what_came_very_late_is_found_at_the_next_look_from_the_beginning(
        self, queue: QueueBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(broker, "WHOLE_LOOK_SECONDS", 1_000)
        queue.enqueue("task")
        assert [task for _, task in queue.dequeue()] == ["task"]
        late = queue.enqueue("late")
        OrmQ.objects.filter(pk=late).update(lock=clock.now() - 2 * broker.LATE)
        assert queue.dequeue() == []

        monkeypatch.setattr(broker, "WHOLE_LOOK_SECONDS", 0)
        assert queue.dequeue() == [(late, "late")]

    def test_passes_little_of_what_an_old_snapshot_keeps(self, queue: QueueBroker) -> None:
        """No task taken since the snapshot began can be vacuumed, but a scan must still cost the same."""
        with closing(connection.get_new_connection(connection.get_connection_params())) as report, report.cursor() as reads:
            reads.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reads.execute("SELECT count(*) FROM django_q_ormq")
            past = OrmQ.objects.bulk_create(
                OrmQ(key=queue.list_key, payload="x", lock=clock.now() - 2 * broker.LATE) for _ in range(3_000)
            )
            OrmQ.objects.filter(pk__in=[task.pk for task in past]).delete()
            queue.enqueue("task")
            assert [task for _, task in queue.dequeue()] == ["task"]
            buffers = {}
            for words, since in (("from the beginning", broker.BEGINNING), ("from the last one", queue._since)):
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("SET LOCAL enable_seqscan = off")  # regardless of the statistics of such a small table
                    sql = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {broker._TAKE}"
                    cursor.execute(sql, [queue.list_key, since, 1, 300])
                    buffers[words] = _blocks_of_the_queue(cursor.fetchone()[0][0]["Plan"])
        assert buffers["from the beginning"] > 5 * buffers["from the last one"], buffers


class TestCanaries:
    def test_one_is_slipped_in_every_two_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        moment = 100.0
        monkeypatch.setattr(canary.time, "monotonic", lambda: moment)
        source = canary.CanarySource("store")
        assert len(source.next()) == 1
        moment = 101.9
        assert source.next() == []
        moment = 102.0
        assert source.next()[0][0] is None  # nothing to acknowledge


def _blocks_of_the_queue(plan: dict[str, Any]) -> int:
    """The blocks that were read of the queue's own index; how the rest is joined to it hangs on the statistics of the moment."""
    if plan.get("Index Name") == "gq_broker_queue":
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    return sum(map(_blocks_of_the_queue, plan.get("Plans", [])))


def _taken_elsewhere(queue: QueueBroker) -> list[object]:
    other = QueueBroker("tests")
    other._canaries = queue._canaries
    try:
        return list(other.dequeue())
    finally:
        other._forget_connections()


def _enqueue_elsewhere() -> None:
    QueueBroker("tests").enqueue("task")
    connection.close()
