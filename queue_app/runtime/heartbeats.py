"""
What the processes of a cluster tell their runworker, by django-q2's signals: every 2 s each worker says that it lives and what
it is at, from a thread, so that a busy one is never taken for a dead one. Imported when Django starts, it connects them.
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
}  # to who frees a slot and fills it again: what these store is made already
NICENESS = 5
ORPHAN_SECONDS = 25  # calls in flight may end; then an orphaned cluster ends itself


class _Worker:
    """This process, once it is a worker."""

    task = ""
    until: float | None = None

    def say(self) -> None:
        task, until = self.task, self.until
        left = round(until - time.monotonic(), 1) if task and until is not None else None
        LINE.tell(Beat(os.getpid(), task=task[:100], seconds_left=left))

    def beat(self) -> None:
        """Beat until the process ends, and end the whole group when it has been orphaned."""
        cut_at: float | None = None
        while True:
            self.say()
            time.sleep(BEAT_SECONDS)
            if LINE.is_held and LINE.is_cut():
                cut_at = cut_at or time.monotonic()
                if time.monotonic() - cut_at > ORPHAN_SECONDS:
                    os.killpg(os.getpgrp(), signal.SIGKILL)


_worker = _Worker()


def name_task(words: str) -> None:
    """Say what this worker is at, such as "submit job 7"; until the task ends."""
    _worker.task = words
    _worker.say()


def my_name() -> str:
    """The name of this process, under which it holds leases; its runworker tells the queue when it has ended."""
    return _name_of(os.getpid())


@cache
def _name_of(pid: int) -> str:
    main = processes.look(os.getpgrp())
    return WorkerProcess.name_of(socket.gethostname(), pid, main.started if main else "")


def _spawned(**_: Any) -> None:
    try:
        statements.keep_all()
    except Error as error:
        log.warning("the statements of the hot path are not kept beforehand: %s", str(error).strip())
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
    """Listen to django-q2's signals; said twice it still listens once."""
    post_spawn.connect(_spawned)
    pre_execute.connect(_begins)
    post_execute_in_worker.connect(_ended)
    post_execute.connect(_monitored)
