"""What only fal has: headers of a create call, addresses in its answers, files without the key, a call for the result."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest

from queue_app.providers.base import ErrorKind, Provider, ProviderError, RemoteAsset, RemoteRef, TaskState
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import wait_for
from tests.providers.vendors.fal import ENDPOINT, FAL, over
from tests.providers.vendors.vendor import KEY, yes
from tests.providers.wire import WireServer, answer


def headers_of(server: WireServer, **changes: Any) -> dict[str, str]:
    server.says(yes(FAL.accepted("t-1")))
    provider = FAL.at(server.url)
    request = FAL.request(provider)
    provider.submit(type(request)(**vars(request) | changes))
    return server.seen[-1].headers


def test_a_create_says_how_long_it_may_wait_and_whose_it_is(server: WireServer) -> None:
    headers = headers_of(server, start_deadline_s=300)
    assert (headers["x-fal-request-start-timeout"], headers["x-fal-request-timeout"]) == ("300", "300")
    assert headers["x-fal-tags"].startswith("attempt=")
    assert (headers["x-app-fal-disable-fallback"], headers["authorization"]) == ("true", f"Key {KEY}")


def test_a_create_without_a_deadline_names_none(server: WireServer) -> None:
    assert not {"x-fal-request-start-timeout", "x-fal-request-timeout"} & set(headers_of(server))


@pytest.mark.parametrize(
    ("endpoint", "root"),
    [
        (ENDPOINT, "fal-ai/wan"),
        ("fal-ai/flux-2-pro", "fal-ai/flux-2-pro"),
        ("bytedance/seedance-2.0/fast/text-to-video", "bytedance/seedance-2.0"),
        ("workflows/acme/fox/deep", "workflows/acme/fox"),
    ],
)
def test_the_addresses_of_a_task_follow_from_its_endpoint(endpoint: str, root: str) -> None:
    ref = FAL.at("https://queue.fal.run").ref("a/b", endpoint_id=endpoint)
    at = f"https://queue.fal.run/{root}/requests/a%2Fb"
    assert (ref.status_url, ref.result_url, ref.cancel_url) == (f"{at}/status", at, f"{at}/cancel")


def test_addresses_that_fal_gives_are_used(server: WireServer) -> None:
    given = {name: f"{server.url}/odd/{name}" for name in ("status_url", "response_url", "cancel_url")}
    server.says(yes(FAL.accepted("t-1") | given), over(), yes(FAL.finished("https://cdn.example/a.mp4")), yes({"status": "OK"}))
    provider = FAL.at(server.url)
    ref = RemoteRef.from_json(provider.submit(FAL.request(provider)).to_json())
    assert (provider.poll(ref).state, provider.cancel(ref)) == (TaskState.SUCCEEDED, TaskState.CANCELED)
    assert [seen.target for seen in server.seen[1:]] == ["/odd/status_url", "/odd/response_url", "/odd/cancel_url"]


def test_the_second_host_of_fal_is_its_own_too() -> None:
    provider = FAL.at("https://queue.fal.run")
    ref = RemoteRef("acme", "t-1", status_url="https://evil.example/s")
    with pytest.raises(ProviderError) as refused:
        provider.poll(ref)
    assert refused.value.code == "no_address"


def test_a_file_is_fetched_without_the_key(server: WireServer) -> None:
    server.says(answer(200, b"\0\0\0\x18ftypisom" + bytes(50)))
    provider = FAL.at(server.url)
    provider.fetch(FAL.ref(provider), RemoteAsset("video", f"{server.url}/file.mp4"), io.BytesIO(), 1_000)
    assert KEY not in str(server.seen[0].headers)


@pytest.mark.parametrize(
    ("told", "cost"),
    [
        (yes({"billing_events": [{"cost_total": "0.25"}, {"cost_total": 0.5}]}), Decimal("0.75")),
        (yes({"billing_events": [{"cost_total": 0}]}), Decimal(0)),
        (yes({"billing_events": []}), None),
        (yes({"billing_events": [{"cost_total": "much"}, 7]}), None),
        (yes(b"<html>"), None),
        (answer(403, {"error": {"type": "authorization_error"}}), None),
    ],
)
def test_the_cost_is_the_sum_of_what_was_billed(server: WireServer, told: bytes, cost: Decimal | None) -> None:
    server.says(told)
    provider = FAL.at(server.url)
    assert provider.actual_cost(FAL.ref(provider)) == cost
    assert server.seen[0].target == "/fal/v1/models/billing-events?request_id=t-1"


@pytest.fixture(scope="module")
def paid() -> list[RemoteRef]:
    """The task of all tests of a result, once there is one."""
    return []


class TestAResult:
    """A fault while the result of a paid task is read neither fails the task nor creates a second one."""

    @pytest.fixture
    def provider(self, studio: StudioProcess, trusted: None) -> Provider:
        return FAL.at(studio.url, api_key=None, preview=True)

    @pytest.mark.parametrize("fault", ["429:2", "401", "503", "500", "reset", "malformed_json"])
    def test_that_is_not_to_be_had_is_asked_for_again(
        self, studio: StudioProcess, provider: Provider, paid: list[RemoteRef], fault: str
    ) -> None:
        if not paid:
            paid.append(provider.submit(FAL.request(provider)))
        (ref,) = paid
        wait_for(lambda: provider.poll(ref).state.is_terminal, of="the end of the task")
        studio.queue_faults(retrieve=["latency:0.01", fault])  # of the status, and of the result
        with pytest.raises(ProviderError) as refused:
            provider.poll(ref)
        assert refused.value.kind in {ErrorKind.RETRYABLE, ErrorKind.RATE_LIMITED, ErrorKind.AUTH}
        result = provider.poll(ref)
        assert (result.state, len(result.assets)) == (TaskState.SUCCEEDED, 1)
