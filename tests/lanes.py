"""How files of tests are dealt out to the processes of `pytest -n`."""

from functools import cache
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class Lanes(LoadFileScheduling):
    """
    Deal in two lanes, because some tests use the processors and others wait for processes that they start and kill.

    Every second process takes files marked `processes` as long as there are any, the others take all other files; then each takes
    from the other lane. Both lanes keep the order of the collection. A file stays whole, since its tests share what they start.
    """

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        self._root = config.rootpath
        config.option.loadscopereorder = False

    def _assign_work_unit(self, node: WorkerController) -> None:
        waits = list(self.assigned_work).index(node) % 2 == 0
        fits = (file for file in self.workqueue if is_marked(self._root / file) == waits)
        if file := next(fits, None):
            self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)


@cache
def is_marked(file: Path) -> bool:
    """Whether this file or a part of it is marked `processes`."""
    return "pytest.mark.processes" in file.read_text()
