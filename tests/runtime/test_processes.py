"""The watchdog with real clusters: which are killed, which are left alone, and that nothing outlives its runworker."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from django.db import connection

from queue_app import clock, lifecycle, tickets
from queue_app.models import JobEvent, User, WorkerProcess
from queue_app.runtime import processes
from queue_app.runtime.listener import LEADER_LOCK
from queue_app.runtime.queues import Queue
from queue_app.work import intake
from queue_app.work.intake import Draft
from tests.processes import Program, Site, wait_for

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def site(django_db_blocker: object) -> Iterator[Site]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        site = Site()
        try:
            site.prepare()
            yield site
        finally:
            site.close()


@pytest.fixture
def worker(site: Site) -> Program:
    """A working runworker: one that an earlier test has left running, or a new one."""
    running = [program for program in site.programs if program.is_running]
    worker = running[0] if running else site.start_worker()
    site.wait_until_working(worker)
    return worker


def leader(site: Site) -> int | None:
    now = time.time()
    rows = [row for row in site.registry(role="dispatcher", leader=True) if now - row.beat_at.timestamp() < 5]
    return rows[-1].pid if rows else None


def leaders_lock(site: Site) -> int | None:
    """Return the database process that holds the leader lock."""
    with site.orm(), connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted", [LEADER_LOCK])
        found = cursor.fetchone()
    return int(found[0]) if found else None


def events(site: Site, **which: object) -> int:
    with site.orm():
        return JobEvent.objects.filter(**which).count()


def queued(site: Site, owner_name: str) -> int:
    """Queue a job for a new user and return its id."""
    with site.orm():
        owner, at = User.objects.create_user(owner_name), clock.now()
        tickets.grant(owner, 100, at=at, actor="tests", reason="to spend")
        (job,) = intake.enqueue(owner, [Draft("sora-2", "A kite.", parameters={"duration": 4})], at=at, actor="tests")[1]
        return job.pk


class TestWatch:
    def test_a_frozen_cluster_and_one_without_a_master_are_replaced_and_the_others_go_on(
        self, site: Site, worker: Program
    ) -> None:
        before = {queue: site.cluster(queue, worker) for queue in Queue}
        passed = before["store"].canary_taken_at
        wait_for(lambda: site.cluster("store", worker).canary_taken_at != passed, of="a canary, from which its time counts")
        began = time.monotonic()
        workers = {row.pid for row in site.registry(role="worker", queue="store")}
        for seen in processes.members(before["store"].group_id):
            if seen.pid not in workers:
                os.kill(seen.pid, signal.SIGSTOP)  # pusher, monitor and guard
        os.kill(before["deliver"].pid, signal.SIGKILL)

        wait_for(lambda: not processes.members(before["deliver"].group_id), of="the end of the orphans")
        wait_for(lambda: not processes.members(before["store"].group_id), of="the end of the frozen cluster")
        shot_after = time.monotonic() - began
        site.wait_until_working(worker)

        assert shot_after > 5  # not killed too early
        assert "no canary came through" in worker.said()
        assert {queue: site.cluster(queue, worker).pid != row.pid for queue, row in before.items()} == {
            "default": False,
            "long": False,
            "store": True,
            "deliver": True,
        }

    def test_idle_workers_that_are_killed_take_nobody_with_them(self, site: Site, worker: Program) -> None:
        """One of them always holds the lock of the queue that all read."""
        before = site.cluster("store", worker)
        killed = {row.pid for row in site.registry(role="worker", queue="store")}
        for pid in killed:
            os.kill(pid, signal.SIGKILL)

        wait_for(lambda: len({row.pid for row in site.registry(role="worker", queue="store")} - killed) == 2, of="new ones")
        passed = site.cluster("store", worker).canary_taken_at
        wait_for(lambda: site.cluster("store", worker).canary_taken_at > passed, of="a canary that they let through")
        assert site.cluster("store", worker).pid == before.pid

    def test_a_worker_that_stands_still_is_replaced_and_nobody_else(self, site: Site, worker: Program) -> None:
        before = site.cluster("default", worker)
        frozen = site.registry(role="worker", queue="default")[0].pid
        os.kill(frozen, signal.SIGSTOP)
        wait_for(lambda: processes.look(frozen) is None, of="its end")
        wait_for(lambda: len(site.registry(role="worker", queue="default")) == 2, of="another one")
        assert site.cluster("default", worker).pid == before.pid
        assert f"worker {frozen} is frozen" in worker.said()

    def test_a_runworker_that_stands_still_is_stood_in_for(self, site: Site, worker: Program) -> None:
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            job_id = queued(site, "frozen")
            claimed = {"job": job_id, "to_state": "submitting"}
            wait_for(lambda: events(site, **claimed), seconds=120, of="a claim by a worker that stands in")
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        with site.orm():
            lifecycle.force_fail([job_id], at=clock.now(), actor="tests", reason="there is no studio")

    def test_a_database_that_is_killed_takes_no_cluster_with_it(self, site: Site, worker: Program) -> None:
        before = site.cluster("default", worker)
        process = site.database.status().process
        assert process
        os.kill(process, signal.SIGKILL)
        moment = time.time()
        wait_for(
            lambda: site.cluster("default", worker).beat_at.timestamp() > moment + 3,
            of="heartbeats after the database's",
        )
        wait_for(lambda: leader(site) == worker.pid, of="its leading again")
        assert site.cluster("default", worker).pid == before.pid


class TestSuccession:
    def test_a_standby_leads_when_the_leader_dies_and_a_new_runworker_ends_what_it_left(
        self, site: Site, worker: Program
    ) -> None:
        standby = site.start_worker()
        site.wait_until_working(standby)
        wait_for(lambda: leader(site) == worker.pid, of="word of who leads")
        own = [site.cluster(queue, standby) for queue in Queue]
        left = [site.cluster(queue, worker).group_id for queue in Queue]

        leading = leaders_lock(site)
        worker.kill()
        for group in left:  # otherwise they end on their own after a while
            os.killpg(group, signal.SIGSTOP)
        wait_for(lambda: leaders_lock(site) not in (leading, None), of="the standby's leading")
        wait_for(lambda: leader(site) == standby.pid, of="word of it")
        assert any(processes.members(group) for group in left)

        successor = site.start_worker()
        wait_for(lambda: not any(processes.members(group) for group in left), of="the end of the predecessor's groups")
        site.wait_until_working(successor)
        assert [site.cluster(row.queue, standby).pid for row in own] == [row.pid for row in own]
        assert "killed a predecessor's" in successor.said()
        standby.stop()


class TestStop:
    def test_sigterm_ends_everything_in_time_and_takes_its_rows_away(self, site: Site, worker: Program) -> None:
        assert worker.stop()[0] == 0
        assert site.living() == []
        assert not site.registry(pid=worker.pid)
        assert not [row for row in site.registry() if row.role == WorkerProcess.Role.CLUSTER]
