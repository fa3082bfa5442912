"""What only OpenRouter has: three kinds of links, and neither a cancel nor a list."""

from __future__ import annotations

import io
import json
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from queue_app.providers.base import AccountConfig, ProviderError, RemoteAsset, RemoteRef, SubmitRequest, TaskState
from queue_app.providers.openrouter import OpenRouter
from queue_app.work.catalogue import codecs
from tests.providers.vendors.openrouter import task
from tests.providers.vendors.vendor import KEY
from tests.providers.wire import WireServer, answer

REF = RemoteRef(provider="acme", remote_id="gen-vid-1/2")


def adapter(base_url: str) -> OpenRouter:
    return OpenRouter(AccountConfig("acme", "openrouter", base_url, KEY))


def test_a_create_has_its_images_and_its_callback_as_the_vendor_wants_them(server: WireServer) -> None:
    server.says(answer(202, task("t-1", "pending")))
    provider = adapter(server.url)
    images = {"first_frame": "https://e.com/a.png", "last_frame": "https://e.com/b.png"}
    inputs = {
        "prompt": "x",
        "duration": 6,
        "aspect_ratio": "16:9",
        "resolution": "4k",
        "audio": False,
        "seed": 7,
        "images": images,
    }
    wire = provider.validate("google/veo-3.1", codecs.ROUTER_VEO_31, inputs)
    provider.submit(SubmitRequest(uuid4(), wire.endpoint_id, wire.inputs, webhook_url="https://genqueue.example/hooks/7"))
    seen = server.seen[0]
    assert seen.target == "/api/v1/videos"
    frame = {"type": "image_url"}
    assert json.loads(seen.body) == {
        "model": "google/veo-3.1", "prompt": "x", "duration": 6, "aspect_ratio": "16:9", "resolution": "4K", "seed": 7,
        "generate_audio": False, "callback_url": "https://genqueue.example/hooks/7",
        "frame_images": [
            frame | {"image_url": {"url": "https://e.com/a.png"}, "frame_type": "first_frame"},
            frame | {"image_url": {"url": "https://e.com/b.png"}, "frame_type": "last_frame"},
        ],
    }  # fmt: skip


def test_a_link_leads_to_the_api_with_the_key_and_elsewhere_without(server: WireServer, settings: Settings) -> None:
    with WireServer() as storage:
        settings.TRUSTED_ORIGINS = [server.url, storage.url]
        storage.says(answer(200, b"mp4"))
        server.says(answer(200, b"mp4"))
        links = [
            f"{server.url}/api/v1/videos/t-1/content?index=0",
            "/api/v1/videos/t-1/content?index=1",
            None,
            f"{storage.url}/s",
        ]
        for link in links:
            adapter(f"{server.url}/api/v1/").fetch(REF, RemoteAsset("video", link), io.BytesIO(), 1000)
    assert [seen.target for seen in server.seen] == [
        "/api/v1/videos/t-1/content?index=0",
        "/api/v1/videos/t-1/content?index=1",
        "/api/v1/videos/gen-vid-1%2F2/content?index=0",
    ]
    assert all(seen.headers["authorization"] == f"Bearer {KEY}" for seen in server.seen)
    assert [(seen.target, "authorization" in seen.headers) for seen in storage.seen] == [("/s", False)]


def test_nothing_is_sent_to_stop_or_to_list(server: WireServer) -> None:
    provider = adapter(server.url)
    assert provider.cancel(REF) is TaskState.RUNNING
    with pytest.raises(ProviderError, match="no list"):
        provider.list_tasks(None, endpoint_id="x", seconds=20)
    assert server.seen == []
