"""Long calls on an installation of real processes: short work passes them, and ``kill -9`` in one of them buys nothing twice."""

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from queue_app import clock, tickets
from queue_app.insight import waiting
from queue_app.models import Attempt, Job, User
from queue_app.work import intake
from queue_app.work.intake import Draft
from tests.conftest import Figures
from tests.e2e.batch import kill
from tests.processes import Site, wait_for

pytestmark = pytest.mark.processes

CALL_SECONDS = 12
TIME_SCALE = "0.15"  # a long call may take 25 s, its lease 30 s
SHORT, LONG = Draft("sora-2", "A kite.", parameters={"duration": 4}), Draft("text-writer", "A letter.")


@pytest.fixture
def site(django_db_blocker: object) -> Iterator[Site]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        site = Site(TIME_SCALE=TIME_SCALE, STUDIO_SECONDS_PER_JOB=str(CALL_SECONDS), WORKERS="2", LONG_WORKERS="2")
        try:
            site.prepare()
            yield site
        finally:
            site.close()


def submit(site: Site, draft: Draft, count: int) -> list[int]:
    with site.orm():
        owner, at = User.objects.get_or_create(username="batch")[0], clock.now()
        tickets.grant(owner, 100, at=at, actor="tests", reason="to spend")
        drafts = [Draft(draft.model, f"{draft.prompt} {number}", parameters=draft.parameters) for number in range(count)]
        return [job.pk for job in intake.enqueue(owner, drafts, at=at, actor="tests")[1]]


def states(site: Site, numbers: list[int]) -> Counter[str]:
    with site.orm():
        return Counter(Job.objects.filter(pk__in=numbers).values_list("state", flat=True))


def test_short_work_passes_long_calls_and_a_killed_one_is_not_made_again(site: Site, figures: Figures) -> None:
    studio = site.start_studio(seconds_per_job=CALL_SECONDS)
    worker = site.start_worker()
    site.wait_until_working(worker)
    long = submit(site, LONG, 3)
    busy = wait_for(lambda: _at_calls(site, 2), seconds=60, of="two long calls")

    began = time.monotonic()
    short = submit(site, SHORT, 4)
    wait_for(lambda: states(site, short)["running"] == 4, seconds=60, of="the short jobs")
    passed = time.monotonic() - began
    with site.orm():
        at = clock.now()
        still_called = Attempt.objects.filter(synchronous=True, called_at__isnull=False, accepted_at=None).count()
        third = Job.objects.get(pk=long[2])
        why = waiting.outlook([third], at=at).waiting_on(third)
    assert still_called == 2, "the calls still last while the short jobs run"
    assert [(one.limit, one.used, one.max) for one in why] == [("long", 2, 2)]

    kill(busy[0])
    wait_for(lambda: states(site, long)["unknown"] == 1, seconds=60, of="the end of the killed call")
    wait_for(lambda: states(site, long + short)["completed"] == 6, seconds=120, of="the others")
    time.sleep(float(TIME_SCALE) * 60)  # past the first lookups

    assert states(site, long + short) == {"completed": 6, "unknown": 1}
    accepted = Counter(row["prompt"] for row in studio.log()["creates"] if row["accepted"])
    assert set(accepted.values()) == {1} and len(accepted) == 7
    with site.orm():
        assert set(Attempt.objects.values_list("number", flat=True)) == {1}
    site.manage("check_invariants")
    figures(f"4 short jobs handed over in {passed:.2f} s beside two long calls of {CALL_SECONDS} s")
    assert worker.stop()[0] == 0


def _at_calls(site: Site, number: int) -> list[int]:
    """Return the ids of the worker processes in a long call, once there are so many."""
    rows = [row.pid for row in site.registry(role="worker", queue="long") if row.task.startswith("submit")]
    with site.orm():
        called = Attempt.objects.filter(synchronous=True, called_at__isnull=False).count()
    return rows if len(rows) == called == number else []
