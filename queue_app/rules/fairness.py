"""
Fair share: accounts take turns, by start-time fair queueing.

Each job gets the round of its turn when it is queued, and rounds are served in order. An account's jobs take one turn after the
other, a heavier account several in a round. A new or idle account joins in the round that its lane has reached: it neither waits
behind the others' backlogs nor is owed what it did not use.

Source: Goyal, Vin and Cheng, "Start-time Fair Queuing", SIGCOMM 1996. The start tag, rounded down, is the round; a job costs 1.
"""

from math import floor


def next_turn(kept: float, *, reached: int, last: int | None, weight: float) -> float:
    """
    Return the turn of an account's next job in a lane.

    :param kept: the turn after the last one that it took. :param reached: the round that the lane has reached.
    :param last: the round of its last waiting job. Turns after that were taken by jobs that were cancelled: it has them back.
    """
    # a round is a turn rounded down: where in the round the last one was is not known, so only whole rounds are given back
    most = 1 if weight >= 1 else 1 + 1 / weight
    return max(reached, min(kept, (reached if last is None else max(reached, last)) + most))


def rounds(first: float, count: int, *, weight: float) -> list[int]:
    """Return the rounds of the next ``count`` turns of an account: with weight 2, two in each round."""
    return [floor(first + number / weight) for number in range(count)]
