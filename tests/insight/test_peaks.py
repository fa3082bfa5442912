"""Peak hours are told before they begin and while they apply, in their time zone."""

from datetime import datetime, timedelta

import pytest

from queue_app.admin.dashboard import rows
from queue_app.forecast.inputs import load
from queue_app.insight import peaks, snapshot, waiting
from queue_app.models import QueueSettings
from queue_app.rules.limits import QUEUE
from queue_app.work.capacity import queue_limit
from tests.factories import NOON, make_job

pytestmark = pytest.mark.django_db
BEFORE, WITHIN = NOON.replace(hour=18, minute=10), NOON.replace(hour=20)  # 19:10 and 21:00 in Madrid


@pytest.fixture(autouse=True)
def in_madrid() -> None:
    QueueSettings.objects.update(peak_time_zone="Europe/Madrid")


def words(at: datetime) -> str:
    found = peaks.now_or_soon(QueueSettings.objects.current(), at=at)
    return found.words if found else ""


def test_are_told_an_hour_before_and_until_their_end() -> None:
    assert words(BEFORE - timedelta(minutes=11)) == ""
    assert words(BEFORE) == "Peak hours from 20:00 (Europe/Madrid): limit 15 instead of 10"
    assert words(WITHIN) == "Peak hours until 23:00 (Europe/Madrid): limit 15 instead of 10"


def test_that_change_no_limit_are_not_told() -> None:
    QueueSettings.objects.update(peak_factor=1)
    assert words(BEFORE) == words(WITHIN) == ""


def test_that_never_end_say_so() -> None:
    QueueSettings.objects.update(peak_hours="00:00-12:00, 12:00-00:00")
    assert words(NOON) == "Peak hours all day: limit 15 instead of 10"


def test_raise_the_limit_and_the_forecast_by_the_clocks_of_their_zone() -> None:
    policy = QueueSettings.objects.current()
    assert [queue_limit(policy, at=at) for at in (BEFORE, WITHIN)] == [10, 15]
    steps = load(at=BEFORE).queue.caps[QUEUE]
    assert steps[:3] == [(0.0, 10), (50 * 60.0, 15), (50 * 60.0 + 3 * 3600, 10)]


def test_are_in_the_row_of_the_whole_queue() -> None:
    for at, note in (
        (BEFORE, "limit 15 from 20:00 (Europe/Madrid)"),
        (WITHIN, "peak hours until 23:00 (Europe/Madrid)"),
        (NOON, "outside peak hours"),
    ):
        assert rows.of_queue(snapshot.take(at=at), at=at).note == note


def test_are_told_to_those_who_wait_for_the_whole_queue() -> None:
    QueueSettings.objects.update(max_concurrent=2)
    for _ in range(2):
        make_job("running")
    job = make_job()
    blocker = waiting.waiting_on(job, BEFORE)[0]
    assert (blocker.limit, blocker.used, blocker.max) == ("queue", 2, 2)
    assert blocker.reason == "Peak hours from 20:00 (Europe/Madrid): limit 3 instead of 2"
    assert "2 of 2 running). Peak hours from 20:00" in waiting.outlook([job], at=BEFORE).sentence(job)
