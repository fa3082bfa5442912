"""The life of a task at the studio, with and without each of its faults. The same for all adapters."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from genqueue_site.studio.config import WEBHOOK_SECRET
from genqueue_site.studio.faults import FAULTS
from queue_app.providers.base import (
    ErrorKind,
    PollResult,
    Provider,
    ProviderError,
    RemoteAsset,
    RemoteRef,
    TaskState,
    Verdict,
    WebhookRefused,
    accepted_verdict,
)
from queue_app.rules.lookup import Call, Lookup, Walk
from tests.genqueue_site.studio.process import StudioProcess
from tests.processes import wait_for
from tests.providers.vendors import VENDORS, Vendor
from tests.providers.vendors.vendor import MOST_BYTES, PROMPT
from tests.providers.wire import WireServer, answer

NOT_ACCEPTED, UNKNOWN = Verdict.NOT_ACCEPTED, Verdict.UNKNOWN
pytestmark = pytest.mark.usefixtures("trusted", "quick_hangs")
# a fault of a create call: kind and verdict of its error (``None``: it is accepted), and whether the studio has the job
CREATES: dict[str, tuple[ErrorKind | None, Verdict | None, bool]] = {
    "latency:0.05": (None, None, True),
    "slow_answer:0.05": (None, None, True),
    "429:7": (ErrorKind.RATE_LIMITED, NOT_ACCEPTED, False),
    "401": (ErrorKind.AUTH, NOT_ACCEPTED, False),
    "402": (ErrorKind.QUOTA, NOT_ACCEPTED, False),
    "503": (ErrorKind.AMBIGUOUS, UNKNOWN, False),
    "500_before_accept": (ErrorKind.AMBIGUOUS, UNKNOWN, False),
    "500_after_accept": (ErrorKind.AMBIGUOUS, UNKNOWN, True),
    "hang_before_accept": (ErrorKind.AMBIGUOUS, UNKNOWN, False),
    "hang_after_accept": (ErrorKind.AMBIGUOUS, UNKNOWN, True),
    "reset_before_accept": (ErrorKind.AMBIGUOUS, UNKNOWN, False),
    "reset_after_accept": (ErrorKind.AMBIGUOUS, UNKNOWN, True),
    "late_accept:0.1": (ErrorKind.AMBIGUOUS, UNKNOWN, True),
    "malformed_json": (ErrorKind.AMBIGUOUS, UNKNOWN, True),
}
# a fault of another call about a task: the kind of its error; ``None``: it is answered nevertheless
READS: dict[str, ErrorKind | None] = {
    "latency:0.05": None,
    "429:2": ErrorKind.RATE_LIMITED,
    "401": ErrorKind.AUTH,
    "503": ErrorKind.RETRYABLE,
    "500": ErrorKind.RETRYABLE,
    "hang": ErrorKind.RETRYABLE,
    "reset": ErrorKind.RETRYABLE,
    "malformed_json": ErrorKind.RETRYABLE,
}
CONTENTS: dict[str, ErrorKind | str] = {
    # a fault of a download: the kind of its error, or the content type of what arrives
    **{name: kind or "video/mp4" for name, kind in READS.items() if name != "malformed_json"},
    "404": ErrorKind.NOT_FOUND,
    "huge": ErrorKind.INVALID_REQUEST,
    "huge_unannounced:3": ErrorKind.INVALID_REQUEST,
    "wrong_type": "text/html",
    "disguised": "video/mp4",
    "empty": "video/mp4",
    "truncated": ErrorKind.RETRYABLE,
}
# the same for public files: a refusal says nothing about the account
PUBLIC_CONTENTS = CONTENTS | {"401": ErrorKind.NOT_FOUND, "429:2": ErrorKind.RETRYABLE}
# a fault of a webhook: whether what arrives is accepted; ``None``: nothing arrives
WEBHOOKS: dict[str, list[bool]] = {
    "twice": [True, True],
    "late:0.1": [True],
    "stale": [False],
    "forged": [False],
    "unsigned": [False],
    "halved": [False],
    "lost": [],
}
# synchronous providers have no tasks: their results have tests of their own (`test_synchronous`)
TASKS = {name: vendor for name, vendor in VENDORS.items() if not vendor.is_synchronous}
NO_FILE = ("dead_asset", "removed_job", "no_output")
JOBS = ("failed_job", "moderated_job", "canceled_job", "expired_job", *NO_FILE)
CANCELS = [name for name, vendor in TASKS.items() if vendor.caps()["cancel"] != "none"]
LISTS = [name for name, vendor in TASKS.items() if vendor.caps()["orphan_search"] != "none"]
HOOKED = [name for name, vendor in TASKS.items() if vendor.hook and vendor.caps()["webhooks"] == "per_request"]


@pytest.fixture(params=TASKS)
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


def rows(studio: StudioProcess, prompt: str) -> list[dict[str, Any]]:
    return [row for row in studio.log()["creates"] if row["prompt"] == prompt]


def end_of(provider: Provider, ref: RemoteRef) -> PollResult:
    late = time.monotonic() + 60
    while not (result := provider.poll(ref)).state.is_terminal:
        assert time.monotonic() < late, result
        time.sleep(0.05)
    return result


def main_of(result: PollResult, vendor: Vendor) -> RemoteAsset:
    return next(asset for asset in result.assets if asset.kind == vendor.medium and asset.required)


@pytest.fixture(scope="module")
def slow_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StudioProcess]:
    """A studio whose jobs end long after any test."""
    process = StudioProcess(tmp_path_factory.mktemp("slow"), seconds_per_job=3_600)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def finished(studio: StudioProcess) -> Any:
    """Return a finished task of a vendor, created once."""
    made: dict[str, tuple[RemoteRef, PollResult]] = {}

    def of(vendor: Vendor, provider: Provider) -> tuple[RemoteRef, RemoteAsset]:
        if vendor.adapter not in made:
            ref = provider.submit(vendor.request(provider, "Finished"))
            made[vendor.adapter] = ref, end_of(provider, ref)
        ref, result = made[vendor.adapter]
        return ref, main_of(result, vendor)

    return of


class TestATask:
    def test_lives_from_create_to_its_files(self, vendor: Vendor, provider: Provider, studio: StudioProcess) -> None:
        prompt = f"{PROMPT} {vendor.adapter}"
        ref = RemoteRef.from_json(provider.submit(vendor.request(provider, prompt)).to_json())
        result = end_of(provider, ref)
        assert result.state is TaskState.SUCCEEDED
        assert [asset for asset in result.assets if asset.required]
        for asset in result.assets:
            sink = io.BytesIO()
            got = provider.fetch(ref, asset, sink, 10_000_000)
            assert got.size == sink.tell() > 100
            assert len(got.sha256) == 64
        assert [row["accepted"] for row in rows(studio, prompt)] == [True]

    def test_with_a_file_over_the_cap_is_refused(self, vendor: Vendor, provider: Provider, finished: Any) -> None:
        ref, asset = finished(vendor, provider)
        with pytest.raises(ProviderError) as refused:
            provider.fetch(ref, asset, io.BytesIO(), 50)
        assert (refused.value.kind, refused.value.code) == (ErrorKind.INVALID_REQUEST, "too_large")

    def test_that_is_unknown_is_lost(self, vendor: Vendor, provider: Provider) -> None:
        result = provider.poll(vendor.ref(provider, "no/such+id=="))
        assert result.state is TaskState.LOST
        assert result.error is not None and result.error.kind is ErrorKind.NOT_FOUND

    def test_costs_what_the_vendor_tells(self, vendor: Vendor, provider: Provider, finished: Any) -> None:
        ref, _ = finished(vendor, provider)
        assert (provider.actual_cost(ref) is not None) == provider.caps["actual_cost"]
        assert provider.poll(ref).cost in {None, provider.actual_cost(ref)}

    @pytest.mark.parametrize("vendor", [VENDORS[name] for name in CANCELS], ids=CANCELS)
    def test_is_stopped_by_a_cancel(self, vendor: Vendor, slow_studio: StudioProcess, settings: Settings) -> None:
        settings.TRUSTED_ORIGINS = [slow_studio.url]
        provider = vendor.at(slow_studio.url, api_key=None, preview=True)
        ref = provider.submit(vendor.request(provider, "Stop me"))
        assert provider.cancel(ref) in {TaskState.CANCELED, TaskState.CANCELING}
        assert end_of(provider, ref).state in {TaskState.CANCELED, TaskState.LOST}

    @pytest.mark.parametrize("vendor", [VENDORS[name] for name in CANCELS], ids=CANCELS)
    def test_keeps_its_result_when_a_cancel_is_too_late(self, vendor: Vendor, provider: Provider, finished: Any) -> None:
        done, _ = finished(vendor, provider)
        assert provider.cancel(done) is TaskState.SUCCEEDED
        assert provider.poll(done).state is TaskState.SUCCEEDED

    @pytest.mark.parametrize(
        "vendor",
        [row for name, row in TASKS.items() if name not in CANCELS],
        ids=[name for name in TASKS if name not in CANCELS],
    )
    def test_runs_on_where_nothing_stops_it(self, vendor: Vendor, provider: Provider) -> None:
        ref = provider.submit(vendor.request(provider, "Do not stop me"))
        assert provider.cancel(ref) is TaskState.RUNNING
        assert end_of(provider, ref).state is TaskState.SUCCEEDED

    @pytest.mark.parametrize("vendor", [VENDORS[name] for name in LISTS], ids=LISTS)
    def test_whose_answer_was_lost_is_found_by_what_was_asked(
        self, vendor: Vendor, provider: Provider, studio: StudioProcess
    ) -> None:
        lost, before = f"lost {uuid4()}", time.time()
        provider.submit(vendor.request(provider, f"known {uuid4()}"))
        studio.queue_faults(create=["reset_after_accept"])
        with pytest.raises(ProviderError):
            provider.submit(vendor.request(provider, lost))
        found = look_up(vendor, provider, lost, called_at=before)
        assert [row.id for row in found.sure] == [row["id"] for row in rows(studio, lost)]
        assert not look_up(vendor, provider, f"never sent {uuid4()}", called_at=before).sure


def look_up(vendor: Vendor, provider: Provider, prompt: str, *, called_at: float) -> Lookup:
    walk, after = Walk(call=Call(prompt, vendor.endpoint_id, called_at), now=time.time(), grace=120), None
    while not walk.is_over:
        page = provider.list_tasks(after, endpoint_id=vendor.endpoint_id, seconds=20)
        after = page.cursor or next((row.id for row in reversed(page.rows) if row.id), after)
        walk = walk.and_then(page, [], now=time.time())
    return walk.judge()


class TestAFault:
    @pytest.mark.parametrize("vendor", VENDORS.values(), ids=list(VENDORS))
    @pytest.mark.parametrize("fault", CREATES)
    def test_of_a_create(self, vendor: Vendor, provider: Provider, studio: StudioProcess, fault: str) -> None:
        kind, verdict, taken = CREATES[fault]
        prompt = f"{vendor.adapter} {fault} {uuid4()}"
        studio.queue_faults(create=[fault])
        try:
            ref = provider.submit(vendor.request(provider, prompt))
        except ProviderError as error:
            assert (error.kind, accepted_verdict(error)) == (kind, verdict)
        else:
            assert kind is None and provider.poll(ref).error is None
        wait_for(lambda: [row["accepted"] for row in rows(studio, prompt)] == [taken], of="the row of the log")

    @pytest.mark.parametrize("fault", JOBS)
    def test_of_a_job(self, vendor: Vendor, provider: Provider, studio: StudioProcess, fault: str) -> None:
        studio.queue_faults(create=[fault])
        ref = provider.submit(vendor.request(provider, f"{vendor.adapter} {fault}"))
        result = end_of(provider, ref)
        assert result.state is vendor.doomed.get(fault, TaskState.SUCCEEDED)
        if result.state is not TaskState.SUCCEEDED:
            assert result.error is not None and result.error.message
            return
        wanted = [asset for asset in result.assets if asset.required]
        assert wanted or fault != "dead_asset"
        for asset in wanted:
            with pytest.raises(ProviderError) as refused:
                provider.fetch(ref, asset, io.BytesIO(), MOST_BYTES)
            assert refused.value.kind is ErrorKind.NOT_FOUND

    @pytest.mark.parametrize("fault", READS)
    def test_of_a_poll(self, vendor: Vendor, provider: Provider, studio: StudioProcess, finished: Any, fault: str) -> None:
        ref, _ = finished(vendor, provider)
        studio.queue_faults(retrieve=[fault])
        assert kind_of(lambda: provider.poll(ref)) == READS[fault]
        assert provider.poll(ref).state is TaskState.SUCCEEDED

    def test_of_a_poll_with_a_new_word(self, vendor: Vendor, provider: Provider, studio: StudioProcess) -> None:
        ref = provider.submit(vendor.request(provider, f"{vendor.adapter}, reticulating"))
        studio.queue_faults(retrieve=["unknown_status"])
        result = provider.poll(ref)
        assert (result.word, result.error) == ("reticulating", None)
        assert end_of(provider, ref).state is TaskState.SUCCEEDED

    @pytest.mark.parametrize("fault", CONTENTS)
    def test_of_a_download(self, vendor: Vendor, provider: Provider, studio: StudioProcess, finished: Any, fault: str) -> None:
        ref, asset = finished(vendor, provider)
        studio.queue_faults(content=[fault])
        expected = (PUBLIC_CONTENTS if vendor.public_files else CONTENTS)[fault]
        if isinstance(expected, ErrorKind):
            assert kind_of(lambda: provider.fetch(ref, asset, io.BytesIO(), 1_000_000)) is expected
        else:
            assert provider.fetch(ref, asset, io.BytesIO(), 1_000_000).content_type == expected
        assert provider.fetch(ref, asset, io.BytesIO(), 1_000_000).size > 100

    @pytest.mark.parametrize("vendor", [VENDORS[name] for name in LISTS], ids=LISTS)
    @pytest.mark.parametrize("fault", READS)
    def test_of_a_list(self, vendor: Vendor, provider: Provider, studio: StudioProcess, fault: str) -> None:
        studio.queue_faults(list=[fault])
        for kind in (READS[fault], None):
            assert kind_of(lambda: provider.list_tasks(None, endpoint_id=vendor.endpoint_id, seconds=20)) is kind

    @pytest.mark.parametrize("vendor", [VENDORS[name] for name in CANCELS], ids=CANCELS)
    @pytest.mark.parametrize("fault", READS)
    def test_of_a_cancel(self, vendor: Vendor, provider: Provider, studio: StudioProcess, fault: str) -> None:
        """A cancel without a readable answer may have arrived. Repeating it does no harm."""
        ref = provider.submit(vendor.request(provider, f"{vendor.adapter} cancel {fault}"))
        studio.queue_faults(**{vendor.cancel_call: [fault]})
        assert kind_of(lambda: provider.cancel(ref)) in {READS[fault], None}
        assert provider.cancel(ref).is_terminal or end_of(provider, ref).state.is_terminal

    @pytest.mark.parametrize("vendor", [VENDORS[name] for name in HOOKED], ids=HOOKED)
    @pytest.mark.parametrize("fault", WEBHOOKS)
    def test_of_a_webhook(self, vendor: Vendor, studio: StudioProcess, settings: Settings, fault: str) -> None:
        provider = vendor.at(studio.url, api_key=None, preview=True, webhook_secret=WEBHOOK_SECRET)
        with WireServer() as ear:
            ear.says(answer(204))
            studio.queue_faults(webhook=[fault])
            ref = provider.submit(vendor.request(provider, f"{vendor.adapter} {fault}", webhook_url=f"{ear.url}/hooks/7"))
            wait_for(lambda: len(ear.seen) >= len(WEBHOOKS[fault]), of="the webhooks")
            end_of(provider, ref)
            believed = [believes(provider, seen.headers, seen.body, ref) for seen in ear.seen]
        assert believed == WEBHOOKS[fault]


def believes(provider: Provider, headers: dict[str, str], raw: bytes, ref: RemoteRef) -> bool:
    try:
        event = provider.parse_webhook(headers, raw, at=datetime.now(UTC))
    except WebhookRefused:
        return False
    assert event.remote_id == ref.remote_id
    return True


def kind_of(call: Any) -> ErrorKind | None:
    try:
        call()
    except ProviderError as error:
        return error.kind
    return None


def faults_of(vendor: Vendor) -> set[str]:
    """Return the names of all faults that the tests let befall the calls and jobs of an adapter."""
    names = {*CREATES, *JOBS}  # those of the jobs of synchronous providers are in `test_synchronous`
    if not vendor.is_synchronous:
        names |= {*READS, *CONTENTS, "unknown_status"}
    if vendor.adapter in HOOKED:
        names |= set(WEBHOOKS)
    return {name.partition(":")[0] for name in names}


def test_faults_enough_for_every_adapter() -> None:
    assert {name: len(found) for name, vendor in VENDORS.items() if len(found := faults_of(vendor)) < 20} == {}
    of_pages = {name for name, fault in FAULTS.items() if fault.kinds == ("page",)}  # tests/work/test_page_life.py meets these
    assert set().union(*map(faults_of, VENDORS.values())) == set(FAULTS) - of_pages
