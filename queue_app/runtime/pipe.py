"""
The two pipes between a `runworker` and each of its clusters, inherited by every process of the cluster.

One carries the workers' beats up. Nothing is sent down the other; its end is the signal: when the runworker stops (and closes it)
or dies (and the kernel closes it), the cluster starts no more work. Neither needs the database, so that a lost database is not
mistaken for a frozen cluster.
"""

import json
import os
import select
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from queue_app.runtime import processes

VARIABLE = "GENQUEUE_PIPE"  # two file descriptors: to read the signal, to write beats
_MAIN_LOOK_SECONDS = 1


@dataclass(frozen=True)
class Beat:
    """
    A heartbeat of a process of a cluster.

    ``task`` is a worker's current task, empty while idle; ``seconds_left`` is the rest of its time limit, negative once exceeded.
    The monitor sends ``canary`` when a canary has passed pusher, worker and monitor.
    """

    pid: int
    task: str = ""
    seconds_left: float | None = None
    canary: bool = False


class Keeper:
    """The runworker's ends of both pipes. Pass ``descriptors`` and ``variable`` to the cluster, then call `handed_over()`."""

    def __init__(self) -> None:
        self._cluster_ends: list[int] = []
        pipe, self._pipe = os.pipe()
        self._beats, beats = os.pipe()
        os.set_blocking(self._beats, False)
        os.set_blocking(beats, False)
        self._cluster_ends = [pipe, beats]
        self._unread = b""

    @property
    def descriptors(self) -> list[int]:
        return self._cluster_ends

    @property
    def variable(self) -> dict[str, str]:
        return {VARIABLE: ",".join(map(str, self._cluster_ends))}

    def handed_over(self) -> None:
        """Close the cluster's ends in this process, so that they end with the cluster."""
        while self._cluster_ends:
            os.close(self._cluster_ends.pop())

    def beats(self) -> Iterator[Beat]:
        """Yield the beats since the last call without waiting."""
        while True:
            try:
                read = os.read(self._beats, 65536)
            except BlockingIOError:
                return
            *lines, self._unread = (self._unread + read).split(b"\n")
            for line in lines:
                yield Beat(**json.loads(line))
            if not read:
                return

    def cut(self) -> None:
        """Tell the cluster to start no more work."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def close(self) -> None:
        self.cut()
        os.close(self._beats)


class Pipe:
    """The cluster's ends of both pipes. One started by hand has none: it sends no beats and watches only its main process."""

    def __init__(self, descriptors: str) -> None:
        self._pipe, self._beats = (int(part) for part in descriptors.split(",")) if descriptors else (-1, -1)
        self._main = processes.myself()
        self._main_seen_at = time.monotonic()
        self._main_is_there = True

    @property
    def is_held(self) -> bool:
        """Whether a runworker watches this cluster."""
        return self._pipe >= 0

    @property
    def descriptor(self) -> int | None:
        """Return the descriptor that becomes readable, for `select`, when the pipe is cut."""
        return self._pipe if self.is_held else None

    def is_cut(self) -> bool:
        """Whether no more work may start: the runworker stops or has died, or the cluster's main process has."""
        if self.is_held and select.select([self._pipe], [], [], 0)[0]:
            return True
        if self._main_is_there and time.monotonic() - self._main_seen_at > _MAIN_LOOK_SECONDS:
            self._main_is_there, self._main_seen_at = self._main.is_still_there(), time.monotonic()
        return not self._main_is_there

    def tell(self, beat: Beat) -> None:
        """Send a beat. It is lost if the runworker has died or is too busy to read; the next beat replaces it."""
        if self.is_held:
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(self._beats, json.dumps(asdict(beat)).encode() + b"\n")  # short enough to be atomic


# Created when Django starts in the cluster's main process and inherited by its forks, but not by programs that they start.
LINE = Pipe(os.environ.pop(VARIABLE, ""))
