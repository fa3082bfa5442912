"""A worker that is killed during a job: its successor does not wait until the lease expires."""

import os
import signal
from collections.abc import Iterator

import pytest

from queue_app import clock
from queue_app.models import Job
from tests.processes import Site, wait_for
from tests.runtime.test_processes import events, queued

pytestmark = pytest.mark.processes


@pytest.fixture
def site(django_db_blocker: object) -> Iterator[Site]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        site = Site(STUDIO_SECONDS_PER_JOB="1")
        try:
            site.prepare()
            yield site
        finally:
            site.close()


def test_one_that_is_killed_while_it_stores_is_followed_before_its_lease_is_over(site: Site) -> None:
    studio = site.start_studio(seconds_per_job=1)
    studio.queue_faults(content=["latency:600"])  # the first download waits, later ones do not
    site.wait_until_working(site.start_worker())
    job_id = queued(site, "busy")

    def stored(tries: int) -> Job | None:
        with site.orm():
            return Job.objects.filter(pk=job_id, store_tries=tries).first()

    first = wait_for(lambda: stored(1), seconds=120, of="its storing")
    # it is about to download; if it dies before that, the next worker waits instead, which takes longer with the same result
    wait_for(lambda: list((site.home / "media" / "tmp").glob("store-*/*/delivered")), of="the file that it fetches into")
    workers = {row.name: row.pid for row in site.registry(role="worker", queue="store")}
    os.kill(workers[first.leased_by], signal.SIGKILL)

    second = wait_for(lambda: stored(2), seconds=240, of="its storing by another worker")
    with site.orm():
        assert clock.now() < first.lease_until
    assert second.leased_by != first.leased_by
    wait_for(lambda: events(site, job=job_id, to_state="completed"), seconds=120, of="its end")
