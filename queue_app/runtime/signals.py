"""Stop signals for the main thread of a program that starts child processes."""

import os
import select
import signal


class StopSignal:
    """A flag that the first SIGTERM, SIGINT or SIGHUP sets for good. Create it on the main thread."""

    def __init__(self) -> None:
        self.is_set = False
        self._read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._receive)

    def sleep(self, seconds: float) -> None:
        """Sleep until ``seconds`` have passed or a signal arrives."""
        if select.select([self._read_end], [], [], seconds)[0]:
            os.read(self._read_end, 4096)

    def _receive(self, number: int, _frame: object) -> None:
        self.is_set = True
