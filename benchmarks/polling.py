"""
Planned polling beside a check every 30 s: the seconds that a finished task keeps its slot, and the checks of a job.

Each profile of run times is replayed without waiting, four at a time, through the plan of `queue_app.rules.schedule`, starting
without past runs and without the provider's progress. The profiles are drawn around the medians of the catalogue: no provider has
been called yet.
"""

import math
from collections.abc import Callable
from random import Random

from benchmarks import slots, stand

JOBS = 200
OVERHEAD = {"handoff": 0.02, "late": 0.02}  # seconds, as `slots` measures them

Draw = Callable[[Random], float]


def around(median: float, spread: float) -> Draw:
    """Return a profile with most run times near the median and a long tail above it."""
    return lambda chance: chance.lognormvariate(math.log(median), spread)


def cold(median: float, spread: float, *, boot: float, share: float) -> Draw:
    """Return a profile in which this share of the tasks first waits for a machine that boots."""
    warm = around(median, spread)
    return lambda chance: warm(chance) + (boot if chance.random() < share else 0.0)


PROFILES: dict[str, Draw] = {
    "images, 10 s": around(10, 0.3),
    "dear images, 60 s": around(60, 0.4),
    "quick videos, 41 s": around(41, 0.15),
    "videos, 90 s": around(90, 0.3),
    "slow videos, 200 s": around(200, 0.4),
    "videos, 60 s, one in five after a cold start of 2 min": cold(60, 0.2, boot=120, share=0.2),
}


def main() -> None:
    for name, draw in PROFILES.items():
        chance = Random(7)
        durations = [draw(chance) for _ in range(JOBS)]
        plan, every_30_s = (slots.replayed(durations, how, **OVERHEAD) for how in (slots.planned, slots.fixed))
        stand.figure(f"{name}: an end waits, planned", plan.wasted, " s")
        stand.figure(f"{name}: an end waits, every 30 s", every_30_s.wasted, " s")
        stand.figure(f"{name}: checks of a job, planned", plan.checks)
        stand.figure(f"{name}: checks of a job, every 30 s", every_30_s.checks)
        stand.verdict(f"{name}: slot use, planned / every 30 s", plan.use / every_30_s.use, least=1.0)


if __name__ == "__main__":
    main()
