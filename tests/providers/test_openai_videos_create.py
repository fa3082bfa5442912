import json
from typing import Any

import pytest

from queue_app.providers.base import ErrorKind, ProviderError, RemoteRef
from queue_app.work.catalogue import codecs
from tests.providers.openai import PROMPT, VIDEO, adapter, request
from tests.providers.wire import WireServer, answer

LOOPS = codecs.SORA | {"loop": {"field": "loop"}}
WITH_IMAGE = codecs.SORA | {"images": {"first_frame": {"field": "input_reference", "item": {"image_url": "{url}"}}}}


class TestSubmit:
    def submit(self, server: WireServer, inputs: dict[str, Any], **changes: Any) -> RemoteRef:
        server.says(answer(200, VIDEO | {"id": "video_bGl0ZWxsbTo+/=="}))
        provider = adapter(server.url, **changes)
        return provider.submit(request(provider, "sora-2", LOOPS, **inputs))

    def test_sends_the_prompt_byte_for_byte_as_multipart(self, server: WireServer) -> None:
        ref = self.submit(server, {"prompt": PROMPT, "duration": 8, "aspect_ratio": "16:9", "loop": None, "seed": None})
        assert ref == RemoteRef(provider="sora", remote_id="video_bGl0ZWxsbTo+/==")
        seen = server.seen[0]
        assert (seen.method, seen.target, seen.headers["authorization"]) == ("POST", "/v1/videos", "Bearer sk-test-key")
        assert seen.form() == {"model": "sora-2", "prompt": PROMPT, "seconds": "8", "size": "1280x720"}
        assert PROMPT.encode() in seen.body
        assert b"filename" not in seen.body

    def test_sends_seed_and_loop_only_when_set(self, server: WireServer) -> None:
        self.submit(server, {"prompt": "x", "seed": 0, "loop": True})
        assert server.seen[0].form() == {"model": "sora-2", "prompt": "x", "seed": "0", "loop": "true"}

    def test_speaks_json_and_the_other_key_header_where_the_account_says_so(self, server: WireServer) -> None:
        options = {"request_encoding": "json", "auth_style": "api-key"}
        base = server.url + "/openai/v1/"
        server.says(answer(200, VIDEO))
        provider = adapter(base, options=options)
        images = {"first_frame": "https://e.com/a.png"}
        provider.submit(request(provider, "sora-2", WITH_IMAGE, duration=4, aspect_ratio="16:9", images=images))
        seen = server.seen[0]
        assert (seen.target, seen.headers["api-key"]) == ("/openai/v1/videos", "sk-test-key")
        assert "authorization" not in seen.headers
        sent = {"model": "sora-2", "prompt": PROMPT, "seconds": "4", "size": "1280x720"}
        assert json.loads(seen.body) == sent | {"input_reference": {"image_url": "https://e.com/a.png"}}


class TestValidate:
    @pytest.mark.parametrize(
        ("inputs", "size"),
        [
            ({}, "1280x720"),
            ({"aspect_ratio": "9:16"}, "720x1280"),
            ({"aspect_ratio": "1:1"}, "1024x1024"),
            ({"resolution": "1080p"}, "1792x1024"),
            ({"resolution": "1080p", "aspect_ratio": "9:16"}, "1024x1792"),
        ],
    )
    def test_turns_ratio_and_resolution_into_a_size(self, inputs: dict[str, Any], size: str) -> None:
        asked = {"prompt": "x", "aspect_ratio": "16:9", **inputs}
        assert adapter("https://e.com").validate("sora-2-pro", codecs.SORA_PRO, asked).inputs["size"] == size

    @pytest.mark.parametrize(
        ("inputs", "word"),
        [
            ({}, "prompt"),
            ({"prompt": ""}, "prompt"),
            ({"prompt": "x", "aspect_ratio": "5:4"}, "5:4"),
            ({"prompt": "x", "fps": 9}, "fps"),
            ({"prompt": "x", "duration": "8"}, "duration"),
            ({"prompt": "x", "seed": True}, "seed"),
            ({"prompt": "x", "images": {"first_frame": "https://e.com/a.png"}}, "request_encoding json"),
            ({"prompt": "x", "images": {"references": ["https://e.com/a.png"]}}, "first frame"),
        ],
    )
    def test_says_what_cannot_be_asked_here(self, inputs: dict[str, Any], word: str) -> None:
        with pytest.raises(ProviderError, match=word) as refused:
            adapter("https://e.com").validate("sora-2", WITH_IMAGE, inputs)
        assert refused.value.kind is ErrorKind.INVALID_REQUEST
