"""
A storm: for some minutes an installation with faulty providers suffers random failures (blows) while jobs arrive by the API, in
turn for a model of each adapter (`benchmarks.lanes`).

``make storm ARGS="--seed 1 2 3 4 --jobs 100"``; the same seed draws the same blows and faults, but their victims depend on the
moment. Then blows and faults stop, a person decides on the outcomes that only a person can know, all jobs may finish, and the
studio's log is compared with our rows (`benchmarks.books`). Exits with status 1 if a job was lost, a task was accepted twice
without a right to it (I17), a limit was exceeded at the studio, or a rule of `check_invariants` is broken.
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
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
import requests

from benchmarks import books, person, recoveries, results, stand
from benchmarks.books import Books, JobRow, Task, Tried
from benchmarks.lanes import LANES, LONG_WORKERS, TIMEOUT_SECONDS
from benchmarks.recoveries import Fallen, Recoveries

SECONDS, LONGEST = 300.0, 1_200.0  # of the blows: without and with a number of jobs
OPEN = 24  # unfinished jobs
JOB_SECONDS, APART_SECONDS = 15.0, 10.0  # of a job at the studio: 5 to 25
CALM_SECONDS = 5  # before the first blow
BETWEEN_BLOWS = (3.0, 7.0)
RESTART_SECONDS = 0.5  # until a program that has ended is restarted
SAMPLE_SECONDS = 0.25
LISTEN_SECONDS = 1.0  # between two readings of the studio's faults, which it forgets when it is killed
DECIDE_SECONDS = 5.0
# longest wait at the end: fal and Replicate may begin a task late, so a proof that there is none takes up to eight minutes
DRAIN_SECONDS = 900


@dataclass
class Storm:
    """An installation and the blows on it. Everything but the submitting of jobs runs in one thread, a few times per second."""

    seed: int
    seconds: float
    jobs: int | None = None
    runworkers: int = 1
    logs: Path | None = None
    fallen: list[Fallen] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    prompts: list[str] = field(default_factory=list)
    restarts: Counter[str] = field(default_factory=Counter)
    faults: dict[int, Counter[tuple[str, str]]] = field(default_factory=dict)  # by the studio's life: by dialect and kind of call
    decided: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    open_jobs: int = 0
    blown: float = 0.0  # seconds

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.recoveries = Recoveries(long_workers=LONG_WORKERS * self.runworkers)
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._dead: dict[int, float] = {}
        self._submits = self._listens = True

    def run(self) -> bool:
        """Run the storm and print the result. Return whether all is well."""
        from tests.processes import Site

        self.site = Site(
            STUDIO_SECONDS_PER_JOB=f"{JOB_SECONDS}",
            STUDIO_SECONDS_APART=f"{APART_SECONDS}",
            STUDIO_PARALLEL_RENDERS="2",
            WORKERS="4",
            LONG_WORKERS=str(LONG_WORKERS),
            LOG_LEVEL="INFO",
            CONN_MAX_AGE="0",
        )
        try:
            self._set_up()
            submitting, listening = (threading.Thread(target=what, daemon=True) for what in (self._submit, self._listen))
            submitting.start()
            listening.start()
            self._until(lambda: self.ask_one("SELECT count(*) FROM queue_app_job WHERE state = 'completed'") >= 3, seconds=180)
            self._blow()
            self._submits = self._listens = False
            submitting.join(60)
            listening.join(60)
            self._drain()
            return self._judge()
        finally:
            self._submits = self._listens = False
            for what in [what for _, what in self._due]:
                what()  # resume frozen processes
            if self.logs is not None:
                shutil.copytree(self.site.home, self.logs / str(self.seed), ignore=_no_logs, dirs_exist_ok=True)
            self.site.close()

    @property
    def met(self) -> Counter[tuple[str, str]]:
        """The faults that calls have met, by dialect and kind of call."""
        return sum(self.faults.values(), Counter())

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
        from queue_app.models import (
            GenerationModel,
            ModelConcurrencyLimit,
            ModelRoute,
            ProviderAccount,
            QueueSettings,
            User,
        )

        self.site.prepare()
        with self.site.orm():
            tickets.grant(User.objects.create_user("storm"), 1_000_000, at=clock.now(), actor="storm", reason="to spend")
            User.objects.create_user(person.NAME, is_staff=True)
            QueueSettings.objects.update(max_concurrent=50)
            for lane in LANES:
                ModelRoute.objects.filter(model=lane.model).exclude(account=lane.account).update(active=False)
                ModelRoute.objects.filter(model=lane.model, account=lane.account).update(active=True)
                GenerationModel.objects.filter(key=lane.model).update(timeout_seconds=TIMEOUT_SECONDS)
                ModelConcurrencyLimit.objects.filter(model=lane.model).update(max_concurrent=lane.of_model)
                ProviderAccount.objects.filter(key=lane.account).update(max_concurrent=lane.of_account)
        self._key = self.site.manage("create_api_key", "storm")
        self.studio = self.site.start_studio(faults=self.seed)
        self.web = self.site.start_web()
        self.workers = [self.site.start_worker(WEBHOOK_URL=self.site.url) for _ in range(self.runworkers)]
        for worker in self.workers:
            self.site.wait_until_working(worker)

    def _blow(self) -> None:
        from benchmarks.blows import BLOWS

        names, weights = list(BLOWS), [blow.weight for blow in BLOWS.values()]
        began = time.time()
        next_at = began + CALM_SECONDS
        while time.time() - began < self.seconds and (self.jobs is None or self._submits):
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
        self.blown = time.time() - began

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
            self.restarts["studio"] += 1
            self._restart_studio(faults=f"{self.seed}.{self.restarts['studio']}")  # not the same faults once more

    def _look(self, now: float) -> None:
        rows = self.ask(recoveries.DUE, recoveries.VALUES)
        self.recoveries.look(now, rows)
        self.open_jobs = sum(row[4] for row in rows) if rows else self.open_jobs
        # in place of the person whom an alert would call
        self.resumed += len(
            self.ask("UPDATE queue_app_provideraccount SET paused = false, paused_reason = '' WHERE paused RETURNING key")
        )

    def _until(self, what: Callable[[], bool], *, seconds: float) -> None:
        ends = time.time() + seconds
        self._step()
        while not what() and time.time() < ends:
            self._step()

    def _drain(self) -> None:
        """End blows and faults, and wait for the end of all jobs. A person decides on what only a person can know."""
        self._hear_of_faults()
        self._restart_studio(faults=None)
        began = next_at = time.time()
        while self.open_jobs and time.time() < began + DRAIN_SECONDS:
            self._step()
            if time.time() >= next_at:
                self._decide(calm_since=began)
                next_at = time.time() + DECIDE_SECONDS

    def _restart_studio(self, *, faults: int | str | None) -> None:
        self.studio.faults = faults
        self.studio.restart()

    def _decide(self, *, calm_since: float) -> None:
        with self.site.orm():
            for decision in person.decide(self.chance, calm_since=datetime.fromtimestamp(calm_since, UTC)):
                self.decided[f"{decision.account} {decision.state}"] += 1
                print(f"           a person decides: job {decision.job} is {decision.state}. {decision.why}", flush=True)

    def _submit(self) -> None:
        """Keep `OPEN` jobs unfinished, the lanes in turn; send each again with its idempotency key until it is accepted."""
        number = 0
        while self._submits:
            if self.open_jobs >= OPEN:
                time.sleep(0.2)
                continue
            lane = LANES[number % len(LANES)]
            number += 1
            prompt = f"A kite over the bay, storm {self.seed}, take {number}."
            self.prompts.append(prompt)
            body = {"model": lane.model, "prompt": prompt, "parameters": lane.parameters}
            while not self._sent(body, key=f"storm-{self.seed}-{number}"):
                time.sleep(0.5)
            self.open_jobs += 1
            self._submits = self._submits and number != self.jobs

    def _sent(self, body: dict[str, Any], *, key: str) -> bool:
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": key}
        try:
            answer = requests.post(f"{self.site.url}/api/v1/jobs/", json=body, headers=headers, timeout=20)
        except requests.RequestException as error:
            self.answers[type(error).__name__] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        if answer.status_code not in (201, 503, 409):
            print(f"           the API said {answer.status_code}: {answer.text[:200]}")
        return answer.status_code == 201

    def _listen(self) -> None:
        """Read the studio's faults all the time, because it is killed and then forgets them."""
        while self._listens:
            self._hear_of_faults()
            time.sleep(LISTEN_SECONDS)

    def _hear_of_faults(self) -> None:
        life = self.restarts["studio"]
        with suppress(requests.RequestException):
            rows = requests.get(f"{self.studio.url}/_studio/log", timeout=2).json()["faults"]
            self.faults[life] = Counter()
            for row in rows:
                self.faults[life][row["dialect"], row["kind"]] += row["count"]

    # --- results --------------------------------------------------------------------------------------------------

    def _judge(self) -> bool:
        found = self._books()
        took = self.recoveries.after(self.fallen, self.ask(recoveries.DONE))
        findings = found.findings()
        states, again = Counter(job.state for job in found.jobs), found.again
        print(f"seed {self.seed}: {len(self.prompts)} jobs, {len(self.fallen)} blows in {self.blown:.0f} s")
        print(f"  restarts {dict(self.restarts)}, pauses ended {self.resumed}, the API answered {dict(self.answers)}")
        print(f"  jobs {dict(states)}, attempts {len(found.attempts)}, accepted by the studio {len(found.tasks)}")
        print(f"  create calls without an answer {_nested(found.unanswered)}")
        print(f"  accepted once more after an attempt that had been accepted and ended: {again.total()} {dict(again)}")
        print(f"  decided by a person: {self.decided.total()} {dict(self.decided)}")
        print("  at once at the studio: " + ", ".join(f"{name} {most} of {top}" for name, (most, top) in found.peaks().items()))
        print(f"  faults {_nested(self.met)}")
        print(f"  failed {dict(Counter(job.error_code for job in found.jobs if job.state == 'failed'))}")
        for words, rows in findings.items():
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
        is_well = not checked.returncode and not any(findings.values())
        print(f"  {'well' if is_well else 'NOT WELL'}", flush=True)
        return is_well

    def _books(self) -> Books:
        return Books(
            asked=self.prompts,
            jobs=[JobRow(*row) for row in self.ask(books.JOBS)],
            attempts=[Tried(*row) for row in self.ask(books.ATTEMPTS)],
            tasks=[Task.of(row) for row in self.studio.log()["creates"] if row["accepted"]],
            long_workers=LONG_WORKERS * self.runworkers,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[random.randrange(1_000)], help="one storm for each seed")
    parser.add_argument("--jobs", type=int, help="end the blows once so many jobs are submitted")
    parser.add_argument("--seconds", type=float, help=f"longest time of the blows; {SECONDS:.0f}, or {LONGEST:.0f} with --jobs")
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
    seconds = asked.seconds or (LONGEST if asked.jobs else SECONDS)
    storms: list[Storm] = []
    is_well = True
    for seed in asked.seed:
        until = f"{asked.jobs} jobs or {seconds:.0f} s" if asked.jobs else f"{seconds:.0f} s"
        print(f"storm of seed {seed} for {until}, {asked.runworkers} runworkers", flush=True)
        storms.append(Storm(seed, seconds, asked.jobs, asked.runworkers, asked.logs))
        is_well &= storms[-1].run()
    _sum_up(storms)
    return is_well


def _sum_up(storms: list[Storm]) -> None:
    jobs, decided = sum(len(storm.prompts) for storm in storms), sum(storm.decided.total() for storm in storms)
    print(f"{len(storms)} storms: {jobs} jobs, {decided} decisions by a person")
    print(f"faults {_nested(sum((storm.met for storm in storms), Counter()))}")
    if recovery := [seconds for storm in storms for seconds in storm.recovery]:
        print(f"{len(recovery)} blows: recovery p50 {statistics.median(recovery):.1f} s, longest {max(recovery):.1f} s")
        stand.verdict("recovery p95", stand.percentile(recovery, 0.95), most=10, unit=" s")


def _nested(counts: Counter[tuple[str, str]]) -> str:
    """Return counts by two names in one line: “chat: create 2; fal: create 3, webhook 1”."""
    firsts = sorted({first for first, _ in counts})
    return "; ".join(
        f"{first}: " + ", ".join(f"{second} {count}" for (one, second), count in sorted(counts.items()) if one == first)
        for first in firsts
    )


def _no_logs(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".log") and not (Path(folder) / name).is_dir()]


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
