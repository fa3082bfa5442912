"""Downloads, the same for all adapters."""

from __future__ import annotations

import io

import pytest

from queue_app import http
from queue_app.providers import calls
from queue_app.providers.base import ErrorKind, ProviderError, RemoteAsset
from tests.providers.vendors import VENDORS, Vendor
from tests.providers.wire import WireServer, answer, drip


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_a_file_that_comes_too_slowly_is_told_from_one_that_does_not_come(
    server: WireServer, monkeypatch: pytest.MonkeyPatch, vendor: Vendor
) -> None:
    """The first is tried three times, the second as long as the provider keeps it."""
    monkeypatch.setattr(calls, "FILE_SECONDS", 0.5)
    server.says(drip(answer(200, b"x" * 100_000)[:-10_000]))
    provider, sink = vendor.at(server.url), io.BytesIO()

    with pytest.raises(ProviderError) as refused:
        provider.fetch(vendor.ref(provider), RemoteAsset(vendor.medium, f"{server.url}/file"), sink, 200_000)

    assert (refused.value.kind, isinstance(refused.value.__cause__, http.TimedOut)) == (ErrorKind.RETRYABLE, True)
    assert sink.tell() > 0
