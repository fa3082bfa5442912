"""The queues between a cluster's processes: a process that ends releases their locks."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from typing import Any

import pytest
from django.core.management import get_commands

from queue_app.runtime.qcluster import KernelLock, KernelLockedQueue
from tests.processes import wait_for

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def processes() -> Iterator[list[BaseProcess]]:
    started: list[BaseProcess] = []
    yield started
    for process in started:
        process.kill()
        process.join()


def start(processes: list[BaseProcess], target: Any, *args: Any) -> BaseProcess:
    process = FORK.Process(target=target, args=args)
    process.start()
    processes.append(process)
    return process


def is_held(lock: KernelLock) -> bool:
    if lock.acquire(block=False):
        lock.release()
        return False
    return True


def pass_on(tasks: KernelLockedQueue, results: KernelLockedQueue) -> None:
    for task in iter(tasks.get, "STOP"):
        results.put((os.getpid(), task))


class TestAQueue:
    def test_goes_on_when_the_worker_that_waits_at_it_is_killed(self, processes: list[BaseProcess]) -> None:
        """One of the idle workers always holds the lock."""
        tasks, results = KernelLockedQueue(), KernelLockedQueue()
        for round_ in range(3):
            idle = start(processes, pass_on, tasks, results)
            wait_for(lambda: is_held(tasks._rlock), seconds=60)
            start(processes, pass_on, tasks, results)
            assert idle.pid is not None
            os.kill(idle.pid, signal.SIGKILL)
            idle.join()
            tasks.put(round_)
            assert results.get(timeout=60)[1] == round_

    def test_gives_each_task_to_one_worker(self, processes: list[BaseProcess]) -> None:
        tasks, results = KernelLockedQueue(), KernelLockedQueue()
        for _ in range(3):
            start(processes, pass_on, tasks, results)
        for number in range(300):
            tasks.put(number)
        found = [results.get(timeout=60) for _ in range(300)]
        assert sorted(task for _, task in found) == list(range(300))

    def test_is_what_our_qcluster_runs_with(self) -> None:
        assert get_commands()["qcluster"] == "queue_app"


class TestALock:
    def test_is_had_within_the_time_or_not_at_all(self, processes: list[BaseProcess]) -> None:
        lock, held = KernelLock(), FORK.Event()

        def hold() -> None:
            with lock:
                held.set()
                signal.pause()

        holder = start(processes, hold)
        assert held.wait(60)
        assert not lock.acquire(block=False)
        assert not lock.acquire(timeout=0.05)
        holder.kill()
        holder.join()
        assert lock.acquire(timeout=60)
