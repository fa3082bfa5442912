"""
What a queued job says it waits for, in 1,000 random situations (`situations`): how often that is the truth.

`BENCH_SITUATIONS` is another number of situations.
"""

import os
from collections import Counter
from typing import Any

from benchmarks import stand

SITUATIONS = int(os.environ.get("BENCH_SITUATIONS", "1000"))


def main() -> None:
    from django.db import transaction

    from benchmarks import situations
    from queue_app import clock

    outermost: Any = transaction.atomic()
    outermost._from_testcase = True  # claims commit for good; here a savepoint takes all back
    with outermost:
        world = situations.world(clock.now().replace(minute=30))
        seen: Counter[str] = Counter()
        seed = right = tried = at_once = 0
        while tried < SITUATIONS:
            found = situations.tried(world, seed)
            seed += 1
            if found is None:
                continue
            tried, right, at_once = tried + 1, right + (not found.lie), at_once + (found.rounds == 1)
            seen += found.kinds
            if found.lie:
                print(f"        situation {seed - 1}: {found.lie}")
        transaction.set_rollback(True)
    stand.verdict(f"waiting_on right, of {SITUATIONS:,} situations", right, least=SITUATIONS)
    stand.figure("started by the first claim after the lift", at_once)
    print(f"        causes: {', '.join(f'{kind} {number}' for kind, number in seen.most_common())}")


if __name__ == "__main__":
    with stand.installation(OPENAI_VIDEOS_API_KEY="a key, so that a budget counts"):
        main()
