"""Downloads, the same for all adapters."""

from __future__ import annotations

import io

import pytest

from queue_app import http
from queue_app.providers.base import ErrorKind, ProviderError, RemoteAsset
from tests.providers.conftest import let_time_run_out
from tests.providers.vendors import VENDORS, Vendor
from tests.providers.wire import WireServer, answer, drip


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_a_file_that_comes_too_slowly_is_told_from_one_that_does_not_come(
    server: WireServer, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> None:
    """The first is tried three times, the second as long as the provider keeps it."""
    provider, sink = vendor.at(server.url), io.BytesIO()
    server.says(drip(answer(200, b"x" * 100_000)[:-10_000]))
    let_time_run_out(monkeypatch, when=lambda: sink.tell() > 0)

    with pytest.raises(ProviderError) as refused:
        provider.fetch(vendor.ref(provider), RemoteAsset(vendor.medium, f"{server.url}/file"), sink, 200_000)

    assert (refused.value.kind, isinstance(refused.value.__cause__, http.TimedOut)) == (ErrorKind.RETRYABLE, True)
