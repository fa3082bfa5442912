"""
No-op jobs per second through the whole queue: priced, reserved, claimed under all limits, sent, stored and charged, with an event
for each step. Two workers submit and check. The peer: django-tasks-db with two workers, which does none of that.

The cost of a job is measured, too: statements in the server's log and transactions that write, both in a run of their own, since
logging takes time; and the processor time of our processes, including their work without jobs (start, heartbeats, sweeps).
"""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import results, stand

JOBS, LIMIT = 400, 50
COUNTED = 200  # jobs of the run in which statements are counted


def ours() -> float:
    from queue_app import clock, tickets
    from queue_app.models import Job, State, User
    from queue_app.models.job import OPEN_STATES
    from queue_app.work import intake

    stand.buy_instantly(limit=LIMIT)
    user = User.objects.create_user("bench")
    tickets.grant(user, JOBS + COUNTED, at=clock.now(), actor="bench", reason="bench")

    def seconds_of(jobs: int) -> float:
        drafts = [intake.Draft(stand.MODEL, f"number {number} takes 0") for number in range(jobs)]
        began = time.monotonic()
        intake.enqueue(user, drafts, at=clock.now(), actor="bench", batch_name="bench")
        stand.wait_until(lambda: not Job.objects.filter(state__in=OPEN_STATES).exists(), seconds=600)
        return time.monotonic() - began

    spent = _processor_seconds()
    with stand.worker():
        seconds = seconds_of(JOBS)
        before = _transactions()
        with _every_statement_logged() as log:
            seconds_of(COUNTED)
        written = _transactions() - before
    spent = _processor_seconds() - spent
    completed = Job.objects.filter(state=State.COMPLETED).count()
    if completed != JOBS + COUNTED:
        raise RuntimeError(f"{completed} of {JOBS + COUNTED} completed")
    stand.figure("statements per job", log.read_text(errors="replace").count("  statement: ") / COUNTED)
    stand.figure("commits per job", written / COUNTED)
    stand.figure("processor time of ours per job", spent / completed * 1000, " ms")
    return JOBS / seconds


def _processor_seconds() -> float:
    """Return the processor seconds of all ended child processes and their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _transactions() -> int:
    """Return the number of transactions so far that wrote or notified."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text::bigint")
        return int(cursor.fetchone()[0])


@contextmanager
def _every_statement_logged() -> Iterator[Path]:
    """Log every statement in the block; provide the path of the server's log, which is emptied first."""
    from django.conf import settings
    from django.db import connection

    from genqueue_site.db.embedded.base import server_for

    log = server_for(settings.DATABASES["default"]).home / "server.log"

    def log_statements(which: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET log_statement = %s", [which])
            cursor.execute("SELECT pg_reload_conf()")
        time.sleep(1)  # until every backend has read it

    os.truncate(log, 0)
    log_statements("all")
    yield log
    log_statements("none")


def peer() -> float:
    from django.conf import settings

    from genqueue_site.db.embedded.base import server_for

    server = server_for(settings.DATABASES["default"])
    env = {
        **os.environ,
        "PEER_HOST": str(server.socket_directory),
        "DJANGO_SETTINGS_MODULE": "django_tasks_site",
        "PYTHONPATH": str(results.ROOT / "benchmarks" / "peers"),
    }
    python = str(stand.peers())

    def django(*words: str) -> list[str]:
        return [python, "-m", "django", *words]

    subprocess.run(django("migrate", "-v0"), env=env, check=True)
    began = time.monotonic()
    subprocess.run([python, "-m", "django_tasks_enqueue", str(JOBS)], env=env, check=True)
    command, quiet = django("db_worker", "--batch", "--no-startup-delay", "--interval", "0.1"), subprocess.DEVNULL
    workers = [subprocess.Popen(command, env=env, stdout=quiet, stderr=quiet) for _ in range(2)]
    for worker in workers:
        worker.wait()
    return JOBS / (time.monotonic() - began)


def main() -> None:
    with stand.installation(WORKERS="2"):
        mine, theirs = ours(), peer()
    print(f"no-op jobs through everything: genqueue {mine:.1f} jobs/s, django-tasks-db {theirs:.1f} jobs/s")
    stand.verdict("no-op ratio genqueue / django-tasks-db", mine / theirs, least=0.7)


if __name__ == "__main__":
    main()
