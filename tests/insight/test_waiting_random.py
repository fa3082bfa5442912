"""What a queued job waits for, in random situations: it starts once what it names is lifted, and not before."""

from collections import Counter

import pytest

from benchmarks import situations
from tests.factories import NOON

pytestmark = pytest.mark.django_db
SITUATIONS = 150


def test_a_job_starts_once_all_that_it_names_is_lifted_and_not_before(settings):
    settings.PROVIDER_KEYS = {**settings.PROVIDER_KEYS, "OPENAI_VIDEOS_API_KEY": "a key, for a budget to count"}
    world = situations.world(NOON)
    seen = Counter()
    for seed in range(SITUATIONS):
        if found := situations.tried(world, seed, thorough=False):
            assert not found.lie, f"situation {seed}: {found.lie}"
            seen += found.kinds
    print(seen)
