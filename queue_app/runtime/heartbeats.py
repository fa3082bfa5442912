"""
Heartbeats of a cluster's processes to their runworker, connected to django-q2's signals when Django starts.

Each worker sends one every 2 seconds with its current task, from a thread, so that a busy worker is never taken for a dead one.
"""

import logging
import os
import signal
import socket
import threading
import time
from functools import cache
from typing import Any

from django.db import Error
from django_q.conf import Conf
from django_q.signals import post_execute, post_execute_in_worker, post_spawn, pre_execute

from queue_app import statements
from queue_app.models import WorkerProcess
from queue_app.runtime import canary, processes
from queue_app.runtime.pipe import LINE, Beat
from queue_app.runtime.queues import Queue

log = logging.getLogger(__name__)

BEAT_SECONDS = 2
GIVES_WAY = {
    Queue.STORE.cluster,
    Queue.DELIVER.cluster,
}  # queues that yield the processor to workers that free and fill slots: they only save results and send messages
NICENESS = 5
ORPHAN_SECONDS = 25  # time for calls in flight to end before an orphaned cluster kills itself


class _Worker:
    """The state of this process once it is a worker."""

    task = ""
    until: float | None = None

    def send(self) -> None:
        task, until = self.task, self.until
        left = round(until - time.monotonic(), 1) if task and until is not None else None
        LINE.tell(Beat(os.getpid(), task=task[:100], seconds_left=left))

    def beat(self) -> None:
        """Send beats until the process ends; kill the whole process group `ORPHAN_SECONDS` after the pipe is cut."""
        cut_at: float | None = None
        while True:
            self.send()
            time.sleep(BEAT_SECONDS)
            if LINE.is_held and LINE.is_cut():
                cut_at = cut_at or time.monotonic()
                if time.monotonic() - cut_at > ORPHAN_SECONDS:
                    os.killpg(os.getpgrp(), signal.SIGKILL)


_worker = _Worker()


def name_task(words: str) -> None:
    """Set the text for this worker's current task, such as "submit job 7", and send it; an empty text means idle."""
    _worker.task = words
    _worker.send()


def my_name() -> str:
    """Return the name under which this process holds leases. Its runworker ends them when the process has ended."""
    return _name_of(os.getpid())


@cache
def _name_of(pid: int) -> str:
    main = processes.look(os.getpgrp())
    return WorkerProcess.name_of(socket.gethostname(), pid, main.started if main else "")


def _spawned(**_: Any) -> None:
    try:
        statements.keep_all()
    except Error as error:
        log.warning("hot path statements could not be prepared in advance: %s", str(error).strip())
    if Conf.CLUSTER_NAME in GIVES_WAY:
        os.nice(NICENESS)
    threading.Thread(target=_worker.beat, name="beats", daemon=True).start()


def _begins(task: dict[str, Any], **_: Any) -> None:
    if task["func"] not in canary.FUNCTIONS:
        _worker.until = time.monotonic() + Conf.TIMEOUT
        name_task(str(task["func"]).rpartition(".")[2])


def _ended(task: dict[str, Any], **_: Any) -> None:
    if task["func"] not in canary.FUNCTIONS:
        name_task("")


def _monitored(task: dict[str, Any], **_: Any) -> None:
    if task["func"] in canary.FUNCTIONS:
        LINE.tell(Beat(os.getpid(), canary=True))


def connect() -> None:
    """Connect to django-q2's signals. Idempotent."""
    post_spawn.connect(_spawned)
    pre_execute.connect(_begins)
    post_execute_in_worker.connect(_ended)
    post_execute.connect(_monitored)
