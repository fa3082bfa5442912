"""Blows on an installation: a table of failures, each with a randomly chosen victim."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import psycopg2

from queue_app.runtime import processes

if TYPE_CHECKING:
    from benchmarks.storm import Storm

Strike = Callable[["Storm"], "Struck | None"]
LONGEST_FREEZE, LONGEST_LOCK = 15.0, 20.0  # seconds
SLOW_SECONDS = 4


class Struck(NamedTuple):
    """A blow that was struck: its victim, and its duration in seconds."""

    whom: str
    seconds: float = 0.0


class Blow(NamedTuple):
    weight: int
    strike: Strike


def busy_worker(storm: Storm) -> Struck | None:
    """Kill a worker that runs a task."""
    return _kill_worker(storm, "task <> ''")


def sender(storm: Storm) -> Struck | None:
    """Let a create call take some seconds, of any dialect, and kill a worker that is waiting for the answer to one."""
    slow = storm.chance.choice(_SLOW_CREATES)
    with suppress(OSError, AssertionError):
        storm.studio.queue_faults(create=[slow])
        seconds = storm.chance.uniform(1, SLOW_SECONDS)
        storm.later(seconds, lambda: _kill_worker(storm, "task LIKE 'submit job %'"))
        return Struck(f"a sender, by {slow}", seconds)
    return None


def idle_worker(storm: Storm) -> Struck | None:
    """Kill a worker that waits for a task, possibly while it holds the lock of the pipe that all workers read."""
    return _kill_worker(storm, "task = ''")


def master(storm: Storm) -> Struck | None:
    """Kill the main process of a cluster."""
    found = storm.one("SELECT queue, pid FROM queue_app_workerprocess WHERE role = 'cluster' AND {alive}")
    return _kill(found[1], f"the master of {found[0]}") if found else None


def helper(storm: Storm) -> Struck | None:
    """Kill a cluster's process that fetches tasks, stores results or supervises the workers."""
    found = storm.one("SELECT queue, group_id FROM queue_app_workerprocess WHERE role = 'cluster' AND {alive}")
    if not found:
        return None
    workers = {pid for (pid,) in storm.ask("SELECT pid FROM queue_app_workerprocess WHERE role = 'worker'")}
    others = [seen.pid for seen in processes.members(found[1]) if seen.pid not in workers | {found[1]}]
    return _kill(storm.chance.choice(others), f"a helper of {found[0]}") if others else None


def runworker(storm: Storm) -> Struck | None:
    """Kill a runworker; it is restarted."""
    return _kill(storm.chance.choice(storm.workers).pid, "runworker")


def web(storm: Storm) -> Struck | None:
    return _kill(storm.web.pid, "the web")


def studio(storm: Storm) -> Struck | None:
    return _kill(storm.studio.pid, "the studio")


def connection(storm: Storm) -> Struck | None:
    """End a database session, as an administrator would."""
    found = storm.one(f"SELECT pid FROM pg_stat_activity WHERE {_OTHERS}")
    if found:
        storm.ask("SELECT pg_terminate_backend(%s)", [found[0]])
    return Struck("a connection") if found else None


def connections(storm: Storm) -> Struck | None:
    """End all database sessions."""
    storm.ask(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_OTHERS}")
    return Struck("all connections")


def backend(storm: Storm) -> Struck | None:
    """Kill the server process of a session, upon which the server ends all sessions and recovers."""
    found = storm.one(f"SELECT pid FROM pg_stat_activity WHERE {_OTHERS}")
    return _kill(found[0], "a backend") if found else None


def server(storm: Storm) -> Struck | None:
    """Kill the database server."""
    process = storm.site.database.status().process
    return _kill(int(process), "the database server") if process else None


def flapping(storm: Storm) -> Struck | None:
    """End all database sessions every 1 to 2 seconds."""
    seconds = storm.chance.uniform(6, LONGEST_FREEZE)
    moment = 0.0
    while moment < seconds:
        storm.later(moment, lambda: connections(storm))
        moment += storm.chance.uniform(1, 2)
    return Struck("the database flaps", seconds)


def freeze(storm: Storm) -> Struck | None:
    """Freeze a process for a while: a worker, a cluster's main process, a runworker, the studio or the web server."""
    rows = storm.ask("SELECT role || ' ' || queue, pid FROM queue_app_workerprocess WHERE {alive} AND role <> 'dispatcher'")
    one_of_the_rows = storm.chance.choice(rows) if rows else ("runworker", storm.chance.choice(storm.workers).pid)
    programs = [("runworker", worker.pid) for worker in storm.workers] + [("studio", storm.studio.pid), ("web", storm.web.pid)]
    whom, pid = storm.chance.choice([one_of_the_rows, *programs])
    seconds = storm.chance.uniform(2, LONGEST_FREEZE)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        storm.later(seconds, lambda: _go_on(pid))
        return Struck(f"{whom} frozen for {seconds:.0f} s", seconds)
    return None


def lock(storm: Storm) -> Struck | None:
    """Lock rows in a long transaction: a job in flight or all of them, the wallets, or the queue's settings."""
    what, sql = storm.chance.choice(list(_LOCKS.items()))
    seconds = storm.chance.uniform(2, LONGEST_LOCK)
    held = storm.connect()
    try:
        with held.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
            cursor.execute(sql)
    except psycopg2.Error:
        held.close()
        return None
    storm.later(seconds, held.close)
    return Struck(f"{what} locked for {seconds:.0f} s", seconds)


def too_many(storm: Storm) -> Struck | None:
    """Let the provider refuse the next calls with 429."""
    with suppress(OSError, AssertionError):
        storm.studio.queue_faults(create=["429:1"] * storm.chance.randint(1, 6))
        return Struck("429 answers")
    return None


# the call is answered late, accepted late, or never accepted
_SLOW_CREATES = [f"{name}:{SLOW_SECONDS}" for name in ("slow_answer", "latency", "hang_before_accept")]
_OTHERS = "backend_type = 'client backend' AND datname = 'genqueue' AND pid <> pg_backend_pid()"
_IN_FLIGHT = "state IN ('submitting', 'running', 'storing')"
_LOCKS = {
    "a job": f"SELECT 1 FROM queue_app_job WHERE {_IN_FLIGHT} LIMIT 1 FOR UPDATE SKIP LOCKED",
    "all jobs in flight": f"SELECT 1 FROM queue_app_job WHERE {_IN_FLIGHT} FOR UPDATE SKIP LOCKED",
    "the wallet": "SELECT 1 FROM queue_app_wallet FOR UPDATE",
    "the settings": "SELECT 1 FROM queue_app_queuesettings FOR UPDATE",
}
BLOWS = {
    "busy worker": Blow(6, busy_worker),
    "sender": Blow(6, sender),
    "idle worker": Blow(4, idle_worker),
    "master": Blow(2, master),
    "helper": Blow(2, helper),
    "runworker": Blow(2, runworker),
    "web": Blow(1, web),
    "studio": Blow(2, studio),
    "connection": Blow(4, connection),
    "connections": Blow(3, connections),
    "backend": Blow(3, backend),
    "server": Blow(2, server),
    "flapping": Blow(1, flapping),
    "freeze": Blow(4, freeze),
    "lock": Blow(4, lock),
    "429": Blow(2, too_many),
}


def _kill_worker(storm: Storm, how: str) -> Struck | None:
    found = storm.one(f"SELECT queue, pid, task FROM queue_app_workerprocess WHERE role = 'worker' AND {how} AND {{alive}}")
    return _kill(found[1], f"a worker of {found[0]} at {found[2] or 'nothing'}") if found else None


def _kill(pid: int, whom: str) -> Struck | None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return Struck(whom)
    return None


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):  # it was killed because it was frozen
        os.kill(pid, signal.SIGCONT)
