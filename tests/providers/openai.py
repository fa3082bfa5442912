"""Helpers of the tests of the OpenAI-style adapter."""

from typing import Any
from uuid import uuid4

from queue_app.providers.base import AccountConfig, Provider, RemoteRef, SubmitRequest
from queue_app.providers.openai_videos import OpenAIVideos
from queue_app.rules.codec import Codec
from tests.providers.vendors.vendor import PROMPT

VIDEO = {
    "id": "video_1", "object": "video", "model": "sora-2", "status": "queued", "progress": 0, "created_at": 1_800_000_000,
    "completed_at": None, "expires_at": None, "prompt": PROMPT, "size": "1280x720", "seconds": "8", "error": None,
}  # fmt: skip
REF = RemoteRef(provider="sora", remote_id="video_1")


def adapter(base_url: str, **changes: Any) -> OpenAIVideos:
    fields: dict[str, Any] = {"key": "sora", "adapter": "openai_videos", "base_url": base_url, "api_key": "sk-test-key"}
    return OpenAIVideos(AccountConfig(**fields | changes))


def request(provider: Provider, endpoint_id: str, codec: Codec, prompt: str = PROMPT, **parameters: Any) -> SubmitRequest:
    """Return a request as the queue makes it: our parameters, converted by a route's codec."""
    wire = provider.validate(endpoint_id, codec, {"prompt": prompt, **parameters})
    return SubmitRequest(attempt_id=uuid4(), endpoint_id=wire.endpoint_id, inputs=wire.inputs)
