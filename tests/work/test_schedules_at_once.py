"""Two processes run the same schedule at the same moment."""

from threading import Barrier, Thread

import pytest
from django.db import connection

from queue_app.models import Job, LedgerTransaction, ScheduleRun
from queue_app.work import schedules
from tests.factories import UserFactory, make_schedule
from tests.work.test_schedules import AT_NINE

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_of_them_makes_it() -> None:
    schedule, barrier = make_schedule(UserFactory.create()), Barrier(4)

    def run() -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            schedules.run_due(schedule.pk, at=AT_NINE)
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (Job.objects.count(), ScheduleRun.objects.count()) == (1, 1)
    assert LedgerTransaction.objects.filter(key__startswith="reserve:").count() == 1
