"""The studio's Replicate, tested with Replicate's own client, and with plain HTTP where that client has no call."""

from __future__ import annotations

import io
import time
from typing import Any

import av
import pytest
import replicate
import requests
from PIL import Image
from replicate.exceptions import ReplicateError

from genqueue_site.studio.dialects.replicate import MODELS
from tests.genqueue_site.studio.conftest import StartStudio
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import wait_for

QUICK = {"duration": 1, "resolution": "480p", "aspect_ratio": "1:1"}
SEEDANCE = "bytedance/seedance-2.0"


def client(process: StudioProcess) -> replicate.Client:
    vendor = replicate.Client(api_token="r8_none", base_url=process.url)
    vendor.poll_interval = 0.05
    return vendor


def post(process: StudioProcess, prompt: str, *, headers: dict[str, str] | None = None, **fields: Any) -> requests.Response:
    body = {"input": {"prompt": prompt, **QUICK}, **fields}
    return requests.post(f"{process.url}/v1/models/{SEEDANCE}/predictions", json=body, headers=headers, timeout=15)


def state_of(process: StudioProcess, number: str) -> dict[str, Any]:
    return dict(requests.get(f"{process.url}/v1/predictions/{number}", timeout=15).json())


class TestAPrediction:
    def test_of_a_video_runs_to_one_url(self, shared: StudioProcess) -> None:
        given = {"prompt": "A café in Zürich – at dusk", **QUICK, "image": "https://example.com/a.png"}
        prediction = client(shared).models.predictions.create(model=SEEDANCE, input=given)
        assert (prediction.status, prediction.model, prediction.version) == ("starting", SEEDANCE, "hidden")
        prediction.wait()
        assert (prediction.status, prediction.error, prediction.input) == ("succeeded", None, given)
        assert prediction.progress is not None and prediction.progress.percentage == 1.0
        assert prediction.metrics is not None and prediction.metrics["predict_time"] > 0
        assert prediction.created_at < prediction.started_at < prediction.completed_at  # type: ignore[operator]
        answer = requests.get(prediction.output, timeout=10)  # type: ignore[arg-type]
        assert answer.headers["content-type"] == "video/mp4"
        with av.open(io.BytesIO(answer.content)) as container:
            assert len(list(container.decode(video=0))) == 24

    @pytest.mark.parametrize(
        ("model", "extra", "form", "size", "count"),
        [
            ("google/nano-banana", {"aspect_ratio": "16:9"}, "JPEG", (1024, 576), None),
            ("black-forest-labs/flux-2-pro", {"aspect_ratio": "custom", "width": 512, "height": 256}, "WEBP", (512, 256), None),
            ("black-forest-labs/flux-2-pro", {"output_format": "png", "seed": 3}, "PNG", (1024, 1024), None),
            ("bytedance/seedream-4.5", {"sequential_image_generation": "auto", "max_images": 2}, "JPEG", (1024, 1024), 2),
        ],
    )
    def test_of_pictures_gives_them_in_their_format(
        self, shared: StudioProcess, model: str, extra: dict[str, Any], form: str, size: tuple[int, int], count: int | None
    ) -> None:
        given = {"prompt": f"A whale, {form}", **extra}
        prediction = client(shared).models.predictions.create(model=model, input=given)
        prediction.wait()
        output: Any = prediction.output
        urls = output if count else [output]
        assert len(urls) == (count or 1)
        files = [requests.get(url, timeout=10).content for url in urls]
        for file in files:
            picture = Image.open(io.BytesIO(file))
            assert (picture.format, picture.size) == (form, size)
        assert len(set(files)) == len(files)

    @pytest.mark.parametrize("named", ["{slug}", "{slug}:{version}", "{version}"])
    def test_can_be_named_by_its_version_and_waited_for(self, shared: StudioProcess, named: str) -> None:
        vendor = client(shared)
        latest = vendor.models.get(SEEDANCE).latest_version
        assert latest is not None
        version = named.format(slug=SEEDANCE, version=latest.id)
        prediction = vendor.predictions.create(version=version, input={"prompt": "A whale", **QUICK}, wait=30)
        assert prediction.status == "succeeded"

    def test_that_is_not_done_in_the_time_waited_for_is_answered_as_it_stands(self, studio: StartStudio) -> None:
        answer = post(studio(seconds_per_job=60), "Long", headers={"Prefer": "wait=1"})
        assert answer.status_code == 202
        assert answer.json()["status"] in ("starting", "processing")

    def test_fails_in_words_with_a_code(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["failed_job", "moderated_job", "expired_job", "canceled_job", "no_output", "removed_job"])
        numbers = [post(shared, f"Doom {number}").json()["id"] for number in range(6)]
        shared.wait_until_idle()
        ended = [state_of(shared, number) for number in numbers]
        assert [one["status"] for one in ended] == ["failed", "failed", "aborted", "canceled", "succeeded", "succeeded"]
        assert "E1000" in ended[0]["error"] and "flagged as sensitive" in ended[1]["error"]
        assert [one["output"] for one in ended] == [None] * 6
        assert [one["data_removed"] for one in ended] == [False] * 5 + [True]
        assert ended[5]["input"] == {}

    def test_is_refused_with_a_problem_that_names_the_field(self, shared: StudioProcess) -> None:
        vendor = client(shared)
        with pytest.raises(ReplicateError) as refused:
            vendor.models.predictions.create(model=SEEDANCE, input={"prompt": "x", "duration": "5"})
        assert (refused.value.status, refused.value.title) == (422, "Input validation failed")
        assert "input.duration" in str(refused.value.detail)
        for model, given, words in [
            (SEEDANCE, {}, "prompt is required"),
            ("kwaivgi/kling-v2.6", {"prompt": "x", "duration": 7}, "must be one of the following: 5, 10"),
            ("black-forest-labs/flux-2-pro", {"prompt": "x", "width": 100}, "between 256 and 2048"),
            ("black-forest-labs/flux-2-pro", {"prompt": "x", "safety_tolerance": "2"}, "Expected: integer"),
            ("bytedance/seedream-4.5", {"prompt": "x", "image_input": ["https://e.com/a.png"] * 15}, "at most 14"),
            ("minimax/video-01", {"prompt": "x", "first_frame_image": "a.png"}, "format 'uri'"),
        ]:
            with pytest.raises(ReplicateError, match=words):
                vendor.models.predictions.create(model=model, input=given)
        with pytest.raises(ReplicateError, match="status: 404"):
            vendor.models.predictions.create(model="nobody/nothing", input={"prompt": "x"})
        with pytest.raises(ReplicateError, match="Invalid version or not permitted"):
            vendor.predictions.create(version="0" * 64, input={"prompt": "x"})
        assert shared.log()["running"] == 0

    def test_is_refused_for_want_of_credit_and_for_haste(self, shared: StudioProcess) -> None:
        shared.queue_faults(create=["402", "429:30", "401"])
        poor, hasty, nobody = (post(shared, "A whale") for _ in range(3))
        assert (poor.status_code, poor.json()["title"]) == (402, "Insufficient credit")
        assert (hasty.status_code, hasty.json()["detail"]) == (
            429,
            "Request was throttled. Your rate limit resets in ~30s.",
        )
        assert "retry-after" not in hasty.headers
        assert (nobody.status_code, nobody.json()["title"]) == (401, "Unauthenticated")


class TestCancel:
    def test_ends_a_running_prediction_and_leaves_a_finished_one(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=0.1)
        vendor = client(process)
        done = vendor.models.predictions.create(model=SEEDANCE, input={"prompt": "Done", **QUICK})
        done.wait()
        running = vendor.models.predictions.create(model=SEEDANCE, input={"prompt": "Long", "duration": 15})
        assert vendor.predictions.cancel(running.id).status == "canceled"
        assert process.log()["running"] == 0
        assert vendor.predictions.cancel(done.id).status == "succeeded"
        assert requests.get(vendor.predictions.get(done.id).output, timeout=10).ok  # type: ignore[arg-type]
        process.restart()
        assert state_of(process, running.id)["status"] == "canceled"

    def test_comes_by_itself_at_the_deadline(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=60, env={"STUDIO_PARALLEL_RENDERS": "1"})
        running, waiting = (post(process, f"Late {number}", headers={"Cancel-After": "5s"}).json() for number in range(2))
        long = requests.post(
            f"{process.url}/v1/models/{SEEDANCE}/predictions", json={"input": {"prompt": "x", "duration": 15}}, timeout=15
        ).json()
        assert running["deadline"] is not None and long["deadline"] is None
        wait_for(lambda: state_of(process, waiting["id"])["completed_at"])
        assert state_of(process, running["id"])["status"] == "canceled"
        assert process.log()["running"] == 1

    @pytest.mark.parametrize("told", ["4s", "soon", "1h30", "-5s", ""])
    def test_at_a_deadline_that_is_none_is_refused(self, shared: StudioProcess, told: str) -> None:
        answer = post(shared, "A whale", headers={"Cancel-After": told})
        assert (answer.status_code, "Cancel-After" in answer.json()["detail"]) == (422, True)


class TestTheList:
    def test_has_pages_of_a_hundred_newest_first(self, studio: StartStudio) -> None:
        process = studio(seconds_per_job=60, env={"STUDIO_PARALLEL_RENDERS": "1"})
        numbers = [post(process, f"Wave {number}").json()["id"] for number in range(102)]
        predictions = client(process).predictions
        first = predictions.list()
        assert [one.id for one in first] == numbers[:1:-1] and first.previous is None
        second = predictions.list(first.next)  # type: ignore[arg-type]
        assert [one.id for one in second] == numbers[1::-1] and second.next is None
        again = predictions.list(second.previous)  # type: ignore[arg-type]
        assert [one.id for one in again] == [one.id for one in first]
        made = state_of(process, numbers[50])["created_at"]
        for name, count in (("created_after", 52), ("created_before", 50)):
            page = requests.get(f"{process.url}/v1/predictions", params={name: made}, timeout=15).json()
            assert len(page["results"]) == count
        assert requests.get(f"{process.url}/v1/predictions?source=web", timeout=15).json()["results"] == []
        assert requests.get(f"{process.url}/v1/predictions?cursor=x", timeout=15).status_code == 404
        assert requests.get(f"{process.url}/v1/predictions?created_after=x", timeout=15).status_code == 422


class TestModels:
    def test_tell_their_schema(self, shared: StudioProcess) -> None:
        vendor = client(shared)
        for slug, row in MODELS.items():
            latest = vendor.models.get(slug).latest_version
            assert latest is not None
            given = latest.openapi_schema["components"]["schemas"]["Input"]
            assert set(given["properties"]) == set(row.fields) and given["required"] == ["prompt"]

    def test_that_are_unknown_are_not_found(self, shared: StudioProcess) -> None:
        with pytest.raises(ReplicateError, match="status: 404"):
            client(shared).models.get("nobody/nothing")

    def test_belong_to_an_account(self, shared: StudioProcess) -> None:
        assert client(shared).accounts.current().username == "studio"

    @pytest.mark.parametrize(
        ("method", "path"), [("GET", "/v1/predictions/0"), ("GET", "/v1/models/x"), ("GET", "/v1/account/x")]
    )
    def test_and_all_else_that_is_not_there_have_one_answer(self, shared: StudioProcess, method: str, path: str) -> None:
        answer = requests.request(method, shared.url + path, timeout=10)
        assert (answer.status_code, answer.json()["title"]) == (404, "Not found")


def test_a_file_is_where_the_output_says_and_nowhere_else(shared: StudioProcess) -> None:
    shared.queue_faults(create=["dead_asset"])
    dead, alive = (post(shared, f"File {number}").json()["id"] for number in range(2))
    assert requests.get(f"{shared.url}/replicate.delivery/{alive}/video.mp4", timeout=10).status_code in (200, 404)
    shared.wait_until_idle()
    time.sleep(0.05)
    assert requests.get(state_of(shared, dead)["output"], timeout=10).status_code == 404
    url = state_of(shared, alive)["output"]
    assert requests.get(url, timeout=10).content[4:8] == b"ftyp"
    for other in ("thumbnail.webp", "..%2f..%2flock"):
        assert requests.get(url.replace("video.mp4", other), timeout=10).status_code == 404
