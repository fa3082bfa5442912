"""
What happens in the simulated day: the accounts, their orders by the hour, how long each task takes, and what goes wrong.

Everything is drawn from one seed. A shorter day has the same hours, each with fewer seconds, so that the queue is as busy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from random import Random
from typing import Any

FULL, HOURS = 20_000, 24.0  # jobs of a whole day, and its length
ACCOUNTS, CAMPAIGNERS, STAFF = 40, 12, 3
WEIGHTS = [1] * 30 + [2] * 7 + [4] * 3  # shares of the accounts; the last ones order most
IN_CAMPAIGNS = 0.55  # of the jobs
CAMPAIGN = (100, 600)  # jobs of one
LOW, NORMAL, HIGH = -10, 0, 10
# how busy each hour is, from midnight on
BUSY = [*[0.4] * 6, 0.7, 0.9, *[1.4] * 4, 1.1, 1.2, *[1.5] * 4, 1.2, 1.0, 0.9, 0.8, 0.6, 0.5]
PEAKS = ((6.0, 9.0), (20.0, 23.0))  # hours with half as many slots more
QUEUE_LIMIT = 24
AGING = 0.5  # hours until a waiting job rises
FAILS, REJECTED = 0.04, 0.005  # of the attempts: fail and are tried again, fail for good
CANCELS = 0.04  # of the orders lose a part of what still waits
HANDED_OUT, ANSWERED, SAVED = 0.2, 1.0, 2.5  # seconds from the claim to the call, to its answer, and from the end to the file


@dataclass(frozen=True)
class Way:
    """Parameters of a model's jobs, how often they are asked for, and the median time of such a task in seconds."""

    parameters: dict[str, Any]
    part: float
    seconds: float


@dataclass(frozen=True)
class Model:
    """A model: its part of the jobs, its limit, and how far the logarithms of its times spread."""

    key: str
    part: float
    limit: int
    spread: float
    ways: Sequence[Way]
    in_campaigns: bool = True


def _clips(*found: tuple[int, float, float]) -> list[Way]:
    return [Way({"duration": seconds}, part, median) for seconds, part, median in found]


MODELS = (
    Model("flux-2-pro", 0.40, 4, 0.35, [Way({"resolution": "1K"}, 0.7, 16), Way({"resolution": "2K"}, 0.3, 30)]),
    Model("nano-banana-pro", 0.15, 2, 0.3, [Way({"resolution": "1K"}, 0.6, 22), Way({"resolution": "4K"}, 0.4, 40)]),
    Model("sora-2", 0.20, 9, 0.3, _clips((4, 0.5, 60), (8, 0.3, 105), (12, 0.2, 160))),
    Model("kling-v3", 0.15, 9, 0.25, _clips((5, 0.6, 95), (10, 0.4, 165))),
    Model("veo-3.1", 0.075, 3, 0.3, _clips((4, 0.5, 65), (8, 0.5, 110))),
    Model("sora-2-pro", 0.025, 3, 0.3, _clips((4, 0.6, 180), (8, 0.4, 320)), in_campaigns=False),
)
ACCOUNT_LIMITS = {"openai_videos": 11, "fal": 17}


@dataclass(frozen=True)
class Trouble:
    """Something wrong from one moment to another, in seconds from midnight."""

    what: str
    begins: float
    ends: float


@dataclass(frozen=True)
class Order:
    """Jobs that an account queues together, and when it cancels half of them; ``limit``: of a batch, if it has one."""

    number: int
    at: float
    account: int
    model: str
    priority: int
    ways: Sequence[dict[str, Any]]
    is_batch: bool
    limit: int | None
    cancels_at: float | None


@dataclass(frozen=True)
class Plan:
    """The day: ``seconds`` is its length; an hour of it has ``hour`` seconds."""

    seed: int
    hour: float
    orders: list[Order] = field(default_factory=list)
    pause: Trouble = field(default_factory=lambda: Trouble("", 0, 0))
    outage: Trouble = field(default_factory=lambda: Trouble("", 0, 0))

    @property
    def seconds(self) -> float:
        return self.hour * HOURS

    def task(self, order: Order, place: int, attempt: int) -> "Task":
        """Return how an attempt goes; the same however the queue treats it."""
        chance = Random(f"{self.seed}:{order.number}:{place}:{attempt}")
        model = next(model for model in MODELS if model.key == order.model)
        way = next(way for way in model.ways if way.parameters == order.ways[place])
        seconds = exp(chance.gauss(log(way.seconds), model.spread))
        luck = chance.random()
        fate = "rejected" if luck < REJECTED else "failed" if luck < REJECTED + FAILS else "done"
        return Task(seconds if fate == "done" else seconds * chance.random(), fate)


@dataclass(frozen=True)
class Task:
    """How long a task takes at its provider, in seconds, and how it ends."""

    seconds: float
    fate: str


def draw(seed: int, jobs: int) -> Plan:
    """Draw a day of so many jobs."""
    chance, hour = Random(seed), 3600 * jobs / FULL
    orders: list[Order] = []
    left = {model.key: round(model.part * jobs) for model in MODELS[1:]}
    left[MODELS[0].key] = jobs - sum(left.values())
    habits = [chance.paretovariate(1.5) for _ in range(ACCOUNTS)]
    smaller = min(1.0, 4 * jobs / FULL)
    while any(left.values()):
        is_campaign = chance.random() < _chance_of_campaign(smaller)
        account = (
            chance.randrange(ACCOUNTS - CAMPAIGNERS, ACCOUNTS) if is_campaign else chance.choices(range(ACCOUNTS), habits)[0]
        )
        open_ones = [model for model in MODELS if left[model.key]]
        model = chance.choices(open_ones, [left[model.key] for model in open_ones])[0]
        is_campaign = is_campaign and model.in_campaigns
        count = _size(chance, smaller) if is_campaign else 1 + int(chance.expovariate(1 / 2.2))
        count = min(count, left[model.key])
        at = _moment(chance) * hour
        ways = chance.choices([way.parameters for way in model.ways], [way.part for way in model.ways], k=count)
        priority = _priority(chance, account, is_campaign=is_campaign)
        limit = chance.choice((None, None, None, 4)) if is_campaign else None
        cancels_at = at + chance.expovariate(1 / (0.3 * hour)) if chance.random() < CANCELS else None
        orders.append(Order(len(orders), at, account, model.key, priority, ways, is_campaign, limit, cancels_at))
        left[model.key] -= count
    pause, outage = Trouble("kling-v3", 10.5 * hour, 11.5 * hour), Trouble("openai_videos", 15 * hour, 15.5 * hour)
    return Plan(seed, hour, sorted(orders, key=lambda order: (order.at, order.number)), pause, outage)


def _chance_of_campaign(smaller: float) -> float:
    mean, singles = smaller * sum(CAMPAIGN) / 2, 2.7
    return IN_CAMPAIGNS / mean / (IN_CAMPAIGNS / mean + (1 - IN_CAMPAIGNS) / singles)


def _size(chance: Random, smaller: float) -> int:
    return max(2, round(chance.randint(*CAMPAIGN) * smaller))


def _moment(chance: Random) -> float:
    """Return an hour of the day; campaigns and the last orders leave the queue an hour to drain."""
    hour = chance.choices(range(len(BUSY)), BUSY)[0]
    return min(hour + chance.random(), HOURS - 1)


def _priority(chance: Random, account: int, *, is_campaign: bool) -> int:
    if is_campaign:
        return chance.choice((LOW, NORMAL))
    if account < STAFF and chance.random() < 0.5:
        return HIGH
    return chance.choices((NORMAL, LOW), (0.95, 0.05))[0]
