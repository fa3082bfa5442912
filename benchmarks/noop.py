"""
No-op jobs per second through everything: priced, reserved, claimed under all limits, attempted, "bought", stored, captured, with
an event for each step. Two workers submit and check. The peer: django-tasks-db with two workers, which does none of that.
"""

import os
import subprocess
import time

from benchmarks import stand

JOBS, LIMIT = 400, 50


def ours() -> float:
    from queue_app import clock, tickets
    from queue_app.models import Job, State, User
    from queue_app.models.job import OPEN_STATES
    from queue_app.work import intake

    stand.buy_instantly(limit=LIMIT)
    user = User.objects.create_user("bench")
    tickets.grant(user, JOBS, at=clock.now(), actor="bench", reason="bench")
    drafts = [intake.Draft(stand.MODEL, f"number {number} takes 0") for number in range(JOBS)]
    with stand.worker():
        began = time.monotonic()
        intake.enqueue(user, drafts, at=clock.now(), actor="bench", batch_name="bench")
        stand.wait_until(lambda: not Job.objects.filter(state__in=OPEN_STATES).exists(), seconds=600)
        seconds = time.monotonic() - began
    completed = Job.objects.filter(state=State.COMPLETED).count()
    if completed != JOBS:
        raise RuntimeError(f"{completed} of {JOBS} completed")
    return JOBS / seconds


def peer() -> float:
    from django.conf import settings

    from genqueue_site.db.embedded.base import server_for

    server = server_for(settings.DATABASES["default"])
    env = {
        **os.environ,
        "PEER_HOST": str(server.socket_directory),
        "DJANGO_SETTINGS_MODULE": "django_tasks_site",
        "PYTHONPATH": str(stand.ROOT / "benchmarks" / "peers"),
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
    stand.verdict("no-op ratio genqueue / django-tasks-db", mine / theirs, least=0.5)


if __name__ == "__main__":
    main()
