import io
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from queue_app.providers.base import (
    ErrorKind,
    ProviderError,
    RemoteAsset,
    RemoteRef,
    TaskState,
)
from queue_app.rules.lookup import Page
from tests.providers.odd_gateway import litellm
from tests.providers.openai import REF, VIDEO, adapter
from tests.providers.wire import WireServer, answer

MOMENT = datetime.fromtimestamp(1_800_000_000, UTC)


class TestPoll:
    def poll(self, server: WireServer, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Any:
        server.says(answer(status, body, headers))
        return adapter(server.url).poll(REF)

    @pytest.mark.parametrize(
        ("word", "state"),
        [
            *((word, TaskState.QUEUED) for word in ("queued", "pending", "submitted", "created")),
            *((word, TaskState.RUNNING) for word in ("in_progress", "processing", "running", "generating", "pondering")),
            *((word, TaskState.SUCCEEDED) for word in ("completed", "succeeded", "success")),
            *((word, TaskState.FAILED) for word in ("failed", "error", "expired", "rejected")),
            *((word, TaskState.CANCELED) for word in ("cancelled", "Canceled")),
        ],
    )
    def test_reads_the_words_of_all_gateways(self, server: WireServer, word: str, state: TaskState) -> None:
        assert self.poll(server, VIDEO | {"status": word}).state is state

    def test_tells_of_a_word_it_does_not_know(self, server: WireServer) -> None:
        assert self.poll(server, VIDEO | {"status": " Pondering-Hard"}).word == "pondering_hard"
        assert self.poll(server, VIDEO | {"status": "queued"}).word is None

    @pytest.mark.parametrize(
        ("told", "progress"), [(0, 0.0), (40, 0.4), (100, 1.0), (250, 1.0), (-1, 0.0), ("40", 0.4), (None, None), (True, None)]
    )
    def test_reads_progress_and_invents_none(self, server: WireServer, told: Any, progress: float | None) -> None:
        assert self.poll(server, VIDEO | {"status": "in_progress", "progress": told}).progress == progress

    def test_lives_without_all_that_gateways_leave_out(self, server: WireServer) -> None:
        result = self.poll(server, {"id": "video_1", "status": "completed"})
        assert (result.state, result.progress, result.expires_at, result.cost) == (TaskState.SUCCEEDED, None, None, None)

    def test_lists_the_assets_of_a_completed_video(self, server: WireServer) -> None:
        result = self.poll(server, VIDEO | {"status": "completed", "progress": 100, "expires_at": 1_800_000_000})
        assert [(asset.kind, asset.required) for asset in result.assets] == [
            ("video", True),
            ("thumbnail", False),
            ("spritesheet", False),
        ]
        assert result.expires_at == MOMENT
        assert self.poll(server, VIDEO).assets == []

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"openai-poll-after-ms": "2500", "Retry-After": "9"}, 2.5),
            ({"Retry-After": "9"}, 9.0),
            ({"openai-poll-after-ms": "x"}, None),
            ({}, None),
        ],
    )
    def test_passes_the_hint_when_to_ask_again(self, server: WireServer, headers: dict[str, str], seconds: float | None) -> None:
        assert self.poll(server, VIDEO, headers=headers).next_poll_after == seconds

    @pytest.mark.parametrize(("status", "kind"), [(500, ErrorKind.RETRYABLE), (400, ErrorKind.INVALID_REQUEST)])
    def test_takes_a_failed_video_in_an_error_answer_as_a_result(self, server: WireServer, status: int, kind: ErrorKind) -> None:
        result = self.poll(server, VIDEO | {"status": "failed", "error": {"code": status, "message": "CUDA"}}, status)
        assert result.state is TaskState.FAILED
        assert (result.error.kind, result.error.code, result.error.message) == (kind, str(status), "CUDA")

    def test_tells_a_rejection_from_a_failure(self, server: WireServer) -> None:
        result = self.poll(server, VIDEO | {"status": "failed", "error": {"code": "moderation_blocked", "message": "no"}})
        assert (result.state, result.error.kind) == (TaskState.REJECTED, ErrorKind.REJECTED)

    @pytest.mark.parametrize("body", [{"error": {"message": "no such video"}}, {"detail": "Video not found"}])
    def test_takes_a_404_in_the_format_as_lost(self, server: WireServer, body: Any) -> None:
        assert self.poll(server, body, 404).state is TaskState.LOST

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (404, b"<html>nginx</html>", ErrorKind.NOT_FOUND),
            (502, b"<html>bad gateway</html>", ErrorKind.RETRYABLE),
            (503, VIDEO | {"status": "in_progress"}, ErrorKind.RETRYABLE),
            (429, {}, ErrorKind.RATE_LIMITED),
            (401, {}, ErrorKind.AUTH),
            (200, b"not json", ErrorKind.RETRYABLE),
            (200, {"id": "video_1"}, ErrorKind.RETRYABLE),
        ],
    )
    def test_says_nothing_about_the_task_when_the_answer_says_nothing(
        self, server: WireServer, status: int, body: Any, kind: ErrorKind
    ) -> None:
        with pytest.raises(ProviderError) as failed:
            self.poll(server, body, status)
        assert failed.value.kind is kind

    def test_encodes_every_character_of_an_id(self, server: WireServer) -> None:
        server.says(answer(200, VIDEO))
        adapter(server.url).poll(RemoteRef(provider="x", remote_id="video_a+b/c==?#../é"))
        assert server.seen[0].target == "/v1/videos/video_a%2Bb%2Fc%3D%3D%3F%23..%2F%C3%A9"


class TestCancel:
    def test_sends_nothing_where_a_task_cannot_be_stopped(self, server: WireServer) -> None:
        provider = adapter(server.url)
        assert provider.caps["cancel"] == "none"
        assert provider.cancel(REF) is TaskState.RUNNING
        assert server.seen == []

    @pytest.mark.parametrize(
        ("status", "body", "state"),
        [
            (200, {"id": "video_1", "object": "video.deleted", "deleted": True}, TaskState.CANCELED),
            (202, {}, TaskState.CANCELING),
            (409, {"detail": "Cancellation in progress"}, TaskState.CANCELING),
            (404, {"detail": "not found"}, TaskState.LOST),
        ],
    )
    def test_deletes_a_running_task(self, server: WireServer, status: int, body: Any, state: TaskState) -> None:
        server.says(answer(200, VIDEO | {"status": "in_progress"}), answer(status, body))
        provider = adapter(server.url, options={"cancel_by_delete": True})
        assert provider.caps["cancel"] == "hard"
        assert provider.cancel(REF) is state
        assert [seen.method for seen in server.seen] == ["GET", "DELETE"]

    def test_leaves_a_finished_result_alone(self, server: WireServer) -> None:
        server.says(answer(200, VIDEO | {"status": "completed"}))
        assert adapter(server.url, options={"cancel_by_delete": True}).cancel(REF) is TaskState.SUCCEEDED
        assert [seen.method for seen in server.seen] == ["GET"]

    def test_is_hard_at_the_studio_unless_said_otherwise(self) -> None:
        assert adapter("http://s", preview=True).caps["cancel"] == "hard"
        assert adapter("http://s", preview=True, options={"cancel_by_delete": False}).caps["cancel"] == "none"


class TestFetch:
    def fetch(self, server: WireServer, kind: str, *replies: bytes) -> Any:
        server.says(*replies)
        return adapter(server.url).fetch(REF, RemoteAsset(kind, required=kind == "video"), io.BytesIO(), 1000)

    def test_asks_for_the_variant_with_the_key(self, server: WireServer) -> None:
        got = self.fetch(server, "thumbnail", answer(200, b"RIFF", {"Content-Type": "image/webp"}))
        assert (got.kind, got.size, got.content_type) == ("thumbnail", 4, "image/webp")
        assert server.seen[0].target == "/v1/videos/video_1/content?variant=thumbnail"
        assert server.seen[0].headers["authorization"] == "Bearer sk-test-key"

    def test_asks_for_the_video_without_naming_a_variant(self, server: WireServer) -> None:
        self.fetch(server, "video", answer(200, b"mp4", {"Content-Type": "video/mp4"}))
        assert server.seen[0].target == "/v1/videos/video_1/content"

    def test_follows_to_the_storage_without_the_key(self, server: WireServer, settings: Any) -> None:
        with WireServer() as storage:
            settings.TRUSTED_ORIGINS = [server.url, storage.url]
            storage.says(answer(200, b"mp4"))
            self.fetch(server, "video", answer(302, headers={"Location": f"{storage.url}/signed"}))
        assert "authorization" not in storage.seen[0].headers

    @pytest.mark.parametrize(
        "reply",
        [
            answer(404, {"error": "no"}),
            answer(400, {"error": {"message": "variant not supported"}}),
            answer(422, {"detail": "variant"}),
            answer(200, b"mp4", {"Content-Type": "video/mp4"}),
            answer(200, b"x" * 2000),
        ],
        ids=["404", "400", "422", "the video again", "too large"],
    )
    def test_says_clearly_that_a_gateway_has_no_such_variant(self, server: WireServer, reply: bytes) -> None:
        with pytest.raises(ProviderError, match="no spritesheet") as refused:
            self.fetch(server, "spritesheet", reply)
        assert (refused.value.kind, refused.value.code) == (ErrorKind.NOT_FOUND, "no_variant")

    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            (answer(400, {"error": {"message": "the operation failed"}}), ErrorKind.INVALID_REQUEST),
            (answer(400, {"error": {"message": "blocked by safety filters"}}), ErrorKind.REJECTED),
            (answer(404, {"error": "gone"}), ErrorKind.NOT_FOUND),
            (answer(503, b""), ErrorKind.RETRYABLE),
            (answer(200, b"x" * 2000), ErrorKind.INVALID_REQUEST),
        ],
    )
    def test_lets_a_refused_video_fail_the_job(self, server: WireServer, reply: bytes, kind: ErrorKind) -> None:
        with pytest.raises(ProviderError) as refused:
            self.fetch(server, "video", reply)
        assert refused.value.kind is kind


class TestNames:
    def test_of_a_task_are_the_same_however_its_id_is_encoded(self, server: WireServer) -> None:
        with_model, without = (adapter(server.url).names(litellm(1, model=model)) for model in (";model_id:sora-2", ""))
        assert with_model & without

    @pytest.mark.parametrize("other", [litellm(1, upstream="hosted_vllm"), litellm(2), "up_1", "video_1"])
    def test_of_two_tasks_are_never_the_same(self, server: WireServer, other: str) -> None:
        assert not adapter(server.url).names(litellm(1)) & adapter(server.url).names(other)


class TestListTasks:
    def page(self, server: WireServer, body: Any, after: str | None = None) -> Page:
        server.says(answer(200, body))
        return adapter(server.url).list_tasks(after, endpoint_id="sora-2", seconds=20)

    def test_asks_for_the_newest_first_and_from_behind_a_task_on(self, server: WireServer) -> None:
        for after in (None, "v/1+="):
            self.page(server, {"data": []}, after)
        asked = "/v1/videos?limit=100&order=desc"
        assert [seen.target for seen in server.seen] == [asked, f"{asked}&after=v%2F1%2B%3D"]

    def test_translates_what_stands_there_and_judges_nothing(self, server: WireServer) -> None:
        page = self.page(server, {"data": [VIDEO | {"id": 77}, {"id": None}, "v"], "has_more": True})
        first, *others = page.rows
        assert (first.id, first.prompt, first.model, first.made) == ("77", VIDEO["prompt"], VIDEO["model"], VIDEO["created_at"])
        assert [row.id for row in others] == [None, None]
        assert (page.asked, page.more) == (100, True)

    @pytest.mark.parametrize(("more", "told"), [({}, None), ({"has_more": "yes"}, None), ({"has_more": False}, False)])
    def test_says_of_more_what_is_said(self, server: WireServer, more: dict[str, Any], told: bool | None) -> None:
        assert self.page(server, {"data": []} | more).more is told

    def test_reads_the_servers_clock(self, server: WireServer) -> None:
        server.says(answer(200, {"data": []}, {"Date": format_datetime(MOMENT, usegmt=True)}))
        assert adapter(server.url).list_tasks(None, endpoint_id="sora-2", seconds=20).date == MOMENT.timestamp()
        server.says(answer(200, {"data": []}, {"Date": "soon"}))
        assert adapter(server.url).list_tasks(None, endpoint_id="sora-2", seconds=20).date is None

    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            (answer(404, {"detail": "Not Found"}), ErrorKind.NOT_FOUND),
            (answer(500, b""), ErrorKind.RETRYABLE),
            (answer(200, b"not json"), ErrorKind.RETRYABLE),
            (answer(200, {"data": None}), ErrorKind.RETRYABLE),
        ],
        ids=["no list", "500", "garbage", "no data"],
    )
    def test_a_page_that_is_not_to_be_had_is_a_failure(self, server: WireServer, reply: bytes, kind: ErrorKind) -> None:
        server.says(reply)
        with pytest.raises(ProviderError) as failed:
            adapter(server.url).list_tasks(None, endpoint_id="sora-2", seconds=20)
        assert failed.value.kind is kind
