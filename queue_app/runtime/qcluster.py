"""
django-q2's `qcluster` with queues whose locks the kernel keeps.

The processes of a cluster read one pipe in turn, under a lock. django-q2's is a semaphore: a worker that is killed while it
holds it, which is what an idle one does all the time, takes it along, and the whole cluster stands still. The kernel lets go
of a file's lock when its holder ends.
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
    """A lock between the processes that inherit it; one thread of each may use it. It ends with its holder."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as there is the lock

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
            # the kernel thinks of processes: where two threads of one wait, it sees a deadlock that is none
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True


class Queue(queues.Queue):  # type: ignore[misc]  # django-q2 has no types
    """django-q2's queue between its processes, with locks that outlive nobody."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._rlock, self._wlock = KernelLock(), KernelLock()


class Command(qcluster.Command):  # type: ignore[misc]
    def handle(self, *arguments: Any, **options: Any) -> None:
        cluster.Queue = Queue
        super().handle(*arguments, **options)
