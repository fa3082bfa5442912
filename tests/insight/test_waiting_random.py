"""What a queued job waits for, in random situations: it starts once what it names is lifted, and not before."""

from collections import Counter

import pytest

from benchmarks import situations
from tests.factories import NOON

pytestmark = pytest.mark.django_db
SITUATIONS = 150  # the benchmark `waiting` tries 1,000
CAUSES = {
    *("queue full", "kind full", "account full", "model full", "user full", "batch full", "jobs_ahead", "not_before"),
    *("queue pause", "model pause", "account pause", "batch pause", "account cooling down", "account budget", "long no worker"),
    *("model not available", "model its parameters are not supported"),
    *("held for canary", "held for storyboard", "held for breaker", "held for budget"),
}


def test_a_job_starts_once_all_that_it_names_is_lifted_and_not_before(settings):
    settings.PROVIDER_KEYS = {**settings.PROVIDER_KEYS, "OPENAI_VIDEOS_API_KEY": "a key, for a budget to count"}
    world, tried, seen = situations.world(NOON), 0, Counter()
    for seed in range(SITUATIONS):
        if found := situations.tried(world, seed, thorough=False):
            assert not found.lie, f"situation {seed}: {found.lie}"
            tried += 1
            seen += found.kinds
    assert tried > 0.9 * SITUATIONS
    assert seen.keys() >= CAUSES
