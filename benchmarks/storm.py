"""
A storm: for some minutes an installation with a faulty provider suffers random failures (blows) while jobs arrive by the API.

``make storm ARGS="--seed 7 --seconds 300"``; the same seed draws the same blows, but their victims depend on the moment. Then the
blows stop, all jobs may finish, and the provider's tasks are compared with our rows. Exits with status 1 if a job was lost, a
task was sent twice, or a rule of `check_invariants` is broken.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import requests

from benchmarks import results, stand

MODEL, AT_ONCE, OPEN = "sora-2", 12, 24
CALM_SECONDS = 15  # before the first blow
BETWEEN_BLOWS = (3.0, 7.0)
RESTART_SECONDS = 0.5  # until a program that has ended is restarted
SAMPLE_SECONDS = 0.25
DRAIN_SECONDS = 420  # longest wait at the end: an unknown outcome needs three minutes for two lookups
STANDS_STILL = 60.0  # longest recovery that is reported

# Overdue work: jobs that could start, checks, and files to store. An account that is cooling down or full is not our delay, and
# neither is a provider that makes a living worker wait.
_DUE = """
    SELECT coalesce(bool_or(job.state = 'queued' AND NOT job.held AND job.not_before IS NULL), false)
           AND NOT (account.paused OR coalesce(account.cooldown_until > now.at, false)),
           coalesce(bool_or(job.state IN ('running', 'cancelling') AND job.next_check_at < now.at AND worker.id IS NULL), false),
           coalesce(bool_or(job.state = 'storing' AND job.next_check_at < now.at AND worker.id IS NULL), false),
           count(job.id),
           count(*) FILTER (WHERE job.state IN ('submitting', 'running', 'cancelling') OR attempt.slot_until > now.at),
           account.lowered_by, account.lowered_at, now.at
      FROM queue_app_provideraccount account
     CROSS JOIN (SELECT clock_timestamp() AS at) now
      LEFT JOIN queue_app_job job ON job.ended_at IS NULL
      LEFT JOIN queue_app_attempt attempt
        ON attempt.job_id = job.id AND attempt.number = job.attempt_number AND job.state = 'unknown'
      LEFT JOIN queue_app_workerprocess worker
        ON job.lease_taken AND job.leased_by = worker.host || ':' || worker.pid || ':' || worker.group_started
       AND worker.role = 'worker' AND worker.beat_at > now.at - interval '6 s'
     WHERE account.key = 'openai_videos'
     GROUP BY account.key, now.at
"""
# the times at which such work was done
_DONE = """
    SELECT extract(epoch FROM at)::float,
           CASE WHEN to_state = 'submitting' THEN 0 WHEN from_state IN ('running', 'cancelling') THEN 1 ELSE 2 END
      FROM queue_app_jobevent
     WHERE from_state <> to_state AND (to_state = 'submitting' OR from_state IN ('running', 'cancelling', 'storing'))
     ORDER BY at
"""
SORTS = ("start", "look", "store")


@dataclass
class Fallen:
    """A blow: its time (wall clock), name and victim, and the time it was over."""

    at: float
    name: str
    whom: str
    over: float


@dataclass
class Storm:
    """An installation and the blows on it. Everything but the submitting of jobs runs in one thread, a few times per second."""

    seed: int
    seconds: float
    runworkers: int = 1
    logs: Path | None = None
    fallen: list[Fallen] = field(default_factory=list)
    samples: list[tuple[float, tuple[bool, ...]]] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    prompts: list[str] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    open_jobs: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._dead: dict[int, float] = {}
        self._submits = True

    def run(self) -> bool:
        """Run the storm and print the result. Return whether all is well."""
        from tests.processes import Site

        self.site = Site(STUDIO_SECONDS_PER_JOB="4", WORKERS="4", LOG_LEVEL="INFO", STUDIO_PARALLEL_RENDERS="2", CONN_MAX_AGE="0")
        try:
            self._set_up()
            submitting = threading.Thread(target=self._submit, daemon=True)
            submitting.start()
            self._until(lambda: self.ask_one("SELECT count(*) FROM queue_app_job WHERE state = 'completed'") >= 3, seconds=180)
            self._blow()
            self._submits = False
            submitting.join(60)
            self._until(lambda: self.open_jobs == 0, seconds=DRAIN_SECONDS)
            return self._judge()
        finally:
            for what in [what for _, what in self._due]:
                what()  # resume frozen processes
            if self.logs is not None:
                shutil.copytree(self.site.home, self.logs / str(self.seed), ignore=_no_logs, dirs_exist_ok=True)
            self.site.close()

    # --- used by the blows and the loop ---------------------------------------------------------------------------

    def connect(self) -> Any:
        return psycopg2.connect(self.site.database.url("genqueue"), connect_timeout=2)

    def ask(self, sql: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run a query on a new connection and return its rows; empty while the database is lost."""
        try:
            connection = self.connect()
        except psycopg2.Error:
            return []
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = '2s'")
                cursor.execute(sql.replace("{alive}", "beat_at > clock_timestamp() - interval '6 s'"), values)
                return list(cursor.fetchall()) if cursor.description else []
        except psycopg2.Error:
            return []
        finally:
            connection.close()

    def one(self, sql: str) -> tuple[Any, ...] | None:
        """Return a random row of the result, or ``None``."""
        rows = sorted(self.ask(sql))
        return self.chance.choice(rows) if rows else None

    def ask_one(self, sql: str) -> Any:
        rows = self.ask(sql)
        return rows[0][0] if rows else 0

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        self._due.append((time.time() + seconds, what))

    # --- the storm ------------------------------------------------------------------------------------------------

    def _set_up(self) -> None:
        from queue_app import clock, tickets
        from queue_app.models import ModelConcurrencyLimit, ProviderAccount, QueueSettings, User

        self.site.prepare()
        with self.site.orm():
            tickets.grant(User.objects.create_user("storm"), 1_000_000, at=clock.now(), actor="storm", reason="to spend")
            ModelConcurrencyLimit.objects.filter(model=MODEL).update(max_concurrent=AT_ONCE)
            ProviderAccount.objects.filter(key="openai_videos").update(max_concurrent=AT_ONCE)
            QueueSettings.objects.update(max_concurrent=50)
        self._key = self.site.manage("create_api_key", "storm")
        self.studio = self.site.start_studio(seconds_per_job=4, faults=self.seed)
        self.workers = [self.site.start_worker() for _ in range(self.runworkers)]
        self.web = self.site.start_web()
        for worker in self.workers:
            self.site.wait_until_working(worker)

    def _blow(self) -> None:
        from benchmarks.blows import BLOWS

        names, weights = list(BLOWS), [blow.weight for blow in BLOWS.values()]
        began = time.time()
        next_at = began + CALM_SECONDS
        while time.time() - began < self.seconds:
            self._step()
            if time.time() < next_at:
                continue
            (name,) = self.chance.choices(names, weights)
            struck = BLOWS[name].strike(self)
            if struck is not None:
                now = time.time()
                self.fallen.append(Fallen(now, name, struck.whom, now + struck.seconds))
                print(f"{now - began:6.1f} s  {struck.whom}", flush=True)
            next_at = time.time() + self.chance.uniform(*BETWEEN_BLOWS)
        while self._due:
            self._step()

    def _step(self) -> None:
        """Do scheduled actions, restart ended programs and take a sample."""
        time.sleep(SAMPLE_SECONDS)
        now = time.time()
        due = [what for at, what in self._due if at <= now]
        self._due = [one for one in self._due if one[0] > now]
        for what in due:
            what()
        self._start_what_died(now)
        self._look(now)

    def _start_what_died(self, now: float) -> None:
        for program in [*self.workers, self.web]:
            if program.is_running:
                self._dead.pop(id(program), None)
            elif now - self._dead.setdefault(id(program), now) > RESTART_SECONDS:
                program.start()
                self.restarts[program.name] += 1
        if self.studio.is_running:
            self._dead.pop(id(self.studio), None)
        elif now - self._dead.setdefault(id(self.studio), now) > RESTART_SECONDS:
            self.studio.restart()
            self.restarts["studio"] += 1

    def _look(self, now: float) -> None:
        from queue_app.rules import limits

        rows = self.ask(_DUE)
        if rows:
            start, look, store, self.open_jobs, used, by, since, at = rows[0]
            self.samples.append((now, (start and used < limits.lowered(AT_ONCE, by=by, since=since, at=at), look, store)))
        else:
            self.samples.append((now, (True, True, True)))
        # in place of the person whom an alert would call
        self.resumed += len(
            self.ask("UPDATE queue_app_provideraccount SET paused = false, paused_reason = '' WHERE paused RETURNING key")
        )

    def _until(self, what: Callable[[], bool], *, seconds: float) -> None:
        ends = time.time() + seconds
        self._step()
        while not what() and time.time() < ends:
            self._step()

    def _submit(self) -> None:
        """Keep `OPEN` jobs unfinished; send each again with its idempotency key until it is accepted."""
        number = 0
        while self._submits:
            if self.open_jobs >= OPEN:
                time.sleep(0.2)
                continue
            number += 1
            prompt = f"A kite over the bay, storm {self.seed}, take {number}."
            self.prompts.append(prompt)
            while not self._sent(prompt, key=f"storm-{self.seed}-{number}"):
                time.sleep(0.5)
            self.open_jobs += 1

    def _sent(self, prompt: str, *, key: str) -> bool:
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": key}
        body = {"model": MODEL, "prompt": prompt, "parameters": {"duration": 4}}
        try:
            answer = requests.post(f"{self.site.url}/api/v1/jobs/", json=body, headers=headers, timeout=20)
        except requests.RequestException as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        if answer.status_code not in (201, 503, 409):
            print(f"           the API said {answer.status_code}: {answer.text[:200]}")
        return answer.status_code == 201

    # --- results --------------------------------------------------------------------------------------------------

    def _judge(self) -> bool:
        books = Books(self)
        took = self._recoveries()
        print(f"seed {self.seed}: {len(self.fallen)} blows in {self.seconds:.0f} s")
        print(f"  restarts {dict(self.restarts)}, pauses ended {self.resumed}, the API answered {dict(self.answers)}")
        print(f"  jobs {dict(books.states)}, attempts {books.attempts}, tasks at the provider {books.tasks}")
        for words, rows in books.findings.items():
            print(f"  {words}: {len(rows)}" + "".join(f"\n      {row}" for row in rows[:10]))
        self.recovery = [seconds for seconds, _ in took]
        if took:
            p50, p95 = statistics.median(self.recovery), stand.percentile(self.recovery, 0.95)
            print(f"  recovery p50 {p50:.1f} s, p95 {p95:.1f} s; the slowest:")
            for seconds, whom in took[-8:]:
                print(f"      {seconds:5.1f} s after {whom}")
        checked = subprocess.run(
            [sys.executable, "manage.py", "check_invariants"],
            cwd=results.ROOT,
            env=self.site.env,
            capture_output=True,
            text=True,
            check=False,
        )
        if checked.returncode:
            print("\n".join(line for line in checked.stdout.splitlines() if not line.startswith("ok")) or checked.stderr[-2000:])
        is_well = not checked.returncode and not books.findings["lost"] and not books.findings["twice"]
        print(f"  {'well' if is_well else 'NOT WELL'}", flush=True)
        return is_well

    def _recoveries(self) -> list[tuple[float, str]]:
        """
        Return the recovery time in seconds and the victim of each blow, ascending.

        It is the time during which work was due, from the blow's end until some was done; the longest one of starts, checks and
        stores.
        """
        done: list[list[float]] = [[] for _ in SORTS]
        for at, sort in self.ask(_DONE):
            done[sort].append(at)
        found = []
        for blow in self.fallen:
            waits = []
            for sort, times in enumerate(done):
                first = next((at for at in times if at > blow.over), blow.over + STANDS_STILL)
                waits.append((self._due_seconds(sort, blow.over, first), SORTS[sort]))
            seconds, name = max(waits)
            found.append((seconds, f"{blow.whom} ({name})"))
        return sorted(found)

    def _due_seconds(self, sort: int, begins: float, ends: float) -> float:
        """Return the seconds between two times in which work of this sort was due, by the samples."""
        times = [at for at, _ in self.samples]
        first, last = max(0, bisect(times, begins) - 1), bisect(times, ends)
        moments = [begins, *times[first + 1 : last], ends]
        spans = zip(self.samples[first:last], moments, moments[1:], strict=False)
        return sum(after - before for (_, due), before, after in spans if due[sort])


class Books:
    """The provider's tasks compared with our jobs and attempts."""

    def __init__(self, storm: Storm) -> None:
        jobs = storm.ask("SELECT id, state, prompt, error_code, worker_deaths FROM queue_app_job")
        rows = storm.ask("SELECT job_id, number, remote_id, outcome FROM queue_app_attempt")
        at_provider = _tasks(storm)
        self.states = Counter(state for _, state, *_ in jobs)
        self.attempts, self.tasks = len(rows), len(at_provider)
        known = {remote_id for _, _, remote_id, _ in rows if remote_id}
        unsettled: Counter[str] = Counter()
        prompt_of = {pk: prompt for pk, _, prompt, *_ in jobs}
        for job, _, remote_id, outcome in rows:
            if remote_id is None and outcome in (None, "abandoned"):
                unsettled[prompt_of[job]] += 1  # it may have a task, and staff have been told so
        strangers = Counter(prompt for task, prompt in at_provider if task not in known)
        sent = Counter(prompt_of.values())
        open_ones = [
            f"job {pk} is {state}" for pk, state, *_ in jobs if state not in ("completed", "failed", "cancelled", "unknown")
        ]
        self.findings: dict[str, list[str]] = {
            "lost": [
                *open_ones,
                *(f"never queued: {prompt}" for prompt in storm.prompts if not sent[prompt]),
                *(f"job {pk} is given up as {code}" for pk, _, _, code, _ in jobs if code == "poison"),
                *(f"a task that nobody knows: {prompt}" for prompt, count in strangers.items() if count > unsettled[prompt]),
            ],
            "twice": [
                *(f"{count} jobs: {prompt}" for prompt, count in sent.items() if count > 1),
                *(
                    f"{count} tasks for {mine} attempts: {prompt}"
                    for prompt, count in Counter(prompt for _, prompt in at_provider).items()
                    if count > (mine := _bought(rows, prompt_of, prompt))
                ),
            ],
            "undecided": [f"job {pk}" for pk, state, *_ in jobs if state == "unknown"],
            "failed": sorted(f"job {pk}: {code}" for pk, state, _, code, _ in jobs if state == "failed"),
        }


def _bought(rows: list[tuple[Any, ...]], prompt_of: dict[int, str], prompt: str) -> int:
    return sum(outcome != "not_accepted" for job, _, _, outcome in rows if prompt_of[job] == prompt)


def _tasks(storm: Storm) -> list[tuple[str, str]]:
    """Return id and prompt of every task that the provider has accepted."""
    storm.studio.faults = None
    storm.studio.restart()
    found: list[tuple[str, str]] = []
    query: dict[str, Any] = {"limit": 100, "order": "asc"}
    while True:
        page = requests.get(f"{storm.studio.url}/v1/videos", params=query, timeout=30).json()
        found += [(video["id"], video["prompt"]) for video in page["data"]]
        if not page["has_more"]:
            return found
        query["after"] = page["data"][-1]["id"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[random.randrange(1_000)], help="one storm for each seed")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--runworkers", type=int, default=1)
    parser.add_argument("--logs", type=Path, help="directory for the logs of the programs")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gq-storm-") as home:
        sys.exit(not _storms(asked, home))


def _storms(asked: argparse.Namespace, home: str) -> bool:
    os.environ |= {"GENQUEUE_VAR": home, "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "genqueue_site.settings"}
    import django

    django.setup()
    stand.say_load()
    recovery: list[float] = []
    is_well = True
    for seed in asked.seed:
        print(f"storm of seed {seed} for {asked.seconds:.0f} s, {asked.runworkers} runworkers", flush=True)
        storm = Storm(seed, asked.seconds, asked.runworkers, asked.logs)
        is_well &= storm.run()
        recovery += storm.recovery
    if recovery:
        print(f"{len(recovery)} blows: recovery p50 {statistics.median(recovery):.1f} s, longest {max(recovery):.1f} s")
        stand.verdict("recovery p95", stand.percentile(recovery, 0.95), most=10, unit=" s")
    return is_well


def _no_logs(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".log") and not (Path(folder) / name).is_dir()]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
