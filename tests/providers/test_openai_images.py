"""What the images API alone has: two endpoints, and files in the answer or at an address."""

from __future__ import annotations

import io
import json

import pytest
from pytest_django.fixtures import Settings

from queue_app.providers.base import AccountConfig, RemoteAsset
from queue_app.providers.openai_images import OpenAIImages
from queue_app.work.answers import ANSWERS
from queue_app.work.catalogue import codecs
from tests.providers.vendors.openai_images import BASE64
from tests.providers.vendors.vendor import KEY, fresh_request
from tests.providers.wire import WireServer, answer


def adapter(base_url: str, **options: str) -> OpenAIImages:
    return OpenAIImages(AccountConfig("acme", "openai_images", base_url, KEY, options=options, answers=ANSWERS))


def test_a_generation_has_its_parameters_as_the_api_wants_them(server: WireServer) -> None:
    server.says(answer(200, {"data": [{"b64_json": BASE64}]}))
    provider = adapter(server.url)
    inputs = {"prompt": "x", "aspect_ratio": "16:9", "resolution": "2K", "quality": "high", "count": 3}
    wire = provider.validate("gpt-image-2", codecs.OPENAI_GPT_IMAGE_2, inputs)
    provider.submit(fresh_request(wire))
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", "/v1/images/generations")
    assert json.loads(seen.body) == {"model": "gpt-image-2", "prompt": "x", "size": "2560x1440", "quality": "high", "n": 3}


def test_reference_images_make_it_an_edit(server: WireServer) -> None:
    server.says(answer(200, {"data": [{"b64_json": BASE64}]}))
    provider = adapter(f"{server.url}/v1/")
    inputs = {"prompt": "x", "images": {"references": ["https://e.com/a.png", "https://e.com/b.png"]}}
    wire = provider.validate("gpt-image-1.5", codecs.OPENAI_GPT_IMAGE_15, inputs)
    provider.submit(fresh_request(wire))
    (seen,) = server.seen
    assert (seen.method, seen.target) == ("POST", "/v1/images/edits")
    images = [{"image_url": "https://e.com/a.png"}, {"image_url": "https://e.com/b.png"}]
    assert json.loads(seen.body) == {"model": "gpt-image-1.5", "prompt": "x", "images": images}


def test_an_image_at_an_address_is_fetched_without_the_key_unless_it_is_the_apis_own(
    server: WireServer, settings: Settings
) -> None:
    with WireServer() as storage:
        settings.TRUSTED_ORIGINS = [server.url, storage.url]
        provider = adapter(server.url)
        urls = [f"{storage.url}/a.png", f"{server.url}/files/b.png"]
        server.says(answer(200, {"data": [{"url": url} for url in urls]}), answer(200, b"png"))
        storage.says(answer(200, b"png"))
        wire = provider.validate("gpt-image-2", codecs.OPENAI_GPT_IMAGE_2, {"prompt": "x", "count": 2})
        ref = provider.submit(fresh_request(wire))
        assets = provider.poll(ref).assets
        assert assets == [RemoteAsset("image", url) for url in urls]
        for asset in assets:
            assert provider.fetch(ref, asset, io.BytesIO(), 100).size == 3
    assert [(seen.target, "authorization" in seen.headers) for seen in storage.seen] == [("/a.png", False)]
    assert [(seen.target, "authorization" in seen.headers) for seen in server.seen[1:]] == [("/files/b.png", True)]


@pytest.mark.parametrize(
    ("style", "header", "value"),
    [
        ("bearer", "authorization", f"Bearer {KEY}"),
        ("key", "authorization", f"Key {KEY}"),
        ("api-key", "api-key", KEY),
        ("something", "authorization", f"Bearer {KEY}"),
    ],
)
def test_the_key_goes_where_the_account_says(server: WireServer, style: str, header: str, value: str) -> None:
    server.says(answer(200, {"data": [{"b64_json": BASE64}]}))
    provider = adapter(server.url, auth_style=style)
    provider.submit(fresh_request(provider.validate("gpt-image-2", codecs.OPENAI_GPT_IMAGE_2, {"prompt": "x"})))
    assert server.seen[0].headers[header] == value
