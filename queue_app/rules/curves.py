"""When a job starts and a batch ends, read off the plays of `drain`. Seconds from now throughout."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf
from statistics import fmean

from queue_app.rules import drain
from queue_app.rules.drain import Order, Play, Run, Scene


class Curves:
    """The lanes of a scene, drained; ``inf`` stands for never."""

    def __init__(self, scene: Scene, *, only: int | None = None) -> None:
        self.scene = scene
        self.plays = drain.plays(scene, only=only)
        self._lines_of: dict[str, list[int]] = defaultdict(list)
        for index, line in enumerate(scene.lines):
            self._lines_of[line.model].append(index)
        self._lanes = {
            model: _Lane([run for line in lines for run in scene.lines[line].runs]) for model, lines in self._lines_of.items()
        }
        self._started: dict[tuple[int, str], list[float]] = {}

    def starts(self, line: int, place: int, order: Order) -> list[float]:
        """When, in each play, the job at this place of a line starts."""
        known = self.scene.lines[line]
        return [
            play.starts[line][place]
            if place < len(play.starts[line])
            else max(known.enters, self._beyond(index, known.model, order))
            for index, play in enumerate(self.plays)
        ]

    def starts_of_newcomer(self, model: str, order: Order) -> list[float]:
        """The same for a job that the scene does not know: with the last that it knows before it."""
        ahead = self._before(model, order)
        found = []
        for index in range(len(self.plays)):
            started = self._lane_starts(index, model)
            found.append(0.0 if not ahead else started[ahead - 1] if ahead <= len(started) else self._beyond(index, model, order))
        return found

    def ends_of_batch(self, batch: int) -> list[float]:
        """When, in each play, the last job of a batch ends."""
        lines = [index for index, line in enumerate(self.scene.lines) if line.batch == batch]
        found = []
        for index, play in enumerate(self.plays):
            end = play.batch_ends.get(batch, 0.0)
            found.append(max([end, *(self._end_beyond(index, play, line) for line in lines)]))
        return found

    def ends_of_lines(self, lines: Iterable[int]) -> list[float]:
        """When, in each play, the last of the jobs that wait in these lines ends; 0 where none waits."""
        listed = list(lines)
        return [
            max([0.0, *(max(max(play.ends[line], default=0.0), self._end_beyond(index, play, line)) for line in listed)])
            for index, play in enumerate(self.plays)
        ]

    def ends_of_first(self, line: int, count: int) -> list[float]:
        """When, in each play, all of the first ``count`` jobs of a line have ended."""
        known = self.scene.lines[line]
        found = []
        for index, play in enumerate(self.plays):
            end = max(play.ends[line][:count], default=0.0)
            if count > len(play.ends[line]):
                last = known.runs[0].first
                end = max(end, self._beyond(index, known.model, last, more=count) + fmean(self.scene.past[known.model]))
            found.append(end)
        return found

    def _end_beyond(self, index: int, play: Play, line: int) -> float:
        known = self.scene.lines[line]
        if len(play.starts[line]) == known.count:
            return 0.0
        return self._beyond(index, known.model, known.runs[-1].last) + fmean(self.scene.past[known.model])

    def _beyond(self, index: int, model: str, order: Order, more: int = 0) -> float:
        """A start later than what was played: at the pace of its lane until then; of the whole queue where that stood still."""
        play = self.plays[index]
        for lanes in ([model], list(self._lanes)):
            played = [self._lane_starts(index, lane) for lane in lanes]
            later = sum(len(starts) - bisect_right(starts, 0.0) for starts in played)
            if later and play.until > 0:
                ahead = sum(self._before(lane, order) for lane in lanes) + more - sum(map(len, played))
                return play.until + max(0, ahead) * play.until / later
        return inf

    def _before(self, model: str, order: Order) -> int:
        return self._lanes[model].before(order) if model in self._lanes else 0

    def _lane_starts(self, index: int, model: str) -> list[float]:
        known = self._started.get((index, model))
        if known is None:
            starts = self.plays[index].starts
            known = self._started[index, model] = sorted(start for line in self._lines_of[model] for start in starts[line])
        return known


class _Lane:
    """All runs of a lane in order."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = sorted(runs, key=lambda run: run.first)
        self.firsts = [run.first for run in self.runs]
        self.begins = [0, *accumulate(run.count for run in self.runs)]

    def before(self, order: Order) -> int:
        index = bisect_left(self.firsts, order) - 1
        return self.begins[index] + self.runs[index].before(order) if index >= 0 else 0
