"""
A simulation of the queue: it is played forward by the rules of the claim, several times over.

A playout is one possible future: each job takes a duration drawn from its model's past and starts when every limit lets it, in
dispatch order; a blocked job never holds up the jobs behind it. Each playout first draws its own past from the known one, with
replacement: an estimate that rests on few runs comes out wide. Chance has a fixed seed: the same queue gives the same answer.
Times are seconds from now.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import accumulate
from random import Random

from queue_app.forecast import durations
from queue_app.rules.limits import Key

MOST_STARTS = 2_000  # in one playout; later starts are extrapolated from the pace until then
FEWEST_PLAYOUTS, MOST_PLAYOUTS = 8, 25
ALL_STARTS = 12_000  # in all playouts together: a long queue gets fewer, and needs fewer, since chance evens out
NO_LIMIT = 1 << 30
FREED = -1  # no cohort enters or rises
SEED = 20261122

Order = tuple[int, int, int]  # -priority, order key, id: sorts in dispatch order


@dataclass(frozen=True)
class Stretch:
    """
    ``count`` jobs of one priority, evenly spread from ``first`` to ``last``. ``runs`` names their durations; empty: the model's.
    """

    first: Order
    last: Order
    count: int
    runs: str = ""

    def order(self, place: int) -> Order:
        """Return the order of its job at this place, from 0."""
        if not place:
            return self.first
        (rank, key, number), (_, last_key, last_number) = self.first, self.last
        steps = self.count - 1
        return (rank, key + (last_key - key) * place // steps, number + (last_number - number) * place // steps)

    def before(self, order: Order) -> int:
        """Return how many of its jobs come before this order."""
        if order <= self.first:
            return 0
        if order > self.last or self.first[:2] == self.last[:2]:
            return self.count
        return min(self.count, -(-(order[1] - self.first[1]) * (self.count - 1) // (self.last[1] - self.first[1])))


@dataclass(frozen=True)
class Rise:
    """
    The time from which the waiting jobs of a cohort are of a higher priority, negated in ``rank``. There each takes their owner's
    next turn: ``turn`` is the first of these as it is now, if there is fair share, ``weight`` how many there are in a round.
    """

    at: float
    rank: int
    turn: float | None = None
    weight: float = 1.0


@dataclass(frozen=True)
class Cohort:
    """
    The waiting jobs of one model that pass the same limits, as stretches in order.

    ``keys`` are their limits without the account's; ``accounts`` those that offer the model, the best first; ``enters`` is when
    the jobs join the queue of their model.
    """

    model: str
    keys: tuple[Key, ...]
    accounts: tuple[Key, ...]
    stretches: Sequence[Stretch]
    batch: int | None = None
    enters: float = 0.0
    rise: Rise | None = None

    @cached_property
    def count(self) -> int:
        return self._begins[-1]

    @cached_property
    def _begins(self) -> list[int]:
        """The place of each stretch's first job, and at the end the number of all jobs."""
        return [0, *accumulate(stretch.count for stretch in self.stretches)]

    def place(self, order: Order) -> int | None:
        """Return the place of the job with this order, from 0; ``None`` if it is not in the cohort."""
        index = bisect_right(self.stretches, order, key=lambda stretch: stretch.first) - 1
        if index < 0 or order > self.stretches[index].last:
            return None
        return self._begins[index] + min(self.stretches[index].before(order), self.stretches[index].count - 1)


@dataclass(frozen=True)
class SlotInUse:
    """A slot that a job takes now: for ``elapsed`` seconds already, or until it is free at a known time (``frees``)."""

    model: str
    keys: tuple[Key, ...]
    elapsed: float = 0.0
    frees: float | None = None
    batch: int | None = None
    runs: str = ""


@dataclass(frozen=True)
class SimulatedQueue:
    """
    The queue at one moment, as the simulation plays it.

    ``caps``: for each limit its steps (from when, how many; 0 paused, ``None`` no limit), the first at 0; a missing key has no
    limit. ``past``: durations, ascending, by model, and by the name of runs that are more alike.
    """

    cohorts: list[Cohort]
    in_use: Sequence[SlotInUse]
    caps: Mapping[Key, Sequence[tuple[float, int | None]]]
    past: Mapping[str, Sequence[float]]


@dataclass
class Playout:
    """One possible future: when the jobs of each cohort start and end, up to the last simulated start (``until``)."""

    starts: list[list[float]]
    ends: list[list[float]]
    until: float = 0.0
    batch_ends: dict[int, float] = field(default_factory=lambda: defaultdict(float))


def playouts(queue: SimulatedQueue, *, only: int | None = None) -> list[Playout]:
    """Play the queue as often as its length allows; with ``only`` until all jobs of that cohort (its index) have started."""
    tables = _Tables(queue)
    expected = min(MOST_STARTS, sum(cohort.count for cohort in queue.cohorts))
    times = max(FEWEST_PLAYOUTS, min(MOST_PLAYOUTS, ALL_STARTS // max(1, expected)))
    chance = Random(SEED)  # noqa: S311 - drawing futures, not secrets
    return [_Player(tables, chance).play(only) for _ in range(times)]


class _Tables:
    """The queue with its limits as numbers; all playouts share it."""

    def __init__(self, queue: SimulatedQueue) -> None:
        self.queue = queue
        self.number = {key: index for index, key in enumerate(queue.caps)}
        self.caps = [_cap(steps[0][1]) for steps in queue.caps.values()]
        self.steps = [
            (moment, self.number[key], _cap(cap)) for key, steps in queue.caps.items() for moment, cap in steps if moment > 0
        ]
        self.limits = [self._numbers(cohort.keys) for cohort in queue.cohorts]
        # an account without a limit is an empty tuple: it takes any number of jobs
        self.accounts = [[self._numbers((account,)) for account in cohort.accounts] for cohort in queue.cohorts]
        self.counts = [cohort.count for cohort in queue.cohorts]
        self.in_use = [(slot, self._numbers(slot.keys)) for slot in queue.in_use]

    def _numbers(self, keys: Sequence[Key]) -> tuple[int, ...]:
        return tuple(self.number[key] for key in keys if key in self.number)


class _Player:
    """Plays one future."""

    def __init__(self, tables: _Tables, chance: Random) -> None:
        self.tables, self.chance, self.cohorts = tables, chance, tables.queue.cohorts
        self.past = {model: sorted(chance.choices(known, k=len(known))) for model, known in tables.queue.past.items()}
        self.caps, self.used = list(tables.caps), [0] * len(tables.caps)
        self.seen = Playout([[] for _ in self.cohorts], [[] for _ in self.cohorts])
        self.at, self.count, self.started, self.most = 0.0, 0, 0, min(MOST_STARTS, sum(tables.counts))
        self.stretch_of, self.stretch_begins = [0] * len(self.cohorts), [0] * len(self.cohorts)
        # (when, a number to keep it sortable, limits that get a slot back, (limit, its new cap), cohort that enters, or one that
        # rises, counted down from `FREED`)
        self.events: list[tuple[float, int, tuple[int, ...], tuple[int, int] | None, int]] = []
        # cohorts to try: (order of their next job, cohort, the limit that woke them); cohorts parked at a full limit
        self.ready: list[tuple[Order, int, int]] = []
        self.parked: list[list[tuple[Order, int]]] = [[] for _ in tables.caps]
        self.waits: list[Order | None] = [None] * len(self.cohorts)
        self.reached: dict[tuple[str, int], int] = {}  # the latest round of which a job has started, by model and rank
        self.risen: dict[int, tuple[int, float | None]] = {}  # of a cohort: the place from which on it has, and the turn of that

    def play(self, only: int | None) -> Playout:
        self._set_up()
        while True:
            self._start_ready(only)
            if self.started >= self.most or not self.events or self._is_done(only):
                break
            self.at, _, freed, step, cohort = heappop(self.events)
            if step is not None:
                self.caps[step[0]] = step[1]
                freed = step[:1]
            elif cohort == FREED:
                for limit in freed:
                    self.used[limit] -= 1
            elif cohort < FREED:
                self._rise(FREED - 1 - cohort)
            else:
                heappush(self.ready, (self._order(cohort), cohort, -1))
            for limit in freed:
                self._wake(limit)
        return self.seen

    def _is_done(self, only: int | None) -> bool:
        return only is not None and len(self.seen.starts[only]) == self.tables.counts[only]

    def _set_up(self) -> None:
        for slot, limits in self.tables.in_use:
            for limit in limits:
                self.used[limit] += 1
            left = slot.frees if slot.frees is not None else self._left(slot)
            self._happens(left, limits)
            if slot.batch is not None and slot.frees is None:
                self.seen.batch_ends[slot.batch] = max(self.seen.batch_ends[slot.batch], left)
        for moment, limit, cap in self.tables.steps:
            self._happens(moment, (), (limit, cap))
        for index, cohort in enumerate(self.cohorts):
            if cohort.rise is not None:
                self._happens(cohort.rise.at, (), None, FREED - 1 - index)
            if cohort.enters > 0:
                self._happens(cohort.enters, (), None, index)
            else:
                self.ready.append((cohort.stretches[0].first, index, -1))
        heapify(self.ready)

    def _happens(self, moment: float, freed: tuple[int, ...], step: tuple[int, int] | None = None, cohort: int = FREED) -> None:
        self.count += 1
        heappush(self.events, (moment, self.count, freed, step, cohort))

    def _left(self, slot: SlotInUse) -> float:
        return self.chance.choice(durations.left(slot.elapsed, self.past[slot.runs or slot.model]))

    def _start_ready(self, only: int | None) -> None:
        while self.ready and self.started < self.most:
            order, cohort, woken_by = heappop(self.ready)
            full = self._full(self.tables.limits[cohort])
            account = self._account(cohort) if full < 0 else None
            if account is not None:
                self._start(cohort, self.tables.limits[cohort] + account, order)
                if self._is_done(only):
                    return
            else:
                self.waits[cohort] = order
                at = (full,) if full >= 0 else tuple(limit for limits in self.tables.accounts[cohort] for limit in limits)
                for limit in at:
                    heappush(self.parked[limit], (order, cohort))
                if woken_by in at:
                    continue  # its limit is full (again): the cohorts there wait on
            if woken_by >= 0:
                self._wake(woken_by)

    def _account(self, cohort: int) -> tuple[int, ...] | None:
        return next((limits for limits in self.tables.accounts[cohort] if self._full(limits) < 0), None)

    def _full(self, limits: tuple[int, ...]) -> int:
        for limit in limits:
            if self.used[limit] >= self.caps[limit]:
                return limit
        return -1

    def _wake(self, limit: int) -> None:
        """Let the first cohort that waits at this limit try again, if there is room."""
        parked = self.parked[limit]
        while parked and self.used[limit] < self.caps[limit]:
            order, cohort = heappop(parked)
            if self.waits[cohort] == order:  # else another account woke it meanwhile
                self.waits[cohort] = None
                heappush(self.ready, (order, cohort, limit))
                return

    def _start(self, cohort: int, limits: tuple[int, ...], order: Order) -> None:
        for limit in limits:
            self.used[limit] += 1
        lane = (self.cohorts[cohort].model, order[0])
        if order[1] > self.reached.get(lane, -1):
            self.reached[lane] = order[1]
        known = self.past[self.cohorts[cohort].stretches[self.stretch_of[cohort]].runs or self.cohorts[cohort].model]
        end = self.at + known[int(self.chance.random() * len(known))]
        self.seen.starts[cohort].append(self.at)
        self.seen.ends[cohort].append(end)
        self.seen.until = self.at
        self.started += 1
        self._happens(end, limits)
        batch = self.cohorts[cohort].batch
        if batch is not None and end > self.seen.batch_ends[batch]:
            self.seen.batch_ends[batch] = end
        self._step_on(cohort)

    def _step_on(self, cohort: int) -> None:
        """Let the cohort try its next job."""
        stretches, place = self.cohorts[cohort].stretches, len(self.seen.starts[cohort]) - self.stretch_begins[cohort]
        if place == stretches[self.stretch_of[cohort]].count:
            self.stretch_begins[cohort] += place
            self.stretch_of[cohort] += 1
        if self.stretch_of[cohort] < len(stretches):
            heappush(self.ready, (self._order(cohort), cohort, -1))

    def _order(self, cohort: int) -> Order:
        """Return the order of a cohort's next job."""
        place = len(self.seen.starts[cohort])
        order = self.cohorts[cohort].stretches[self.stretch_of[cohort]].order(place - self.stretch_begins[cohort])
        rise = self.cohorts[cohort].rise
        if rise is None or cohort not in self.risen:
            return order
        since, turn = self.risen[cohort]
        return rise.rank, order[1] if turn is None else int(turn + (place - since) / rise.weight), order[2]

    def _rise(self, cohort: int) -> None:
        known = self.cohorts[cohort]
        place, rise = len(self.seen.starts[cohort]), known.rise
        if rise is None or place == known.count:
            return
        turn = None if rise.turn is None else max(rise.turn, float(self.reached.get((known.model, rise.rank), 0)))
        self.risen[cohort] = (place, turn)
        if self.waits[cohort] is not None:
            self.waits[cohort] = None
            heappush(self.ready, (self._order(cohort), cohort, -1))


def _cap(cap: int | None) -> int:
    return NO_LIMIT if cap is None else cap
