"""Waits before the next try, in seconds. The caller passes the random generator, so that the rules can be tested."""

from random import Random
from typing import NamedTuple

BASE, CAP = 5.0, 600.0


class Retries(NamedTuple):
    """
    How often a job is sent, the first attempt included, and how long it waits before each next one: ``backoff`` is “fixed” or
    “exponential”, ``base`` and ``cap`` (the longest wait) are seconds.
    """

    attempts: int
    backoff: str
    base: float = BASE
    cap: float = CAP

    def wait_after(self, tries: int, *, chance: Random) -> float:
        """Return the wait after ``tries`` failed tries (from 1): the base if fixed, else full jitter up to the base × 2ⁿ."""
        if self.backoff == "fixed":
            return min(self.cap, self.base)
        return chance.uniform(0, self.longest_after(tries))

    def longest_after(self, tries: int) -> float:
        """Return the longest wait after ``tries`` failed tries."""
        return min(self.cap, self.base if self.backoff == "fixed" else self.base * 2**tries)


def patient(waited: float, *, chance: Random) -> float:
    """Return the wait while an existing file can't be reached: about half of the time ``waited`` so far, 4 s to 10 min."""
    return min(CAP, max(BASE, waited / 2)) * chance.uniform(0.8, 1.0)


def told_to_wait(seconds: float, *, chance: Random) -> float:
    """Return the wait that the provider asked for, plus 0 to 20%."""
    return seconds * chance.uniform(1.0, 1.2)


def unreachable(failures_in_a_row: int) -> float:
    """Return the cooldown of an account after failures to reach it: growing, and 60 seconds from five in a row on."""
    return 60.0 if failures_in_a_row >= 5 else min(2.0**failures_in_a_row, 30.0)
