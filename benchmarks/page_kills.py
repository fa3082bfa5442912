"""
Pages under kills: 40 workers die by ``kill -9``, four in each of the seven stages and the others in the middle of a call, while
60 pages are written. Then the studio's log is compared with our rows: no finished call was repeated, and an unanswered one only
if it is counted.
"""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import requests

from benchmarks import page_samples, results, stand

PAGES, AT_ONCE = 60, 10
KILLS_PER_STAGE, KILLS_IN_CALLS = 4, 12
STUDIO_SECONDS = 1.0
BETWEEN_KILLS = 1.5  # seconds, in the middle of calls
LONGEST = 900.0
TOKENS = "GENQUEUE_VAR"  # tokens lie there: whoever takes one away dies


def before(job_id: int, stage: str) -> None:
    """
    Die at the beginning of a stage, if a token says so: a hook of `STAGE_HOOKS_BEFORE`. A job dies once at a stage: one that
    kills three workers at one place is given up as poison, as it should be.
    """
    home, name = Path(os.environ[TOKENS]), stage.replace(" ", "-")
    died = home / f"died-{name}-{job_id}"
    if died.exists():
        return
    for token in home.glob(f"kill-{name}-*"):
        try:
            token.rename(died)
        except FileNotFoundError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)


def _lay_tokens(home: Path) -> int:
    from campaigns.pages.pipeline import PAGES as pipeline

    for stage in pipeline.stages:
        for number in range(KILLS_PER_STAGE):
            (home / f"kill-{stage.name.replace(' ', '-')}-{number}").touch()
    return KILLS_PER_STAGE * len(pipeline.stages)


def _kill_in_a_call(site: Any, struck: set[int]) -> bool:
    """Kill a worker whose call is under way, of a job that was not struck before; return whether there was one."""
    from queue_app.models import Attempt, WorkerProcess

    with site.orm():
        calls = Attempt.objects.exclude(step="main").filter(outcome=None, job__state="running", job__lease_taken=True)
        holders = {call.job.leased_by: call.job_id for call in calls.exclude(job__in=struck).select_related("job")}
        workers = [row for row in WorkerProcess.objects.filter(role="worker") if row.name in holders]
    if not workers:
        return False
    struck.add(holders[workers[0].name])
    try:
        os.kill(workers[0].pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def run(site: Any) -> bool:
    from campaigns.models import Page
    from queue_app import clock, tickets
    from queue_app.models import Attempt, Job, ModelConcurrencyLimit, Outcome, ProviderAccount, QueueSettings, User

    site.prepare()
    with site.orm():
        tickets.grant(User.objects.create_user("pages"), 1_000, at=clock.now(), actor="bench", reason="to spend")
        QueueSettings.objects.update(max_concurrent=50)
        ModelConcurrencyLimit.objects.filter(model="page-writer").update(max_concurrent=AT_ONCE)
        ProviderAccount.objects.filter(adapter="chat").update(may_repeat=True)
    key = site.manage("create_api_key", "pages")
    studio = site.start_studio(seconds_per_job=STUDIO_SECONDS)
    site.start_web()
    worker = site.start_worker()
    site.wait_until_working(worker)
    planned = _lay_tokens(site.home)
    body = {"name": "kills", "jobs": [_job(number) for number in range(PAGES)]}
    answer = requests.post(f"{site.url}/api/v1/jobs/batch/", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    answer.raise_for_status()
    struck: set[int] = set()
    in_calls, began, next_at = 0, time.monotonic(), time.monotonic() + 2
    while time.monotonic() - began < LONGEST:
        time.sleep(0.2)
        if in_calls < KILLS_IN_CALLS and time.monotonic() >= next_at:
            in_calls += _kill_in_a_call(site, struck)
            next_at = time.monotonic() + BETWEEN_KILLS
        with site.orm():
            if not Job.objects.open().exists():
                break
    left = len(list(site.home.glob("kill-*")))
    with site.orm():
        states = Counter(Job.objects.values_list("state", flat=True))
        failed = Counter(Job.objects.filter(state="failed").values_list("error_code", "error_message"))
        calls = list(Attempt.objects.exclude(step="main").order_by("job", "step", "number"))
        lost = sum(call.outcome == Outcome.ABANDONED for call in calls)
        after_delivery = sum(
            one.outcome == Outcome.DELIVERED and (two.job_id, two.step) == (one.job_id, one.step)
            for one, two in itertools.pairwise(calls)
        )
        standings = Counter(Page.objects.values_list("verdict", flat=True))
    accepted = sum(row["accepted"] for row in studio.log()["creates"] if row["dialect"] == "chat")
    answered = len(calls) - lost
    checked = subprocess.run(
        [sys.executable, "manage.py", "check_invariants"],
        cwd=results.ROOT,
        env=site.env,
        capture_output=True,
        text=True,
        check=False,
    )
    kills = planned - left + in_calls
    print(f"{PAGES} pages, {kills} kills: {planned - left} at the beginning of stages, {in_calls} in calls; {dict(states)}")
    print(f"  failed: {dict(failed)}")
    print(f"  calls {len(calls)}, of them lost and counted {lost}; accepted by the studio {accepted}; checks {dict(standings)}")
    print(f"  finished calls repeated: {after_delivery}; calls that no row tells of: {max(0, accepted - len(calls))}")
    print(f"  check_invariants: {'well' if checked.returncode == 0 else checked.stdout[-2000:]}")
    stand.figure("kills", kills)
    stand.figure("lost calls, counted", lost)
    is_well = (
        states == {"completed": PAGES}
        and kills == planned + KILLS_IN_CALLS
        and not after_delivery
        and answered <= accepted <= len(calls)
        and checked.returncode == 0
    )
    print(f"  {'met' if is_well else 'MISSED'}: every page completed, no finished call repeated, books clean", flush=True)
    return is_well


def _job(number: int) -> dict[str, Any]:
    return {"model": "page-writer", "kind": "page", "metadata": page_samples.metadata(number)}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gq-kills-") as home:
        os.environ |= {"GENQUEUE_VAR": home, "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "genqueue_site.settings"}
        import django

        django.setup()
        from tests.processes import Site

        site = Site(LONG_WORKERS=str(AT_ONCE), STAGE_HOOKS_BEFORE="benchmarks.page_kills.before", LOG_LEVEL="WARNING")
        try:
            is_well = run(site)
        finally:
            site.close()
    sys.exit(not is_well)


if __name__ == "__main__":
    main()
