"""
Hand-off: the time from a freed slot to the next create call, with a backlog.

Ours: a limit of 4, jobs of about 2 s and a real `runworker`, from the event that frees the slot to ``called_at`` of the next
attempt, both by the database's clock. The peer: procrastinate with 4 concurrent jobs, from the end of a job to the start of the
next.
"""

import json
import os
import statistics
import subprocess

from benchmarks import results, stand

JOBS, LIMIT, SECONDS = 100, 4, 1.5


def ours() -> list[float]:
    stand.buy_instantly(limit=LIMIT)
    with stand.worker():
        return handed_over("bench")


def handed_over(name: str) -> list[float]:
    """Run a batch for a new user and return the seconds of each hand-off. A worker is running."""
    from queue_app import clock, tickets
    from queue_app.models import Attempt, JobEvent, State, User
    from queue_app.models.job import OPEN_STATES, Job
    from queue_app.work import intake

    user = User.objects.create_user(name)
    tickets.grant(user, JOBS, at=clock.now(), actor="bench", reason="bench")
    drafts = [intake.Draft(stand.MODEL, f"number {number} takes {SECONDS}") for number in range(JOBS)]
    intake.enqueue(user, drafts, at=clock.now(), actor="bench", batch_name="bench")
    jobs = Job.objects.filter(owner=user)
    stand.wait_until(lambda: not jobs.filter(state__in=OPEN_STATES).exists(), seconds=300)
    freed = sorted(JobEvent.objects.filter(job__in=jobs, to_state=State.STORING).values_list("at", flat=True))
    called = sorted(moment for moment in Attempt.objects.filter(job__in=jobs).values_list("called_at", flat=True) if moment)
    return [(call - free).total_seconds() for free, call in zip(freed, called[LIMIT:], strict=False)]


def peer() -> list[float]:
    from django.conf import settings

    from genqueue_site.db.embedded.base import server_for

    server = server_for(settings.DATABASES["default"])
    env = {**os.environ, "PEER_HOST": str(server.socket_directory), "PEER_JOBS": str(JOBS), "PEER_SECONDS": str(SECONDS)}
    script = results.ROOT / "benchmarks" / "peers" / "procrastinate_handoff.py"
    output = subprocess.run([str(stand.peers()), str(script)], env=env, check=True, capture_output=True, text=True).stdout
    runs = [tuple(run) for run in json.loads(output.splitlines()[-1])]
    starts, ends = sorted(start for start, _ in runs), sorted(end for _, end in runs)
    return [start - end for end, start in zip(ends, starts[LIMIT:], strict=False)]


def main() -> None:
    with stand.installation(WORKERS="4"):
        mine, theirs = ours(), peer()
    for name, values in (("genqueue", mine), ("procrastinate", theirs)):
        stand.figure(f"hand-off p50, {name}", statistics.median(values) * 1000, " ms")
    stand.figure("hand-off p95, procrastinate", stand.percentile(theirs, 0.95) * 1000, " ms")
    ratio = stand.percentile(mine, 0.95) / stand.percentile(theirs, 0.95)
    stand.verdict("hand-off p95 ratio genqueue / procrastinate", ratio, most=1)
    stand.verdict("hand-off p95", stand.percentile(mine, 0.95) * 1000, most=20, unit=" ms")


if __name__ == "__main__":
    main()
