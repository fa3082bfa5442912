"""
How the lanes drain: the queue played forward by the rules of the claim, several times over.

A play is one possible future: each job takes a duration drawn from its model's past, and starts when every limit lets it, in
dispatch order, a blocked one never hiding what is behind it. Each play first draws its own past from the known one, with
replacement: so what rests on few runs comes out wide. Chance has a fixed seed: the same queue gives the same answer.
Seconds from now throughout.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import accumulate
from random import Random

from queue_app.rules import eta
from queue_app.rules.limits import Key

MOST_STARTS = 2_000  # in one play; what comes later is reckoned from the pace until then
FEWEST_PLAYS, MOST_PLAYS = 8, 25
ALL_STARTS = 12_000  # in all plays together: a deep queue gets fewer, and needs fewer, since chance evens out
NO_LIMIT = 1 << 30
SEED = 20261122

Order = tuple[int, int, int]  # -priority, order key, id: sorts in dispatch order


@dataclass(frozen=True)
class Run:
    """``count`` jobs of one priority, evenly spread from ``first`` to ``last``."""

    first: Order
    last: Order
    count: int

    def order(self, place: int) -> Order:
        """The order of its job at this place, from 0."""
        if not place:
            return self.first
        (rank, key, number), (_, last_key, last_number) = self.first, self.last
        steps = self.count - 1
        return (rank, key + (last_key - key) * place // steps, number + (last_number - number) * place // steps)

    def before(self, order: Order) -> int:
        """How many of its jobs come before this order."""
        if order <= self.first:
            return 0
        if order > self.last or self.first[:2] == self.last[:2]:
            return self.count
        return min(self.count, -(-(order[1] - self.first[1]) * (self.count - 1) // (self.last[1] - self.first[1])))


@dataclass(frozen=True)
class Line:
    """
    The waiting jobs of one model that meet the same limits, as runs in order.

    ``keys`` are their limits but for the account's; ``accounts`` where they can be bought, the best first; ``enters`` when they
    join the lane.
    """

    model: str
    keys: tuple[Key, ...]
    accounts: tuple[Key, ...]
    runs: Sequence[Run]
    batch: int | None = None
    enters: float = 0.0

    @cached_property
    def count(self) -> int:
        return self._begins[-1]

    @cached_property
    def _begins(self) -> list[int]:
        """The place of each run's first job, and behind them the number of all jobs."""
        return [0, *accumulate(run.count for run in self.runs)]

    def place(self, order: Order) -> int | None:
        """The place of the job with this order in the line, from 0; ``None`` when it is not in it."""
        index = bisect_right(self.runs, order, key=lambda run: run.first) - 1
        if index < 0 or order > self.runs[index].last:
            return None
        return self._begins[index] + min(self.runs[index].before(order), self.runs[index].count - 1)


@dataclass(frozen=True)
class Busy:
    """What takes slots now: for ``elapsed`` seconds already, or until it ``frees`` them at a known time."""

    model: str
    keys: tuple[Key, ...]
    elapsed: float = 0.0
    frees: float | None = None
    batch: int | None = None


@dataclass(frozen=True)
class Scene:
    """
    The queue at one moment.

    ``caps``: for each limit its steps (from when, how many; 0 closed, ``None`` no limit), the first at 0; what is missing has no
    limit. ``past``: durations of each model, ascending.
    """

    lines: list[Line]
    busy: Sequence[Busy]
    caps: Mapping[Key, Sequence[tuple[float, int | None]]]
    past: Mapping[str, Sequence[float]]


@dataclass
class Play:
    """One possible future: for each line when its jobs start and end, up to the last start that was played (``until``)."""

    starts: list[list[float]]
    ends: list[list[float]]
    until: float = 0.0
    batch_ends: dict[int, float] = field(default_factory=lambda: defaultdict(float))


def plays(scene: Scene, *, only: int | None = None) -> list[Play]:
    """Play the scene as often as its size allows; with ``only`` until all jobs of that line (its index) have started."""
    stage = _Stage(scene)
    expected = min(MOST_STARTS, sum(line.count for line in scene.lines))
    times = max(FEWEST_PLAYS, min(MOST_PLAYS, ALL_STARTS // max(1, expected)))
    chance = Random(SEED)  # noqa: S311 - drawing futures, not secrets
    return [_Stagehand(stage, chance).play(only) for _ in range(times)]


class _Stage:
    """The scene with its limits as numbers: what all plays share."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.number = {key: index for index, key in enumerate(scene.caps)}
        self.caps = [_cap(steps[0][1]) for steps in scene.caps.values()]
        self.steps = [
            (moment, self.number[key], _cap(cap)) for key, steps in scene.caps.items() for moment, cap in steps if moment > 0
        ]
        self.limits = [self._numbers(line.keys) for line in scene.lines]
        # an account without a limit is an empty pair of hands: it takes any number
        self.accounts = [[self._numbers((account,)) for account in line.accounts] for line in scene.lines]
        self.counts = [line.count for line in scene.lines]
        self.busy = [(busy, self._numbers(busy.keys)) for busy in scene.busy]

    def _numbers(self, keys: Sequence[Key]) -> tuple[int, ...]:
        return tuple(self.number[key] for key in keys if key in self.number)


class _Stagehand:
    """Plays one future."""

    def __init__(self, stage: _Stage, chance: Random) -> None:
        self.stage, self.chance, self.lines = stage, chance, stage.scene.lines
        self.past = {model: sorted(chance.choices(known, k=len(known))) for model, known in stage.scene.past.items()}
        self.caps, self.used = list(stage.caps), [0] * len(stage.caps)
        self.seen = Play([[] for _ in self.lines], [[] for _ in self.lines])
        self.at, self.count, self.started, self.most = 0.0, 0, 0, min(MOST_STARTS, sum(stage.counts))
        self.run_of, self.run_begins = [0] * len(self.lines), [0] * len(self.lines)
        # what happens: (when, a number to keep it sortable, limits that get a slot back, (limit, its new cap), line that enters)
        self.events: list[tuple[float, int, tuple[int, ...], tuple[int, int] | None, int]] = []
        # lines worth a try: (order of their next job, line, the limit that woke them); lines parked at a full limit
        self.ready: list[tuple[Order, int, int]] = []
        self.parked: list[list[tuple[Order, int]]] = [[] for _ in stage.caps]
        self.waits: list[Order | None] = [None] * len(self.lines)

    def play(self, only: int | None) -> Play:
        self._set_up()
        while True:
            self._start_what_may(only)
            if self.started >= self.most or not self.events or self._is_done(only):
                break
            self.at, _, freed, step, line = heappop(self.events)
            if step is not None:
                self.caps[step[0]] = step[1]
                freed = step[:1]
            elif line < 0:
                for limit in freed:
                    self.used[limit] -= 1
            else:
                heappush(self.ready, (self.lines[line].runs[0].first, line, -1))
            for limit in freed:
                self._wake(limit)
        return self.seen

    def _is_done(self, only: int | None) -> bool:
        return only is not None and len(self.seen.starts[only]) == self.stage.counts[only]

    def _set_up(self) -> None:
        for busy, limits in self.stage.busy:
            for limit in limits:
                self.used[limit] += 1
            left = busy.frees if busy.frees is not None else self._left(busy)
            self._happens(left, limits)
            if busy.batch is not None and busy.frees is None:
                self.seen.batch_ends[busy.batch] = max(self.seen.batch_ends[busy.batch], left)
        for moment, limit, cap in self.stage.steps:
            self._happens(moment, (), (limit, cap))
        for index, line in enumerate(self.lines):
            if line.enters > 0:
                self._happens(line.enters, (), None, index)
            else:
                self.ready.append((line.runs[0].first, index, -1))
        heapify(self.ready)

    def _happens(self, moment: float, freed: tuple[int, ...], step: tuple[int, int] | None = None, line: int = -1) -> None:
        self.count += 1
        heappush(self.events, (moment, self.count, freed, step, line))

    def _left(self, busy: Busy) -> float:
        return self.chance.choice(eta.left(busy.elapsed, self.past[busy.model]))

    def _start_what_may(self, only: int | None) -> None:
        while self.ready and self.started < self.most:
            order, line, woken_by = heappop(self.ready)
            full = self._full(self.stage.limits[line])
            account = self._account(line) if full < 0 else None
            if account is not None:
                self._start(line, self.stage.limits[line] + account)
                if self._is_done(only):
                    return
            else:
                self.waits[line] = order
                at = (full,) if full >= 0 else tuple(limit for limits in self.stage.accounts[line] for limit in limits)
                for limit in at:
                    heappush(self.parked[limit], (order, line))
                if woken_by in at:
                    continue  # its limit is full (again): whoever waits there waits on
            if woken_by >= 0:
                self._wake(woken_by)

    def _account(self, line: int) -> tuple[int, ...] | None:
        return next((limits for limits in self.stage.accounts[line] if self._full(limits) < 0), None)

    def _full(self, limits: tuple[int, ...]) -> int:
        for limit in limits:
            if self.used[limit] >= self.caps[limit]:
                return limit
        return -1

    def _wake(self, limit: int) -> None:
        """Let the first line that waits at this limit try again, if there is room."""
        parked = self.parked[limit]
        while parked and self.used[limit] < self.caps[limit]:
            order, line = heappop(parked)
            if self.waits[line] == order:  # else another account woke it meanwhile
                self.waits[line] = None
                heappush(self.ready, (order, line, limit))
                return

    def _start(self, line: int, limits: tuple[int, ...]) -> None:
        for limit in limits:
            self.used[limit] += 1
        known = self.past[self.lines[line].model]
        end = self.at + known[int(self.chance.random() * len(known))]
        self.seen.starts[line].append(self.at)
        self.seen.ends[line].append(end)
        self.seen.until = self.at
        self.started += 1
        self._happens(end, limits)
        batch = self.lines[line].batch
        if batch is not None and end > self.seen.batch_ends[batch]:
            self.seen.batch_ends[batch] = end
        self._step_on(line)

    def _step_on(self, line: int) -> None:
        """The line's next job is worth a try."""
        runs, place = self.lines[line].runs, len(self.seen.starts[line]) - self.run_begins[line]
        if place == runs[self.run_of[line]].count:
            self.run_begins[line] += place
            self.run_of[line] += 1
            place = 0
        if self.run_of[line] < len(runs):
            heappush(self.ready, (runs[self.run_of[line]].order(place), line, -1))


def _cap(cap: int | None) -> int:
    return NO_LIMIT if cap is None else cap
