"""``kill -9`` of every process in turn during a batch: nothing is lost, and nothing is sent twice."""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from queue_app.models import JobEvent
from tests.conftest import Figures
from tests.e2e.batch import BatchRun, kill
from tests.processes import Program, Site, wait_for

pytestmark = pytest.mark.processes

JOBS = int(os.environ.get("KILLS_JOBS", "14"))
TIME_SCALE = os.environ.get("KILLS_TIME_SCALE", "0.15")
PATIENCE_SECONDS = 180 + 600 * float(TIME_SCALE)  # for a busy machine; otherwise it takes a minute


@pytest.fixture
def site(django_db_blocker: object) -> Iterator[Site]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        site = Site(TIME_SCALE=TIME_SCALE, STUDIO_SECONDS_PER_JOB="1", WORKERS="3")
        try:
            site.prepare()
            yield site
        finally:
            site.close()


def test_all_jobs_end_and_no_attempt_is_accepted_twice(site: Site, figures: Figures) -> None:
    studio = site.start_studio(seconds_per_job=1)
    worker = site.start_worker()
    run = BatchRun(site, JOBS)
    run.submit(1)  # an account's first call can't be resolved by its list, which has no other task
    wait_for(lambda: not run.states().keys() & {"queued", "submitting"}, seconds=180, of="the first task")
    studio.queue_faults(create=["hang_before_accept", "hang_after_accept"])
    run.submit()
    killed: list[str] = []

    def strike(whom: str, blow: Callable[[], object]) -> None:
        run.keep_busy(waiting=4)
        killed.append(f"{run.seconds:5.1f} s  {whom} ({_words(run)})")
        blow()

    busy = [worker.pid for worker in run.workers_at("submit", at_least=2)]  # one call is never accepted, the other one is
    strike("two workers in their create calls", lambda: kill(*busy[:2]))
    run.wait_for_progress()
    idle = run.workers_at("")[0]
    strike("an idle worker", lambda: kill(idle.pid))  # it may hold the lock of the queue, which would freeze the cluster
    run.wait_for_progress()
    strike("the qcluster's master", lambda: kill(site.cluster("default", worker).pid))
    run.wait_for_progress()
    strike("runworker", worker.kill)
    worker = _restarted(site)
    run.wait_for_progress()
    run.look()
    strike("the studio", studio.kill)
    time.sleep(0.5)
    studio.restart()
    run.wait_for_progress()
    strike("the database server", lambda: kill(_postmaster(site)))
    run.wait_for_progress()

    states = run.wait_until_all_ended(seconds=PATIENCE_SECONDS)
    took = run.seconds
    run.look()
    audit = run.audit()
    with site.orm():
        unknown = JobEvent.objects.filter(to_state="unknown").exclude(from_state="unknown").count()
    figures(f"{run.jobs} jobs at TIME_SCALE {TIME_SCALE}: ended in {took:.1f} s, {dict(states)}")
    figures("\n".join(f"  kill -9 at {line}" for line in killed))
    figures(f"  {audit}, outcomes that were unknown for a while: {unknown}, most at once at the studio: {run.peak}")
    assert states == {"completed": run.jobs}
    assert run.peak <= 4
    site.manage("check_invariants")
    assert worker.stop()[0] == 0


def _restarted(site: Site) -> Program:
    time.sleep(0.5)
    return site.start_worker()


def _postmaster(site: Site) -> int:
    process = wait_for(lambda: site.database.status().process)
    return int(process.pid if hasattr(process, "pid") else process)


def _words(run: BatchRun) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(run.states().items()))
