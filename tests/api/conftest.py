"""What tests of the API lean on: fresh counts in each test."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Counts and durations are shared for a second or more; tests are faster than that."""
    cache.clear()
    yield
    cache.clear()
