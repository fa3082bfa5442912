"""The demo's output: a progress bar on a terminal, otherwise a line per change."""

from collections.abc import Mapping
from typing import TextIO

WIDTH = 40
CLEAR = "\r\x1b[K"


class Terminal:
    """Writes lines and progress to ``output`` without buffering."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._is_terminal = output.isatty()
        self._bar = ""

    def say(self, line: str = "") -> None:
        """Print a line above the progress bar, if there is one."""
        bar = self._bar if self._is_terminal else ""
        self._output.write(f"{CLEAR if bar else ''}{line}\n{bar}")
        self._output.flush()

    def progress(self, counts: Mapping[str, int]) -> None:
        """Show the progress of the batch if it has changed."""
        ended = counts["all"] - counts["open"]
        at_work = counts["open"] - counts["waiting"]
        words = f"{ended} of {counts['all']} finished, {at_work} running, {counts['waiting']} waiting"
        done = round(WIDTH * ended / counts["all"])
        shown = f"[{'#' * done}{'.' * (WIDTH - done)}] {words}"
        if shown == self._bar:
            return
        self._bar = shown
        self._output.write(f"{CLEAR}{shown}" if self._is_terminal else f"{words}\n")
        self._output.flush()

    def progress_ends(self) -> None:
        if self._is_terminal and self._bar:
            self._output.write("\n")
        self._bar = ""
