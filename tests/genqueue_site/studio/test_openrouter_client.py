"""The studio's OpenRouter, tested with OpenRouter's own client."""

from __future__ import annotations

import io
import re
import time
from typing import Any

import av
import pytest
import requests
from openrouter import OpenRouter, errors
from openrouter.components import VideoGenerationResponse

from genqueue_site.studio.dialects.openrouter import MODELS
from tests.genqueue_site.studio.conftest import StartStudio
from tests.genqueue_site.studio.process import StudioProcess

WAN = {"model": "alibaba/wan-2.7", "duration": 2, "resolution": "720p", "aspect_ratio": "1:1"}


def client(process: StudioProcess) -> Any:
    """Build the vendor's own client without its retries, which repeat a create call for an hour."""
    return OpenRouter(api_key="sk-or-none", server_url=f"{process.url}/api/v1", retry_config=None).video_generation


def ended(videos: Any, number: str) -> VideoGenerationResponse:
    late = time.monotonic() + 60
    while (video := videos.get_generation(job_id=number)).status in ("pending", "in_progress"):
        assert (video.unsigned_urls, video.usage, video.error) == (None, None, None)
        assert time.monotonic() < late
        time.sleep(0.05)
    return video  # type: ignore[no-any-return]


class TestAVideo:
    def test_is_created_polled_and_downloaded_in_two_ways(self, shared: StudioProcess) -> None:
        videos = client(shared)
        video = videos.generate(prompt="A café in Zürich – at dusk", generate_audio=False, seed=7, **WAN)
        assert video.status in ("pending", "in_progress")
        assert re.fullmatch(r"gen-vid-\d{10}-[a-zA-Z0-9]{20}", video.id)
        assert video.polling_url == f"/api/v1/videos/{video.id}"
        done = ended(videos, video.id)
        assert (done.status, done.error, done.generation_id) == ("completed", None, video.id)
        assert (done.usage.cost, done.usage.is_byok) == (0.2, False)  # type: ignore[union-attr]
        assert done.expires_at is not None and done.expires_at > time.time()
        film = videos.get_video_content(job_id=video.id, index=0)
        whole = film.read()
        assert film.headers["content-type"] == "video/mp4"
        with av.open(io.BytesIO(whole)) as container:
            assert len(list(container.decode(video=0))) == 48
        for url in (*done.urls, *done.unsigned_urls):  # type: ignore[misc]
            assert requests.get(url, timeout=10).content == whole
        assert requests.get(done.urls[0] + "0", timeout=10).status_code == 403  # type: ignore[index]

    def test_takes_frames_and_references(self, shared: StudioProcess) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
        video = client(shared).generate(
            prompt="A whale", frame_images=[{**image, "frame_type": "first_frame"}], input_references=[image], **WAN
        )
        assert video.id

    def test_has_no_content_before_it_is_completed_nor_after_it_expired(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=1)
        process.queue_faults(create=["removed_job"])
        videos = client(process)
        gone, other = (videos.generate(prompt=f"A whale {number}", **WAN).id for number in range(2))
        with pytest.raises(errors.ConflictResponseError, match="not completed"):
            videos.get_video_content(job_id=gone)
        assert ended(videos, gone).urls is None
        with pytest.raises(errors.GoneResponseError):
            videos.get_video_content(job_id=gone)
        ended(videos, other)
        with pytest.raises(errors.NotFoundResponseError):
            videos.get_video_content(job_id=other, index=1)

    def test_ends_in_the_states_of_the_vendor(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["failed_job", "moderated_job", "canceled_job", "expired_job", "no_output"])
        videos = client(shared)
        numbers = [videos.generate(prompt=f"Doom {number}", **WAN).id for number in range(5)]
        found = [ended(videos, number) for number in numbers]
        assert [one.status for one in found] == ["failed", "failed", "cancelled", "expired", "completed"]
        assert found[0].error == "The video generation failed." and "moderation" in str(found[1].error)
        assert (found[4].unsigned_urls, found[4].urls) == ([], None)

    @pytest.mark.parametrize(
        ("fields", "kind", "words"),
        [
            ({"model": "nobody/nothing"}, errors.NotFoundResponseError, "not found"),
            ({"prompt": None}, errors.BadRequestResponseError, "prompt: Required"),
            ({"duration": 7, "model": "google/veo-3.1"}, errors.BadRequestResponseError, "Supported values: 4, 6, 8"),
            ({"resolution": "4K"}, errors.BadRequestResponseError, "4K is not supported"),
            ({"aspect_ratio": "21:9"}, errors.BadRequestResponseError, "aspect_ratio"),
            ({"size": "100x100"}, errors.BadRequestResponseError, "size: 100x100"),
            ({"callback_url": "ftp://example.com"}, errors.BadRequestResponseError, "callback_url"),
        ],
    )
    def test_is_refused_for_what_its_model_cannot_do(
        self, shared: StudioProcess, fields: dict[str, Any], kind: type[Exception], words: str
    ) -> None:
        with pytest.raises(kind, match=words):
            client(shared).generate(**{"prompt": "A whale", **WAN, **fields})
        assert shared.log()["creates"][-1]["accepted"] is False

    def test_is_refused_for_want_of_credit_and_for_haste(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["402", "429:7", "401", "500_before_accept"])
        videos = client(shared)
        kinds = (
            errors.PaymentRequiredResponseError,
            errors.TooManyRequestsResponseError,
            errors.UnauthorizedResponseError,
            errors.InternalServerResponseError,
        )
        for kind in kinds:
            with pytest.raises(kind) as refused:
                videos.generate(prompt="A whale", **WAN)
            assert refused.value.data.error.code == refused.value.status_code  # type: ignore[attr-defined]
            assert refused.value.headers.get("retry-after") == ("7" if refused.value.status_code == 429 else None)  # type: ignore[attr-defined]

    def test_that_is_unknown_is_not_found(self, shared: StudioProcess) -> None:
        with pytest.raises(errors.NotFoundResponseError):
            client(shared).get_generation(job_id="gen-vid-0")


class TestTheModels:
    def test_tell_what_they_can_do_and_what_they_cost(self, shared: StudioProcess) -> None:
        rows = {row.id: row for row in client(shared).list_videos_models().data}
        assert set(rows) == set(MODELS)
        veo = rows["google/veo-3.1"]
        assert (veo.supported_durations, veo.generate_audio, veo.seed) == ([4, 6, 8], True, True)
        assert veo.pricing_skus["duration_seconds_without_audio"] == "0.2"
        assert "1280x720" in veo.supported_sizes
        assert rows["minimax/hailuo-3"].pricing_skus is None

    @pytest.mark.parametrize(
        ("slug", "seconds", "resolution", "audio", "cost"),
        [
            ("google/veo-3.1", 8, "720p", True, "3.2"),
            ("google/veo-3.1", 8, "4K", False, "3.2"),
            ("google/veo-3.1-lite", 4, "1080p", True, "0.32"),
            ("minimax/hailuo-2.3", 6, "1080p", False, "0.4902"),
            ("bytedance/seedance-2.0", 5, "720p", True, "1.512"),
            ("minimax/hailuo-3", 5, "2K", False, None),
        ],
    )
    def test_cost_what_their_list_says(self, slug: str, seconds: int, resolution: str, audio: bool, cost: str | None) -> None:
        found = MODELS[slug].cost(seconds=seconds, resolution=resolution, size=(1280, 720), audio=audio)
        assert (None if found is None else f"{found.normalize()}") == cost

    def test_are_bought_with_a_key(self, shared: StudioProcess) -> None:
        data = requests.get(f"{shared.url}/api/v1/key", timeout=10).json()["data"]
        assert data["usage"] >= 0 and data["limit"] is None
