"""Results of synchronous providers, at the studio and in our storage. The same for all of these adapters."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image
from pytest_django.fixtures import Settings

from queue_app.providers.base import (
    ErrorKind,
    Provider,
    ProviderError,
    RemoteAsset,
    RemoteRef,
    TaskState,
    Verdict,
    WebhookRefused,
    accepted_verdict,
)
from tests.genqueue_site.studio.process import StudioProcess
from tests.providers.test_studio import JOBS
from tests.providers.vendors import VENDORS, Vendor
from tests.providers.vendors.vendor import MOMENT, PROMPT
from tests.providers.wire import WireServer, answer

SYNCHRONOUS = {name: vendor for name, vendor in VENDORS.items() if vendor.is_synchronous}
# a fault of a job that the provider answers with an error, like a create call that it refuses
REFUSED: dict[str, dict[str, ErrorKind]] = {
    "openai_images": {
        "failed_job": ErrorKind.AMBIGUOUS,
        "moderated_job": ErrorKind.REJECTED,
        "canceled_job": ErrorKind.AMBIGUOUS,
        "expired_job": ErrorKind.AMBIGUOUS,
        "removed_job": ErrorKind.AMBIGUOUS,
    },
    "chat": {"failed_job": ErrorKind.AMBIGUOUS, "canceled_job": ErrorKind.AMBIGUOUS, "expired_job": ErrorKind.AMBIGUOUS},
}
studio_tests = pytest.mark.usefixtures("trusted")


@pytest.fixture(params=SYNCHRONOUS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return SYNCHRONOUS[request.param]


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    """An empty storage."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"


def content(provider: Provider, ref: RemoteRef, asset: RemoteAsset) -> bytes:
    sink = io.BytesIO()
    provider.fetch(ref, asset, sink, 10_000_000)
    return sink.getvalue()


@studio_tests
class TestAResult:
    def test_follows_the_prompt(self, vendor: Vendor, provider: Provider, studio: StudioProcess) -> None:
        prompt = f"A lighthouse in the fog {uuid4()}"
        ref = RemoteRef.from_json(provider.submit(vendor.request(provider, prompt)).to_json())
        result = provider.poll(ref)
        assert (result.state, result.error) == (TaskState.SUCCEEDED, None)
        assert result.ran_seconds is not None and result.ran_seconds >= 0.2
        assert result.usage["total_tokens"] > 0
        found = content(provider, ref, result.assets[0])
        if vendor.medium == "image":
            with Image.open(io.BytesIO(found)) as image:
                assert (image.format, image.size) == ("WEBP", (160, 160))
        else:
            assert "A lighthouse in the fog" in found.decode() and "studio preview" in found.decode()
        rows = [row for row in studio.log()["creates"] if row["prompt"] == prompt]
        assert [(row["dialect"], row["model"], row["accepted"]) for row in rows] == [(vendor.adapter, vendor.endpoint_id, True)]

    def test_is_in_our_storage_and_needs_nobody_any_more(self, vendor: Vendor, provider: Provider, studio: StudioProcess) -> None:
        ref = provider.submit(vendor.request(provider, PROMPT))
        elsewhere = vendor.at("https://nobody.invalid")
        assert provider.poll(ref) == elsewhere.poll(ref)
        for asset in elsewhere.poll(ref).assets:
            assert content(elsewhere, ref, asset) == content(provider, ref, asset)

    def test_is_not_asked_for_again_by_a_cancel(self, vendor: Vendor, provider: Provider, studio: StudioProcess) -> None:
        ref = provider.submit(vendor.request(provider, "Too late to stop"))
        before = len(studio.log()["creates"])
        assert provider.cancel(ref) is TaskState.SUCCEEDED
        assert len(studio.log()["creates"]) == before

    @pytest.mark.parametrize("fault", JOBS)
    def test_of_a_job_that_goes_wrong(self, vendor: Vendor, provider: Provider, studio: StudioProcess, fault: str) -> None:
        studio.queue_faults(create=[fault])
        request = vendor.request(provider, f"{vendor.adapter} {fault}")
        if refused := REFUSED[vendor.adapter].get(fault):
            with pytest.raises(ProviderError) as error:
                provider.submit(request)
            assert error.value.kind is refused
            return
        result = provider.poll(provider.submit(request))
        assert result.state is vendor.doomed[fault]
        assert (result.error is None) == bool(result.assets) == (result.state is TaskState.SUCCEEDED)


class TestTheStorage:
    def test_has_the_result_before_anyone_is_told(self, vendor: Vendor, server: WireServer, media: Path) -> None:
        server.says(answer(vendor.create_status, vendor.accepted("t-1")))
        provider = vendor.at(server.url)
        request = vendor.request(provider)
        ref = provider.submit(request)
        folder = media / "answers" / str(request.attempt_id)
        assert ref.remote_id == str(request.attempt_id)
        assert sorted(path.name for path in folder.iterdir()) == ["0", "facts.json"]
        assert list((media / "tmp").iterdir()) == []

    def test_that_is_full_leaves_an_unknown_outcome(self, vendor: Vendor, server: WireServer, media: Path) -> None:
        server.says(answer(vendor.create_status, vendor.accepted("t-1")))
        provider = vendor.at(server.url)
        media.write_text("a file where the folder should be")
        with pytest.raises(ProviderError, match="sent the result, but it could not be saved") as error:
            provider.submit(vendor.request(provider))
        assert (error.value.kind, accepted_verdict(error.value)) == (ErrorKind.AMBIGUOUS, Verdict.UNKNOWN)
        assert len(server.seen) == 1

    def test_that_is_not_there_lets_nothing_be_sent(self, vendor: Vendor, server: WireServer) -> None:
        provider = vendor.at(server.url, answers=None)
        with pytest.raises(ProviderError) as error:
            provider.submit(vendor.request(provider))
        assert (accepted_verdict(error.value), error.value.code) == (Verdict.NOT_ACCEPTED, "not_sent")
        assert server.seen == []

    def test_that_cannot_be_read_is_asked_again(self, vendor: Vendor, server: WireServer, media: Path) -> None:
        server.says(answer(vendor.create_status, vendor.accepted("t-1")))
        provider = vendor.at(server.url)
        ref = provider.submit(vendor.request(provider))
        facts = media / "answers" / ref.remote_id / "facts.json"
        facts.rename(facts.with_suffix(".bak"))
        facts.mkdir()
        with pytest.raises(ProviderError) as error:
            provider.poll(ref)
        assert (error.value.kind, error.value.code) == (ErrorKind.RETRYABLE, "not_readable")

    def test_keeps_one_answer_for_each_attempt(self, vendor: Vendor, server: WireServer) -> None:
        """A second call of one attempt is a bug elsewhere; it must not replace what the first has brought."""
        server.says(answer(vendor.create_status, vendor.accepted("t-1")))
        provider = vendor.at(server.url)
        request = vendor.request(provider)
        first = provider.poll(provider.submit(request))
        with pytest.raises(ProviderError, match="already has an answer"):
            provider.submit(request)
        assert provider.poll(provider.ref(str(request.attempt_id), endpoint_id=vendor.endpoint_id)) == first

    @pytest.mark.parametrize(
        "number", ["no/such+id==", "d8b3fe9b-5820-4dac-86b2-7d55dccabcc6", "../../etc/passwd", "", "video_1"]
    )
    def test_without_the_answer_does_not_say_that_it_is_lost(self, vendor: Vendor, number: str) -> None:
        """Lost would let the job be bought again, and the answer may be on another host."""
        provider = vendor.at("https://nobody.invalid")
        ref = provider.ref(number, endpoint_id=vendor.endpoint_id)
        calls: list[Any] = [
            lambda: provider.poll(ref),
            lambda: provider.cancel(ref),
            lambda: provider.actual_cost(ref),
            lambda: provider.fetch(ref, RemoteAsset(vendor.medium), io.BytesIO(), 100),
        ]
        for call in calls:
            with pytest.raises(ProviderError) as error:
                call()
            assert (error.value.kind, error.value.code) == (ErrorKind.NOT_FOUND, "not_saved")

    def test_without_the_file_does_not_have_it(self, vendor: Vendor, server: WireServer, media: Path) -> None:
        server.says(answer(vendor.create_status, vendor.accepted("t-1")))
        provider = vendor.at(server.url)
        ref = provider.submit(vendor.request(provider))
        (media / "answers" / ref.remote_id / "0").unlink()
        for asset in [*provider.poll(ref).assets, RemoteAsset(vendor.medium, "answer:7")]:
            with pytest.raises(ProviderError) as error:
                content(provider, ref, asset)
            assert (error.value.kind, error.value.code) == (ErrorKind.NOT_FOUND, "not_saved")

    def test_gives_no_more_than_the_cap(self, vendor: Vendor, server: WireServer) -> None:
        server.says(answer(vendor.create_status, vendor.accepted("t-1")))
        provider = vendor.at(server.url)
        ref = provider.submit(vendor.request(provider))
        with pytest.raises(ProviderError) as error:
            provider.fetch(ref, provider.poll(ref).assets[0], io.BytesIO(), 5)
        assert (error.value.kind, error.value.code) == (ErrorKind.INVALID_REQUEST, "too_large")


class TestWhatTheyLack:
    def test_a_list(self, vendor: Vendor) -> None:
        with pytest.raises(ProviderError, match="no list"):
            vendor.at("https://nobody.invalid").list_tasks(None, endpoint_id="x", seconds=20)

    def test_webhooks(self, vendor: Vendor) -> None:
        with pytest.raises(WebhookRefused):
            vendor.at("https://nobody.invalid").parse_webhook({}, b"{}", at=MOMENT)

    def test_a_name_but_their_own(self, vendor: Vendor) -> None:
        assert vendor.at("https://nobody.invalid").names("a") == {"a"}
