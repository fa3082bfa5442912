"""Processes by machine."""

from datetime import timedelta

import pytest

from queue_app.insight import workers
from queue_app.models import WorkerProcess
from tests.factories import NOON

pytestmark = pytest.mark.django_db


def worker(**fields):
    known = {
        "host": "one",
        "pid": 1,
        "role": "worker",
        "group_id": 1,
        "group_started": "1",
        "started_at": NOON,
        "beat_at": NOON,
    }
    return WorkerProcess.objects.create(**known | fields)


class TestWorkers:
    def test_are_alive_for_ten_seconds_and_in_view_for_ten_minutes(self):
        worker(pid=1, beat_at=NOON - timedelta(seconds=5))
        worker(pid=2, beat_at=NOON - timedelta(seconds=15))
        worker(pid=3, beat_at=NOON - timedelta(minutes=11))

        assert [(line.pid, line.alive) for line in workers.processes(at=NOON)] == [(1, True), (2, False)]
