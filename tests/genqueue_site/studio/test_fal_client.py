"""The studio's fal, tested with fal's own client, and with plain HTTP where that client has no call."""

from __future__ import annotations

import io
from typing import Any

import av
import fal_client
import pytest
import requests
from fal_client import client as calls
from PIL import Image

from genqueue_site.studio.still import LONGER_SIDE
from tests.genqueue_site.studio.conftest import StartStudio
from tests.genqueue_site.studio.process import StudioProcess

WAN, BANANA, FLUX = "fal-ai/wan/v2.7/text-to-video", "fal-ai/nano-banana-pro", "fal-ai/flux-2-pro"
QUICK = {"duration": 2, "resolution": "720p", "aspect_ratio": "1:1"}


@pytest.fixture
def fal(monkeypatch: pytest.MonkeyPatch, shared: StudioProcess) -> fal_client.SyncClient:
    return client(monkeypatch, shared)


def client(monkeypatch: pytest.MonkeyPatch, process: StudioProcess) -> fal_client.SyncClient:
    monkeypatch.setattr(calls, "QUEUE_URL_FORMAT", f"{process.url}/fal/")
    return fal_client.SyncClient(key="none")


def result(handle: Any) -> Any:
    return handle.get(interval=0.05)


def refused(call: Any) -> fal_client.FalClientHTTPError:
    with pytest.raises(fal_client.FalClientHTTPError) as found:
        call()
    return found.value


class TestARequest:
    def test_of_a_video_runs_to_one_file(self, fal: fal_client.SyncClient) -> None:
        seen: list[Any] = []
        made: Any = fal.subscribe(
            WAN, {"prompt": "A café in Zürich – at dusk", **QUICK, "seed": 7}, with_logs=True, on_queue_update=seen.append
        )
        assert made["seed"] == 7
        assert isinstance(seen[-1], fal_client.Completed) and seen[-1].metrics["inference_time"] > 0
        answer = requests.get(made["video"]["url"], timeout=10)
        assert (answer.headers["content-type"], made["video"]["content_type"]) == ("video/mp4", "video/mp4")
        with av.open(io.BytesIO(answer.content)) as container:
            assert len(list(container.decode(video=0))) == 48

    @pytest.mark.parametrize(
        ("endpoint", "extra", "form", "size", "count"),
        [
            (BANANA, {"aspect_ratio": "16:9", "output_format": "jpeg", "num_images": 2}, "JPEG", (1024, 576), 2),
            (BANANA, {"aspect_ratio": "1:1", "resolution": "2K", "output_format": "webp"}, "WEBP", (2048, 2048), 1),
            (FLUX, {"image_size": "landscape_16_9", "output_format": "png", "seed": 3}, "PNG", (1024, 576), 1),
            (FLUX, {"image_size": {"width": 512, "height": 256}, "output_format": "png"}, "PNG", (512, 256), 1),
        ],
    )
    def test_of_pictures_gives_them_in_their_format(
        self, fal: fal_client.SyncClient, endpoint: str, extra: dict[str, Any], form: str, size: tuple[int, int], count: int
    ) -> None:
        made = result(fal.submit(endpoint, {"prompt": f"A whale, {form}", **extra}))
        files = [requests.get(image["url"], timeout=10).content for image in made["images"]]
        assert len(files) == len(set(files)) == count
        drawn = tuple(side * min(max(size), LONGER_SIDE) // max(size) for side in size)  # a preview has the shape, not all pixels
        for file, image in zip(files, made["images"], strict=True):
            picture = Image.open(io.BytesIO(file))
            assert (picture.format, picture.size, (image["width"], image["height"])) == (form, drawn, size)

    def test_of_another_prompt_looks_otherwise(self, fal: fal_client.SyncClient) -> None:
        made = [result(fal.submit(FLUX, {"prompt": prompt, "seed": 1}))["images"][0] for prompt in ("A fox", "A whale", "A fox")]
        fox, whale, again = (requests.get(image["url"], timeout=10).content for image in made)
        assert fox == again != whale

    def test_is_found_by_its_number_and_the_first_two_parts_of_its_endpoint(self, fal: fal_client.SyncClient) -> None:
        handle = fal.submit(WAN, {"prompt": "Found again", **QUICK})
        result(handle)
        assert handle.status_url.endswith(f"/fal/fal-ai/wan/requests/{handle.request_id}/status")
        assert isinstance(fal.status("fal-ai/wan", handle.request_id, with_logs=True), fal_client.Completed)
        assert fal.result("fal-ai/wan", handle.request_id)["video"]["url"]  # type: ignore[index, call-overload]

    def test_waits_in_line_and_is_taken_out_of_it(self, monkeypatch: pytest.MonkeyPatch, studio: StartStudio) -> None:
        fal = client(monkeypatch, studio(seconds_per_job=60, env={"STUDIO_PARALLEL_RENDERS": "1"}))
        handles = [fal.submit(WAN, {"prompt": f"Line {number}", **QUICK}) for number in range(4)]
        standing = [handle.status() for handle in handles]
        places = [one.position for one in standing if isinstance(one, fal_client.Queued)]
        assert places == sorted(places) and len(places) >= 2
        handles[-1].cancel()
        over = handles[-1].status()
        assert isinstance(over, fal_client.Completed) and over.error_type == "client_cancelled"
        assert refused(lambda: result(handles[-1])).error_type == "client_cancelled"

    def test_that_could_not_begin_in_time_is_over(self, monkeypatch: pytest.MonkeyPatch, studio: StartStudio) -> None:
        fal = client(monkeypatch, studio(seconds_per_job=60, env={"STUDIO_PARALLEL_RENDERS": "1"}))
        for number in range(3):
            fal.submit(WAN, {"prompt": f"Ahead {number}", **QUICK, "duration": 15})
        late = fal.submit(WAN, {"prompt": "Late", **QUICK}, start_timeout=1.1)  # the client takes no shorter one
        error = refused(lambda: result(late))
        assert (error.status_code, error.error_type) == (504, "request_timeout")
        assert error.response_headers["x-fal-request-timeout-type"] == "user"

    def test_fails_with_a_type_beside_its_state_or_by_its_result_alone(
        self, fal: fal_client.SyncClient, shared: StudioProcess
    ) -> None:
        shared.queue_faults(create=["failed_job", "moderated_job", "expired_job", "canceled_job"])
        handles = [fal.submit(WAN, {"prompt": f"Doom {number}", **QUICK}) for number in range(4)]
        shared.wait_until_idle()
        ended: list[Any] = [handle.status() for handle in handles]
        assert [one.error_type for one in ended] == ["runner_server_error", None, "generation_timeout", "client_cancelled"]
        errors = [refused(lambda handle=handle: result(handle)) for handle in handles]  # type: ignore[misc]
        assert [error.status_code for error in errors] == [500, 422, 504, 499]
        assert errors[1].message[0]["type"] == "content_policy_violation"  # type: ignore[index]

    def test_is_refused_with_each_field_that_is_wrong(self, fal: fal_client.SyncClient) -> None:
        error = refused(lambda: fal.submit(WAN, {"duration": "5", "resolution": "8K"}))
        assert error.status_code == 422
        told = {problem["loc"][-1]: problem["type"] for problem in error.message}  # type: ignore[index]
        assert told == {"prompt": "missing", "duration": "literal_error", "resolution": "literal_error"}

    def test_for_an_endpoint_that_is_none_is_refused(self, fal: fal_client.SyncClient) -> None:
        assert refused(lambda: fal.submit("fal-ai/haiper-video-v2", {"prompt": "x"})).status_code == 404

    def test_that_is_unknown_is_not_found(self, fal: fal_client.SyncClient, shared: StudioProcess) -> None:
        answer = requests.get(f"{shared.url}/fal/fal-ai/wan/requests/none/status", timeout=10)
        assert (answer.status_code, answer.json()) == (404, {"status": "NOT_FOUND"})

    def test_is_answered_with_202_until_it_is_over(self, shared: StudioProcess, fal: fal_client.SyncClient) -> None:
        handle = fal.submit(WAN, {"prompt": "Two codes", **QUICK})
        first = requests.get(handle.status_url, timeout=10)
        result(handle)
        last = requests.get(handle.status_url, timeout=10)
        assert (first.status_code, last.status_code, last.json()["status"]) == (202, 200, "COMPLETED")
        assert requests.put(handle.cancel_url, timeout=10).json() == {"status": "ALREADY_COMPLETED"}


class TestThePlatform:
    def test_lists_requests_of_an_endpoint_with_what_was_asked(self, fal: fal_client.SyncClient, shared: StudioProcess) -> None:
        numbers = [fal.submit(FLUX, {"prompt": f"Listed {number}"}).request_id for number in range(3)]
        url = f"{shared.url}/fal/v1/models/requests/search"
        query: dict[str, Any] = {"endpoint_id": FLUX, "expand": "payloads", "limit": 2}
        first = requests.get(url, params=query, timeout=10).json()
        assert [row["request_id"] for row in first["items"]] == numbers[:0:-1]
        assert first["items"][0]["json_input"] == {"prompt": "Listed 2"} and first["has_more"]
        second = requests.get(url, params=query | {"cursor": first["next_cursor"]}, timeout=10).json()
        assert second["items"][0]["request_id"] == numbers[0]

    def test_bills_nothing_for_a_preview(self, fal: fal_client.SyncClient, shared: StudioProcess) -> None:
        handle = fal.submit(FLUX, {"prompt": "Billed"})
        result(handle)
        told = requests.get(f"{shared.url}/fal/v1/models/billing-events?request_id={handle.request_id}", timeout=10).json()
        (event,) = told["billing_events"]
        assert event["request_id"] == handle.request_id and event["cost_total"] == 0
