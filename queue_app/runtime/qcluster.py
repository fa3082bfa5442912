"""
django-q2's `qcluster` with file locks for its internal queues.

The processes of a cluster read one pipe in turn, under a lock. django-q2 uses a semaphore, which an idle worker holds all the
time: if that worker is killed, the semaphore is never released and the whole cluster freezes. The kernel releases a file lock
when its holder ends.
"""

import errno
import fcntl
import tempfile
import time
from types import TracebackType
from typing import Any

from django_q import cluster, queues
from django_q.management.commands import qcluster

from queue_app.runtime import tasks  # noqa: F401 - imported before there are workers, once for all of them

_LOOK_AGAIN_SECONDS = 0.001


class KernelLock:
    """A lock between the processes that inherit it, for one thread in each. The kernel releases it when its holder ends."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - stays open as long as the lock exists

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        ends = None if timeout is None else time.monotonic() + timeout
        while not self._try(wait=block and ends is None):
            if not block or (ends is not None and time.monotonic() > ends):
                return False
            time.sleep(_LOOK_AGAIN_SECONDS)
        return True

    def release(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()

    def _try(self, *, wait: bool) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            # the kernel tracks locks by process, so it may report a deadlock that is none if two threads of one wait
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True


class KernelLockedQueue(queues.Queue):  # type: ignore[misc]  # django-q2 has no types
    """django-q2's queue between its processes, with locks that are released when their holder ends."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._rlock, self._wlock = KernelLock(), KernelLock()


class Command(qcluster.Command):  # type: ignore[misc]
    # `runworker` has made them; here they would load every page and form, which no task needs
    requires_system_checks: list[str] = []

    def handle(self, *arguments: Any, **options: Any) -> None:
        cluster.Queue = KernelLockedQueue
        super().handle(*arguments, **options)
