"""When a job starts and when a batch ends, read off the playouts of a simulation. Times are seconds from now."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import inf
from statistics import fmean

from queue_app.forecast.simulation import Order, Playout, SimulatedQueue, Stretch, playouts


class Curves:
    """A simulated queue with its playouts; ``inf`` stands for never."""

    def __init__(self, queue: SimulatedQueue, *, only: int | None = None) -> None:
        self.queue = queue
        self.playouts = playouts(queue, only=only)
        self._cohorts_of: dict[str, list[int]] = defaultdict(list)
        for index, cohort in enumerate(queue.cohorts):
            self._cohorts_of[cohort.model].append(index)
        self._lanes = {
            model: _Lane([stretch for index in cohorts for stretch in queue.cohorts[index].stretches])
            for model, cohorts in self._cohorts_of.items()
        }
        self._started: dict[tuple[int, str], list[float]] = {}

    def starts(self, cohort: int, place: int, order: Order) -> list[float]:
        """Return, for each playout, when the job at this place of a cohort starts."""
        known = self.queue.cohorts[cohort]
        return [
            play.starts[cohort][place]
            if place < len(play.starts[cohort])
            else max(known.enters, self._beyond(index, known.model, order))
            for index, play in enumerate(self.playouts)
        ]

    def starts_of_newcomer(self, model: str, order: Order) -> list[float]:
        """Return the same for a job that the simulation does not know: it starts with the last known job before it."""
        ahead = self.ahead_of(model, order)
        found = []
        for index in range(len(self.playouts)):
            started = self._lane_starts(index, model)
            found.append(0.0 if not ahead else started[ahead - 1] if ahead <= len(started) else self._beyond(index, model, order))
        return found

    def ends_of_batch(self, batch: int) -> list[float]:
        """Return, for each playout, when the last job of a batch ends."""
        cohorts = [index for index, cohort in enumerate(self.queue.cohorts) if cohort.batch == batch]
        found = []
        for index, play in enumerate(self.playouts):
            end = play.batch_ends.get(batch, 0.0)
            found.append(max([end, *(self._end_beyond(index, play, cohort) for cohort in cohorts)]))
        return found

    def ends_of_cohorts(self, cohorts: Iterable[int]) -> list[float]:
        """Return, for each playout, when the last waiting job of these cohorts ends; 0 if none waits."""
        listed = list(cohorts)
        return [
            max([0.0, *(max(max(play.ends[cohort], default=0.0), self._end_beyond(index, play, cohort)) for cohort in listed)])
            for index, play in enumerate(self.playouts)
        ]

    def ends_of_first(self, cohort: int, count: int) -> list[float]:
        """Return, for each playout, when all of the first ``count`` jobs of a cohort have ended."""
        known = self.queue.cohorts[cohort]
        found = []
        for index, play in enumerate(self.playouts):
            end = max(play.ends[cohort][:count], default=0.0)
            if count > len(play.ends[cohort]):
                last = known.stretches[0].first
                end = max(end, self._beyond(index, known.model, last, more=count) + fmean(self.queue.past[known.model]))
            found.append(end)
        return found

    def _end_beyond(self, index: int, play: Playout, cohort: int) -> float:
        known = self.queue.cohorts[cohort]
        if len(play.starts[cohort]) == known.count:
            return 0.0
        return self._beyond(index, known.model, known.stretches[-1].last) + fmean(self.queue.past[known.model])

    def _beyond(self, index: int, model: str, order: Order, more: int = 0) -> float:
        """Extrapolate a start beyond the playout: at the pace of the lane, or of the whole queue if the lane stood still."""
        play = self.playouts[index]
        for lanes in ([model], list(self._lanes)):
            played = [self._lane_starts(index, lane) for lane in lanes]
            later = sum(len(starts) - bisect_right(starts, 0.0) for starts in played)
            if later and play.until > 0:
                ahead = sum(self.ahead_of(lane, order) for lane in lanes) + more - sum(map(len, played))
                return play.until + max(0, ahead) * play.until / later
        return inf

    def ahead_of(self, model: str, order: Order) -> int:
        return self._lanes[model].before(order) if model in self._lanes else 0

    def _lane_starts(self, index: int, model: str) -> list[float]:
        known = self._started.get((index, model))
        if known is None:
            starts = self.playouts[index].starts
            known = self._started[index, model] = sorted(start for cohort in self._cohorts_of[model] for start in starts[cohort])
        return known


class _Lane:
    """All stretches of a model's queue in order."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self.stretches = sorted(stretches, key=lambda stretch: stretch.first)
        self.firsts = [stretch.first for stretch in self.stretches]
        self.begins = [0, *accumulate(stretch.count for stretch in self.stretches)]

    def before(self, order: Order) -> int:
        index = bisect_left(self.firsts, order) - 1
        return self.begins[index] + self.stretches[index].before(order) if index >= 0 else 0
