"""Sleep that a signal ends, for the main thread of a program that starts others."""

import os
import select
import signal


class Bell:
    """Rings once at SIGTERM, SIGINT or SIGHUP, and stays rung: the program is to stop. Make it on the main thread."""

    def __init__(self) -> None:
        self.has_rung = False
        self._ears, rope = os.pipe()
        os.set_blocking(rope, False)
        signal.set_wakeup_fd(rope)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ring)

    def sleep(self, seconds: float) -> None:
        """Sleep, at most until a signal comes."""
        if select.select([self._ears], [], [], seconds)[0]:
            os.read(self._ears, 4096)

    def _ring(self, number: int, _frame: object) -> None:
        self.has_rung = True
