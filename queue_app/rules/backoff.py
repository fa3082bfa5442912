"""How long to wait before the next try. Seconds throughout; chance comes in from outside, so that rules stay testable."""

from random import Random

BASE, CAP = 5.0, 600.0
FIXED = 300.0


def retry_delay(strategy: str, tries: int, *, chance: Random) -> float:
    """After ``tries`` failed tries (from 1): 5 min for ``fixed``, else full jitter over 5 s × 2ⁿ, at most 10 min."""
    if strategy == "fixed":
        return FIXED
    return chance.uniform(0, min(CAP, BASE * 2**tries))


def patient(waited: float, *, chance: Random) -> float:
    """While what is there to be had cannot be reached: up to half as long again as was waited so far, 4 s to 10 min."""
    return min(CAP, max(BASE, waited / 2)) * chance.uniform(0.8, 1.0)


def told_to_wait(seconds: float, *, chance: Random) -> float:
    """At least as long as the provider said, plus 0–20 %."""
    return seconds * chance.uniform(1.0, 1.2)


def unreachable(failures_in_a_row: int) -> float:
    """How long an account cools down after failures to reach it; five in a row open the breaker for 60 s."""
    return 60.0 if failures_in_a_row >= 5 else min(2.0**failures_in_a_row, 30.0)
