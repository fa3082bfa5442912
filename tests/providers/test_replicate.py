"""What only Replicate has: two kinds of create calls, deadlines, and delivery hosts that get the key."""

from __future__ import annotations

import io
import json
from typing import Any
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from queue_app.providers.base import AccountConfig, RemoteAsset, RemoteRef, SubmitRequest
from queue_app.providers.replicate import Replicate
from tests.providers.vendors.replicate import REPLICATE, task
from tests.providers.vendors.vendor import KEY
from tests.providers.wire import Seen, WireServer, answer

REF = RemoteRef(provider="acme", remote_id="t-1")


def adapter(base_url: str) -> Replicate:
    return Replicate(AccountConfig("acme", "replicate", base_url, KEY))


class TestSubmit:
    def sent(self, server: WireServer, endpoint_id: str, **fields: Any) -> Seen:
        server.says(answer(201, task("t-1", "starting")))
        adapter(server.url).submit(SubmitRequest(uuid4(), endpoint_id, {"prompt": "x"}, **fields))
        return server.seen[-1]

    @pytest.mark.parametrize(
        ("endpoint_id", "target", "version"),
        [
            ("minimax/video-01", "/v1/models/minimax/video-01/predictions", None),
            (f"minimax/video-01:{'a' * 64}", "/v1/predictions", f"minimax/video-01:{'a' * 64}"),
            ("a" * 64, "/v1/predictions", "a" * 64),
        ],
    )
    def test_names_a_model_in_the_path_and_a_version_in_the_body(
        self, server: WireServer, endpoint_id: str, target: str, version: str | None
    ) -> None:
        seen = self.sent(server, endpoint_id)
        assert (seen.target, json.loads(seen.body).get("version")) == (target, version)
        assert json.loads(seen.body)["input"] == {"prompt": "x"}

    @pytest.mark.parametrize(("seconds", "told"), [(600, "600s"), (599.6, "600s"), (1, "5s"), (None, "1800s")])
    def test_always_says_when_it_must_be_over(self, server: WireServer, seconds: float | None, told: str) -> None:
        seen = self.sent(server, "minimax/video-01", total_deadline_s=seconds)
        assert seen.headers["cancel-after"] == told
        assert "prefer" not in seen.headers

    def test_wants_a_webhook_at_the_end_alone(self, server: WireServer) -> None:
        seen = self.sent(server, "minimax/video-01", webhook_url="https://genqueue.example/hooks/7")
        body = json.loads(seen.body)
        assert (body["webhook"], body["webhook_events_filter"]) == ("https://genqueue.example/hooks/7", ["completed"])

    @pytest.mark.parametrize("base", ["", "/v1", "/proxy/replicate/v1/"])
    def test_lets_a_base_url_leave_out_the_path(self, server: WireServer, base: str) -> None:
        server.says(answer(201, task("t-1", "starting")))
        adapter(server.url + base).submit(SubmitRequest(uuid4(), "a/b", {"prompt": "x"}))
        assert server.seen[0].target == f"{base.rstrip('/') or '/v1'}/models/a/b/predictions"


class TestFetch:
    def fetched(self, provider: Replicate, url: str) -> None:
        provider.fetch(REF, RemoteAsset("video", url), io.BytesIO(), 1000)

    def test_sends_the_key_to_the_api_and_to_nobody_else(self, server: WireServer, settings: Settings) -> None:
        with WireServer() as storage:
            settings.TRUSTED_ORIGINS = [server.url, storage.url]
            storage.says(answer(200, b"mp4"))
            server.says(answer(200, b"mp4"), answer(302, headers={"Location": f"{storage.url}/signed"}))
            provider = adapter(server.url)
            for url in (f"{server.url}/a.mp4", f"{server.url}/b.mp4", f"{storage.url}/c.mp4"):
                self.fetched(provider, url)
        assert [seen.headers.get("authorization") for seen in server.seen] == [f"Bearer {KEY}"] * 2
        assert [seen.target for seen in storage.seen] == ["/signed", "/c.mp4"]
        assert all("authorization" not in seen.headers for seen in storage.seen)

    @pytest.mark.parametrize(
        ("url", "trusted"),
        [
            ("https://replicate.delivery/xezq/a.mp4", True),
            ("https://pbxt.Replicate.delivery/a.mp4", True),
            ("https://api.replicate.com/v1/files/a", True),
            ("http://replicate.delivery/a.mp4", False),
            ("https://replicate.delivery.evil.example/a.mp4", False),
            ("https://evilreplicate.delivery/a.mp4", False),
            ("https://api.replicate.com.evil.example/a.mp4", False),
            ("https://api.replicate.com:8443/a.mp4", False),
            ("https://user@evil.example/replicate.delivery", False),
        ],
    )
    def test_knows_the_hosts_that_may_have_the_key(self, url: str, trusted: bool) -> None:
        assert adapter("https://api.replicate.com/v1").may_have_the_key(url) is trusted


class TestList:
    def page(self, server: WireServer, body: Any, after: str | None, provider: Replicate) -> Any:
        server.says(answer(200, body))
        return provider.list_tasks(after, endpoint_id=REPLICATE.endpoint_id, seconds=20)

    def test_goes_on_by_the_cursor_of_the_link_at_our_own_address(self, server: WireServer) -> None:
        provider = adapter(server.url)
        link = "https://evil.example/v1/predictions?x=1&cursor=cD0%2BMg%3D%3D"
        page = self.page(server, {"next": link, "results": [task("t-1", "starting")]}, None, provider)
        self.page(server, {"next": None, "results": []}, page.cursor, provider)
        assert [seen.target for seen in server.seen] == ["/v1/predictions", "/v1/predictions?cursor=cD0%2BMg%3D%3D"]
        assert all(seen.headers["cache-control"] == "no-cache" for seen in server.seen)

    def test_goes_on_behind_its_last_row_where_there_is_no_cursor(self, server: WireServer) -> None:
        provider = adapter(server.url)
        page = self.page(server, {"next": None, "results": [task("t-2", "starting"), task("t-1", "starting")]}, None, provider)
        assert (page.more, page.cursor) == (False, None)
        beyond = self.page(server, {"next": None, "results": []}, "t-1", provider)
        assert beyond.rows == []
        assert server.seen[1].target == "/v1/predictions?created_before=2027-01-15T08%3A00%3A00.000000Z"
