"""
The two pipes between a `runworker` and each of its clusters, held by every process of the cluster.

Up go the workers' beats. Down goes nothing: its end is the message. It ends when the runworker dies (the kernel closes it)
or stops (it closes it), and then nothing more is begun. Neither needs the database, so that a database that is gone looks
like what it is and not like a frozen cluster.
"""

import json
import os
import select
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from queue_app.runtime import processes

VARIABLE = "GENQUEUE_PIPE"  # file descriptors: of the pipe, of the beats
_MAIN_LOOK_SECONDS = 1


@dataclass(frozen=True)
class Beat:
    """
    What a process of a cluster says of itself.

    ``task`` is what a worker is at, empty while idle, and ``seconds_left`` of that task's time, below 0 when it is over it.
    ``canary`` is said by the monitor: a canary came through pusher, worker and monitor.
    """

    pid: int
    task: str = ""
    seconds_left: float | None = None
    canary: bool = False


class Keeper:
    """The runworker's ends of both pipes. Give ``descriptors`` and ``variable`` to the cluster, then call ``handed_over()``."""

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
        """Close the cluster's ends here, so that they end with the cluster."""
        while self._cluster_ends:
            os.close(self._cluster_ends.pop())

    def beats(self) -> Iterator[Beat]:
        """Read what came since the last time, without waiting."""
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
        """Tell the cluster to begin nothing more."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def close(self) -> None:
        self.cut()
        os.close(self._beats)


class Pipe:
    """The cluster's ends. A cluster that was started by hand has none: it beats to nobody and only its main process can go."""

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
        """What becomes readable when the line is cut, for `select`."""
        return self._pipe if self.is_held else None

    def is_cut(self) -> bool:
        """Whether nothing more may be begun: the runworker stops or has died, or the cluster's main process has."""
        if self.is_held and select.select([self._pipe], [], [], 0)[0]:
            return True
        if self._main_is_there and time.monotonic() - self._main_seen_at > _MAIN_LOOK_SECONDS:
            self._main_is_there, self._main_seen_at = self._main.is_still_there(), time.monotonic()
        return not self._main_is_there

    def tell(self, beat: Beat) -> None:
        """Say a beat. It is lost when the runworker has died, or is too busy to read: the next one says the same."""
        if self.is_held:
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(self._beats, json.dumps(asdict(beat)).encode() + b"\n")  # short enough to be written in one piece


# made when Django starts in the cluster's main process, and kept by all that it forks; programs they start get no such line
LINE = Pipe(os.environ.pop(VARIABLE, ""))
