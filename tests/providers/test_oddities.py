"""All oddities of all vendors, from the tables in `vendors`."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.providers.vendors import ODDITIES, VENDORS
from tests.providers.vendors.vendor import told
from tests.providers.wire import WireServer


@pytest.mark.parametrize(("adapter", "row"), ODDITIES)
def test_an_oddity(server: WireServer, adapter: str, row: str) -> None:
    oddity = ODDITIES[adapter, row]
    outcome = VENDORS[adapter].outcome(server, oddity)
    assert {name: told(outcome, name) for name in oddity.expected} == oddity.expected, outcome
    if oddity.call == "create":
        assert len(server.seen) == 1


def test_the_tables_are_no_shorter_than_they_were() -> None:
    counted = Counter(adapter for adapter, _ in ODDITIES)
    assert {adapter: count for adapter, count in counted.items() if count < 70} == {}
    assert set(counted) == set(VENDORS)
    assert all(len(vendor.oddities) >= 10 for vendor in VENDORS.values())
