"""The studio works with OpenAI's own client."""

from __future__ import annotations

import io
from pathlib import Path

import av
import openai
import pytest
from PIL import Image

from tests.genqueue_site.studio.conftest import StartStudio, client, post
from tests.genqueue_site.studio.process import StudioProcess

pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


class TestAVideo:
    def test_is_created_polled_and_downloaded_in_three_variants(self, shared: StudioProcess, tmp_path: Path) -> None:
        videos = client(shared).videos
        video = videos.create_and_poll(prompt="A café in Zürich – at dusk", model="sora-2", seconds="4", size="1280x720")
        assert (video.status, video.progress, video.error) == ("completed", 100, None)
        assert (video.prompt, video.seconds, video.size) == ("A café in Zürich – at dusk", "4", "1280x720")
        assert video.completed_at is not None and video.completed_at >= video.created_at

        film = videos.download_content(video.id)
        assert film.response.headers["content-type"] == "video/mp4"
        with av.open(io.BytesIO(film.content)) as container:
            frames = list(container.decode(video=0))
            assert container.streams.video[0].codec_context.name == "vp9"
            assert container.duration == 4_000_000
            assert container.metadata["title"] == "studio preview"
        assert (len(frames), frames[0].width, frames[0].height) == (96, 640, 360)
        assert film.content.index(b"moov") < film.content.index(b"mdat")  # can be played during the download

        thumbnail = videos.download_content(video.id, variant="thumbnail")
        assert thumbnail.response.headers["content-type"] == "image/webp"
        assert Image.open(io.BytesIO(thumbnail.content)).size == (640, 360)
        sheet = videos.download_content(video.id, variant="spritesheet")
        assert sheet.response.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(sheet.content)).size == (1600, 90)  # ten frames in one row

    def test_goes_through_the_states_of_the_vendor(self, studio: StartStudio) -> None:
        videos = client(studio(seconds_per_job=1.5)).videos
        seen = [videos.create(prompt="A whale", model="sora-2-pro")]
        while seen[-1].status not in ("completed", "failed"):
            answer = videos.with_raw_response.retrieve(seen[-1].id)
            seen.append(answer.parse())
            if seen[-1].status != "completed":
                assert 100 <= int(answer.headers["openai-poll-after-ms"]) <= 2000
        states = [video.status for video in seen]
        assert states == sorted(states, key=["queued", "in_progress", "completed"].index)
        progress = [video.progress for video in seen]
        assert progress == sorted(progress) and progress[0] >= 0 and progress[-1] == 100

    def test_has_no_content_before_it_is_completed(self, studio: StartStudio) -> None:
        videos = client(studio(seconds_per_job=30)).videos
        video = videos.create(prompt="A whale")
        with pytest.raises(openai.NotFoundError, match="not ready"):
            videos.download_content(video.id)


class TestTheList:
    def test_is_paged_newest_first(self, studio: StartStudio) -> None:
        videos = client(studio(seconds_per_job=30)).videos
        ids = [videos.create(prompt=f"Wave {number}").id for number in range(5)]
        page = videos.list(limit=2)
        assert [video.id for video in page.data] == ids[:2:-1]
        assert (page.has_more, page.first_id, page.last_id) == (True, ids[4], ids[3])  # type: ignore[attr-defined]
        assert [video.id for video in videos.list(limit=2)] == ids[::-1]  # the client reads all pages
        assert [video.id for video in videos.list(order="asc", after=ids[2])] == ids[3:]
        assert [video.prompt for video in videos.list(order="asc", limit=1).data] == ["Wave 0"]


class TestDelete:
    def test_aborts_a_running_video(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=30)
        videos = client(process).videos
        video = videos.create(prompt="A whale", seconds="12")
        assert process.log()["running"] == 1
        gone = videos.delete(video.id)
        assert (gone.id, gone.object, gone.deleted) == (video.id, "video.deleted", True)
        log = process.log()
        assert log["running"] == 0 and log["creates"][0]["ended"] is not None
        for call in (videos.retrieve, videos.delete, videos.download_content):
            with pytest.raises(openai.NotFoundError):
                call(video.id)

    def test_removes_the_files_of_a_completed_one(self, studio: StartStudio, tmp_path: Path) -> None:
        videos = client(studio()).videos
        video = videos.create_and_poll(prompt="A whale", extra_body={"size": "64x64"}, poll_interval_ms=50)
        assert len(list(tmp_path.glob(f"studio/media/{video.id}/*"))) == 3
        videos.delete(video.id)
        assert [path for path in tmp_path.rglob("*") if video.id in path.name] == []


class TestEqualRequests:
    def test_give_equal_bytes_and_a_seed_changes_them(self, shared: StudioProcess) -> None:
        videos = client(shared).videos

        def files(prompt: str, **extra: object) -> list[bytes]:
            video = videos.create_and_poll(
                prompt=prompt, extra_body={"seconds": "1", "size": "320x180", **extra}, poll_interval_ms=50
            )
            assert video.status == "completed"
            variants = ("video", "thumbnail", "spritesheet")
            return [videos.download_content(video.id, variant=variant).content for variant in variants]

        first = files("Über den Wolken")
        assert files("Über den Wolken") == first
        assert not set(files("Über den Wolken", seed=5)) & set(first)
        assert not set(files("Unter den Wolken")) & set(first)

    def test_work_for_every_model_in_any_shape_and_script(self, shared: StudioProcess) -> None:
        videos = client(shared).videos
        for model, size, prompt in (
            ("manim", "1792x1024", "Σ e^{iπ} + 1 = 0"),
            ("sora-2-pro", "64x2048", "日本 😀 \ud800 " * 300),
            ("sora-2", "2048x64", "\n.;,"),
        ):
            video = post(shared, prompt, model=model, size=size, seconds=1).json()
            assert video["prompt"] == prompt
            assert videos.poll(video["id"], poll_interval_ms=50).status == "completed"
