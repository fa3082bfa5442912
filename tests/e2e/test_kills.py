"""
``kill -9`` of every process in turn during a batch: nothing is lost or bought twice, and the owner's server hears of every
end, each time under the same id.
"""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from queue_app import clock
from queue_app.models import JobEvent, OutboxMessage, User, WebhookEndpoint
from queue_app.work import endpoints
from tests.conftest import Figures
from tests.e2e.batch import BatchRun, kill
from tests.outbox.test_webhooks import verified
from tests.processes import Program, Site, wait_for
from tests.providers.wire import WireServer, answer, hang

pytestmark = pytest.mark.processes

JOBS = int(os.environ.get("KILLS_JOBS", "14"))
TIME_SCALE = os.environ.get("KILLS_TIME_SCALE", "0.15")
PATIENCE_SECONDS = 180 + 600 * float(TIME_SCALE)  # for a busy machine; otherwise it takes a minute


@pytest.fixture
def receiver() -> Iterator[WireServer]:
    """A server of the jobs' owner. It does not answer its first two calls."""
    with WireServer() as server:
        server.says(hang, hang, answer(204))
        yield server


@pytest.fixture
def site(receiver: WireServer, django_db_blocker: object) -> Iterator[Site]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        site = Site(TIME_SCALE=TIME_SCALE, STUDIO_SECONDS_PER_JOB="1", WORKERS="3", WEBHOOK_TRUSTED_ORIGINS=receiver.url)
        try:
            site.prepare()
            yield site
        finally:
            site.close()


def test_all_jobs_end_are_told_and_no_attempt_is_accepted_twice(site: Site, receiver: WireServer, figures: Figures) -> None:
    studio = site.start_studio(seconds_per_job=1)
    worker = site.start_worker()
    run = BatchRun(site, JOBS)
    endpoint = _endpoint(site, receiver)
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
    strike(f"runworker, with {_under_way(site)} webhooks under way", worker.kill)
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
    wait_for(lambda: not _untold(site), seconds=PATIENCE_SECONDS, of="the delivery of every webhook")
    calls = [(seen.headers["webhook-id"], verified(seen, endpoint.secret)["data"]["job"]) for seen in receiver.seen]
    figures(f"  webhooks: {len(calls)} calls for {len(set(calls))} messages")
    assert {job for _, job in calls} == set(run.numbers) and len({name for name, _ in calls}) == run.jobs
    assert len(calls) > run.jobs  # the two that were not answered came again
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


def _endpoint(site: Site, receiver: WireServer) -> WebhookEndpoint:
    with site.orm():
        owner, secret = User.objects.get_or_create(username="batch")[0], endpoints.new_secret()
        fields = {"url": receiver.url, "events": ["job.completed"], "secret": secret, "created_at": clock.now()}
        return WebhookEndpoint.objects.create(owner=owner, **fields)


def _under_way(site: Site) -> int:
    with site.orm():
        return OutboxMessage.objects.filter(channel="webhooks", leased_until__gt=clock.now()).count()


def _untold(site: Site) -> int:
    with site.orm():
        return OutboxMessage.objects.filter(channel="webhooks", delivered_at=None).count()
